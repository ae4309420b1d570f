"""Wrapping and counting say the same, lose nothing and keep to the width."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len, get_character_cell_size

from convtui.text.boundary import visible
from convtui.tui.drawing import wrap
from convtui.tui.drawing.wrap import MAX_LINES, Wrapped, count_capped, count_lines, is_plain, paint

ASCII = st.text(alphabet=st.sampled_from("ab cde fghij  \n"), max_size=200)
ANY = st.text(
    alphabet=st.one_of(
        st.sampled_from("ab  \n\t\r\x1b\u200b渡し船ée\u0301\u0302\U0001f600\ud800’—"),
        st.characters(),
    ),
    max_size=120,
)
WIDTH = st.integers(min_value=1, max_value=40)


@given(st.one_of(ASCII, ANY), WIDTH, st.sampled_from([0, 1, 3, 10]))
def test_counting_is_wrapping(text: str, width: int, most: int) -> None:
    assert count_lines(text, width, most) == len(Wrapped(text, width, most))


@given(st.one_of(ASCII, ANY), WIDTH)
def test_nothing_is_lost_but_the_space_at_a_break(text: str, width: int) -> None:
    wrapped = Wrapped(text, width)
    assert wrapped.text == visible(text)
    position = 0
    for number, (start, end) in enumerate(zip(wrapped.starts, wrapped.ends, strict=True)):
        between = wrapped.text[position:start]
        assert between in ("", " ", "\n") or set(between) == {" ", "\n"}, (number, between)
        position = end
    assert wrapped.text[position:] in ("", " ")


@given(st.one_of(ASCII, ANY), st.integers(min_value=2, max_value=40))
def test_lines_keep_to_the_width(text: str, width: int) -> None:
    for line in Wrapped(text, width).lines():
        assert cell_len(line) <= width
        assert "\n" not in line


@given(st.lists(st.one_of(ASCII, ANY), max_size=8), WIDTH, st.sampled_from([0, 4]))
def test_growing_is_wrapping_anew(parts: list[str], width: int, most: int) -> None:
    text = ""
    grown = Wrapped("", width, most)
    for part in parts:
        before = grown.lines()
        text += part
        changed = grown.grow(text)
        rewrapped = Wrapped(text, width, most)
        assert grown.lines() == rewrapped.lines()
        assert grown.lines()[:changed] == before[:changed]
        assert grown.cut == rewrapped.cut


@given(ASCII, ASCII, WIDTH)
def test_a_replaced_text_is_wrapped_anew(old: str, new: str, width: int) -> None:
    wrapped = Wrapped(old, width)
    wrapped.grow(new)
    assert wrapped.lines() == Wrapped(new, width).lines()


def test_plain_characters_are_shown_as_they_are_in_one_cell() -> None:
    for code in range(0x110000):
        char = chr(code)
        if char != "\n" and is_plain(char):
            assert get_character_cell_size(char) == 1, hex(code)
            assert visible(char) == char, hex(code)


@given(ANY, st.integers(0, 120), st.integers(0, 120))
def test_spans_follow_the_shown_text(text: str, start: int, end: int) -> None:
    start, end = sorted((min(start, len(text)), min(end, len(text))))
    wrapped = Wrapped(text, 20)
    low, high = wrapped.span(start, end)
    assert 0 <= low <= high <= len(wrapped.text)


def test_a_span_behind_substitutions() -> None:
    text = "a\x1b[2Jb\u202e[[ERROR]] c"
    wrapped = Wrapped(text, 80)
    low, high = wrapped.span(text.index("[["), text.index("]]") + 2)
    assert wrapped.text[low:high] == "[[ERROR]]"


JOINED = st.lists(
    st.sampled_from(
        [
            "\U0001f469\u200d\U0001f469\u200d\U0001f467",
            "\u2764\ufe0f",
            "1\ufe0f\u20e3",
            "\U0001f1e9\U0001f1ea",
            "\U0001f44d\U0001f3fd",
            "می\u200cخواهم",
            "क\u094d\u200dष",
            "ന\u0d4d\u200d",
            "e\u0301",
            "word",
            " ",
            "\n",
        ]
    ),
    max_size=20,
).map("".join)


@given(JOINED, st.integers(min_value=2, max_value=20))
def test_what_is_joined_stays_on_one_line(text: str, width: int) -> None:
    wrapped = Wrapped(text, width)
    for number in range(len(wrapped)):
        line = wrapped.line(number)
        assert cell_len(line.replace("\u200dष", "\u200d ष")) <= width + 2 * line.count("\u200dष")
        assert not line.startswith(("\u200c", "\u200d", "\ufe0f", "\u20e3", "\U0001f3fd"))
        assert not line.endswith("\u200d") or line.endswith(("\u094d\u200d", "\u0d4d\u200d"))
    assert count_lines(text, width) == len(wrapped)


def test_letters_that_are_joined_are_two_letters() -> None:
    assert Wrapped("क\u094d\u200dषक\u094d\u200dष", 2).lines() == [
        "क\u094d\u200dष",
        "क\u094d\u200dष",
    ]


def test_a_span_inside_joined_text() -> None:
    text = "\U0001f469\u200d\U0001f467 می\u200cخواهم"
    wrapped = Wrapped(text, 80)
    assert wrapped.span(0, 2) == (0, 2)
    low, high = wrapped.span(text.index("می"), text.index("خ"))
    assert wrapped.text[low:high] == "می\u200c"


def test_breaks() -> None:
    assert Wrapped("hello brave new world", 8).lines() == ["hello", "brave", "new", "world"]
    assert Wrapped("abcdefghijk", 4).lines() == ["abcd", "efgh", "ijk"]
    assert Wrapped("a\n\nb\n", 4).lines() == ["a", "", "b", ""]
    assert Wrapped("渡し船が", 5).lines() == ["渡し", "船が"]
    assert Wrapped("", 5).lines() == [""]


def test_soft_line_ends() -> None:
    wrapped = Wrapped("ab cd\nef", 3)
    assert [wrapped.is_soft(number) for number in range(3)] == [True, False, False]


def test_a_huge_line_is_cut() -> None:
    text = "x" * 1_000_000
    assert count_capped(text, 70) == MAX_LINES + 1
    wrapped = Wrapped(text[: wrap.MAX_CHARS], 70, MAX_LINES)
    assert len(wrapped) == MAX_LINES
    assert wrapped.cut == wrap.MAX_CHARS - 70 * MAX_LINES


@settings(max_examples=50)
@given(st.one_of(ASCII, ANY), st.integers(1, 3))
def test_capped_counts_are_those_of_the_drawn_lines(text: str, width: int) -> None:
    long = text * 8
    wrapped = Wrapped(long, width, MAX_LINES)
    assert count_capped(long, width) == len(wrapped) + bool(wrapped.cut)


@pytest.mark.parametrize(
    ("marks", "wanted"),
    [
        ([], [(2, 9, "base")]),
        ([(4, 6, "a")], [(2, 4, "base"), (4, 6, "a"), (6, 9, "base")]),
        ([(0, 20, "a"), (3, 4, "b")], [(2, 3, "a"), (3, 4, "b"), (4, 9, "a")]),
        ([(9, 12, "a"), (0, 2, "b")], [(2, 9, "base")]),
    ],
)
def test_painting(marks: list[tuple[int, int, str]], wanted: list[tuple[int, int, str]]) -> None:
    assert paint(2, 9, marks, "base") == wanted
