"""Who gets the HTTP exchanges that are captured: those of one context, or those of the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Protocol

from convtui.log.wire import BODY_CAP
from convtui.log.wire_writer import RawExchange

WireSink = Callable[[RawExchange], None]


class OpenExchange(Protocol):
    """An exchange in progress."""

    exchange: RawExchange

    def end(self, error: BaseException | None, *, complete: bool = True) -> None:
        """Called when it is over; only the first call counts."""
        ...


class Capture:
    """Gets exchanges while it is registered.

    With `everywhere` all of the process, else those that are sent in contexts in which it is the
    `current_capture`. `sink` gets each exchange when it is over, in the thread in which it ended;
    what it raises would hit the caller of httpx, so it must only hand over (`WireLog.add`).
    """

    def __init__(self, sink: WireSink, *, cap: int = BODY_CAP, everywhere: bool = True) -> None:
        self.cap = cap
        self._sink = sink
        self._everywhere = everywhere
        self._open: set[OpenExchange] = set()
        self._lock = threading.Lock()
        self._registered = False

    @property
    def registered(self) -> bool:
        """Whether it gets anything."""
        return self._registered

    def register(self) -> None:
        """Gets exchanges from now on."""
        self._registered = True
        if self._everywhere:
            _EVERYWHERE.append(self)

    def unregister(self) -> None:
        """Gets no more; exchanges that are still open are handed over as cut off."""
        self._registered = False
        if self in _EVERYWHERE:
            _EVERYWHERE.remove(self)
        with self._lock:
            left = list(self._open)
        for exchange in left:
            exchange.end(None, complete=False)

    def opened(self, exchange: OpenExchange) -> None:
        """Called when an exchange begins."""
        with self._lock:
            self._open.add(exchange)

    def over(self, exchange: OpenExchange) -> None:
        """Called when an exchange is over."""
        with self._lock:
            if exchange not in self._open:
                return
            self._open.discard(exchange)
        self._sink(exchange.exchange)


_EVERYWHERE: list[Capture] = []

current_capture: ContextVar[Capture | None] = ContextVar("convtui_current_capture", default=None)
"""Who gets what is sent in this context."""


def takers() -> Sequence[Capture]:
    """Who gets an exchange that begins in this context."""
    own = current_capture.get()
    if own is None or not own.registered or own in _EVERYWHERE:
        return _EVERYWHERE
    return [*_EVERYWHERE, own]
