"""What hooks return and a provider keeps, checked before anything else works with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.engine.core.sides import CheckedHooks
from convtui.errors import HookError
from convtui.providers.base import Provider, SignalMatch
from tests.builders.conversations import run, scenario

RAW = "  Please STOP now"


class Bot(Provider):
    """Finds the signals that it is given."""

    def __init__(self, *signals: Any) -> None:
        self._signals = list(signals)

    async def generate_response(self, messages: object) -> str:
        return RAW

    def extract_signals(self, raw: str) -> list[Any]:
        return self._signals


def match(signal: Any, matched: Any, start: Any, end: Any) -> SignalMatch:
    """A match as code without types makes it."""
    return SignalMatch(signal, matched, start, end)


@pytest.mark.parametrize(
    "found",
    [
        match("STOP", "STOP", 9, 13),
        match("stop", "stop", 9, 13),
        match("a rule", "Please STOP", 2, 13),
        match("[END]", "", 0, 0),
        match("[END]", "", len(RAW), len(RAW)),
    ],
)
def test_a_match_whose_span_has_its_text_is_kept(found: SignalMatch) -> None:
    assert CheckedHooks(Bot(found)).extract_signals(RAW) == [found]


@pytest.mark.parametrize(
    ("found", "placed"),
    [
        (match("STOP", "STOP", 7, 11), [("STOP", "STOP", 9, 13)]),
        (match("STOP", "stop", 9, 99), [("STOP", "STOP", 9, 13)]),
        (match("STOP", "STOP", -8, -4), [("STOP", "STOP", 9, 13)]),
        (match("STOP", "STOP", 13, 9), [("STOP", "STOP", 9, 13)]),
        (match("STOP", "STOP", 0, 10**30), [("STOP", "STOP", 9, 13)]),
        (match("a vowel", "o", 0, 1), [("a vowel", "O", 11, 12)]),
        (match("a vowel", "o", 14, 15), [("a vowel", "o", 15, 16)]),
        (match("STOP", "HALT", 9, 13), [("STOP", "", 0, 0)]),
        (match("STOP", "", 3, 99), [("STOP", "", 0, 0)]),
    ],
)
def test_a_match_that_marks_other_words_is_looked_up(
    found: SignalMatch, placed: list[tuple[str, str, int, int]]
) -> None:
    """Such as one that was counted in a stripped text."""
    matches = CheckedHooks(Bot(found)).extract_signals(RAW)
    assert [(m.signal, m.matched, m.start, m.end) for m in matches] == placed


def test_a_match_counted_behind_the_reasoning_is_no_thought() -> None:
    raw = "<think>I may say STOP.</think>\nNo: STOP"
    found = match("STOP", "STOP", 4, 8)
    (looked_up,) = CheckedHooks(Bot(found)).extract_signals(raw)
    assert (looked_up.start, looked_up.end) == (35, 39)
    thought = "<think>I may say STOP.</think>"
    (looked_up,) = CheckedHooks(Bot(found)).extract_signals(thought)
    assert (looked_up.start, looked_up.end) == (17, 21)


def test_what_is_looked_up_twice_is_found_once() -> None:
    once = match("a vowel", "o", 0, 1)
    matches = CheckedHooks(Bot(once, once, "o", "o")).extract_signals(RAW)
    assert [(m.signal, m.start) for m in matches] == [("a vowel", 11), ("o", 11), ("o", 15)]


def test_very_many_signals_are_found_in_no_time() -> None:
    """Each compared with all before it, these took hours."""

    class Dotted(Bot):
        termination_signals = (".",)
        extract_signals = Provider.extract_signals

    raw = "." * 200_000
    matches = CheckedHooks(Dotted()).extract_signals(raw)
    assert [match.start for match in matches] == list(range(len(raw)))


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (match("STOP", "STOP", None, None), "start and end are numbers"),
        (match("STOP", "STOP", 9.0, 13.0), "start and end are numbers"),
        (match("STOP", "STOP", True, False), "start and end are numbers"),
        (match(5, "STOP", 9, 13), "signal and matched are text"),
        (match("STOP", None, 9, 13), "signal and matched are text"),
        (match("", "", 0, 0), "signal and matched are text"),
        ("", "an empty text among its signals"),
        ("  ", "an empty text among its signals"),
        (7, "a int among its signals"),
    ],
)
def test_what_is_no_match_is_refused(found: Any, says: str) -> None:
    with pytest.raises(HookError, match=says) as error:
        CheckedHooks(Bot(found)).extract_signals(RAW)
    assert error.value.hook == "extract_signals"


async def test_such_a_match_fails_the_turn_by_its_hook(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(match(5, None, "a", "b"))), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert ran.termination.reason.startswith("extract_signals returned SignalMatch(signal=5")


async def test_signals_that_setup_declares_wrongly_fail_the_set_up(tmp_path: Path) -> None:
    class Declaring(Bot):
        async def setup(self) -> None:
            self.termination_signals = "STOP"

    ran = await run(scenario(Declaring()), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert "not one text: write ['STOP']" in ran.termination.reason
    (record,) = ran.of("provider.setup")
    assert record["outcome"] == "failed"


async def test_metadata_that_cannot_be_read_fail_the_turn_by_name(tmp_path: Path) -> None:
    class Failing(Bot):
        @property
        def last_response_metadata(self) -> dict[str, Any]:
            raise ValueError("not yet")

    ran = await run(scenario(Failing()), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert "last_response_metadata failed: ValueError: not yet" in ran.termination.reason
