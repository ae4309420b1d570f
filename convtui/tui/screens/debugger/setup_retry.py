"""Tries a hook that failed before anything was said again, with the code as it is saved now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from convtui.records.codec import RecordDict
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.sources import watch


class SetupRetry:
    """Answers "try again" with a reload where the code was changed since it was loaded.

    A save reloads the code by itself, but the key may come sooner than the watcher.
    """

    def __init__(self, context: DebuggerContext, reload: Callable[[], Awaitable[None]]) -> None:
        self._conversation = context.conversation
        self._reload = reload
        self.loaded: watch.Stamp = {}
        """The files of the code as the engine has loaded them."""

    @property
    def waits(self) -> bool:
        """Whether a hook failed before anything was said: a reload loses nothing."""
        hold = self._conversation.hold or {}
        if hold.get("reason") != "error" or hold.get("turn") is not None:
            return False
        return hold.get("stage") == "setup" or not self._conversation.has_turns

    async def answer(self, choice: str, hold: RecordDict) -> bool:
        """Reloads; False where the code is as it was loaded, or this is about something else."""
        loaded = self.loaded
        if choice != "again" or not self.waits or not loaded:
            return False
        if await asyncio.to_thread(watch.stamp, loaded) == loaded:
            return False
        await self._reload()
        return True
