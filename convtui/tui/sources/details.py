"""Reads details of turns from the log in the background, and caches them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from convtui.errors import LogError

if TYPE_CHECKING:
    from convtui.log.detail import TurnDetail
    from convtui.transcript.fold import Turn
    from convtui.tui.sources.source import Source

_KEPT = 200


class DetailCache:
    """Returns cached details at once and reads the rest; `loaded(index)` is called after a read."""

    def __init__(self, source: Source, loaded: Callable[[int], None]) -> None:
        self.source = source
        self._loaded = loaded
        self._kept: OrderedDict[int, tuple[int, TurnDetail]] = OrderedDict()
        self._wanted: dict[int, Turn] = {}
        self._task: asyncio.Task[None] | None = None

    def get(self, turn: Turn) -> TurnDetail | None:
        """The cached detail of a turn; starts reading when the turn has changed since."""
        cached = self._kept.get(turn.index)
        if cached is None or cached[0] != turn.last:
            self._wanted[turn.index] = turn
            if self._task is None or self._task.done():
                self._task = asyncio.ensure_future(self._read())
            # A slightly outdated detail is better than none.
        return cached[1] if cached is not None else None

    def has(self, turn: Turn) -> bool:
        """Whether any detail of a turn is cached."""
        return turn.index in self._kept

    async def _read(self) -> None:
        while self._wanted:
            # The turn requested last is the one on screen now.
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
        """Whether a requested read has not finished."""
        return bool(self._wanted) or (self._task is not None and not self._task.done())

    def close(self) -> None:
        self._wanted.clear()
        if self._task is not None:
            self._task.cancel()
