"""Screens with a list and text panes: one set of keys for whichever has the focus."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.screens.handlers import Handler
from convtui.tui.textual_compat import is_open
from convtui.tui.widgets.row_list import RowList
from convtui.tui.widgets.text_pane import TextPane


class PaneScreen(ActionScreen):
    """Moves in the focused pane, else in the list; `quit` returns to the screen below."""

    def handlers(self) -> Iterable[Handler]:
        yield Handler("move.up", partial(self._move, -1))
        yield Handler("move.down", partial(self._move, 1))
        yield Handler("move.first", self._go_to_first)
        yield Handler("move.last", self._go_to_last)

    def enabled(self, action_id: str) -> bool:
        """Whether an action applies now; all do before the screen is mounted."""
        return not is_open(self) or super().enabled(action_id)

    def pane(self) -> TextPane | RowList[Any]:
        """The pane or list that the keys move in."""
        focused = self.focused
        if isinstance(focused, TextPane | RowList):
            return focused
        return next((rows for rows in self.query(RowList) if rows.region), self.query(TextPane)[0])

    def next_pane(self) -> None:
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
        """Goes back; closing the screen stops what it still reads."""
        if len(self.app.screen_stack) > 1:
            # Not `app.runs.leave()`: a live run below continues.
            self.app.pop_screen()
        else:
            self.app.exit(0)
