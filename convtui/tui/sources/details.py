"""What the log says about the turns on the screen, read in the background and kept."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from convtui.errors import LogError
from convtui.log.detail import TurnDetail
from convtui.transcript.fold import Turn
from convtui.tui.sources.source import Source

_KEPT = 200


class DetailCache:
    """Gives what is known of a turn at once and reads the rest; `loaded(index)` tells when."""

    def __init__(self, source: Source, loaded: Callable[[int], None]) -> None:
        self.source = source
        self._loaded = loaded
        self._kept: OrderedDict[int, tuple[int, TurnDetail]] = OrderedDict()
        self._wanted: dict[int, Turn] = {}
        self._task: asyncio.Task[None] | None = None

    def get(self, turn: Turn) -> TurnDetail | None:
        """What is known; asks for more when the turn has gone on since."""
        found = self._kept.get(turn.index)
        if found is None or found[0] != turn.last:
            self._wanted[turn.index] = turn
            if self._task is None or self._task.done():
                self._task = asyncio.ensure_future(self._read())
            # Something that is a little old is better than nothing.
        return found[1] if found is not None else None

    def knows(self, turn: Turn) -> bool:
        """Whether something is known of a turn already."""
        return turn.index in self._kept

    async def _read(self) -> None:
        while self._wanted:
            # The turn asked for last is the one on the screen now.
            index, turn = self._wanted.popitem()
            last = turn.last
            try:
                detail = await self.source.detail(turn)
            except (LogError, OSError, ValueError):
                continue
            self._kept[index] = (last, detail)
            self._kept.move_to_end(index)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            self._loaded(index)

    @property
    def reading(self) -> bool:
        """Whether something that was asked for has yet to be read."""
        return bool(self._wanted) or (self._task is not None and not self._task.done())

    def close(self) -> None:
        """Stops reading."""
        self._wanted.clear()
        if self._task is not None:
            self._task.cancel()
