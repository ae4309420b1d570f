"""The list of a batch's conversations: draws what is visible, however many there are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from rich.cells import cell_len
from textual import events
from textual.message import Message

from convtui.text.boundary import visible_line
from convtui.tui.drawing.palette import Span
from convtui.tui.screens.fleet.columns import columns_for, row_spans
from convtui.tui.screens.fleet.order import FleetOrder
from convtui.tui.screens.fleet.view import FleetRow
from convtui.tui.widgets.columned_list import ColumnedList
from convtui.tui.widgets.run_columns import Column

_MEASURED = 400
"""Rows whose names decide how wide their column is."""


class FleetList(ColumnedList):
    """Conversations in rows.

    The selection is the first row until another is selected; then it stays with its conversation,
    and where it is on the screen, while rows move.
    """

    class Chosen(Message):
        """The selected row was clicked."""

    class Highlighted(Message):
        """Another row is selected."""

    def __init__(
        self,
        rows: Sequence[FleetRow],
        order: FleetOrder,
        *,
        clock: Callable[[], float] = time.time,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._rows, self._sorted, self._clock = rows, order, clock
        self._shown: list[int] = []
        self._index = 0
        """The place of the selected row."""
        self._chosen: int | None = None
        """The selected row."""
        self._at_top = True
        """Whether the selection is whatever comes first."""
        self._longest = 0
        """Cells of the longest name."""

    @property
    def order(self) -> str:
        """The order of the rows, as the header shows it."""
        return self._sorted.order

    def on_mount(self) -> None:
        self.reorder()

    # --- what is shown

    def reorder(self) -> None:
        """Shows the rows as they are ordered now."""
        before, self._shown = len(self._shown), self._sorted.shown
        shown = self._shown
        measured = (self._rows[index].key for index in shown[:_MEASURED])
        self._longest = max(self._longest, max((cell_len(visible_line(key)) for key in measured),
                                         default=0))  # fmt: skip
        row = self._index - round(self.scroll_y)
        chosen = self._chosen
        if self._at_top or chosen is None or not self._moved_to(chosen):
            self._index = 0 if self._at_top else max(0, min(self._index, len(shown) - 1))
            self._chosen = shown[self._index] if shown else None
            if self._chosen != chosen:
                self.post_message(self.Highlighted())
        if before != len(shown) or len(self.heights) != len(shown):
            top = round(self.scroll_y)
            self.load(len(shown))
            self._place(top)
        if 0 <= row < self.view_height and shown:
            self._place(self._index - row)
        self.refresh()

    def refresh_rows(self, rows: Iterable[int]) -> None:
        """Draws those rows that are visible."""
        top = round(self.scroll_y)
        places = {index: place for place, index in
                  enumerate(self._shown[top : top + self.view_height], top)}  # fmt: skip
        for index in rows:
            if index in places:
                self.refresh_line(places[index])

    def _moved_to(self, chosen: int) -> bool:
        """Finds the place of a row; False if it is not shown any more."""
        shown = self._shown
        if self._index < len(shown) and shown[self._index] == chosen:
            return True
        try:
            self._index = shown.index(chosen)
        except ValueError:
            return False
        return True

    @property
    def shown(self) -> Sequence[int]:
        """The indices of the rows, in the order of the list."""
        return self._shown

    def row_at(self, place: int) -> FleetRow:
        """The row at a place in the list."""
        return self._rows[self._shown[place]]

    @property
    def selected(self) -> FleetRow | None:
        return None if self._chosen is None else self._rows[self._chosen]

    # --- moving

    @property
    def place(self) -> int:
        """The place of the selected row in the list."""
        return self._index

    def go_to(self, place: int) -> None:
        """Selects the row at a place, and scrolls to it."""
        if not self._shown:
            return
        self._index = max(0, min(place, len(self._shown) - 1))
        self._at_top = self._index == 0
        self._chosen = self._shown[self._index]
        self.show_item(self._index)
        self.refresh()
        self.post_message(self.Highlighted())

    def hold(self) -> None:
        """Has the selection stay with its conversation, though that is the first."""
        self._at_top = False

    def choose(self) -> None:
        self.post_message(self.Chosen())

    def on_resize(self, event: events.Resize) -> None:
        """Keeps the selected row visible."""
        super().on_resize(event)
        self.show_item(self._index)

    def anchor_item(self) -> int | None:
        return self._index

    # --- lines

    def columns(self, width: int = 0) -> list[Column]:
        """The columns that fit into `width` cells, by default those of the list."""
        return columns_for(width or max(1, self.view_width), self.order, name=self._longest)

    def spans_at(self, place: int) -> list[Span]:
        rows, shown = self._rows, self._shown
        row = rows[shown[place]]
        below = row.attempt > 1 and place > 0 and rows[shown[place - 1]].first == row.first
        return row_spans(row, self.columns(), self._clock(), below=below)
