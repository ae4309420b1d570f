"""What the screens remember from one start of the program to the next."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from convtui.errors import ConvtuiError


class SavedState:
    """Named values in a file; without a file nothing is remembered."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._lock = asyncio.Lock()
        self.last_read: dict[str, Any] = {}
        """What was remembered when that was looked at, or added to, last."""

    def read(self) -> dict[str, Any]:
        """All that is remembered. Blocking."""
        if self._file is None:
            return {}
        from convtui.config.paths import read_state

        self.last_read = read_state(self._file)
        return self.last_read

    async def recall(self) -> dict[str, Any]:
        return await asyncio.to_thread(self.read)

    async def remember(self, **what: Any) -> None:
        """Stores values for next time; errors of the disk are ignored."""
        if self._file is None:
            return
        from convtui.config.paths import write_state

        # One after the other: each writes what it has read.
        async with self._lock:
            state = {**await self.recall(), **what}
            self.last_read = state
            with contextlib.suppress(ConvtuiError):
                await asyncio.to_thread(write_state, self._file, state)
