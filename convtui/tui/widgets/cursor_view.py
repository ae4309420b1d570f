"""A list of any length with a selected item: what keys and clicks do to the selection."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from convtui.tui.widgets.line_view import LineView


class CursorView(LineView):
    """Selects one item at a time. Subclasses list the items, measure and draw them."""

    cursor = reactive(-1, init=False, repaint=False)
    """Index of the selected item, or -1."""

    class Selected(Message):
        """Another item was selected."""

    def go_to(self, index: int) -> None:
        """Selects an item, or the nearest one, and scrolls to it."""
        if self.shown_items:
            self.cursor = max(0, min(index, self.shown_items - 1))
            self.show_item(self.cursor)

    def watch_cursor(self, old: int, new: int) -> None:
        self.refresh()
        if old != new:
            self.post_message(self.Selected())

    def anchor_item(self) -> int | None:
        return self.cursor if self.cursor >= 0 else None

    def choose(self) -> None:
        """The selected item was clicked."""

    def page(self, direction: int) -> None:
        """Selects the item a screen further down (1) or up (-1)."""
        if self.shown_items:
            line = self.heights.start(self.cursor) + direction * max(1, self.view_height - 1)
            self.go_to(self.heights.find(max(0, min(line, self.line_count - 1)))[0])

    def action_scroll_up(self) -> None:
        self.go_to(self.cursor - 1)

    def action_scroll_down(self) -> None:
        self.go_to(self.cursor + 1)

    def action_page_up(self) -> None:
        self.page(-1)

    def action_page_down(self) -> None:
        self.page(1)

    def action_scroll_home(self) -> None:
        self.go_to(0)

    def action_scroll_end(self) -> None:
        self.go_to(self.shown_items - 1)

    def on_click(self, event: events.Click) -> None:
        """Selects the item under the mouse; a click on the selected item chooses it."""
        event.prevent_default()
        line = round(self.scroll_y) + event.y
        if not 0 <= line < self.line_count:
            return
        item = self.heights.find(line)[0]
        if item == self.cursor:
            self.choose()
        else:
            self.cursor = item

    def on_resize(self, event: events.Resize) -> None:
        """Keeps the selected item visible."""
        super().on_resize(event)
        self.show_item(self.cursor)

    def empty_row(self, y: int) -> Strip:
        return Strip.blank(self.view_width)
