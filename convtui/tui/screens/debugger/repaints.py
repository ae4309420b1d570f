"""Paints at most once a frame, however often an engine reports something."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual.screen import Screen
from textual.timer import Timer

from convtui.tui.textual_compat import is_open
from convtui.tui.timers import call_once

FRAME = 0.05
"""Minimum seconds between two repaints."""


class Repaints:
    """Calls `repaint` with the next frame after a change."""

    def __init__(self, screen: Screen[object], repaint: Callable[[], None]) -> None:
        self._screen = screen
        self._repaint = repaint
        self._timer: Timer | None = None
        self._scheduled = False
        self._painted_at = 0.0

    def request(self) -> None:
        """Schedules a repaint; may be called from outside of Textual's context."""
        if not self._scheduled and is_open(self._screen):
            # Engines call from outside Textual's context, where timers cannot be created.
            self._scheduled = self._screen.call_later(self._schedule)

    def _schedule(self) -> None:
        wait = max(0.001, FRAME - (time.monotonic() - self._painted_at))
        self._timer = call_once(self._screen, wait, self._repaint)

    def begin(self) -> None:
        """Notes that everything is painted now."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
            self._scheduled = False
        self._painted_at = time.monotonic()
