"""What the screen tells of a responder's decisions: cards, rows in the transcript, the meter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.actions.registry import Keymap
from convtui.log.detail import TurnDetail
from convtui.log.reader import digest_until
from convtui.printing.turn_sign import turn_sign
from convtui.transcript.fold import Flag, Transcript, Turn
from convtui.tui.drawing.palette import Palette, plain
from convtui.tui.screens.debugger.hold_bar_feed import choice_items
from convtui.tui.sources.log_records import Records
from convtui.tui.widgets import status
from convtui.tui.widgets.holdbar import HoldBar
from convtui.tui.widgets.inspector.inspector import Inspector
from convtui.tui.widgets.inspector.tabs import DECIDING, Context, build, has_content
from convtui.tui.widgets.statusline import Figures, figures_text
from convtui.tui.widgets.transcript.geometry import Geometry
from convtui.tui.widgets.transcript.marks import badges, extras_of, own_row_count, own_rows
from convtui.tui.widgets.transcript.session_rows import Frame
from convtui.tui.widgets.transcript.transcript_view import TranscriptView
from convtui.tui.widgets.transcript.turn_lines import TurnLines
from tests.tui.harness.sample import header, write_log
from tests.tui.harness.sources import Story
from tests.tui.widgets.test_panes import FORBIDDEN, HOSTILE, Bench, lines

SCENARIO = {
    "persona": {
        "name": "Ida",
        "simulator": "responder",
        "responder": {"instructions": "Order 17.", "max_followups": 5},
    }
}
ANSWER = "Order 17, the 9:40."
REASON = "the brief does not tell the ferry from the train"


def responder_call(story: Story, *, base: int | None = None, **reply: Any) -> int:
    """A responder's call and its reply; returns the call."""
    call = len(story.records)
    question = [{"role": "user", "content": "The assistant just said: which order?"}]
    story.on("llm.request", side="responder", base=base, keep=0, append=question,
             model="openai/responder-1", tools=["responder_reply", "responder_stop"],
             sha256="0")  # fmt: skip
    story.on("llm.response", side="responder", call=call, raw="", duration=0.25,
             usage={"prompt_tokens": 170, "completion_tokens": 12},
             tool_calls=[{"id": "1", "type": "function",
                          "function": {"name": "responder_reply",
                                       "arguments": '{"answer": "Order 17"}'}}],
             **reply)  # fmt: skip
    return call


def decided(story: Story, kind: str, call: int | None = None, **more: Any) -> None:
    tool = None if more.get("by") == "human" else f"responder_{kind}"
    arguments = {"reply": {"answer": ANSWER}, "abstain": {"reason": REASON}}.get(kind, {})
    fields: dict[str, Any] = {"tool": tool, "arguments": arguments, "latency": 0.26,
                              "followup": 2, "max_followups": 5}  # fmt: skip
    if kind == "abstain":
        fields["reason"] = REASON
    record = {name: value for name, value in {**fields, **more}.items() if value is not None}
    story.on("user.decided", side="responder", kind=kind, call=call, **record)


def opened() -> Story:
    story = Story()
    story.tell("header", id="r1", persona="Ida", provider={"name": "demo"}, scenario=SCENARIO)
    story.begin()
    story.number = 1
    story.on("turn.started", speaker="persona")
    return story


def card(story: Story, *, width: int = 40) -> str:
    turn = story.transcript.turns[-1]
    return str(build("Decision", story.detail(turn), turn, Context(width=width, deciding=True)))


def field(text: str, name: str) -> list[str]:
    """The values of a field, one for each card."""
    lines = [line.strip("* ") for line in text.splitlines()]
    return [line[len(name) :].strip() for line in lines if line.startswith(name + " ")]


# --- cards


def test_a_decision_tells_all_about_itself() -> None:
    story = opened()
    decided(story, "reply", responder_call(story))
    text = card(story)
    assert field(text, "decision") == ["+ reply"]
    assert field(text, "tool") == ["responder_reply"]
    assert field(text, "validity") == ["valid"]
    assert field(text, "arguments") == [f"answer: {ANSWER}"]
    assert field(text, "follow-up") == ["2 of 5"]
    assert field(text, "by") == ["the responder"]
    assert field(text, "latency") == ["260 ms"]
    assert field(text, "tokens") == ["170 in, 12 out"]
    assert field(text, "model") == ["openai/responder-1"]


