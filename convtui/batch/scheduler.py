"""Runs the conversations of a batch: so many at once, over its workers, until all have ended."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from convtui.batch.aftermath import Aftermath
from convtui.batch.again import Again
from convtui.batch.begin import begun
from convtui.batch.blocks import Block
from convtui.batch.cells import Cell
from convtui.batch.concurrency import AtOnce, CallLimits
from convtui.batch.limiter import Limiter
from convtui.batch.manifest import BatchFile, Entry
from convtui.batch.manifest_writer import ManifestWriter
from convtui.batch.orders import Orders
from convtui.batch.plan import Plan
from convtui.batch.pool import Pool, PoolEvents
from convtui.batch.reports import Reports
from convtui.batch.resume import resumed_work
from convtui.batch.running import Board
from convtui.batch.spending import Spending, Used
from convtui.batch.work import HowToRun, Specs, Work
from convtui.client.engine_client import EngineHandle
from convtui.client.link import ConversationLink
from convtui.log.writer import why_not_written

_LOOK_EVERY = 1.0
_KILL_AFTER = 4.0
"""Seconds that workers get to close their logs when everything is ended at once."""


class Batch:
    """A batch that is run by this process, from `create()` or `resume()` to the end of `run()`.

    Used on one event loop. `file` is what its manifest says so far, `orders` is what can be done to
    its conversations.
    """

    def __init__(
        self,
        plan: Plan,
        cells: Sequence[Cell],
        writer: ManifestWriter,
        how: HowToRun,
        work: Sequence[Work],
        *,
        ended: Sequence[tuple[Work, Entry]] = (),
        spent: Mapping[str, Used] | None = None,
    ) -> None:
        self.plan = plan
        self.how = how
        self.file: BatchFile = writer.batch
        self._writer = writer
        self._cells = cells
        self._queue = deque(work)
        self._suspects: deque[Work] = deque()
        """Conversations that were in a worker when it died."""
        self._ended_before = ended
        self._board = Board(writer)
        self._specs = Specs(self.file.folder, how, list(plan.breakpoints))
        self._spending = Spending(plan.budget, plan.stop_after)
        for entry in self.file.entries.values():
            used = Used(entry.tokens or 0, entry.cost or 0.0, entry.turns or 0)
            self._spending.update(entry.log or entry.key, used)
        for log, before in (spent or {}).items():
            self._spending.update(log, before)
        size = plan.workers or os.cpu_count() or 1
        self._pool = Pool(size, how, alone=plan.isolation == "process")
        limiter = Limiter()
        self._limits = CallLimits(limiter, self._pool, self._board.touch)
        self._at_once = AtOnce(plan.concurrency, limiter)
        self._aftermath = Aftermath(
            self._board,
            self._spending,
            plan.attempts,
            again=self._again,
            settled=self._wake,
            cannot_write=self._stop_starting,
        )
        self.orders = Orders(self._board, self._specs, self._pool, self._wake)
        reports = self._reports = Reports(
            self._board,
            spending=self._spending,
            at_once=self._at_once,
            limits=self._limits,
            aftermath=self._aftermath,
            orders=self.orders,
            wake=self._wake,
        )
        self._pool.events = PoolEvents(
            ready=reports.ready,
            over=reports.over,
            rows=reports.rows,
            ended=reports.ended,
            used=self._limits.used,
            blocked=reports.blocks.take,
        )
        self._awake = asyncio.Event()
        self._over = asyncio.Event()
        self._stopped: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    def create(
        cls,
        plan: Plan,
        cells: Sequence[Cell],
        folder: Path,
        *,
        record: dict[str, Any],
        how: HowToRun | None = None,
    ) -> Batch:
        """Begins a batch in a folder; `record` is the plan as the manifest keeps it. Blocking.

        Raises `BatchLocked` and `FileError`.
        """
        writer, work = begun(plan, cells, folder, record)
        return cls(plan, cells, writer, how or HowToRun(), work)

    @classmethod
    def resume(
        cls,
        plan: Plan,
        cells: Sequence[Cell],
        folder: Path,
        *,
        record: dict[str, Any],
        how: HowToRun | None = None,
        again: Again | None = None,
    ) -> Batch:
        """Goes on with the batch of a folder, with a plan that may have changed. Blocking.

        Conversations that have ended are left alone but for those in `again`, those that had begun
        go on where their provider allows it, those of changed cells begin anew. Raises
        `BatchLocked` and `FileError`.
        """
        writer = ManifestWriter.reopen(folder)
        resumed = resumed_work(writer, plan, cells, record, again)
        ended = resumed.ended if plan.attempts is not None else []
        return cls(
            plan,
            cells,
            writer,
            how or HowToRun(),
            resumed.work,
            ended=ended,
            spent=resumed.spent,
        )

    # --- for screens and commands

    @property
    def entries(self) -> dict[str, Entry]:
        """All conversations by key, in the order of the plan; later attempts after them."""
        return self.file.entries

    @property
    def changed(self) -> set[str]:
        """Keys of what changed since somebody last put an empty set in its place."""
        return self._board.changed

    @changed.setter
    def changed(self, keys: set[str]) -> None:
        self._board.changed = keys

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls back on the loop after changes; call the result to unsubscribe."""
        return self._board.subscribe(callback)

    def link(self, key: str) -> ConversationLink | None:
        """The handle on a conversation that runs: its worker's, or that of its own engine."""
        running = self._board.running.get(key)
        return None if running is None else running.link

    @property
    def used(self) -> Used:
        """Tokens, cost and turns of all conversations, those included that count no more."""
        return self._spending.total

    @property
    def budget_exceeded(self) -> str | None:
        """Which limit of the budget is used up, in words; also where that stops nothing."""
        return self._spending.exceeded

    @property
    def at_once(self) -> int:
        """How many conversations may run at once."""
        return self._at_once.value

    @property
    def stopped(self) -> str | None:
        """Why no conversation is started any more."""
        return self._stopped

    @property
    def over(self) -> bool:
        """Whether `run()` has nothing more to do."""
        return self._over.is_set()

    @property
    def pids(self) -> dict[int, int]:
        """The processes of the workers on this machine, by number."""
        pids = {number: slot.worker.pid for number, slot in self._pool.slots.items()}
        return {number: pid for number, pid in pids.items() if pid is not None}

    def limits(self) -> list[dict[str, Any]]:
        """Each endpoint that was called: `{key, limit, running, waiting, throttled, paused}`."""
        return self._limits.as_list()

    def blocked(self) -> list[Block]:
        """The workers whose event loop is blocked by provider code."""
        return list(self._reports.blocks.now.values())

    async def reload(self) -> int:
        """Has conversations that begin from now on run the provider's code as it is now.

        Returns how many run the old code. Raises `EngineError`, changing nothing, where a provider
        cannot be loaded.
        """
        scenarios = [cell.scenario for cell in self._cells if cell.scenario is not None]
        return await self.orders.reload(scenarios, self.how.python)

    def old_code(self) -> int:
        """Conversations that run in workers from before the last reload."""
        return self._pool.old

    # --- the run

    async def run(self) -> None:
        """Runs until every conversation has ended, or the batch has stopped.

        Raises `EngineError` when no worker can be started.
        """
        loop = asyncio.get_running_loop()

        def on_error(error: OSError) -> None:
            why = f"cannot write the manifest: {why_not_written(error)}"
            loop.call_soon_threadsafe(self._stop_starting, why)

        self._writer.on_error = on_error
        watch = asyncio.ensure_future(self._watch())
        try:
            for work, entry in self._ended_before:
                self._spawn(self._aftermath.attempt_after(work, entry))
            while True:
                self._fill()
                if self._is_done():
                    break
                self._awake.clear()
                await self._awake.wait()
            self._finish()
        finally:
            watch.cancel()
            self._limits.close()
            await self._pool.close()
            await asyncio.to_thread(self._writer.close)
            self._over.set()
            self._board.touch()
        if self._pool.failure is not None:
            raise self._pool.failure

    async def stop(self, reason: str = "interrupted at the keyboard") -> None:
        """Starts no more conversations and ends those that run after their turn.

        Returns when all have ended. They are gone on with when the batch is resumed.
        """
        self._stop_starting(reason)
        self.orders.end_all(reason)
        await self._over.wait()

    def kill(self) -> None:
        """Ends everything at once; logs are closed where that is possible within seconds."""
        self._stop_starting("interrupted at the keyboard")
        if not self._aftermath.closing:
            self._aftermath.closing = True
            for running in self._board.running.values():
                # A resume goes on with them, as with those that `stop()` ends.
                running.by_batch = True
            self._spawn(self._end_now())

    def adopt(self, key: str, handle: EngineHandle) -> bool:
        """A conversation of the batch goes on in an engine of its own, which the batch ends.

        False for one that the batch does not follow: it was over, or it is being run again.
        """
        running = self._board.running.get(key)
        if running is None or running.moving is None:
            return False
        self._reports.adopt(running, handle)
        return True

    # --- which begins when

    def _fill(self) -> None:
        """Begins as many conversations as may run."""
        while self._suspects and self._may_start() and self._board.active < self._at_once.value:
            slot = self._pool.place_apart(self._suspects[0].crowd or 1)
            if slot is None:
                break
            work = self._suspects.popleft()
            self._reports.begin(work, self._specs.of(work), slot)
        if not self._suspects:
            self._pool.close_apart()
        while self._queue and self._may_start():
            work = self._queue[0]
            if work.cell.scenario is None:
                self._queue.popleft()
                self._aftermath.refuse(work, work.cell.error or "its cell cannot run")
                continue
            active, most = self._board.active, self._at_once.value
            if active >= most:
                return
            wanted = min(most, active + len(self._queue))
            self._pool.want(wanted + len(self._board.running) - active)
            slot = self._pool.place(wanted)
            if slot is None:
                return
            self._queue.popleft()
            self._reports.begin(work, self._specs.of(work), slot)

    def _may_start(self) -> bool:
        if self._stopped is None:
            reason = self._spending.reason_to_stop()
            if reason is not None:
                self._stop_starting(reason)
        if self._stopped is not None or self.orders.paused or self._pool.failure is not None:
            return False
        return not self._spending.too_many(self._board.held_by_errors)

    def _again(self, work: Work) -> None:
        if work.crowd is not None:
            self._suspects.append(work)
        else:
            # Before what has not begun yet: its run is nearly over.
            self._queue.appendleft(work)
        self._board.entry(work.key)
        self._board.touch(work.key)

    def _is_done(self) -> bool:
        if self._board.running or self._aftermath.busy or self._tasks:
            return False
        waiting = self._queue or self._suspects
        return not waiting or self._stopped is not None or self._pool.failure is not None

    def _finish(self) -> None:
        left = ("stopped", "crashed")
        if all(entry.over and entry.status not in left for entry in self.entries.values()):
            self._board.add("finished")
        elif self._pool.failure is not None and self._stopped is None:
            self._stop_starting(f"no worker can be started: {self._pool.failure}")

    def _stop_starting(self, reason: str) -> None:
        if self._stopped is None:
            self._stopped = reason
            self._board.add("stopped", why=reason)
            self._wake()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            self._reports.blocks.look_at(self._pool.slots.values())

    async def _end_now(self) -> None:
        closing = asyncio.ensure_future(self._pool.close())
        handles = [
            running.link
            for running in self._board.running.values()
            if isinstance(running.link, EngineHandle)
        ]
        ends = [asyncio.ensure_future(handle.close()) for handle in handles]
        await asyncio.wait({closing, *ends}, timeout=_KILL_AFTER)
        if not closing.done():
            self._pool.kill()
            await closing
        for running in list(self._board.running.values()):
            if running.moving is not None:
                running.moving.set()
                self._aftermath.abandon(running)

    def _wake(self) -> None:
        self._awake.set()
        self._board.touch()

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake()
