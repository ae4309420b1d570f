"""A list of any length with one line per row and a selection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from convtui.tui.drawing import glyphs
from convtui.tui.drawing.palette import Palette, Span
from convtui.tui.drawing.strips import strip_of
from convtui.tui.widgets.copy_rows import CopyRow
from convtui.tui.widgets.line_view import LineView
from convtui.tui.widgets.transcript.marks import fit

Item = TypeVar("Item")


class RowList(LineView, Generic[Item]):
    """Draws the visible rows. Subclasses give the content of a row."""

    DEFAULT_CSS = """
    RowList { background: transparent; }
    """

    cursor = reactive(-1, init=False, repaint=False)
    """Index of the selected row, or -1."""

    class Selected(Message):
        """Another row was selected."""

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

    # --- moving

    def go_to(self, index: int) -> None:
        """Selects a row and scrolls to it."""
        if self.items:
            self.cursor = max(0, min(index, len(self.items) - 1))
            self.show_item(self.cursor)

    def watch_cursor(self, old: int, new: int) -> None:
        self.refresh()
        if old != new:
            self.post_message(self.Selected())

    def anchor_item(self) -> int | None:
        return self.cursor if self.cursor >= 0 else None

    def action_scroll_up(self) -> None:
        self.go_to(self.cursor - 1)

    def action_scroll_down(self) -> None:
        self.go_to(self.cursor + 1)

    def action_page_up(self) -> None:
        self.go_to(self.cursor - max(1, self.view_height - 1))

    def action_page_down(self) -> None:
        self.go_to(self.cursor + max(1, self.view_height - 1))

    def action_scroll_home(self) -> None:
        self.go_to(0)

    def action_scroll_end(self) -> None:
        self.go_to(len(self.items) - 1)

    def on_click(self, event: events.Click) -> None:
        """Selects the row under the mouse; a click on the selected row chooses it."""
        event.prevent_default()
        line = round(self.scroll_y) + event.y
        if not 0 <= line < len(self.items):
            return
        if line == self.cursor:
            self.post_message(self.Chosen())
        else:
            self.cursor = line

    # --- LineView

    def on_resize(self, event: events.Resize) -> None:
        """Keeps the selected row visible."""
        super().on_resize(event)
        self.show_item(self.cursor)

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

    def empty_row(self, y: int) -> Strip:
        return Strip.blank(self.view_width)
