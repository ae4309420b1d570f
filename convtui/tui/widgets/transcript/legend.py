"""What the glyphs of turns mean."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from convtui.tui.drawing import glyphs

if TYPE_CHECKING:
    from convtui.tui.drawing.palette import Span

LEGEND: Final = (
    (glyphs.HELD, "held", "held"),
    (glyphs.WORKING, "accent", "now"),
    (glyphs.SIGNAL, "signal", "signal"),
    (glyphs.NOTICED, "warning", "look here"),
    (glyphs.ERROR, "error", "error"),
    (glyphs.DISCARDED, "discard", "dropped"),
    (glyphs.SKIPPED, "muted", "skipped"),
    (glyphs.BY_HAND, "human", "by hand"),
    (glyphs.REPLY, "ok", "answered"),
    (glyphs.STOP, "accent", "stopped"),
    (glyphs.ABSTAIN, "warning", "abstained"),
    (glyphs.INACTIVE, "muted", "no more"),
)
"""Glyph, role and meaning. A turn with nothing special has a dot."""
SIGNS: Final = frozenset(sign for sign, _, _ in LEGEND)


def legend_rows(signs: Collection[str], width: int) -> list[list[Span]]:
    """The meaning of the glyphs among `signs`, in as few rows as there is room for."""
    rows: list[list[Span]] = []
    used = 0
    for sign, role, words in LEGEND:
        if sign not in signs:
            continue
        cells = cell_len(words) + 2
        if not rows or used + 2 + cells > width:
            rows.append([])
            used = 0
        else:
            rows[-1].append(("  ", "muted"))
            used += 2
        rows[-1] += [(sign, f"{role} bold"), (f" {words}", "muted")]
        used += cells
    return rows
