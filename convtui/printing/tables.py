"""Tables as lines of text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from convtui.text.boundary import visible_line

MOST_CELL: Final = 60
"""The most characters of a cell; the last of a row may have more."""
_LEAST, _LAST = 12, 24
"""The least columns for a name, and for the last cell, which can be wrapped."""


def table_lines(
    rows: Sequence[Sequence[str]], *, limit: int = MOST_CELL, width: int | None = None
) -> Iterator[list[str]]:
    """The lines of each row, in columns as wide as their contents.

    The last cell is never cut; with a `width` it is wrapped, and names, the first cells, get the
    columns that the others leave.
    """
    cells = [[visible_line(cell, limit) for cell in row[1:-1]] for row in rows]
    ends = [visible_line(row[-1]) for row in rows]
    if rows and len(rows[0]) > 1:
        room = limit
        if width is not None:
            room = width - min(_LAST, max(map(len, ends))) - 2
            room -= sum(max(map(len, column)) + 2 for column in zip(*cells, strict=True))
        for row, shown in zip(rows, cells, strict=True):
            shown.insert(0, end_of(row[0], min(limit, max(_LEAST, room))))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for shown, end in zip(cells, ends, strict=True):
        begin = "".join(f"{cell:<{size}}  " for cell, size in zip(shown, widths, strict=True))
        first, *more = wrapped(end, width, len(begin))
        yield [begin + first, *(" " * len(begin) + line for line in more)]


def end_of(text: str, room: int) -> str:
    """A name cut at its beginning to `room` characters: names of logs differ at their ends."""
    text = visible_line(text)
    return text if len(text) <= room else f"…{text[1 - room :]}"


def wrapped(text: str, width: int | None, indent: int = 0) -> list[str]:
    """A text in lines of a width; unwrapped without one, and if hardly a word fits."""
    if width is None or width - indent < _LEAST:
        return [text]
    return textwrap.wrap(text, width - indent - 1) or [""]
