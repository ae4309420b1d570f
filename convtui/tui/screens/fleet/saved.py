"""A batch that is read from its folder: finished, broken off, or run by another process."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable
from pathlib import Path

from convtui.batch.manifest import BatchFile, read_batch
from convtui.errors import FileError
from convtui.log.reader import is_being_written
from convtui.records.values import as_object
from convtui.tui.screens.fleet.entries import EntryRows
from convtui.tui.screens.fleet.view import Changes, Controls, FleetRow, Standing

_EVERY = 1.0
"""Seconds between two looks at the manifest of a batch that another process runs."""


class SavedFleet:
    """Follows the manifest while another process writes it."""

    def __init__(self, batch: BatchFile) -> None:
        self._batch = batch
        self._entries = EntryRows(batch)
        self._fresh: set[str] = set()
        self._standing_changed = False
        self._callbacks: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._seen = (0, 0)
        """The manifest as it was read last; it may have grown since this batch was read."""
        self.name = batch.name or batch.folder.name
        self.folder: Path = batch.folder

    @property
    def rows(self) -> list[FleetRow]:
        return self._entries.rows

    @property
    def controls(self) -> Controls | None:
        return None

    @property
    def over(self) -> bool:
        return not self._batch.running

    def standing(self) -> Standing:
        batch = self._batch
        budget = as_object(batch.plan.get("budget"))
        tokens, cost = budget.get("tokens"), budget.get("cost")
        return Standing(
            stopped=batch.stopped or "",
            elsewhere=_runner(batch) if batch.running else "",
            most_tokens=tokens if isinstance(tokens, int) else None,
            most_cost=float(cost) if isinstance(cost, int | float) else None,
        )

    def take_changes(self) -> Changes:
        fresh, self._fresh = self._fresh, set()
        standing, self._standing_changed = self._standing_changed, False
        return Changes(self._entries.take(self._batch, fresh) if fresh else [], standing)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback) if callback in self._callbacks else None

    def start(self) -> None:
        if not self.over and self._task is None:
            self._task = asyncio.ensure_future(self._follow())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _follow(self) -> None:
        while not self.over:
            await asyncio.sleep(_EVERY)
            await self.look()

    async def look(self) -> None:
        """Reads the manifest again if it has changed."""
        old = self._batch

        def read() -> tuple[BatchFile, set[str]] | None:
            seen = _stamp(old.path)
            if seen == self._seen and is_being_written(old.path):
                return None
            try:
                new = read_batch(old.folder)
            except FileError:
                return None  # It was moved away: what is known stays.
            self._seen = seen
            fresh = {key for key, entry in new.entries.items() if entry != old.entries.get(key)}
            return new, fresh

        found = await asyncio.to_thread(read)
        if found is None:
            return
        self._batch, fresh = found
        self._fresh |= fresh
        self._standing_changed = True
        for callback in list(self._callbacks):
            callback()


def _runner(batch: BatchFile) -> str:
    """The process that runs a batch, as far as its manifest says."""
    if batch.pid is None:
        return "another process"
    host = f" on {batch.host}" if batch.host and batch.host != platform.node() else ""
    return f"process {batch.pid}{host}"


def _stamp(path: Path) -> tuple[int, int]:
    """What changes with each line."""
    try:
        known = path.stat()
    except OSError:
        return (0, 0)
    return known.st_mtime_ns, known.st_size
