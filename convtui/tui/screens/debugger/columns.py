"""How the debugger shares its width between outline, transcript and inspector."""

from __future__ import annotations

from typing import Final, NamedTuple

NARROW: Final = 100
"""Columns below which the inspector replaces the transcript and the outline is hidden."""
SHORT: Final = 14
"""Rows below which hints, and a hold's choices while one writes, leave the transcript its rows."""
TRANSCRIPT: Final = 69
"""Columns of the transcript with 50 characters of text: frame, marks, number, name, scroll bar."""
_OUTLINE: Final = (18, 24)
_INSPECTOR: Final = (33, 72)
_SHARE: Final = 0.36


class Columns(NamedTuple):
    """Widths in cells, frames included; the transcript has the rest. 0 is hidden."""

    outline: int
    inspector: int


def share_columns(
    width: int, *, outline: bool, inspector: bool = True, wished: int | None = None
) -> Columns:
    """The widths on a screen that is not narrow.

    The text of the transcript comes first, then the inspector; the outline takes what they leave.
    `outline` says whether it has something to say, `wished` is an inspector's width set by hand.
    """
    least, most = _INSPECTOR
    if not inspector:
        side = 0
    elif wished is not None:
        side = max(least, min(wished, width - least))
    else:
        side = max(least, min(most, round(width * _SHARE)))
        if outline:
            side = max(least, min(side, width - TRANSCRIPT - _OUTLINE[0]))
    room = width - TRANSCRIPT - side
    shown = outline and (room >= _OUTLINE[0] or (wished is not None and room > 0))
    return Columns(min(_OUTLINE[1], room) if shown else 0, side)
