"""Waiting for an engine, in tests with real ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from convtui.client.link import ConversationLink

WITHIN = 120
"""Seconds after which a test that waits has failed; nothing takes that long on any machine."""


async def when(handle: ConversationLink, condition: Callable[[], bool]) -> None:
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
