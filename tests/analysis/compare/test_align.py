"""The alignment of two sequences of turns."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.analysis.compare import align as module
from convtui.analysis.compare.align import BAND, Alignment, align


@dataclass
class FakeTurn:
    speaker: str
    text: str


def dialogue(*texts: str) -> list[FakeTurn]:
    """A conversation in which persona and provider alternate."""
    return [FakeTurn("provider" if n % 2 else "persona", text) for n, text in enumerate(texts)]


def check_complete(pairs: Alignment, a: list[FakeTurn], b: list[FakeTurn]) -> None:
    assert [i for i, _ in pairs if i is not None] == list(range(len(a)))
    assert [j for _, j in pairs if j is not None] == list(range(len(b)))
    for i, j in pairs:
        assert i is None or j is None or a[i].speaker == b[j].speaker


def test_a_changed_turn_stays_beside_its_own() -> None:
    assert align(dialogue("a", "b", "c"), dialogue("a", "x", "c")) == [(0, 0), (1, 1), (2, 2)]
    assert align(dialogue("a"), dialogue("b")) == [(0, 0)], "whatever they say"


def test_an_extra_turn_moves_nothing_after_it() -> None:
    a = dialogue("hello", "my name is Bot", "I lost my bag", "where did you lose your bag")
    b = [a[0], FakeTurn("provider", "one moment"), a[1], FakeTurn("persona", "I lost a bag"), a[3]]
    assert align(a, b) == [(0, 0), (None, 1), (1, 2), (2, 3), (3, 4)]


def test_what_is_alike_stands_side_by_side() -> None:
    a = [
        FakeTurn("provider", "the ferry leaves at nine"),
        FakeTurn("provider", "please show your ticket"),
    ]
    b = [FakeTurn("provider", "your ticket, please show it"), FakeTurn("provider", "goodbye")]
    assert align(a, b) == [(0, None), (1, 0), (None, 1)]


def test_late_turns_are_those_that_are_left_alone() -> None:
    assert align(dialogue("a"), dialogue("x", "y", "z")) == [(0, 0), (None, 1), (None, 2)]
    assert align([], dialogue("x")) == [(None, 0)]
    assert align([], []) == []


TURNS = st.lists(
    st.builds(FakeTurn, st.sampled_from(["persona", "provider"]), st.sampled_from("abcd")),
    max_size=30,
)


@given(TURNS, TURNS)
def test_every_turn_occurs_once_and_in_order(a: list[FakeTurn], b: list[FakeTurn]) -> None:
    check_complete(align(a, b), a, b)


def test_long_conversations_are_aligned_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted are the pairs of texts that are compared: what takes the time."""
    chance = random.Random(1)
    words = [f"w{n}" for n in range(300)]
    compared = Counter[str]()

    def long(count: int) -> list[FakeTurn]:
        return dialogue(*(" ".join(chance.choices(words, k=20)) for _ in range(count)))

    def counting(*texts: Any) -> float:
        compared["pairs"] += 1
        return alike(*texts)

    alike = module._alike
    monkeypatch.setattr(module, "_alike", counting)
    a = long(3_000)
    b = [FakeTurn(turn.speaker, turn.text) for turn in a]
    for turn in b[::3]:
        turn.text += " more"
    del b[1_500:1_540]
    pairs = align(a, b)
    assert 900 < compared["pairs"] < 3_000, "between anchors only"
    check_complete(pairs, a, b)
    together = [(i, j) for i, j in pairs if i is not None and j is not None]
    assert all(j == (i if i < 1_500 else i - 40) for i, j in together)
    assert len(together) == 2_960
    compared.clear()
    strangers = long(2_700)
    check_complete(align(a, strangers), a, strangers)
    assert 3_000 < compared["pairs"] < 3_000 * (2 * BAND + 2), "nothing in common: linear, too"
