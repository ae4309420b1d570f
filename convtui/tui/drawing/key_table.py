"""Keys and what they do, in groups: in two columns where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from rich.cells import cell_len

from convtui.tui.drawing.wrap import Wrapped

Group = tuple[str, Sequence[tuple[str, str]]]
"""A title, and rows of keys and what they do."""
Line = list[tuple[str, str]]
"""Pieces of text with their kind: `title`, `keys`, or nothing."""
WIDE: Final = 88
"""Cells from which there are two columns."""
_GAP: Final = 3
_KEYS: Final = 18
"""Cells that keys have at most beside what they do."""


def key_table(groups: Sequence[Group], width: int) -> list[Line]:
    """The lines of a table; a group is never in two columns."""
    if width < WIDE or len(groups) < 2:
        return _column(groups, width)
    room = (width - _GAP) // 2
    blocks = [_column([group], room) for group in groups]
    # The heights of the first groups, each with the empty line above it.
    heights = list(accumulate(len(block) + 1 for block in blocks))
    cut = min(
        range(1, len(groups)), key=lambda n: max(heights[n - 1], heights[-1] - heights[n - 1])
    )
    left, right = _column(groups[:cut], room), _column(groups[cut:], room)
    lines: list[Line] = []
    for number in range(max(len(left), len(right))):
        line = list(left[number]) if number < len(left) else []
        if number < len(right) and right[number]:
            used = sum(cell_len(text) for text, _ in line)
            line += [(" " * (room + _GAP - used), ""), *right[number]]
        lines.append(line)
    return lines


def _column(groups: Sequence[Group], width: int) -> list[Line]:
    widest = max((cell_len(keys) for _, rows in groups for keys, _ in rows), default=0)
    keys_room = min(widest, _KEYS, max(6, width // 3))
    lines: list[Line] = []
    for title, rows in groups:
        lines += [[]] if lines else []
        lines.append([(title, "title")])
        for keys, does in rows:
            lines += _row(keys, does, keys_room, width)
    return lines


def _row(keys: str, does: str, keys_room: int, width: int) -> list[Line]:
    """A row; what it does is always to the right of the keys."""
    start = keys_room + 4
    lines: list[Line] = []
    first = f"  {keys}"
    if cell_len(keys) > keys_room:
        lines.append([(first, "keys")])
        first = ""
    for text in Wrapped(does, max(8, width - start)).lines():
        lines.append([(first + " " * (start - cell_len(first)), "keys"), (text, "")])
        first = ""
    return lines
