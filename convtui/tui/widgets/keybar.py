"""The footer: the keys that apply now, on one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget


class KeyItem(NamedTuple):
    """A key as displayed, its label, and the action's id."""

    key: str
    label: str
    action: str


class KeyBar(Widget):
    """One line of keys; what does not fit is dropped from the end, except the last item."""

    DEFAULT_CSS = """
    KeyBar { height: 1; width: 1fr; background: $panel; color: $foreground; padding: 0 1; }
    """
    ALLOW_SELECT = False

    class Chosen(Message):
        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self, items: Sequence[KeyItem] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._items = list(items)
        self._spans: list[tuple[int, int, str]] = []

    @property
    def items(self) -> list[KeyItem]:
        return self._items

    @items.setter
    def items(self, items: Sequence[KeyItem]) -> None:
        if list(items) != self._items:
            self._items = list(items)
            self.refresh()

    def render(self) -> Content:
        width = self.size.width
        items = self._items
        sizes = [cell_len(f"{item.key} {item.label}") for item in items]
        shown = list(range(len(items)))
        while len(shown) > 1 and sum(sizes[i] + 2 for i in shown) - 2 > width:
            del shown[-2]
        parts: list[tuple[str, str]] = []
        self._spans = []
        x = 0
        for number, index in enumerate(shown):
            if number:
                parts.append(("  ", ""))
                x += 2
            item = items[index]
            self._spans.append((x, x + sizes[index], item.action))
            parts.append((item.key, "bold $text-accent"))
            parts.append((f" {item.label}", ""))
            x += sizes[index]
        return Content.assemble(*parts)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        for start, end, action in self._spans:
            if start <= offset.x < end:
                self.post_message(self.Chosen(action))
                return
