"""The workers of a batch: started when they are needed, replaced when they die."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final

from convtui.batch.work import HowToRun
from convtui.client.worker import Hosted, Worker
from convtui.errors import EngineError

_STARTS_WITHIN: Final = 10.0
"""Seconds that a worker gets to start before it is closed; a kill in between is faster."""
_GIVE_UP_AFTER: Final = 3
"""Workers in a row that cannot be started, after which no other is tried."""


@dataclass(slots=True, eq=False)
class Slot:
    """One worker of the pool."""

    number: int
    """From 1, never used again."""
    worker: Worker
    generation: int
    ready: bool = False
    hosted: set[Hosted] = field(default_factory=set)
    held: int = 0
    """How many of them wait for an answer."""
    limits: dict[str, int] = field(default_factory=dict)
    """The limits that it was told last."""
    apart: bool = False
    """Whether it is for conversations that are suspected to kill it."""
    crowd: int = 0
    """How many may share it then."""
    closing: bool = False
    starting: asyncio.Task[None] | None = None


@dataclass(slots=True)
class PoolEvents:
    """What a pool tells of its workers, on the event loop."""

    ready: Callable[[Slot], None]
    """It can host conversations."""
    over: Callable[[Slot, list[Hosted]], None]
    """It has ended, and those conversations with it."""
    rows: Callable[[list[Hosted]], None]
    ended: Callable[[Slot, Hosted], None]
    used: Callable[[Slot, dict[str, Any]], None]
    blocked: Callable[[Slot, Hosted | None, float, str], None]


class Pool:
    """Up to `size` workers that share the conversations; with `alone` one for each conversation.

    `failure` is why no worker can be started.
    """

    events: PoolEvents
    """Set before `want()` is called."""

    def __init__(self, size: int, how: HowToRun, *, alone: bool) -> None:
        self.size = size
        self.failure: EngineError | None = None
        self.slots: dict[int, Slot] = {}
        self.generation = 1
        self._how = how
        self._alone = alone
        self._number = 0
        self._failures = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def current(self) -> list[Slot]:
        """The slots that take new conversations, those that are starting included."""
        return [slot for slot in self._usable() if not slot.apart]

    def _usable(self) -> list[Slot]:
        return [
            slot
            for slot in self.slots.values()
            if slot.generation == self.generation and not slot.closing
        ]

    def want(self, conversations: int) -> None:
        """Has as many workers as that many conversations at once need, or starts them."""
        wanted = conversations if self._alone else min(self.size, conversations)
        for _ in range(wanted - len(self.current)):
            if self._closed or self.failure is not None:
                return
            self._add()

    def _add(self, *, apart: bool = False) -> None:
        self._number += 1
        port = None if self._how.port is None else self._how.port(self._number)
        worker = Worker(python=self._how.python, port=port)
        slot = Slot(self._number, worker, self.generation, apart=apart)
        self._listen(slot)
        self.slots[slot.number] = slot
        slot.starting = self._spawn(self._start(slot))

    def place(self, at_once: int) -> Slot | None:
        """The worker for the next conversation, out of `at_once` that are to run; None for now.

        Conversations are spread evenly also while some workers are still starting.
        """
        current = self.current
        ready = [slot for slot in current if slot.ready]
        if self._alone:
            return next((slot for slot in ready if not slot.hosted), None)
        if not ready:
            return None
        slot = min(ready, key=lambda slot: (_load(slot), slot.number))
        share = ceil(at_once / len(current)) if len(ready) < len(current) else at_once
        return slot if _load(slot) < share else None

    def place_apart(self, crowd: int) -> Slot | None:
        """A worker for a suspect that shares it with fewer than `crowd` others; None for now."""
        apart = [slot for slot in self._usable() if slot.apart]
        for slot in apart:
            most = min(crowd, slot.crowd) if slot.hosted else crowd
            if slot.ready and len(slot.hosted) < most:
                slot.crowd = most
                return slot
        if len(apart) < max(2, self.size) and not self._closed and self.failure is None:
            self._add(apart=True)
        return None

    def close_apart(self) -> None:
        """Closes the workers of suspects that host none any more."""
        for slot in list(self.slots.values()):
            if slot.apart and slot.ready and not slot.hosted and not slot.closing:
                slot.closing = True
                self._spawn(self._close(slot))

    def renew(self) -> int:
        """Has new conversations hosted by new workers; returns how many run in the old ones."""
        self.generation += 1
        for slot in list(self.slots.values()):
            self.drain(slot)
        return self.old

    @property
    def old(self) -> int:
        """Conversations in workers from before the last `renew()`."""
        return sum(
            len(slot.hosted) for slot in self.slots.values() if slot.generation < self.generation
        )

    def drain(self, slot: Slot) -> None:
        """Closes a worker that hosts nothing and is to host nothing any more."""
        spent = slot.generation < self.generation or (self._alone and slot.ready)
        if spent and not slot.hosted and not slot.closing:
            slot.closing = True
            self._spawn(self._close(slot))

    async def close(self) -> None:
        """Ends all workers; conversations that still run are `interrupted`, with whole logs."""
        self._closed = True
        for slot in list(self.slots.values()):
            if not slot.closing:
                slot.closing = True
                self._spawn(self._close(slot))
        while self._tasks:
            await asyncio.wait(self._tasks)

    def kill(self) -> None:
        """Kills all workers and everything that they have started."""
        self._closed = True
        for slot in self.slots.values():
            slot.worker.kill()

    # --- one worker

    def _listen(self, slot: Slot) -> None:
        worker, events = slot.worker, self.events
        worker.on_rows = events.rows
        worker.on_ended = lambda hosted: self._ended(slot, hosted)
        worker.on_used = lambda calls: events.used(slot, calls)
        worker.on_blocked = lambda hosted, seconds, where: events.blocked(
            slot, hosted, seconds, where
        )
        worker.on_over = lambda lost: self._over(slot, lost)

    async def _start(self, slot: Slot) -> None:
        try:
            await slot.worker.start(env_file=self._how.env_file)
        except EngineError as error:
            if self._closed:
                return
            self._failures += 1
            killed = error.error.get("type") == "EngineDied"
            others = any(other.ready for other in self.current)
            if self._failures >= _GIVE_UP_AFTER or not (killed or others):
                self.failure = error
            self.slots.pop(slot.number, None)
            self.events.over(slot, [])
            return
        self._failures = 0
        slot.ready = True
        self.events.ready(slot)

    async def _close(self, slot: Slot) -> None:
        """Closes a worker once it has started; one that does not start in time is killed."""
        if slot.starting is not None:
            _, late = await asyncio.wait({slot.starting}, timeout=_STARTS_WITHIN)
            if late:
                slot.worker.kill()
        await slot.worker.close()

    def _ended(self, slot: Slot, hosted: Hosted) -> None:
        slot.hosted.discard(hosted)
        self.events.ended(slot, hosted)
        self.drain(slot)

    def _over(self, slot: Slot, lost: list[Hosted]) -> None:
        was_ready = slot.ready
        slot.ready = False
        slot.hosted.clear()
        self.slots.pop(slot.number, None)
        if was_ready or lost:
            self.events.over(slot, lost)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _load(slot: Slot) -> int:
    """Conversations that want processor time: those that are held do not."""
    return len(slot.hosted) - slot.held
