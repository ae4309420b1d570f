"""A row for each stage of a turn: its name, its result, the time that it took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from convtui.tui.drawing.glyphs import HELD
from convtui.tui.drawing.palette import Span, plain
from convtui.tui.widgets.text_pane import Document
from convtui.tui.widgets.transcript.calls import seconds

_WIDE: Final = 46
"""Cells from which a stage's result is beside its name."""
_TIME: Final = 6
"""Cells of the column of times."""
_TOLD_FROM: Final = 0.001
"""Seconds from which the time of a stage is told."""


class StageRows(Document):
    """A document of stages, in columns; narrow, a result that is too long is below its name."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._width = width if width < _WIDE else 0
        self.below = 4 if self._width else 15
        """The indent of what is told below a stage's name."""

    def stage(
        self,
        name: str,
        sign: str,
        spans: Sequence[Span],
        *,
        held: bool = False,
        took: object = None,
    ) -> None:
        mark: Span = (f"{HELD} ", "held bold") if held else (f"{sign or ' '} ", "muted bold")
        title: Span = (f"{name:<13}", "held bold" if held else "text bold")
        right: Span = ("", "")
        if isinstance(took, int | float) and took >= _TOLD_FROM:
            right = (f"{seconds(took):>{_TIME}}", "muted")
        here: list[Span] = [("held here" if not spans else ", held here", "held")] if held else []
        result = [*spans, *here]
        room = self._width - sum(map(len, (mark[0], title[0]))) - len(right[0]) - 4
        if not self._width or len(plain(result)) <= room:
            self.line(*result, label=(mark, title), right=right)
            return
        self.line(mark, title, right=right)
        if result:
            self.line(*result, indent=self.below)