def test_an_invalid_decision_says_what_is_wrong_and_shows_every_call() -> None:
    story = opened()
    late = "responder called responder_stop after a decision was already recorded"
    decided(
        story, "error", responder_call(story), tool="responder_stop", valid=False, reason=late,
        calls=[{"tool": "responder_reply", "arguments": {"answer": ANSWER}},
               {"tool": "responder_stop", "arguments": {}, "error": late}],
    )  # fmt: skip
    text = card(story)
    assert field(text, "validity") == [f"! invalid: {late}"]
    assert field(text, "all calls") == [f"1 responder_reply answer: {ANSWER}"]
    assert "2 responder_stop\n" in text
    assert text.count(late) == 2


def test_arguments_that_cannot_be_decoded_are_shown_as_written() -> None:
    story = opened()
    call = responder_call(story)
    decided(story, "error", call, tool="responder_reply", arguments=None, valid=False,
            raw_arguments='{"answer": "Order', reason="decode")  # fmt: skip
    assert '{"answer": "Order\n' in card(story)
    assert "they cannot be decoded" in card(story)


def test_what_counts_for_nothing_and_what_was_forced_says_so() -> None:
    story = opened()
    decided(story, "stop", responder_call(story), for_record=True, brief_edited=True)
    text = card(story)
    assert "for the record only: nothing was sent" in text
    assert field(text, "follow-up") == ["would be 2 of 5"]
    assert field(text, "brief") == ["edited by hand"]
    story = opened()
    decided(story, "abstain", by="human", latency=None)
    text = card(story)
    assert field(text, "by") == ["a human, by hand"]
    assert "latency" not in text
    assert field(text, "reason") == [REASON]


def test_two_decisions_stand_side_by_side_where_there_is_room() -> None:
    story = opened()
    decided(story, "abstain", responder_call(story))
    decided(story, "reply", by="human", latency=None)
    wide = card(story, width=90)
    row = next(line for line in wide.splitlines() if "? abstain" in line)
    assert "+ reply" in row
    assert row.startswith("* decision")
    follow = next(line for line in wide.splitlines() if "by " in line and "responder" in line)
    assert follow.startswith("* by")
    narrow = card(story, width=40)
    assert not any("? abstain" in line and "+ reply" in line for line in narrow.splitlines())
    assert field(narrow, "decision") == ["? abstain", "+ reply"]
    assert "1 decision" in narrow
    assert "2 forced by hand" in narrow


def test_two_answers_are_compared_word_by_word() -> None:
    story = opened()
    decided(story, "reply", responder_call(story))
    decided(story, "reply", responder_call(story), arguments={"answer": "Order 18, the 9:40."})
    text = card(story)
    assert "Order [-17-]{+18+}, the 9:40." in text


def test_a_turn_without_a_decision_says_why() -> None:
    story = opened()
    story.finish("Hello", speaker="persona")
    assert "the text was sent without it" in card(story)
    story.number = 2
    story.on("turn.started", speaker="provider")
    story.finish("Which order?")
    assert "this is a provider turn" in card(story)


# --- beside the parent's


def branch(folder: Path, *, altered: bool = False, number: int = 1) -> tuple[Path, Transcript]:
    """A child log in which a decision was made again, and its fold."""
    story = opened()
    story.records[0] = {"seq": 0, "t": 0.0, **header(scenario=SCENARIO)}
    decided(story, "abstain", responder_call(story))
    parent = write_log(folder / "parent.jsonl", story.records, closed=False)
    last = len(story.records) - 1
    sha256, _ = digest_until(parent, last)
    child = Story()
    link = {"id": "r1", "file": str(parent), "seq": last, "sha256": "0" if altered else sha256}
    child.tell("header", id="r2", persona="Ida", provider={"name": "demo"}, scenario=SCENARIO,
               parents=[link], change={"kind": "rewind"})  # fmt: skip
    child.begin()
    child.number = number
    child.on("turn.started", speaker="persona")
    # Where the branch begins at the decision, that is there once more, without its call.
    decided(child, "abstain", latency=None)
    decided(child, "reply", responder_call(child), brief_edited=True)
    path = write_log(folder / "child.jsonl", child.records, closed=False)
    fold = Transcript()
    offset = 0
    lines = path.read_bytes().splitlines(keepends=True)
    for line, record in zip(lines, child.records, strict=True):
        fold.apply(record, offset)
        offset += len(line)
    return path, fold


