"""A batch that this process runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from convtui.errors import ConvtuiError
from convtui.tui.screens.fleet.entries import EntryRows
from convtui.tui.screens.fleet.view import (
    Block,
    Controls,
    FleetRow,
    Limit,
    OpenHosted,
    Standing,
)

if TYPE_CHECKING:
    from convtui.batch.scheduler import Batch


class LiveFleet:
    """Begins a batch after the first frame, runs it on the app's event loop, and acts on it."""

    def __init__(
        self,
        begin: Callable[[], Batch],
        *,
        name: str = "",
        failed: Callable[[ConvtuiError], None],
        open_hosted: OpenHosted,
    ) -> None:
        """`begin` makes the batch. Blocking; what it raises goes to `failed`, as what it ends with.

        `open_hosted` opens the debugger on a conversation that runs.
        """
        self.name = name
        self.folder = Path()
        self._begin, self._failed, self._open_hosted = begin, failed, open_hosted
        self._batch: Batch | None = None
        self._entries = EntryRows()
        self._callbacks: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._seen = 0
        """Rows that the screen knows of."""
        self._delayed: set[str] = set()
        """Keys of conversations whose worker is blocked by another."""

    @property
    def rows(self) -> list[FleetRow]:
        return self._entries.rows

    # --- its life

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        try:
            batch = await asyncio.to_thread(self._begin)
            self._batch = batch
            self.name, self.folder = batch.file.name or self.name, batch.file.folder
            self._entries.take(batch.file, batch.entries)
            self._unsubscribe = batch.subscribe(self._changed)
            self._changed()
            await batch.run()
        except ConvtuiError as error:
            self._failed(error)
        self._changed()

    @property
    def over(self) -> bool:
        return self._task is not None and self._task.done()

    @property
    def batch(self) -> Batch | None:
        """None until it has begun."""
        return self._batch

    async def end(self) -> None:
        """Ends what still runs, at once; for an app that is left."""
        task, batch = self._task, self._batch
        if task is None or task.done():
            return
        if batch is None:
            task.cancel()
        else:
            batch.kill()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def close(self) -> None:
        self._unsubscribe()

    # --- what is seen

    def _changed(self) -> None:
        for callback in list(self._callbacks):
            callback()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback) if callback in self._callbacks else None

    def take_changes(self) -> Sequence[int]:
        batch = self._batch
        if batch is None:
            return ()
        fresh, batch.changed = batch.changed, set()
        delayed = {key for block in batch.blocked() for key in block.delayed}
        fresh |= delayed ^ self._delayed
        self._delayed = delayed
        changed = self._entries.take(batch.file, fresh)
        for index in changed:
            self.rows[index].delayed = self.rows[index].key in delayed
        known, self._seen = self._seen, len(self.rows)
        return sorted({*changed, *range(known, len(self.rows))})

    def standing(self) -> Standing:
        batch = self._batch
        if batch is None:
            return Standing(starting=True)
        budget, orders = batch.plan.budget, batch.orders
        return Standing(
            paused=orders.paused,
            ending=orders.ending,
            stopped=batch.stopped or "",
            most_tokens=budget.tokens,
            most_cost=budget.cost,
            at_once=batch.at_once,
            limits=[
                Limit(one["key"], one["limit"], one["running"], one["waiting"],
                      bool(one["throttled"]))
                for one in batch.limits()
            ],
            blocks=[
                Block(one.key or "", one.seconds, one.where, len(one.delayed))
                for one in batch.blocked()
            ],
            breaks=orders.breaks,
            old_code=batch.old_code(),
        )  # fmt: skip

    # --- what is done

    @property
    def controls(self) -> Controls | None:
        return None if self._batch is None else LiveControls(self._batch, self._open_hosted)


class LiveControls:
    """Passes on to a batch what the screen asks for."""

    def __init__(self, batch: Batch, open_hosted: OpenHosted) -> None:
        self._batch, self._open_hosted = batch, open_hosted

    def pause_all(self) -> None:
        self._batch.orders.pause_all()

    def resume_all(self) -> None:
        self._batch.orders.resume_all()

    async def end(self, key: str) -> None:
        self._batch.orders.end(key)

    async def stop(self) -> None:
        await self._batch.stop()

    def kill(self) -> None:
        self._batch.kill()

    async def add_break(self, expression: str) -> None:
        self._batch.orders.break_all(expression)

    async def clear_break(self, expression: str) -> None:
        self._batch.orders.clear_break(expression)

    async def reload(self) -> int:
        return await self._batch.reload()

    def filter(self, expression: str) -> None:
        self._batch.orders.filter(expression)

    def open(self, row: FleetRow) -> bool:
        batch, key = self._batch, row.key
        link = batch.link(key)
        if link is None:
            return False
        return self._open_hosted(link, adopt=lambda handle: batch.adopt(key, handle))
