"""Numbers of things, in the singular and in the plural."""

from __future__ import annotations

import pytest

from convtui.text.counts import counted, counted_phrase


def test_one_and_many() -> None:
    assert counted(1, "turn") == "1 turn"
    assert counted(0, "turn") == "0 turns"
    assert counted(2000, "reply", "replies") == "2,000 replies"


@pytest.mark.parametrize(
    ("phrase", "one"),
    [
        ("replies without usage", "1 reply without usage"),
        ("discarded turns are left out", "1 discarded turn is left out"),
        ("texts were written beside tool calls", "1 text was written beside tool calls"),
        ("turns with signals, which are left out", "1 turn with signals, which are left out"),
        ("nothing plural here", "1 nothing plural here"),
    ],
)
def test_a_phrase_for_many_of_one(phrase: str, one: str) -> None:
    assert counted_phrase(1, phrase) == one
    assert counted_phrase(2, phrase) == f"2 {phrase}"