async def test_the_parents_decision_stands_beside(tmp_path: Path) -> None:
    path, fold = branch(tmp_path)
    records = Records()
    detail = await records.detail(path, fold, fold.turns[0])
    records.close()
    text = str(build("Decision", detail, fold.turns[0], Context(width=90, deciding=True)))
    assert "1 decision, in the parent log" in text
    row = next(line for line in text.splitlines() if "decision " in line and "? abstain" in line)
    assert "+ reply" in row
    assert text.count("? abstain") == 1


async def test_a_decision_that_is_new_in_a_branch_misses_none_from_before(tmp_path: Path) -> None:
    path, fold = branch(tmp_path, number=9)
    records = Records()
    turn = fold.turns[-1]
    detail = await records.detail(path, fold, turn)
    records.close()
    detail.calls.clear()  # As of a simulator that decides without a model.
    text = str(build("Decision", detail, turn, Context(width=90, deciding=True)))
    assert "+ reply" in text
    assert "cannot be shown" not in text
    assert "not been called yet" not in text


async def test_a_parent_that_is_not_there_is_said(tmp_path: Path) -> None:
    path, fold = branch(tmp_path, altered=True)
    records = Records()
    detail = await records.detail(path, fold, fold.turns[0])
    records.close()
    text = str(build("Decision", detail, fold.turns[0], Context(width=90, deciding=True)))
    assert "The earlier decision cannot be shown: the parent log" in text
    assert "has been altered" in text


# --- the responder's own conversation


def test_the_responders_conversation_up_to_a_turn() -> None:
    story = opened()
    decided(story, "reply", responder_call(story))
    decided(story, "stop", by="human", latency=None, reason="enough")
    first = story.transcript.turns[-1]
    context = Context(deciding=True, messages=lambda call: [{"role": "user", "content": "brief"}])
    text = str(build("Decision", story.detail(first), first, context))
    assert " 1 user\nbrief\n" in text
    assert " 2 assistant  reply\ncalls responder_reply\n" in text
    assert "* instead, by hand: ∎ stop enough" in text
    story.number = 2
    story.on("turn.started", speaker="provider")
    later = story.transcript.turns[-1]
    assert "not been called yet" in str(build("Decision", story.detail(later), later, context))
    context.responder_detail = story.detail(first)
    text = str(build("Decision", story.detail(later), later, context))
    assert "up to 1:1" in text
    assert " 1 user\n" in text


def test_the_tabs_of_a_deciding_user_are_full_where_something_was_decided() -> None:
    story = opened()
    decided(story, "reply", responder_call(story))
    turn = story.transcript.turns[-1]
    context = Context(deciding=True)
    for tab in DECIDING:
        doc = str(build(tab, story.detail(turn), turn, context))
        full = has_content(tab, story.detail(turn), context)
        assert full or doc.startswith("nothing here\n"), tab
    assert has_content("Decision", story.detail(turn), context)
    assert "Decision tab" in str(build("Tools", story.detail(turn), turn, context))


def test_the_raw_text_of_a_responders_turn_is_its_answer() -> None:
    story = opened()
    decided(story, "reply", responder_call(story))
    story.finish(ANSWER, speaker="persona")
    turn = story.transcript.turns[-1]
    assert story.detail(turn).raw == ANSWER
    assert "raw differs from shown" not in [text for text, _ in badges(turn)]


# --- in the transcript


def ended(kind: str, **more: Any) -> tuple[Turn, TurnDetail]:
    story = opened()
    decided(story, kind, responder_call(story), **more)
    story.end("abstained", "responder", reason=REASON)
    turn = story.transcript.turns[-1]
    return turn, story.detail(turn)


@pytest.mark.parametrize(
    ("kind", "more", "first"),
    [
        ("abstain", {}, f"? abstained: {REASON}"),
        ("stop", {"reason": "done"}, "∎ stopped: done"),
        ("error", {"valid": False, "reason": "no tool"}, "! no decision: no tool"),
        (
            "reply",
            {"for_record": True},
            "+ follow-ups used up: for the record only, it would reply",
        ),
    ],
)
def test_how_a_responder_ended_it_is_in_plain_sight(
    kind: str, more: dict[str, Any], first: str
) -> None:
    turn, detail = ended(kind, **more)
    shown = " ".join(plain(row) for row in own_rows(turn, extras_of(detail), width=100))
    assert shown.startswith(first)
    for short in (True, False):
        for extra in (None, extras_of(detail)):
            for width in (20, 40, 100):
                rows = own_rows(turn, extra, short=short, width=width)
                assert len(rows) == own_row_count(turn, short=short)
    narrow = " ".join(plain(r) for r in own_rows(turn, extras_of(detail), short=True, width=34))
    assert narrow.startswith(first)


