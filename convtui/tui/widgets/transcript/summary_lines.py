"""The lines of a summary that replaces turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convtui.text.boundary import visible
from convtui.tui.drawing.fit import fit
from convtui.tui.drawing.wrap import Wrapped

if TYPE_CHECKING:
    from convtui.tui.drawing.palette import Span
    from convtui.tui.widgets.transcript.geometry import Geometry
    from convtui.tui.widgets.transcript.session_rows import Frame
    from convtui.tui.widgets.transcript.summaries import Summary


class SummaryLines:
    """A heading, the text, and the session rows around it."""

    def __init__(self, summary: Summary, geometry: Geometry, frame: Frame) -> None:
        self.geometry = geometry
        width = geometry.width - 2
        rows: list[list[Span]] = frame.rows_before(width)
        self._first = len(rows)
        rows.append(
            fit(
                [
                    ("= ", "accent bold"),
                    (summary.title, "accent bold"),
                    (": sent in their place", "muted"),
                ],
                width,
            )
        )
        indent = 2 if geometry.stacked else 4
        for line in Wrapped(visible(summary.text), max(4, width - indent)).lines():
            rows.append([(" " * indent, "text"), (line, "text")])
        self._end = len(rows)
        rows += frame.rows_after(width)
        rows += [[] for _ in range(geometry.gap)]
        self._rows = rows

    @property
    def height(self) -> int:
        return len(self._rows)

    def is_own(self, row: int) -> bool:
        """Whether a row belongs to the summary itself."""
        return self._first <= row < self._end

    def spans(self, row: int) -> list[Span]:
        return self._rows[row] if row < len(self._rows) else []
