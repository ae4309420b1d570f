"""A batch that is read from its folder: finished, broken off, or run by another process."""

from __future__ import annotations

import asyncio
import gc
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from convtui.batch.manifest import BatchFile, read_batch
from convtui.errors import FileError
from convtui.log.lock import is_being_written
from convtui.records.values import as_object
from convtui.tui.screens.fleet.entries import EntryRows
from convtui.tui.screens.fleet.view import Controls, FleetRow, Standing

_EVERY = 1.0
"""Seconds between two looks at the manifest of a batch that another process runs."""


class SavedFleet:
    """Reads the manifest after the first frame, and follows it while another process writes it."""

    def __init__(self, folder: Path, *, failed: Callable[[FileError], None]) -> None:
        """`failed` is told why there is nothing to read."""
        self.name = ""
        self.folder = folder
        self._failed = failed
        self._batch: BatchFile | None = None
        self._entries = EntryRows()
        self._fresh: list[int] = []
        self._callbacks: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._seen = (0, 0)
        """The manifest as it was when it was last read; it may have grown since."""

    @property
    def rows(self) -> list[FleetRow]:
        return self._entries.rows

    @property
    def controls(self) -> Controls | None:
        return None

    @property
    def over(self) -> bool:
        return self._batch is not None and not self._batch.running

    def standing(self) -> Standing:
        batch = self._batch
        if batch is None:
            return Standing(starting=True)
        budget = as_object(batch.plan.get("budget"))
        tokens, cost = budget.get("tokens"), budget.get("cost")
        return Standing(
            stopped=batch.stopped or "",
            elsewhere=_runner(batch) if batch.running else "",
            most_tokens=tokens if isinstance(tokens, int) else None,
            most_cost=float(cost) if isinstance(cost, int | float) else None,
        )

    def take_changes(self) -> Sequence[int]:
        fresh, self._fresh = self._fresh, []
        return sorted(set(fresh))

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback) if callback in self._callbacks else None

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.ensure_future(self._follow())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _follow(self) -> None:
        try:
            await self.look()
        except FileError as error:
            self._failed(error)
            return
        while not self.over:
            await asyncio.sleep(_EVERY)
            try:
                await self.look()
            except FileError:
                continue  # It was moved away: what is known stays.

    async def look(self) -> None:
        """Reads the manifest if it has changed. Raises `FileError`."""
        found = await asyncio.to_thread(self._read)
        if found is None:
            return
        batch, fresh, made = found
        if made is not None:
            # The list is known to those who draw it.
            made.rows, rows = self._entries.rows, made.rows
            made.rows.extend(rows)
            self._entries = made
            self._fresh += range(len(rows))
        else:
            self._fresh += self._entries.take(batch, fresh)
        self._batch, self.name = batch, batch.name
        for callback in list(self._callbacks):
            callback()

    def _read(self) -> tuple[BatchFile, Iterable[str], EntryRows | None] | None:
        """The batch as it is now and the keys of what has changed, or all its rows at first."""
        old = self._batch
        if old is None:
            with _no_garbage():
                batch = read_batch(self.folder)
                return batch, (), EntryRows(batch)
        seen = _stamp(old.path)
        if seen == self._seen and is_being_written(old.path):
            return None
        batch, self._seen = read_batch(old.folder), seen
        known = old.entries
        return batch, [key for key, it in batch.entries.items() if it != known.get(key)], None


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Spares the garbage collector many objects of which nearly all stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


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
