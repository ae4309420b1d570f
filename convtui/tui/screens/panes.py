"""Screens of a list and panes of text beside it: one set of keys for whichever has the focus."""

from __future__ import annotations

from typing import Any

from convtui.tui.keys import KeyScreen
from convtui.tui.widgets.row_list import RowList
from convtui.tui.widgets.text_pane import TextPane


class PaneScreen(KeyScreen):
    """Moves in the pane that has the focus, else in the list; goes back to the screen below."""

    def pane(self) -> TextPane | RowList[Any]:
        """What the keys move in."""
        focused = self.focused
        if isinstance(focused, TextPane | RowList):
            return focused
        return next((each for each in self.query(RowList) if each.region), self.query(TextPane)[0])

    def restyle(self) -> None:
        """Another theme."""
        for pane in (*self.query(TextPane), *self.query(RowList)):
            pane.palette = self.capp.palette

    def next_pane(self) -> None:
        """Gives the next one the focus."""
        self.focus_next("TextPane, RowList")

    def do_move_up(self) -> None:
        """A row or a line up."""
        self._move(-1)

    def do_move_down(self) -> None:
        """A row or a line down."""
        self._move(1)

    def _move(self, by: int) -> None:
        pane = self.pane()
        if isinstance(pane, RowList):
            pane.go_to(pane.cursor + by)
        else:
            pane.scroll_lines(by)

    def do_move_first(self) -> None:
        """The beginning."""
        pane = self.pane()
        if isinstance(pane, RowList):
            pane.go_to(0)
        else:
            pane.scroll_home(animate=False)

    def do_move_last(self) -> None:
        """The end."""
        pane = self.pane()
        if isinstance(pane, RowList):
            pane.go_to(len(pane.items) - 1)
        else:
            pane.scroll_end(animate=False)

    def do_app_quit(self) -> None:
        """Back; what still reads is told to stop when the screen is gone."""
        if len(self.app.screen_stack) > 1:
            # Not the app's way back: a live run below goes on.
            self.app.pop_screen()
        else:
            self.app.exit(0)
