"""Running time: holds apart, on over branches."""

from __future__ import annotations

from typing import Any

import pytest

from convtui.records.models import RecordDict
from convtui.transcript.clock import Clock, Elapsed, elapsed, elapsed_text
from convtui.transcript.fold import Transcript


def held(t: float) -> RecordDict:
    return {"t": t, "type": "debug.held", "hold": 1, "reason": "pause", "stage": "commit"}


def released(t: float) -> RecordDict:
    return {"t": t, "type": "debug.released", "hold": 1, "choice": "go"}


def folded(*records: RecordDict) -> Transcript:
    transcript = Transcript()
    for record in records:
        transcript.apply(record)
    return transcript


@pytest.mark.parametrize(
    ("at", "running", "held_for"),
    [(0, 0, 0), (2, 2, 0), (5, 3, 2), (13, 3, 10), (14, 4, 10), (22, 10, 12), (23, 10, 13)],
)
def test_holds_are_apart(at: float, running: float, held_for: float) -> None:
    transcript = folded(held(3.0), released(13.0), held(20.0))
    assert elapsed(transcript, at) == Elapsed(running, held_for)


def test_without_a_time_it_is_that_of_the_last_record() -> None:
    transcript = folded(held(3.0), released(4.0), {"t": 9.0, "type": "warning"})
    assert elapsed(transcript) == Elapsed(8.0, 1.0)
    assert elapsed(folded()) == Elapsed()


def test_an_ending_ends_a_hold() -> None:
    ended = {"t": 5.0, "type": "conversation.ended", "termination": {"kind": "interrupted"}}
    assert elapsed(folded(held(3.0), ended), 7.0) == Elapsed(5.0, 2.0)


def test_a_branch_goes_on() -> None:
    parent = Elapsed(31.0, 100.0)
    seeded: RecordDict = {
        "t": 0.0, "type": "history.seeded", "turns": [], "sessions": [], "current": 0,
        "counters": {}, "messages": {}, "clock": parent.as_dict(),
    }  # fmt: skip
    transcript = folded(seeded, held(2.0), released(6.0), {"t": 8.0, "type": "warning"})
    assert elapsed(transcript) == Elapsed(35.0, 104.0)
    assert elapsed(transcript, -11.0) == Elapsed(20.0, 100.0), "a turn of the parent"


@pytest.mark.parametrize(
    "said", [None, 7, {}, {"running": "long"}, {"running": True, "held": -3.0}]
)
def test_a_parent_may_say_anything(said: Any) -> None:
    clock = Clock()
    clock.goes_on(said)
    assert clock.at(4.0) == Elapsed(4.0)


def test_times_that_go_back_never_count_below_nothing() -> None:
    transcript = folded(held(9.0), released(3.0), held(1.0), released(2.0))
    for at in (0.0, 1.5, 9.0, 20.0):
        time = elapsed(transcript, at)
        assert time.running >= 0 <= time.held


@pytest.mark.parametrize(("seconds", "text"), [(0, "00:00"), (31.9, "00:31"), (3723, "1:02:03")])
def test_in_words(seconds: float, text: str) -> None:
    assert elapsed_text(seconds) == text
