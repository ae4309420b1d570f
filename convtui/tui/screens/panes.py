"""Screens of a list and panes of text beside it: one set of keys for whichever has the focus."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.screens.handlers import Handler
from convtui.tui.widgets.row_list import RowList
from convtui.tui.widgets.text_pane import TextPane


class PaneScreen(ActionScreen):
    """Moves in the pane that has the focus, else in the list; goes back to the screen below."""

    def handlers(self) -> Iterable[Handler]:
        """Moving, in whatever has the focus."""
        yield Handler("move.up", partial(self._move, -1))
        yield Handler("move.down", partial(self._move, 1))
        yield Handler("move.first", self._go_to_first)
        yield Handler("move.last", self._go_to_last)

    def enabled(self, action_id: str) -> bool:
        """Whether an action would do something now; everything, until the screen is there."""
        return not self.is_mounted or super().enabled(action_id)

    def pane(self) -> TextPane | RowList[Any]:
        """What the keys move in."""
        focused = self.focused
        if isinstance(focused, TextPane | RowList):
            return focused
        return next((rows for rows in self.query(RowList) if rows.region), self.query(TextPane)[0])

    def restyle(self) -> None:
        """Another theme."""
        for pane in (*self.query(TextPane), *self.query(RowList)):
            pane.palette = self.capp.palette

    def next_pane(self) -> None:
        """Gives the next one the focus."""
        self.focus_next("TextPane, RowList")

    def _move(self, by: int) -> None:
        pane = self.pane()
        if isinstance(pane, RowList):
            pane.go_to(pane.cursor + by)
        else:
            pane.scroll_lines(by)

    def _go_to_first(self) -> None:
        pane = self.pane()
        if isinstance(pane, RowList):
            pane.go_to(0)
        else:
            pane.scroll_home(animate=False)

    def _go_to_last(self) -> None:
        pane = self.pane()
        if isinstance(pane, RowList):
            pane.go_to(len(pane.items) - 1)
        else:
            pane.scroll_end(animate=False)

    def quit(self) -> None:
        """Back; what still reads is told to stop when the screen is gone."""
        if len(self.app.screen_stack) > 1:
            # Not the app's way back: a live run below goes on.
            self.app.pop_screen()
        else:
            self.app.exit(0)
