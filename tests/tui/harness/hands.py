"""Hands at the keyboard: keys come when a test says so, whatever time it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual import events
from textual.app import App

from convtui.tui.app import ConvtuiApp
from convtui.tui.keyboard.typed_keys import KeyClock

SLOWLY = 1.0
"""Seconds between the keys of somebody who looks at the screen after each of them."""


def hands_of(app: ConvtuiApp) -> Hands:
    """The hands of an app under test."""
    assert isinstance(app.typed.clock, Hands)
    return app.typed.clock


class Hands(KeyClock):
    """Every key comes `gap` seconds after the one before it; nothing follows a key that waits,
    unless `hurried` says that more is to come."""

    def __init__(self, gap: float = SLOWLY) -> None:
        self.gap = gap
        self.hurried = False
        self.time = 0.0
        self._later: list[Callable[[], object]] = []

    def now(self) -> float:
        return self.time + (0.0 if self.hurried else self.gap)

    def arrived(self, event: events.Key) -> float:
        self.time += self.gap
        return self.time

    def later(self, app: App[Any], delay: float, callback: Callable[[], object]) -> None:
        if self.hurried:
            self._later.append(lambda: app.call_later(callback))
        else:
            app.call_later(callback)

    def burst(self) -> None:
        """From here on keys come as from a program that types."""
        self.gap, self.hurried = 0.001, True
        self.time += SLOWLY

    def rest(self) -> None:
        """Nothing more came; from here on a person types again."""
        self.gap, self.hurried = SLOWLY, False
        self.time += SLOWLY
        waiting, self._later = self._later, []
        for callback in waiting:
            callback()
