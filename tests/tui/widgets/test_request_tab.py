"""What the Request tab tells of a simulator's turn."""

from __future__ import annotations

from typing import Any

import pytest

from convtui.tui.widgets.inspector.tabs import Context, build
from tests.tui.harness.sources import Story

GIVEN = [{"role": "system", "content": "You are Ida."}, {"role": "user", "content": "Hello."}]


def tab(story: Story, simulator: str = "llm") -> str:
    turn = story.transcript.turns[-1]
    context = Context(messages=lambda call: GIVEN, simulator=simulator)
    return str(build("Request", story.detail(turn), turn, context))


def begun() -> Story:
    story = Story()
    story.begin()
    return story


def test_what_the_simulator_was_given_and_what_it_gave_back() -> None:
    story = begun()
    call = story.open("persona")
    story.on("llm.response", side="persona", call=call, raw="Thanks. <END>", reasoning="got it",
             finish_reason="stop", usage={})  # fmt: skip
    story.on("user.ended", simulator="llm", reason="the persona is done", sentinel="<end>",
             dropped_text="Thanks.")  # fmt: skip
    text = tab(story)
    given, _, came = text.partition(f"reply to {call}")
    assert " 1 system\nYou are Ida.\n" in given
    assert " 2 user\nHello.\n" in given
    assert "got it" in came
    assert "Thanks. <END>\n" in came
    assert "sentinel       <end>" in came
    assert "dropped text next to it, not sent\nThanks.\n" in came
    doc = build("Request", story.detail(story.transcript.turns[-1]), story.transcript.turns[-1],
                Context(messages=lambda call: GIVEN))  # fmt: skip
    marked = [
        piece for piece in doc.pieces if any(role == "mark:signal" for *_, role in piece.marks)
    ]
    assert [piece.text[start:end] for piece in marked for start, end, _ in piece.marks] == ["<END>"]


def test_a_sentinel_that_stood_alone_dropped_nothing() -> None:
    story = begun()
    call = story.open("persona")
    story.on("llm.response", side="persona", call=call, raw="<end>", usage={})
    story.on("user.ended", simulator="llm", reason="done", sentinel="<end>")
    assert "no text dropped" in tab(story)


@pytest.mark.parametrize(
    ("simulator", "why"),
    [("scripted", "in the persona's script"), ("demo", "demo user"), ("responder", "opens with"),
     ("llm", "the text was given")],
)  # fmt: skip
def test_a_turn_without_a_call_says_that_no_model_was_asked(simulator: str, why: str) -> None:
    story = begun()
    story.number = 1
    story.on("turn.started", speaker="persona")
    story.finish("Hello", speaker="persona")
    text = tab(story, simulator)
    assert text.startswith("nothing here\nNo model was called: ")
    assert why in text


def test_a_human_turn_says_so() -> None:
    story = begun()
    story.number = 1
    story.on("turn.started", speaker="persona", human=True)
    story.finish("Hello", speaker="persona", human=True)
    assert "No model was called: a human spoke." in tab(story)


def test_a_script_that_is_over_tells_how_it_ended() -> None:
    story = begun()
    story.number = 1
    story.on("turn.started", speaker="persona")
    story.on("user.ended", simulator="scripted", reason="the script is over")
    text = tab(story, "scripted")
    assert "in the persona's script" in text
    assert "reason         the script is over" in text


def test_a_call_that_failed_and_one_that_is_on_its_way() -> None:
    story = begun()
    call = story.open("persona")
    assert f"reply to {call}  in progress" in tab(story)
    story.on("llm.failed", side="persona", call=call, error={"message": "503 gone"}, partial="We")
    text = tab(story)
    assert "! 503 gone" in text
    assert "received so far\nWe\n" in text


def test_what_a_decision_was_asked_with() -> None:
    story = begun()
    story.number = 1
    story.on("turn.started", speaker="persona")
    call = len(story.records)
    story.on("llm.request", side="responder", append=GIVEN, model="m", sha256="0",
             tools=["responder_reply", "responder_stop"])  # fmt: skip
    story.on("llm.response", side="responder", call=call, raw="", finish_reason="tool_calls",
             tool_calls=[{"id": "1", "type": "function",
                          "function": {"name": "responder_stop", "arguments": ""}}],
             error={"message": "the connection was closed"})  # fmt: skip
    text = tab(story, "responder")
    assert "tools          responder_reply, responder_stop" in text
    assert "calls responder_stop\n{}\n" in text
    assert "the call failed after receiving this: the connection was closed" in text


def test_a_cancelled_call_is_not_on_its_way() -> None:
    story = begun()
    call = story.open("persona")
    story.on("turn.cancelled", partial="We c", reason="cancelled by hand")
    assert f"reply to {call}  cancelled by hand\nWe c\n" in tab(story)
    turn = story.transcript.turns[-1]
    stages = str(build("Stages", story.detail(turn), turn, Context()))
    assert "on its way" not in stages
    assert "cancelled by hand" in stages
    again = story.open("persona")
    assert f"reply to {again}  in progress" in str(
        build("Request", story.detail(story.transcript.turns[-1]), story.transcript.turns[-1],
              Context())
    )  # fmt: skip


def test_what_a_warm_template_has_put_there_is_told_message_by_message() -> None:
    story = begun()
    story.open("provider")
    injected = [
        {"role": "user", "content": "Where is A7?"},
        {"role": "assistant", "content": "There."},
    ]
    sent = [
        {"role": "system", "content": "You are a desk.\n\n[WARM SESSION] Be brief."},
        *injected,
        {"role": "user", "content": "Hello."},
    ]
    turn = story.transcript.turns[-1]
    warm = {
        "template": "desk",
        "addendum": "[WARM SESSION] Be brief.",
        "messages": injected,
    }

    def shown(messages: list[dict[str, str]]) -> list[str]:
        context = Context(messages=lambda call: messages, warm=warm)
        text = str(build("Request", story.detail(turn), turn, context))
        return [line for line in text.split("\n") if "warm context" in line]

    assert shown(sent) == [
        " 1 system  with the text of warm context desk",
        " 2 user  + warm context desk",
        " 3 assistant  + warm context desk",
    ]
    assert shown(sent[3:]) == [], "a request that does not begin with it"


@pytest.mark.parametrize("tab_name", ["Raw", "Request", "Stages"])
def test_parts_that_are_no_text_are_named(tab_name: str) -> None:
    story = begun()
    call = story.open("provider")
    parts: list[Any] = [
        {"type": "image_url", "image_url": {"url": "(cut)"}}, {"type": "more", "count": 3}, "odd",
    ]  # fmt: skip
    story.on("llm.response", side="provider", call=call, raw="I cannot.", refused=True,
             parts=parts, usage={})  # fmt: skip
    turn = story.transcript.turns[-1]
    text = str(build(tab_name, story.detail(turn), turn, Context(messages=lambda call: GIVEN)))
    assert "[image_url part, not shown]" in text
    assert "[3 more parts, not kept]" in text
    assert "[unknown part, not shown]" in text
    assert ("(cut)" in text) == (tab_name != "Stages")
    assert ("refusal" in text) == (tab_name != "Request")
