"""Tables as lines of a width: names are cut at their beginnings, spare columns left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size

from convtui.text.boundary import visible_line

SPARE: Final = ("type", "ok", "unknown", "p95", "p90", "early", "late", "median", "turns")
"""Columns that are left out where there is no room, the first ones first."""
LEAST: Final = 14
"""Cells that a name has at least."""
_LAST: Final = 24
"""Cells that are left for the last column, which can be wrapped."""
_FIGURE: Final = re.compile(r"-|[\d,.]+( (s|%))?|[\d.]+ % \d+/\d+")


def end_of(text: str, width: int) -> str:
    """The end of a name that is too wide: names of logs differ at their ends."""
    text = visible_line(text)
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) > width - 1:
        text = text[1:]
    return f"…{text}"


def padded(text: str, width: int, *, right: bool = False) -> str:
    """A text in exactly `width` cells."""
    size = cell_len(text)
    if size > width:
        return set_cell_size(text, width)
    return " " * (width - size) + text if right else text + " " * (width - size)


class TableLayout:
    """Rows below a head, laid out in `width` cells."""

    def __init__(self, head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> None:
        kept = list(range(len(head)))
        cells = [[visible_line(cell) for cell in row] for row in (head, *rows)]
        sizes = [max(cell_len(row[place]) for row in cells) for place in kept]
        for name in ("", *SPARE):
            if name in head and name:
                kept = [place for place in kept if head[place] != name or place == 0]
            others = sum(sizes[place] + 2 for place in kept[1:-1])
            others += min(sizes[kept[-1]], _LAST) + 2 if len(kept) > 1 else 0
            if others + min(sizes[0], LEAST) <= width:
                break
        self.kept = kept
        sizes[0] = max(LEAST, min(sizes[0], width - others)) if sizes[0] > LEAST else sizes[0]
        self.sizes = [sizes[place] for place in kept]
        self.right = [
            place > 0 and all(_FIGURE.fullmatch(row[place]) for row in cells[1:]) for place in kept
        ]
        self.head = self.line(head)

    def line(self, row: Sequence[str]) -> tuple[str, str]:
        """A row: what comes before the last cell, padded, and the last one as it is."""
        shown = [visible_line(row[place]) for place in self.kept]
        shown[0] = end_of(shown[0], self.sizes[0])
        if len(shown) == 1:
            return "", shown[0]
        before = [
            padded(cell, size, right=right) + "  "
            for cell, size, right in zip(shown[:-1], self.sizes, self.right, strict=False)
        ]
        last = shown[-1]
        if self.right[-1]:
            last = padded(last, self.sizes[-1], right=True)
        return "".join(before), last
