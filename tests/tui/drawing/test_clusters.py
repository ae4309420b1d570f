"""Emoji are drawn as wide as they are measured, whatever the terminal makes of them."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from convtui.tui.drawing.clusters import anchored, cluster_end, separated

FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
BOLD = Style(bold=True)


def text_of(strip: Strip) -> str:
    return "".join(segment.text for segment in strip if not segment.control)


@pytest.mark.parametrize(
    "emoji",
    [
        FAMILY,
        "\u2764\ufe0f",
        "1\ufe0f\u20e3",
        "\U0001f44d\U0001f3fd",
        "\U0001f1e9\U0001f1ea",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    ],
)
def test_the_cursor_is_put_behind_an_emoji(emoji: str) -> None:
    strip = Strip([Segment("hi ", BOLD), Segment(f"a{emoji}b", BOLD)])
    fixed = anchored(strip)
    assert text_of(fixed) == text_of(strip)
    assert fixed.cell_length == strip.cell_length == 7
    drawn = Console(color_system="truecolor")
    assert f"\x1b7\x1b[1m{emoji}\x1b[0m\x1b8\x1b[2C" in fixed.render(drawn)


@pytest.mark.parametrize("text", ["plain", "渡し船 café", "می\u200cخواهم", "\U0001f469!"])
def test_everything_else_is_drawn_as_it_is(text: str) -> None:
    strip = Strip([Segment(text, BOLD)])
    assert list(anchored(strip)) == list(strip)


def test_joined_letters_are_measured_as_letters() -> None:
    text = "क\u094d\u200dष ന\u0d4d\u200d x"
    assert cell_len(text) == 4  # what follows a joiner is left out
    strip = separated(Strip([Segment(text, BOLD)]))
    assert text_of(strip) == text
    assert strip.cell_length == 6
    assert list(separated(Strip([Segment(FAMILY)]))) == [Segment(FAMILY)]


def test_the_cursor_is_put_behind_joined_letters() -> None:
    strip = separated(Strip([Segment("अ क\u094d\u200dष ok")]))
    fixed = anchored(strip)
    assert text_of(fixed) == text_of(strip)
    assert fixed.cell_length == 7
    drawn = fixed.render(Console(color_system=None))
    assert drawn == "अ \x1b7क\u094d\u200dष\x1b8\x1b[2C ok"
    at_the_end = anchored(separated(Strip([Segment("ന\u0d4d\u200d")])))
    assert at_the_end.render(Console(color_system=None)) == "\x1b7ന\u0d4d\u200d\x1b8\x1b[1C"


def test_a_cluster_is_a_character_and_what_is_drawn_on_it() -> None:
    assert cluster_end(f"{FAMILY}x", 0) == (5, 2)
    assert cluster_end("\u2764\ufe0fx", 0) == (2, 2)
    assert cluster_end("e\u0301x", 0) == (2, 1)
    assert cluster_end("ab", 0) == (1, 1)
    assert cluster_end("a\n", 0) == (1, 1)
