"""The columns of a transcript."""

from __future__ import annotations

_NARROW = 30


class Geometry:
    """The layout of columns. `gap` is the number of empty lines after a turn."""

    __slots__ = (
        "badge_counts",
        "digits",
        "folded",
        "gap",
        "indent",
        "short",
        "stacked",
        "text_width",
        "width",
    )

    def __init__(self, width: int, digits: int, gap: int) -> None:
        self.width = width
        self.digits = max(2, digits)
        self.gap = gap
        # bar, glyph, space, number, space, speaker, space; one cell stays free at the right
        indent = self.digits + 13
        self.stacked = width - indent - 1 < _NARROW
        self.indent = 3 if self.stacked else indent
        self.text_width = max(4, width - self.indent - 1)
        self.short = self.text_width < 48
        self.folded = self.text_width < 70
        self.badge_counts: dict[tuple[int, tuple[str, ...], tuple[str, ...]], int] = {}
