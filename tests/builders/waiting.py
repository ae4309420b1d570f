"""Waiting for an engine or a batch, in tests with real ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

WITHIN = 120
"""Seconds after which a test that waits has failed; nothing takes that long on any machine."""


class Changing(Protocol):
    """What tells of its changes."""

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls back after changes; the result is called to end that."""


async def when(handle: Changing, condition: Callable[[], bool]) -> None:
    """Waits until something is so; every change of the handle is looked at."""
    changed = asyncio.Event()
    forget = handle.subscribe(changed.set)
    try:
        async with asyncio.timeout(WITHIN):
            while not condition():
                changed.clear()
                await changed.wait()
    finally:
        forget()
