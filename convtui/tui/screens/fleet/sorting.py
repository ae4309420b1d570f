"""The order of a batch's conversations, and whether attempts are listed below them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from textual.widgets import OptionList

from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.screens.fleet.fleet_list import FleetList
from convtui.tui.screens.fleet.order import ORDER_LABELS, FleetOrder
from convtui.tui.screens.fleet.view import FleetRow
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.screen_context import ScreenContext

_FAILED: Final = ("failed", "crashed", "abstained", "damaged")


class FleetSorting:
    """Sorts, folds attempts, and goes from one row that wants a look to the next."""

    def __init__(self, context: ScreenContext, listed: FleetList, order: FleetOrder) -> None:
        self._context, self._listed, self._order = context, listed, order

    def handlers(self) -> Iterator[Handler]:
        yield Handler("fleet.sort", self._ask)
        yield Handler("fleet.attempts", self._fold, lambda: self._order.has_attempts)
        yield Handler("fleet.next", lambda: self._go(1))
        yield Handler("fleet.previous", lambda: self._go(-1))

    def sort(self, order: str) -> None:
        self._order.sort(order)
        self._listed.reorder()

    def _ask(self) -> None:
        def chosen(order: str | None) -> None:
            if order is not None:
                self.sort(order)

        now = self._order.order
        answers = [
            (order, f"{'> ' if order == now else '  '}{label}")
            for order, label in ORDER_LABELS.items()
        ]
        screen = Choose("sort the conversations", answers)
        self._context.open(screen, chosen)
        place = list(ORDER_LABELS).index(now) if now in ORDER_LABELS else 0

        def highlight() -> None:
            screen.query_one(OptionList).highlighted = place

        screen.call_after_refresh(highlight)

    def _fold(self) -> None:
        order = self._order
        order.attempts_shown = not order.attempts_shown
        order.refill()
        self._listed.reorder()

    def _go(self, by: int) -> None:
        """Selects the next row that is held, has failed or has flags; goes round at the end."""
        listed = self._listed
        shown = listed.shown
        for step in range(1, len(shown) + 1):
            place = (listed.place + by * step) % len(shown)
            if _wants_a_look(listed.row_at(place)):
                listed.go_to(place)
                return
        self._context.notify("No conversation is held, has failed or has flags.")


def _wants_a_look(row: FleetRow) -> bool:
    return row.state == "held" or row.kind in _FAILED or row.flags > 0
