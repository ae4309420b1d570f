"""Keys with what they do: the footer, and the choices of a hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget


class KeyItem(NamedTuple):
    """A key as displayed, its label, and the action's id."""

    key: str
    label: str
    action: str


class Keys(Widget):
    """Keys that can be clicked, in rows."""

    DEFAULT_CSS = """
    Keys { height: auto; width: 1fr; color: $foreground;
           text-wrap: nowrap; text-overflow: ellipsis; }
    """
    ALLOW_SELECT = False
    gap = 3
    """Columns between two keys."""

    class Chosen(Message, namespace="key_bar"):
        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self, items: Sequence[KeyItem] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._items = list(items)
        self._spans: list[tuple[int, int, int, str]] = []
        """Row, first and last column, and action of each item on the screen."""

    @property
    def items(self) -> list[KeyItem]:
        return self._items

    @items.setter
    def items(self, items: Sequence[KeyItem]) -> None:
        if list(items) != self._items:
            self._items = list(items)
            self.refresh(layout=self.styles.is_auto_height)

    def rows(self, width: int) -> list[list[KeyItem]]:
        """The items by row, with a new row before one that does not fit."""
        rows: list[list[KeyItem]] = []
        for item in self._items:
            if rows and _width([*rows[-1], item], self.gap) <= width:
                rows[-1].append(item)
            else:
                rows.append([item])
        return rows

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.rows(width))

    def render(self) -> Content:
        parts: list[tuple[str, str]] = []
        self._spans = []
        for y, row in enumerate(self.rows(self.size.width)):
            x = 0
            if y:
                parts.append(("\n", ""))
            for number, item in enumerate(row):
                if number:
                    parts.append((" " * self.gap, ""))
                    x += self.gap
                end = x + _width([item], 0)
                self._spans.append((y, x, end, item.action))
                parts += [(item.key, "bold $text-accent"), (f" {item.label}", "")]
                x = end
        return Content.assemble(*parts)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        for y, start, end, action in self._spans:
            if y == offset.y and start <= offset.x < end:
                self.post_message(self.Chosen(action))
                return


class KeyBar(Keys):
    """The footer: what does not fit is dropped from the end, except the last item."""

    DEFAULT_CSS = """
    KeyBar { height: 1; background: $panel; padding: 0 1; }
    """
    gap = 2

    def rows(self, width: int) -> list[list[KeyItem]]:
        """The items that fit, by row."""
        shown = list(self._items)
        while len(shown) > 1 and _width(shown, self.gap) > width:
            del shown[-2]
        return [shown]


def _width(items: Sequence[KeyItem], gap: int) -> int:
    """The columns of a row."""
    return sum(cell_len(f"{item.key} {item.label}") + gap for item in items) - gap
