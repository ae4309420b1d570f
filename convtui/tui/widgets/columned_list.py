"""A list with columns and one line a row, whose highlighted row is drawn as such."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.strip import Strip

from convtui.tui.drawing.fit import fit
from convtui.tui.drawing.palette import Span, plain
from convtui.tui.drawing.strips import strip_of
from convtui.tui.widgets.copy_rows import CopyRow
from convtui.tui.widgets.line_view import LineView


class ColumnedList(LineView):
    """Draws the visible rows. Subclasses give the content of a row and say what selecting does."""

    DEFAULT_CSS = """
    ColumnedList { height: 1fr; background: transparent; }
    ColumnedList:focus { background: transparent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
    ]

    # --- for subclasses

    @property
    def place(self) -> int | None:
        """The place of the selected row."""
        raise NotImplementedError

    def go_to(self, place: int) -> None:
        """Selects the row at a place, or the nearest one, and scrolls to it."""
        raise NotImplementedError

    def choose(self) -> None:
        """The selected row was clicked."""
        raise NotImplementedError

    def spans_at(self, place: int) -> list[Span]:
        raise NotImplementedError

    # --- moving

    def move(self, by: int) -> None:
        self.go_to((self.place or 0) + by)

    def action_page(self, direction: int) -> None:
        self.move(direction * max(1, self.view_height - 1))

    def on_click(self, event: events.Click) -> None:
        """Selects the row under the mouse; a click on the selected row chooses it."""
        place = round(self.scroll_y) + event.y
        if not 0 <= place < self.shown_items:
            return
        if place == self.place:
            self.choose()
        else:
            self.go_to(place)

    # --- lines

    def row_text(self, place: int) -> str:
        """A row as plain text; empty where there is none."""
        return plain(self.spans_at(place)) if 0 <= place < self.shown_items else ""

    def measure(self, item: int) -> int:
        return 1

    def measure_some(self, first: int, last: int) -> Sequence[int]:
        return [1] * (last - first)

    def row(self, item: int, row: int) -> Strip:
        return strip_of(fit(self.spans_at(item), max(1, self.view_width)), self.palette)

    def row_style(self, item: int, row: int) -> Style | None:
        if item != self.place:
            return None
        if self.palette.monochrome:
            return Style(reverse=self.has_focus, underline=not self.has_focus)
        return self.palette.background("selection" if self.has_focus else "panel")

    def copy_row(self, item: int, row: int) -> CopyRow:
        return CopyRow(self.row_text(item).rstrip())
