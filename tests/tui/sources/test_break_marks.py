"""Breakpoints in the gutter: which turns have a mark, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from convtui.filters.breaks import parse_breakpoint
from convtui.filters.in_words import in_words, turn_named
from convtui.transcript.fold import Transcript
from convtui.tui.screens.dialogs.breakpoints import breakpoint_words
from convtui.tui.sources.break_marks import BreakMark, marks_of
from convtui.tui.sources.run import Breakpoint
from tests.builders.logs import as_records, conversation, fold, session, turn


def transcript() -> Transcript:
    two = [turn(1, "persona", "hi"), turn(2, "provider", "there")]
    return fold(conversation(session(1, "intake", two), session(2, "refund", two)))


def marks(*texts: str) -> dict[str, BreakMark]:
    shown = transcript()
    items = [Breakpoint.parse(number, text) for number, text in enumerate(texts, 1)]
    return {shown.turns[index].address: mark for index, mark in marks_of(shown, items).items()}


def test_a_breakpoint_marks_the_turns_that_it_names() -> None:
    assert list(marks("~turn = 2 & ~session refund")) == ["2:2"]
    assert list(marks("~turn = 2")) == ["1:2", "2:2"]
    assert list(marks("~turn = 2 & ~session 1")) == ["1:2"]
    assert marks("~turn = 9", "~discard", "~turn > 1", "~turn = 2 & ~discard") == {}


def test_a_mark_says_how_it_stands() -> None:
    (on,) = marks("~turn = 1 & ~session intake").values()
    (off,) = marks("off: ~turn = 1 & ~session intake").values()
    (once,) = marks("once: ~turn = 1 & ~session intake").values()
    assert {on.sign[0], off.sign[0]} == {"◉", "⊚"}
    assert words(on) == "◉ breakpoint 1: stops next time"
    assert words(off) == "⊚ breakpoint 1, off"
    assert words(once).startswith("◉ breakpoint 1, once")


def words(mark: BreakMark, *, short: bool = False) -> str:
    return "".join(text for text, _ in mark.spans(short=short))


def test_what_a_mark_says_fits_into_a_narrow_transcript() -> None:
    mark = BreakMark(12, stopped=True, passed=True)
    assert words(mark) == "◍ breakpoint 12: stopped here, stops again"
    assert words(mark, short=True) == "◍ breakpoint 12: stopped, stops again"
    assert len(words(mark)) <= 44, "the text's columns at 60"


def test_where_one_has_stopped_stays_seen() -> None:
    shown = Transcript()
    for record in as_records(conversation(session(1, "a", [turn(1, "persona", "hi")]))):
        if record["type"] == "turn.committed":
            held: dict[str, Any] = {
                "type": "debug.held", "session": 1, "turn": 1, "hold": 1, "stage": "commit",
                "reason": "breakpoint", "detail": "breakpoint 1: ~said hi",
            }  # fmt: skip
            shown.apply(held)
            shown.apply({"type": "debug.released", "session": 1, "turn": 1, "hold": 1})
        shown.apply(record)
    (mark,) = marks_of(shown, [Breakpoint.parse(1, "~turn = 1")]).values()
    assert mark.stopped and mark.sign[0] == "◍"
    assert words(BreakMark(stopped=True)) == "◍ a breakpoint stopped here"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("~turn = 7 & ~session refund", "stops at turn 7 in session refund"),
        ("once: ~discard", "stops once, when a turn is discarded"),
        ("off: ~tool find_trip", "off; would stop when the tool find_trip is called"),
        ("~turn > 3 & !~signal", "stops after turn 3 and unless (at a signal)"),
        ("~latency > 2.5", "stops when the reply takes more than 2.5 s"),
        ("~retry", "stops when a call was made again"),
        ("~end | ~turn = 1 & ~empty", "stops when the session ends or (at turn 1 and when the"
         " reply says nothing)"),
    ],
)  # fmt: skip
def test_a_breakpoint_in_words(text: str, expected: str) -> None:
    assert breakpoint_words(Breakpoint.parse(1, text)) == expected


def test_every_atom_has_words() -> None:
    for text in ("~role", "~fault provider", "~incomplete length", "~output x", "~cost > 1"):
        assert in_words(parse_breakpoint(text).filter.node).startswith("when ")
    assert turn_named("~turn = 7 & ~session a | ~end") is None
