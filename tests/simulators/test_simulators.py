"""All simulators through one protocol: what they see, what they say, and how they fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convtui.log.reader import open_log
from convtui.models.base import Delta, Reply
from convtui.transcript.fold import Flag
from tests.builders.conversations import Bot, FakeModels, Line, calls, prepare, run, scenario

ANN = {"name": "Ann", "prompt": "a patient", "model": "fake/user"}


def ann(**fields: Any) -> dict[str, Any]:
    return {**ANN, **fields}


def look_up(code: str) -> str:
    """Looks up a code."""
    return f"secret result for {code}"


# --- what a user sees


@pytest.mark.parametrize("kind", ["llm", "responder"])
async def test_a_simulated_user_sees_what_was_said_and_nothing_else(
    tmp_path: Path, kind: str
) -> None:
    bot = Bot(
        calls(("look_up", '{"code": "HT-9"}'), text="let me see"),
        [Delta(reasoning="the user is rude"), Delta(text="<raw>It is there.")],
        system_prompt="You are a secret agent.",
        post_process_response=lambda raw: raw.replace("<raw>", ""),
        tools=[look_up],
    )
    stop = calls(("responder_stop", "{}"))
    models = FakeModels(user=["<end>"] if kind == "llm" else [stop])
    brief = {"instructions": "HT-9", "max_followups": 2}
    persona = ann(opening="hi")
    if kind == "responder":
        persona |= {"responder": brief}
        del persona["prompt"]
    ran = await run(scenario(bot, persona=persona), tmp_path, models=models)
    assert ran.of("tool.returned")[0]["ok"]
    sent = json.dumps(models.clients["user"].sent)
    assert "It is there." in sent and "hi" in sent
    for hidden in ("secret", "rude", "<raw>", "look_up", "let me see"):
        assert hidden not in sent


async def test_what_it_was_given_is_in_the_log_as_it_was_sent(tmp_path: Path) -> None:
    models = FakeModels(user=["really?", "<end>"])
    persona = ann(opening="hi", reminder="Stay rude.")
    ran = await run(scenario(Bot("a1", "a2"), persona=persona), tmp_path, models=models)
    requests = [r for r in ran.of("llm.request") if r["side"] == "persona"]
    assert requests[0]["append"] == models.clients["user"].sent[0]
    assert requests[0]["append"][-1]["content"] == "Stay rude.\n\na1"


# --- mixed scripts


async def test_first_fixed_utterances_then_the_model(tmp_path: Path) -> None:
    models = FakeModels(user=["by myself", "<end>"])
    persona = ann(simulator="llm", script=["one", "two"])
    ran = await run(scenario(Bot(), persona=persona), tmp_path, models=models)
    assert ran.said[::2] == ["one", "two", "by myself"]
    assert len(models.clients["user"].sent) == 2


async def test_an_opening_then_fixed_utterances_then_the_model(tmp_path: Path) -> None:
    models = FakeModels(user=["<end>"])
    persona = ann(simulator="llm", opening="hello", script=["one"])
    ran = await run(scenario(Bot(), persona=persona), tmp_path, models=models)
    assert ran.said[::2] == ["hello", "one"]


async def test_a_fixed_utterance_at_a_given_turn(tmp_path: Path) -> None:
    models = FakeModels(user=["first", "third", "<end>"])
    persona = ann(script={3: "exactly this"})
    ran = await run(scenario(Bot(), persona=persona), tmp_path, models=models)
    assert ran.said[::2] == ["first", "exactly this", "third"]


async def test_follow_up_prompts_come_after_the_task(tmp_path: Path) -> None:
    persona = {"name": "Ann", "task": "Rebook me."}
    what = scenario(Bot(), persona=persona, follow_up_prompts=["and then?", "thanks"])
    ran = await run(what, tmp_path)
    assert ran.said[::2] == ["Rebook me.", "and then?", "thanks"]
    assert ran.ended == ("completed", "simulator")


# --- nothing said


@pytest.mark.parametrize("empty", ["", "  \n", "<think>what now</think>"])
async def test_an_empty_reply_of_the_simulator_is_never_sent_in_silence(
    tmp_path: Path, empty: str
) -> None:
    def persona(*lines: Line) -> FakeModels:
        return FakeModels(user=lines)

    what = scenario(Bot(), persona=ann(opening="hi"), on_empty="fail")
    ran = await run(what, tmp_path / "fail", models=persona(empty))
    assert ran.ended == ("failed", "simulator")
    assert (ran.termination.detail or {})["category"] == "user_simulator"
    assert ran.termination.at_turn == 3

    what = scenario(Bot(), persona=ann(opening="hi"), on_empty="retry")
    ran = await run(what, tmp_path / "retry", models=persona(empty, "well", "<end>"))
    assert ran.said[2] == "well"
    assert [r["attempt"] for r in ran.of("turn.committed") if r["turn"] == 3] == [2]

    what = scenario(Bot(), persona=ann(opening="hi"), on_empty="pause")
    ran = await run(what, tmp_path / "pause", models=persona(empty))
    assert ran.ended == ("interrupted", "harness")
    assert ran.said == ["hi", "fine"]

    models = persona(empty, "<end>")
    plan = [("supply", {"text": "by hand"}), "end"]
    ran = await run(what, tmp_path / "held", models=models, plan=plan)
    assert ran.driver.where[0] == ("empty", "commit")
    assert ran.said[2] == "by hand"


# --- reasoning and what is noticed


async def test_reasoning_is_stripped_before_it_is_said(tmp_path: Path) -> None:
    models = FakeModels(user=["<think>be brief</think>Well?", "<end>"])
    ran = await run(scenario(Bot(), persona=ann(opening="hi")), tmp_path, models=models)
    assert ran.said[2] == "Well?"
    responses = [r for r in ran.of("llm.response") if r["side"] == "persona"]
    assert responses[0]["raw"] == "<think>be brief</think>Well?"


async def test_a_leak_a_changed_role_and_a_repetition_are_flagged(tmp_path: Path) -> None:
    models = FakeModels(
        user=["Well?", "How can I help you today?", "I want my money back now.",
              "I want my money back now.", "<end>"],
    )  # fmt: skip
    bot = Bot("<think>hm</think>a", "b", "c", "d", "e")
    ran = await run(scenario(bot, persona=ann(opening="hi")), tmp_path, models=models)
    flags = {
        r["turn"]: [(f["flag"], f["rule"]) for f in r["flags"]]
        for r in ran.of("turn.committed")
        if r.get("flags")
    }
    assert flags == {
        2: [("leak", "reasoning-tag")],
        5: [("role", "offers-help")],
        9: [("repeat", "same-words")],
    }
    with open_log(ran.path) as log:
        turns = log.transcript.turns
        assert turns[4].flags & Flag.ROLE and turns[8].flags & Flag.REPEAT
        assert turns[1].flags & Flag.LEAK
        assert not turns[6].flags & (Flag.ROLE | Flag.REPEAT | Flag.LEAK)


# --- failing


async def test_a_simulator_that_cannot_be_set_up_is_named(tmp_path: Path) -> None:
    conversation, *_ = prepare(scenario(Bot()), tmp_path)

    async def setup() -> None:
        raise RuntimeError("no network")

    conversation.simulator.setup = setup  # type: ignore[method-assign]
    termination = await conversation.run()
    assert (termination.kind, termination.by) == ("failed", "simulator")
    assert "no network" in termination.reason
    assert (termination.detail or {})["category"] == "user_simulator"


@pytest.mark.parametrize("turn", [3, 5])
async def test_the_true_turn_of_a_failure_is_recorded(tmp_path: Path, turn: int) -> None:
    lines: list[Line] = ["one", "two", "three"]
    lines[(turn - 3) // 2] = RuntimeError("model down")
    models = FakeModels(user=lines)
    what = scenario(Bot(), persona=ann(opening="hi"))
    ran = await run(what, tmp_path, models=models)
    assert ran.ended == ("failed", "simulator")
    assert ran.termination.at_turn == turn
    assert not ran.of("user.ended")


async def test_a_reply_of_another_shape_does_not_crash_it(tmp_path: Path) -> None:
    """A persona's model that calls tools that were not offered."""
    models = FakeModels(user=[calls(("do", "{}"), text=""), Reply("<end>")])
    what = scenario(Bot(), persona=ann(opening="hi"), on_empty="fail")
    ran = await run(what, tmp_path, models=models)
    assert ran.ended == ("failed", "simulator")


@pytest.mark.parametrize(
    ("expression", "turn"), [("~role", 5), ("~repeat", 9), ("~fault simulator", 5)]
)
async def test_a_breakpoint_on_what_is_noticed_stops_before_it_is_said(
    tmp_path: Path, expression: str, turn: int
) -> None:
    models = FakeModels(
        user=["Well?", "How can I help you today?", "I want my money back now.",
              "I want my money back now.", "<end>"],
    )  # fmt: skip
    what = scenario(
        Bot("a", "b", "c", "d", "e"), persona=ann(opening="hi"), breakpoints=[expression]
    )
    ran = await run(what, tmp_path, models=models)
    assert ran.ended == ("interrupted", "harness")
    hold = ran.one("debug.held")
    assert (hold["turn"], hold["stage"], hold["reason"]) == (turn, "commit", "breakpoint")
