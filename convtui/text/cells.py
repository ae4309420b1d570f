"""The columns that a text takes in a terminal, and texts cut and filled to a number of them."""

from __future__ import annotations

import unicodedata


def columns(text: str) -> int:
    """The columns of one line: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


def clipped(text: str, room: int) -> str:
    """A text cut to `room` columns, with an ellipsis where something is missing."""
    if columns(text) <= room:
        return text
    kept, taken = [], 1
    for sign in text:
        taken += _width(sign)
        if taken > room:
            break
        kept.append(sign)
    return "".join(kept).rstrip() + "…" if room > 0 else ""


def filled(text: str, room: int) -> str:
    """A text with spaces behind it up to `room` columns."""
    return text + " " * (room - columns(text))


def _width(sign: str) -> int:
    if unicodedata.combining(sign) or unicodedata.category(sign) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in ("W", "F") else 1
