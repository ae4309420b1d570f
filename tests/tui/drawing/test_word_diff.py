"""Word diffs rebuild both texts and stay bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.text.word_diff import word_diff
from convtui.tui.drawing.word_diff import diff_spans

TEXT = st.text(alphabet=st.sampled_from("ab c\n."), max_size=60)


def rebuilt(before: str, after: str) -> tuple[str, str]:
    pieces = word_diff(before, after)
    return (
        "".join(text for op, text in pieces if op != "+"),
        "".join(text for op, text in pieces if op != "-"),
    )


@given(TEXT, TEXT)
def test_both_texts_come_back(before: str, after: str) -> None:
    assert rebuilt(before, after) == (before, after)


def test_words() -> None:
    assert word_diff("a b c", "a x c") == [("=", "a "), ("-", "b"), ("+", "x"), ("=", " c")]
    assert word_diff("", "") == []


@pytest.mark.parametrize("size", [20_000, 600_000])
def test_huge_texts(size: int) -> None:
    before = "word " * (size // 5)
    after = "other\n" * (size // 6)
    assert rebuilt(before, after) == (before, after)


def test_marks_beside_colours() -> None:
    text = "".join(piece for piece, _ in diff_spans("<think>x</think>Hi", "Hi there"))
    assert "[-" in text
    assert "{+ there+}" in text
