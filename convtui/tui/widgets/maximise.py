"""Gives one pane of a screen the room of all of them."""

from __future__ import annotations

from collections.abc import Sequence

from textual.screen import Screen
from textual.widget import Widget


class Maximise:
    """Hides all `panes` of a screen, given as selectors, but one; a pane may hold others."""

    def __init__(self, screen: Screen[object], panes: Sequence[str]) -> None:
        self._screen = screen
        self._panes = panes
        self.pane: Widget | None = None
        """The pane that is maximised."""

    def label(self) -> str | None:
        """What the key does now, if that is not to maximise."""
        return "all panes" if self.pane is not None else None

    def toggle(self) -> None:
        """Maximises the focused pane, or shows all again."""
        focused = self._screen.focused
        if not self.restore() and focused is not None:
            self.show(focused)

    def show(self, pane: Widget) -> None:
        """Maximises a pane."""
        kept = set(pane.ancestors_with_self)
        for selector in self._panes:
            for widget in self._screen.query(selector):
                widget.set_class(widget not in kept, "-aside")
                widget.set_class(widget in kept, "-whole")
        self.pane = pane

    def restore(self) -> bool:
        """Shows all panes again; whether one was maximised."""
        was = self.pane is not None
        self.pane = None
        for selector in self._panes:
            self._screen.query(selector).remove_class("-aside", "-whole")
        return was
