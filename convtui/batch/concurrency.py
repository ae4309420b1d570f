"""How many conversations run at once, and how many calls each worker may make of an endpoint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from math import ceil
from typing import Any, Final, Literal

from convtui.batch.limiter import Limiter
from convtui.batch.pool import Pool, Slot

_FIRST: Final = 8
_MOST: Final = 1000
_SLACK: Final = 1.25
"""Conversations for each call that may run: some of them are between two calls."""


class AtOnce:
    """How many conversations may run at once.

    With `auto` that grows with the turns that are taken, at first by as much again with each round,
    until an endpoint answers 429; from then on it follows the limits.
    """

    def __init__(self, wanted: int | Literal["auto"], limiter: Limiter) -> None:
        self._limiter = limiter
        self._auto = wanted == "auto"
        self._value: float = _FIRST if wanted == "auto" else wanted

    @property
    def value(self) -> int:
        if not self._auto or not self._limiter.throttled:
            return int(self._value)
        calls = sum(
            endpoint.running if endpoint.limit is None else endpoint.limit
            for endpoint in self._limiter.endpoints.values()
        )
        return max(1, min(_MOST, ceil(_SLACK * calls)))

    def took_turns(self, count: float) -> None:
        """Counts turns, of both sides."""
        if self._auto and not self._limiter.throttled:
            self._value = min(_MOST, self._value + count / 2)


class CallLimits:
    """Passes on to workers what the limiter makes of their reports."""

    def __init__(self, limiter: Limiter, pool: Pool, changed: Callable[[], None]) -> None:
        self.limiter = limiter
        self._pool = pool
        self._changed = changed
        self._timer: asyncio.TimerHandle | None = None

    def used(self, slot: Slot, calls: dict[str, Any]) -> None:
        """Takes in a worker's USED frame."""
        if self.limiter.used(slot.number, calls, time.monotonic()):
            self.send()
        self._changed()

    def forget(self, slot: Slot) -> None:
        """A worker has gone: the others get what it had."""
        self.limiter.forget(slot.number)
        if any(slot.limits for slot in self._pool.slots.values()):
            self.send()

    def send(self) -> None:
        """Tells each worker its limits, where they are others than it knows."""
        now = time.monotonic()
        slots = {number: slot for number, slot in self._pool.slots.items() if slot.ready}
        for number, limits in self.limiter.shares(list(slots), now).items():
            slot = slots[number]
            if limits != slot.limits:
                slot.limits = limits
                slot.worker.set_limits(limits)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pause = self.limiter.next_change(now)
        if pause is not None:
            self._timer = asyncio.get_running_loop().call_later(pause + 0.001, self.send)

    def as_list(self) -> list[dict[str, Any]]:
        """Each endpoint that was called: `{key, limit, running, waiting, throttled, paused}`."""
        now = time.monotonic()
        return [
            {
                "key": endpoint.key,
                "limit": endpoint.limit,
                "running": endpoint.running,
                "waiting": endpoint.waiting,
                "throttled": endpoint.throttled,
                "paused": endpoint.paused(now),
            }
            for endpoint in self.limiter.endpoints.values()
        ]

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
