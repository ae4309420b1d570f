"""Replays a saved conversation."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from convtui.files.collecting import uncollected
from convtui.log.detail import TurnDetail, fold_until, sort_records
from convtui.log.reader import LogReader
from convtui.tui.sources.log_records import Records
from convtui.tui.sources.source import Notify

if TYPE_CHECKING:
    from convtui.records.codec import RecordDict
    from convtui.transcript.fold import Turn

LONG = 8 << 20
"""Bytes of a log from which on a process of its own folds it."""
SLICE = 0.004
"""Seconds of reading per iteration of the event loop."""
ITERATIONS = 8
"""Iterations of the event loop between two slices: without anything to do they take no time, where
a sleep would take a fifth of it."""
WAY = 0.05
"""Seconds for which reading stops at most, for something else that has to be done."""
PROGRESS_EVERY = 0.4
"""Seconds between updates of the screen while the log is read."""
FOLLOW_EVERY = 0.25
"""Seconds between reads of a log that another process is still writing."""
LONGEST_GAP = 2.0
"""Maximum seconds that playback waits, however long the recorded pause was."""
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(slots=True, frozen=True)
class Step:
    """A position inside a turn where replay can stop: after record `seq`, at `t` seconds."""

    stage: str
    seq: int
    t: float


_STEP_STAGES = {
    "turn.started": "request",
    "llm.request": "request",
    "llm.response": "response",
    "llm.failed": "response",
    "tool.returned": "tools",
    "signals.extracted": "signals",
    "response.processed": "post_process",
    "turn.discarded": "discard",
    "turn.committed": "commit",
    "session.ended": "terminate",
}


def steps_of(records: list[RecordDict]) -> list[Step]:
    """The positions inside a turn where replay can stop, in order; the last is its end."""
    steps: list[Step] = []
    for record in records:
        stage = _STEP_STAGES.get(str(record.get("type")))
        if stage is None:
            continue
        step = Step(stage, int(record.get("seq", 0)), float(record.get("t", 0.0)))
        if steps and steps[-1].stage == stage:
            steps[-1] = step
        else:
            steps.append(step)
    if records:
        last = records[-1]
        end = Step("terminate", int(last.get("seq", 0)), float(last.get("t", 0.0)))
        if not steps or steps[-1].seq < end.seq:
            steps.append(end)
    return steps


class Folding(Protocol):
    """Another process that reads the log, as far as it goes well (`convtui.log.folding`)."""

    @property
    def identity(self) -> tuple[int, int] | None:
        """Device and number of the file that it reads."""

    def steps(self) -> AsyncGenerator[bytes]:
        """What it has read, for `take_step()`."""

    def close(self) -> None:
        """Ends it."""


class ReplaySource:
    """A saved conversation with transport controls. Raises `LogError` if it cannot be opened.

    `load()` reads it in slices, then follows it while another process writes it. The cursor is
    `position` (index of the last shown turn) and `stage` (None shows that turn whole); without a
    position everything is shown.
    """

    live = False

    def __init__(
        self,
        path: Path | str,
        *,
        speed: float = 1.0,
        folds: Path | None = None,
        folding: Folding | None = None,
    ) -> None:
        """`folds` is the folder in which the folds of long logs are remembered; `folding` is a
        process that folds this log already."""
        self.reader = LogReader(path)
        self._folds = folds
        self._folding = folding
        self.transcript = self.reader.transcript
        self.speed = speed
        self.position: int | None = None
        self.step = -1
        self.steps: list[Step] = []
        self.limit_turn: Turn | None = None
        self.playing = False
        self.loading = True
        self.running = False
        """Whether another process is writing this log."""
        self.findings: list[str] = []
        self.gives_way: Callable[[], bool] = lambda: False
        """Whether something has to be done before reading goes on, such as drawing a key."""
        self._records = Records()
        self._cursor_records: list[RecordDict] = []
        self._subscribers: list[Notify] = []
        self._play_task: asyncio.Task[None] | None = None
        self._load_task: asyncio.Task[None] | None = None
        self._closed = False
        self._notified_at = 0.0

    @property
    def is_long(self) -> bool:
        """Whether a process of its own folds it."""
        return self._folding is not None or self.reader.size >= LONG

    @property
    def path(self) -> Path:
        return self.reader.path

    @property
    def changed(self) -> set[int]:
        """Indexes of turns that have changed; whoever draws them clears the set."""
        return self.reader.changed

    @property
    def limit(self) -> int | None:
        """Index of the last shown turn; None shows all."""
        return self.position

    @property
    def progress(self) -> float:
        """The fraction of the file that has been read, 0.0 to 1.0."""
        return min(1.0, self.reader.position / max(1, self.reader.size))

    @property
    def stage(self) -> str | None:
        """The stage of the cursor inside its turn; None when the turn is shown whole."""
        if self.position is None or not 0 <= self.step < len(self.steps) - 1:
            return None
        return self.steps[self.step].stage

    @property
    def cursor_time(self) -> float | None:
        """Seconds on the log's clock at the cursor; None when everything is shown."""
        if self.position is None:
            return None
        turn = self.transcript.turns[self.position]
        # The records of a turn that a parent log has are on that log's clock.
        if turn.first >= 0 and 0 <= self.step < len(self.steps):
            return self.steps[self.step].t
        return turn.started

    @property
    def at_end(self) -> bool:
        return self.position is None

    def subscribe(self, callback: Notify) -> Callable[[], None]:
        """Calls `callback` on the event loop after changes; returns the unsubscribe function."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._subscribers.remove(callback)

        return unsubscribe

    def _notify(self) -> None:
        for callback in list(self._subscribers):
            callback()

    # --- reading

    def start(self) -> None:
        """Begins reading on the running event loop."""
        if self._load_task is None:
            self._load_task = asyncio.ensure_future(self.load())
            self._load_task.add_done_callback(self._load_ended)

    def _load_ended(self, task: asyncio.Task[None]) -> None:
        """Reports a log that can no longer be read; what was read stays."""
        if task.cancelled() or task.exception() is None:
            return
        self.loading = self.running = False
        self.findings = [f"reading stopped: {task.exception()}"]
        self._notify()

    async def load(self) -> None:
        """Reads the log in slices, then follows it while another process writes it."""
        await self._take_steps()
        while self.reader.advance(SLICE):
            self._notify_progress()
            await self._give_way()
        self.loading = False
        gc.freeze()
        await self._finish_reading()
        while self.running and not self._closed:
            await asyncio.sleep(FOLLOW_EVERY)
            before = self.transcript.records
            while self.reader.advance(SLICE):  # noqa: ASYNC110  (work, not waiting)
                await asyncio.sleep(0)
            if self.transcript.records != before:
                self._notify()
            elif not await asyncio.to_thread(lambda: self.reader.running):
                # Whatever was written between the last read and the writer's exit.
                self.reader.advance()
                await self._finish_reading()

    async def _take_steps(self) -> None:
        """Has a long log folded by a process of its own, as far as that goes well."""
        if not self.is_long:
            return
        take_step = await asyncio.to_thread(self._start_folding)
        if self._folding is None:
            return
        slice_ends = 0.0
        async with contextlib.aclosing(self._folding.steps()) as steps:
            async for step in steps:
                if self._folding.identity != self.reader.identity:
                    return
                try:
                    with uncollected():
                        take_step(self.reader, step)
                except ValueError:
                    return
                # What was read stays; looking through it again and again would freeze the screen.
                gc.freeze()
                self._notify_progress()
                if time.perf_counter() >= slice_ends:
                    await self._give_way()
                    slice_ends = time.perf_counter() + SLICE

    async def _give_way(self) -> None:
        # A key press needs several iterations of the loop before it is known that there is one.
        for _ in range(ITERATIONS):
            await asyncio.sleep(0)
        until = time.monotonic() + WAY
        while self.gives_way() and time.monotonic() < until:  # noqa: ASYNC110  (nothing notifies)
            await asyncio.sleep(0.004)

    def _start_folding(self) -> Callable[[LogReader, bytes], None]:
        from convtui.log.folding.process import FoldProcess
        from convtui.log.folding.steps import take_step

        if self._folding is None:
            with contextlib.suppress(OSError):
                self._folding = FoldProcess(self.path, self._folds)
        return take_step

    def _notify_progress(self) -> None:
        # A frame costs as much as reading a thousand turns, so progress updates are rare.
        now = time.monotonic()
        if now - self._notified_at >= PROGRESS_EVERY:
            self._notified_at = now
            self._notify()
            gc.freeze()

    async def _finish_reading(self) -> None:
        self.running = await asyncio.to_thread(lambda: self.reader.running)
        findings = await asyncio.to_thread(self.reader.finish)
        self.findings = [str(finding) for finding in findings]
        if not self.running and not self.transcript.complete:
            turn = self.transcript.abandon("the run ended here")
            if turn is not None:
                self.changed.add(turn.index)
        self._notify()

    async def detail(self, turn: Turn) -> TurnDetail:
        """Everything the log records about a turn, up to the cursor."""
        if turn.index == self.position and self.stage is not None:
            return self.partial_detail()
        return await self._records.detail(self.path, self.transcript, turn)

    def partial_detail(self) -> TurnDetail:
        """What the log records about the cursor's turn, up to the cursor."""
        assert self.position is not None
        turn = self.transcript.turns[self.position]
        end = self.steps[self.step].seq
        kept = [r for r in self._cursor_records if int(r.get("seq", 0)) <= end]
        return sort_records(turn.session, turn.number, turn.speaker, kept)

    async def messages(self, request: RecordDict, log: Path | None = None) -> list[Any]:
        return await self._records.messages(self.path, self.transcript, request, log)

    def records(self, turn: Turn) -> TurnDetail:
        """What the log records about a turn, without the wire. Blocking."""
        return self._records.read(self.path, self.transcript, turn)

    def raw(self, turn: Turn) -> str | None:
        """The raw reply of a turn. Blocking."""
        return self._records.raw(self.path, self.transcript, turn)

    def close(self) -> None:
        """Stops reading and playing, and closes the file."""
        self._closed = True
        for task in (self._play_task, self._load_task):
            if task is not None:
                task.cancel()
        if self._folding is not None:
            self._folding.close()
        self._records.close()
        self.reader.close()
        # What load() froze can be collected now, and the screen that showed it.
        gc.unfreeze()

    # --- the cursor

    async def go_to(self, index: int | None, step: int | None = None) -> None:
        """Moves the cursor to a turn, and to its stage number `step` (None: after all of them)."""
        if index is None or not self.transcript.turns:
            self.position, self.step, self.steps, self.limit_turn = None, -1, [], None
            self._notify()
            return
        index = max(0, min(index, len(self.transcript.turns) - 1))
        if index != self.position or not self.steps:
            turn = self.transcript.turns[index]
            detail = await self._records.detail(self.path, self.transcript, turn)
            self._cursor_records = detail.records
            self.steps = steps_of(detail.records)
        self.position = index
        last = len(self.steps) - 1
        self.step = last if step is None else max(0, min(step, last))
        self.limit_turn = self._partial(index) if self.step < last else None
        self._notify()

    def _partial(self, index: int) -> Turn | None:
        end = self.steps[self.step].seq
        turn = fold_until(self._cursor_records, lambda r: int(r.get("seq", 0)) <= end)
        if turn is not None:
            whole = self.transcript.turns[index]
            turn.index, turn.first, turn.last = index, whole.first, whole.last
            # The view caches by version, so every step inside the turn needs its own.
            turn.version = whole.version * 1000 + self.step + 1
        return turn

    async def next_stage(self) -> bool:
        """Moves one stage forward; False at the end."""
        if self.position is None:
            return False
        if self.step < len(self.steps) - 1:
            await self.go_to(self.position, self.step + 1)
            return True
        if self.position + 1 < len(self.transcript.turns):
            await self.go_to(self.position + 1, 0)
            return True
        return False

    async def next_turn(self) -> bool:
        """Moves to the end of the next turn, or of this one from inside it; False at the end."""
        if self.position is None:
            return False
        if self.stage is not None:
            await self.go_to(self.position)
            return True
        if self.position + 1 < len(self.transcript.turns):
            await self.go_to(self.position + 1)
            return True
        return False

    async def previous_turn(self) -> bool:
        """Moves to the end of the previous turn; False at the start."""
        position = len(self.transcript.turns) if self.position is None else self.position
        if position <= 0:
            return False
        await self.go_to(position - 1)
        return True

    def change_speed(self, direction: int) -> float:
        """Selects the next faster (1) or slower (-1) speed and returns it."""
        nearest = min(range(len(SPEEDS)), key=lambda index: abs(SPEEDS[index] - self.speed))
        self.speed = SPEEDS[max(0, min(nearest + direction, len(SPEEDS) - 1))]
        self._notify()
        return self.speed

    # --- playing

    def play(self) -> None:
        """Plays from the cursor, or from the first turn when everything is shown."""
        if not self.playing and self.transcript.turns:
            self.playing = True
            self._play_task = asyncio.ensure_future(self._play())
            self._notify()

    def pause(self) -> None:
        """Stops playing at the cursor."""
        if self.playing:
            self.playing = False
            if self._play_task is not None:
                self._play_task.cancel()
                self._play_task = None
            self._notify()

    async def _play(self) -> None:
        try:
            if self.position is None:
                await self.go_to(0, 0)
            while True:
                before = self._now()
                if self.step < len(self.steps) - 1:
                    after = self.steps[self.step + 1].t
                elif self.position is not None and self.position + 1 < len(self.transcript.turns):
                    after = self.transcript.turns[self.position + 1].started
                else:
                    break
                gap = min(LONGEST_GAP, max(0.0, after - before)) / max(self.speed, 0.01)
                await asyncio.sleep(gap)
                if not await self.next_stage():
                    break
        finally:
            self.playing = False
        if self.running:
            # Playback has caught up with a conversation that is still running: follow it.
            self.position, self.steps, self.limit_turn = None, [], None
        self._notify()

    def _now(self) -> float:
        if 0 <= self.step < len(self.steps):
            return self.steps[self.step].t
        if self.position is not None:
            return self.transcript.turns[self.position].started
        return 0.0
