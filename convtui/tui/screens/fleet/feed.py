"""Brings what is shown of a batch up to date, at most ten times a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from textual.message_pump import MessagePump
from textual.timer import Timer

from convtui.tui.screens.fleet.fleet_list import FleetList
from convtui.tui.screens.fleet.order import FleetOrder
from convtui.tui.screens.fleet.tally import Tally
from convtui.tui.screens.fleet.view import Fleet
from convtui.tui.timers import call_once

EVERY: Final = 0.1
"""Seconds between two drawings at least."""
CLOCK: Final = 1.0
"""Seconds between drawings while nothing changes: times and rates do."""


class FleetFeed:
    """Follows a batch: order, counts and list take what has changed."""

    def __init__(
        self,
        fleet: Fleet,
        listed: FleetList,
        order: FleetOrder,
        tally: Tally,
        *,
        repaint: Callable[[], None],
        changed: Callable[[Sequence[int]], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`repaint` draws what stands around the list; `changed` gets the rows that changed."""
        self._fleet, self._listed, self._order, self._tally = fleet, listed, order, tally
        self._repaint, self._changed, self._clock = repaint, changed, clock
        self._pump: MessagePump | None = None
        self._timer: Timer | None = None
        self._drawn = float("-inf")
        self._all_drawn = float("-inf")
        """When the times of all rows were drawn."""
        self._unsubscribe: Callable[[], None] = lambda: None

    def start(self, pump: MessagePump) -> None:
        self._pump = pump
        self._unsubscribe = self._fleet.subscribe(self.soon)
        pump.set_interval(CLOCK, self._tick)
        self.take()

    def close(self) -> None:
        self._unsubscribe()
        self._pump = None
        if self._timer is not None:
            self._timer.stop()

    def soon(self) -> None:
        """Something has changed: it is drawn once the last drawing is long enough ago."""
        if self._timer is None and self._pump is not None:
            wait = max(0.001, self._drawn + EVERY - time.monotonic())
            self._timer = call_once(self._pump, wait, self.take)

    def _tick(self) -> None:
        if not self._fleet.over:
            self.soon()

    def take(self) -> None:
        """Takes what has changed, and draws."""
        self._timer = None
        if self._pump is None:
            return
        self._drawn = now = time.monotonic()
        changed = self._fleet.take_changes()
        self._tally.update(changed, self._clock())
        if changed:
            self._changed(changed)
            if self._order.update(changed):
                self._listed.reorder()
            else:
                self._listed.refresh_rows(changed)
        if now - self._all_drawn >= CLOCK:
            self._all_drawn = now
            self._listed.refresh()
        self._repaint()
