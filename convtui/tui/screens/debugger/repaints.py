"""Paints at most once a frame, however often an engine reports something."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual.screen import Screen
from textual.timer import Timer

from convtui.tui.textual_compat import answers_key, is_open
from convtui.tui.timers import call_once

FRAME = 0.05
"""Minimum seconds between two repaints."""
SLOWEST = 0.15
"""The same where a repaint takes long: on a slow or busy machine."""
_BEHIND_A_KEY = 0.01


class Repaints:
    """Calls `repaint` with the next frame after a change.

    What the engine reports gives way to keys: a key that is being answered is drawn first, and half
    of the time at least is left to them.
    """

    def __init__(self, screen: Screen[object], repaint: Callable[[], None]) -> None:
        self._screen = screen
        self._repaint = repaint
        self._timer: Timer | None = None
        self._scheduled = False
        self._painted_at = 0.0
        self._frame = FRAME

    def request(self) -> None:
        """Schedules a repaint; may be called from outside of Textual's context."""
        if not self._scheduled and is_open(self._screen):
            # Engines call from outside Textual's context, where timers cannot be created.
            self._scheduled = self._screen.call_later(self._schedule)

    def _schedule(self) -> None:
        wait = max(0.001, self._frame - (time.monotonic() - self._painted_at))
        self._timer = call_once(self._screen, wait, self._paint)

    def _paint(self) -> None:
        if answers_key(self._screen.app):
            self._timer = call_once(self._screen, _BEHIND_A_KEY, self._paint)
        else:
            self._repaint()

    def begin(self) -> None:
        """Notes that everything is painted now."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
            self._scheduled = False
        self._painted_at = time.monotonic()
        self._screen.call_after_refresh(self._drawn, self._painted_at)

    def _drawn(self, began: float) -> None:
        self._frame = max(FRAME, min(2 * (time.monotonic() - began), SLOWEST))
