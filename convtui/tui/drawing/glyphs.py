"""The glyphs of the screens: one set, each a single cell wide, with an ASCII stand-in for each.

Nothing else draws a status by a character of its own. All are narrow or neutral by Unicode's East
Asian Width, except for box drawing, blocks, the ellipsis and the middle dot: their width is
ambiguous by the book, and one cell in every terminal that draws frames at all.
"""

from __future__ import annotations

import locale
from collections.abc import Mapping
from typing import Final

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

NOTHING: Final = "∙"
"""A turn with nothing special about it."""
HELD: Final = "▸"
DISCARDED: Final = "✗"
ERROR: Final = "!"
SKIPPED: Final = "⊘"
"""Skipped or cancelled."""
INACTIVE: Final = "◌"
SIGNAL: Final = "◊"
NOTICED: Final = "∆"
"""Something about the turn wants a look."""
BY_HAND: Final = "✎"
WORKING: Final = "⋯"
DONE: Final = "✓"
REPLY: Final = "+"
STOP: Final = "∎"
ABSTAIN: Final = "?"
BREAK: Final = "◉"
"""A breakpoint."""
BREAK_OFF: Final = "⊚"
BREAK_HIT: Final = "◍"
"""A breakpoint has stopped the conversation here."""
MARK: Final = "⚑"
NOTE: Final = "⁋"
HERE: Final = "◂"
"""What is shown now, in a list."""
FOLDED: Final = "▸"
UNFOLDED: Final = "▾"
BAR: Final = "▌"
"""Beside the selected row, and where text is arriving."""

STATUS: Final[Mapping[str, str]] = {
    NOTHING: ".",
    HELD: ">",
    DISCARDED: "x",
    ERROR: "!",
    SKIPPED: "-",
    INACTIVE: "o",
    SIGNAL: "%",
    NOTICED: "^",
    BY_HAND: "*",
    WORKING: "~",
    DONE: "=",
    REPLY: "+",
    STOP: "#",
    ABSTAIN: "?",
    BREAK: "B",
    BREAK_OFF: "b",
    BREAK_HIT: "&",
    MARK: "@",
    NOTE: '"',
    HERE: "<",
    UNFOLDED: "v",
}
"""The ASCII stand-in of each glyph that tells a state; no two are the same."""
_LINES: Final = {
    "|": "│┃║▏▎▍▌▋▊▉▐▕╷╵",
    "-": "─━╌╶╴▔–—",
    "+": "╭╮╰╯┌┐└┘├┤┬┴┼",
    "=": "═▒",
    "_": "▁▂▃",
    "#": "▄▅▆▇█▀■▓",
    "~": "…",
    ".": "·░",
    "*": "•●",
    "o": "○",
    ">": "►▶→›",
    "<": "◀←",
    "^": "▲↑",
    "v": "▼↓",
}
_ASCII: Final = str.maketrans(
    {**{char: plain for plain, chars in _LINES.items() for char in chars}, **STATUS}
)


def wants_ascii(setting: str, environ: Mapping[str, str], encoding: str = "") -> bool:
    """Whether glyphs are drawn in ASCII; `auto` looks at the terminal and the locale's encoding."""
    if setting != "auto":
        return setting == "ascii"
    encoding = encoding or locale.getpreferredencoding(False)
    return environ.get("TERM") in ("linux", "dumb") or "utf" not in encoding.lower()


class AsciiGlyphs(LineFilter):
    """Replaces the glyphs, the frames and the scroll bars in what is drawn; texts keep the rest."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment
            if segment.text.isascii()
            else Segment(segment.text.translate(_ASCII), segment.style, segment.control)
            for segment in segments
        ]
