"""Whether the event loop is alive, for threads that have to know."""

from __future__ import annotations

import asyncio
import time

from convtui.protocol import SILENT_AFTER


class Pulse:
    """The time of the event loop's last sign of life; `loop` is set once it runs."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._beat = time.monotonic()

    def beat(self) -> None:
        """Notes that the event loop is alive."""
        self._beat = time.monotonic()

    @property
    def silence(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self._beat

    @property
    def silent(self) -> bool:
        """Whether the loop has been silent for longer than one that is alive would be."""
        return self.silence > SILENT_AFTER
