"""The glyphs of the screens, with an ASCII stand-in for each."""

from __future__ import annotations

import locale
from collections.abc import Mapping
from typing import Final

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from convtui.text.glyphs import (
    ABSTAIN,
    BAR,
    BREAK,
    BREAK_HIT,
    BREAK_OFF,
    BY_HAND,
    DISCARDED,
    DONE,
    ERROR,
    FOLDED,
    HELD,
    HERE,
    INACTIVE,
    MARK,
    NOTE,
    NOTHING,
    NOTICED,
    REPLY,
    SIGNAL,
    SKIPPED,
    STOP,
    UNFOLDED,
    WORKING,
)

__all__ = [
    "ABSTAIN",
    "BAR",
    "BREAK",
    "BREAK_HIT",
    "BREAK_OFF",
    "BY_HAND",
    "DISCARDED",
    "DONE",
    "ERROR",
    "FOLDED",
    "HELD",
    "HERE",
    "INACTIVE",
    "MARK",
    "NOTE",
    "NOTHING",
    "NOTICED",
    "REPLY",
    "SIGNAL",
    "SKIPPED",
    "STATUS",
    "STOP",
    "UNFOLDED",
    "WORKING",
    "AsciiGlyphs",
    "wants_ascii",
]

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