def test_a_row_that_only_keeps_the_height_is_the_last() -> None:
    turn, detail = ended("stop", reason="done")
    drawing = TurnLines(Geometry(60, 2, 0), Palette())
    drawing.update(turn, Frame(), extras_of(detail), None, None)
    shown = [drawing.strip(row).text.strip() for row in range(drawing.height)]
    assert "∎ stopped: done" in shown
    assert shown.index("") == len(shown) - 1 > shown.index("decision ∎ stop")


def test_what_is_wrong_with_a_last_decision_is_told_once() -> None:
    story = opened()
    decided(story, "error", responder_call(story), valid=False, reason="no tool was called")
    story.on("debug.held", hold=1, reason="error", stage="response", error={"message": "no tool"})
    story.on("debug.released", hold=1, choice="fail")
    story.end("failed", "responder", reason="no tool")
    turn = story.transcript.turns[-1]
    rows = own_rows(turn, extras_of(story.detail(turn)), width=100)
    assert len(rows) == own_row_count(turn) == 2
    assert " ".join(map(plain, rows)).count("no tool") == 1


def test_a_turn_that_ended_by_a_decision_has_its_sign() -> None:
    assert turn_sign(ended("abstain")[0]) == ("?", "warning")
    assert turn_sign(ended("stop")[0]) == ("∎", "accent")


def test_badges_of_decisions_and_drafts() -> None:
    story = opened()
    decided(story, "abstain", responder_call(story))
    decided(story, "reply", by="human", latency=None)
    story.finish(ANSWER, speaker="persona", human=True, draft="edited")
    turn = story.transcript.turns[-1]
    texts = [text for text, _ in badges(turn, extras_of(story.detail(turn)))]
    assert "decision ? abstain -> + reply, by hand" in texts
    assert "human, from an edited draft" in texts


def test_a_held_decision_waits_for_no_reply() -> None:
    story = opened()
    call = responder_call(story)
    drawing = TurnLines(Geometry(80, 2, 1), Palette())
    turn = story.transcript.turns[-1]

    def drawn() -> str:
        drawing.update(turn, Frame(), None, None, None)
        return "\n".join(drawing.strip(row).text for row in range(drawing.height))

    assert "waiting for the reply" in drawn()
    decided(story, "reply", call)
    story.on("debug.held", hold=1, reason="step", stage="response")
    assert "(no text yet)" in drawn()
    story.on("debug.released", hold=1, choice="again")
    assert "waiting for the reply" in drawn()


def test_a_draft_is_not_said_yet() -> None:
    story = opened()
    turn = story.tell("turn.started", session=1, turn=3, speaker="persona", human=True)
    assert turn is not None
    assert ("draft, not sent yet", "warning") not in badges(turn)
    story.transcript.stream(1, 3, "Well")
    assert ("draft, not sent yet", "warning") in badges(turn)


# --- the meter


def meter(turns: int = 0) -> Story:
    story = opened()
    story.finish("Hello", speaker="persona")
    for _ in range(turns):
        story.reply("And?")
        story.number += 1
        story.on("turn.started", speaker="persona")
        decided(story, "reply", responder_call(story))
        story.finish(ANSWER, speaker="persona")
    return story


def test_follow_ups_are_counted_by_session() -> None:
    story = meter(2)
    count = status.Followups(story.transcript)
    assert [count.at(index) for index in range(5)] == [0, 0, 1, 1, 2]
    story.end()
    story.begin("second")
    story.reply("Hello again", speaker="persona")
    assert count.at(5) == 0
    assert status.Followups(story.transcript, whole=True).at(5) == 2
    assert count.at(99) == 0


