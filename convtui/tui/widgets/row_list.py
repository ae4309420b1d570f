"""A list of any length with one line per row and a selection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from convtui.tui.drawing import glyphs
from convtui.tui.drawing.fit import fit
from convtui.tui.drawing.palette import Palette, Span
from convtui.tui.drawing.strips import strip_of
from convtui.tui.widgets.copy_rows import CopyRow
from convtui.tui.widgets.cursor_view import CursorView

Item = TypeVar("Item")


class RowList(CursorView, Generic[Item]):
    """Draws the visible rows. Subclasses give the content of a row."""

    DEFAULT_CSS = """
    RowList { background: transparent; }
    """

    class Chosen(Message):
        """The selected row was clicked."""

    def __init__(self, *, palette: Palette | None = None, id: str | None = None) -> None:
        super().__init__(palette=palette, id=id)
        self.items: list[Item] = []

    def spans_of(self, item: Item) -> Sequence[Span]:
        raise NotImplementedError

    def show_items(self, items: Sequence[Item], cursor: int = 0) -> None:
        """Replaces the rows and selects one."""
        self.items = list(items)
        self.cursor = -1
        self.load(len(self.items), 1)
        self.go_to(cursor)

    @property
    def selected(self) -> Item | None:
        return self.items[self.cursor] if 0 <= self.cursor < len(self.items) else None

    def choose(self) -> None:
        self.post_message(self.Chosen())

    # --- drawing

    def measure(self, item: int) -> int:
        return 1

    def row(self, item: int, row: int) -> Strip:
        """One line, with the selection mark."""
        mark = Segment(glyphs.BAR if item == self.cursor else " ", self.palette.style("accent"))
        spans = fit(list(self.spans_of(self.items[item])), max(10, self.view_width - 2))
        return Strip([mark, *strip_of(spans, self.palette)])

    def row_style(self, item: int, row: int) -> Style | None:
        return self.palette.background("selection") if item == self.cursor else None

    def copy_row(self, item: int, row: int) -> CopyRow:
        text = "".join(text for text, _ in self.spans_of(self.items[item]))
        return CopyRow(" " + text.rstrip(), 1)