def test_a_child_goes_on_counting() -> None:
    fold = Transcript()
    texts = [("persona", "Hello"), ("provider", "?"), ("persona", "17"), ("provider", "?")]
    turns = [{"session": 1, "turn": n, "speaker": who, "text": text}
             for n, (who, text) in enumerate(texts, 1)]  # fmt: skip
    fold.apply({"seq": 0, "type": "header", "scenario": SCENARIO})
    fold.apply({"seq": 1, "type": "history.seeded", "turns": turns, "sessions": ["a"],
                "current": 1, "counters": {"responder": {"sent": 1}}, "messages": {}})  # fmt: skip
    count = status.Followups(fold)
    assert count.at(3) == 1
    fold.apply({"seq": 2, "type": "turn.started", "session": 1, "turn": 5, "speaker": "persona"})
    assert count.at(4) == 1
    fold.apply({"seq": 3, "type": "user.decided", "session": 1, "turn": 5, "kind": "reply"})
    fold.apply({"seq": 4, "type": "turn.committed", "session": 1, "turn": 5,
                "speaker": "persona", "text": "x", "words": 1})  # fmt: skip
    assert count.at(4) == 2


def test_every_turn_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    story = meter(50)
    seen: list[int] = []
    first = status.Followups._next

    def counting(self: status.Followups, index: int) -> int:
        seen.append(index)
        return first(self, index)

    monkeypatch.setattr(status.Followups, "_next", counting)
    count = status.Followups(story.transcript)
    for _ in range(20):
        assert count.at(100) == 50
    # The last turn may still change: it alone is looked at again.
    assert len(seen) == 100 + 20


def test_the_meter_is_shorter_where_there_is_no_room() -> None:
    figures = Figures(7, 20, 1, 2, 1240, 8000, 0.004, None, 31, followups=2, max_followups=5)
    assert "session 1/2  follow-ups 2/5  1,240/8,000 tok" in figures_text(figures, 100)
    assert "session 1/2  f/u 2/5  1.24k/8k tok" in figures_text(figures, 60)
    scenario: dict[str, Any] = SCENARIO
    story = meter(1)
    made = status.figures(
        story.transcript, scenario=scenario, followups=status.Followups(story.transcript)
    )
    assert (made.followups, made.max_followups) == (1, 5)
    plain_one = status.figures(story.transcript, scenario={}, followups=None)
    assert plain_one.followups is None


# --- hostile text


async def test_no_control_character_of_a_decision_reaches_the_screen() -> None:
    story = opened()
    call = responder_call(story)
    decided(story, HOSTILE, call, tool=HOSTILE, valid=False, reason=HOSTILE,
            arguments={HOSTILE: HOSTILE}, followup=1, max_followups=2,
            calls=[{"tool": HOSTILE, "arguments": {HOSTILE: [1]}, "error": HOSTILE}])  # fmt: skip
    decided(story, "reply", call, arguments={"answer": HOSTILE}, tool=HOSTILE)
    story.on("user.ended", simulator=HOSTILE, reason=HOSTILE, sentinel=HOSTILE, dropped_text="x")
    story.end("abstained", "responder", reason=HOSTILE)
    hostile = story.transcript.turns[-1]
    detail = story.detail(hostile)
    view, inspector, bar = TranscriptView(), Inspector(), HoldBar()
    view.extras_of = lambda turn: extras_of(detail)
    app = Bench(view, inspector, bar)
    async with app.run_test(size=(100, 130)) as pilot:
        view.set_transcript(story.transcript)
        held = {"field": "decision", "decision": {"kind": HOSTILE, "reason": HOSTILE}}
        hold = {"reason": "step", "stage": "response", "drafts": [held],
                "choices": [{"id": "go", "label": HOSTILE}]}  # fmt: skip
        bar.show(hold, choice_items(hold, Keymap()))
        context = Context(deciding=True, messages=lambda call: [{"role": HOSTILE}])
        for tab in DECIDING:
            inspector.show(detail, hostile, context)
            inspector.tab = tab
            await pilot.pause()
            for widget in (view, inspector.pane):
                for strip in lines(widget):
                    assert not FORBIDDEN.search(strip.text), (tab, strip.text)
        for part in bar.children:
            assert not FORBIDDEN.search(str(part.render()).replace("\n", ""))


def test_a_branch_of_a_conversation_with_decisions_has_them() -> None:
    transcript = Transcript()
    said = {"session": 1, "turn": 1, "speaker": "persona", "text": "Hi."}
    transcript.apply({
        "type": "history.seeded", "counters": {}, "sessions": ["a"], "current": 1, "turns": [said],
        "past": {"turns": [{"session": 1, "turn": 1, "marks": [Flag.DECISION.name.lower()]}]},
    })  # fmt: skip
    assert transcript.decided_before
