"""A saved conversation with transport controls."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convtui.log.detail import TurnDetail, fold_until, sort_records
from convtui.log.reader import LogReader
from convtui.records.codec import RecordDict
from convtui.transcript.fold import OPEN, Turn
from convtui.tui.sources.source import Notify, Records

SLICE = 0.004
"""Seconds of reading per turn of the event loop."""
PROGRESS_EVERY = 0.25
"""Seconds between two looks at what has been read so far."""
FOLLOW_EVERY = 0.25
"""Seconds between two looks at a log that another process is still writing."""
LONGEST_GAP = 2.0
"""Seconds that playing waits at the most, however long the recorded pause was."""
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(slots=True, frozen=True)
class Step:
    """A place inside a turn at which replay can stand: after record `seq`, `t` seconds in."""

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
    """Where replay can stand inside a turn, in order; the last is always its end."""
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


class ReplaySource:
    """A saved conversation, with transport controls. Raises `LogError` when it cannot be opened.

    `load()` reads it in slices and then follows it while another process writes it. The cursor is
    `position` (index of the last shown turn) and `stage` (None shows that turn whole); without a
    position everything is shown.
    """

    live = False

    def __init__(self, path: Path | str, *, speed: float = 1.0) -> None:
        self.reader = LogReader(path)
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
        self._records = Records()
        self._cursor_records: list[RecordDict] = []
        self._subscribers: list[Notify] = []
        self._play_task: asyncio.Task[None] | None = None
        self._load_task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def path(self) -> Path:
        """Where the log is."""
        return self.reader.path

    @property
    def changed(self) -> set[int]:
        """Indexes of turns that changed; whoever draws them clears it."""
        return self.reader.changed

    @property
    def limit(self) -> int | None:
        """Index of the last shown turn; None shows all."""
        return self.position

    @property
    def progress(self) -> float:
        """How much of the file has been read, 0.0 to 1.0."""
        return min(1.0, self.reader.position / max(1, self.reader.size))

    @property
    def stage(self) -> str | None:
        """The stage at which the cursor stands inside its turn; None: after all of them."""
        if self.position is None or not 0 <= self.step < len(self.steps) - 1:
            return None
        return self.steps[self.step].stage

    @property
    def at_end(self) -> bool:
        """Whether nothing is hidden."""
        return self.position is None

    def subscribe(self, callback: Notify) -> Callable[[], None]:
        """Calls back on the loop after changes; returns what ends that."""
        self._subscribers.append(callback)

        def forget() -> None:
            with contextlib.suppress(ValueError):
                self._subscribers.remove(callback)

        return forget

    def _notify(self) -> None:
        for callback in list(self._subscribers):
            callback()

    # --- reading

    def start(self) -> None:
        """Begins to read, on the running loop."""
        if self._load_task is None:
            self._load_task = asyncio.ensure_future(self.load())
            self._load_task.add_done_callback(self._load_ended)

    def _load_ended(self, task: asyncio.Task[None]) -> None:
        """A log that cannot be read any more is said so; what was read stays."""
        if task.cancelled() or task.exception() is None:
            return
        self.loading = self.running = False
        self.findings = [f"reading stopped: {task.exception()}"]
        self._notify()

    async def load(self) -> None:
        """Reads what is there in slices, then follows the log while somebody writes it."""
        told = 0.0
        while self.reader.advance(SLICE):
            # A frame costs as much as reading a thousand turns: progress is shown now and then.
            if time.monotonic() - told >= PROGRESS_EVERY or not told:
                self._notify()
                told = time.monotonic()
                # What was read stays; looking at it for cycles again and again stops the screen.
                gc.freeze()
            # A key takes many turns of the loop until it is seen: they all fit in here.
            await asyncio.sleep(0.001)
        self.loading = False
        gc.freeze()
        await self._judge()
        while self.running and not self._closed:
            await asyncio.sleep(FOLLOW_EVERY)
            before = self.transcript.records
            while self.reader.advance(SLICE):  # noqa: ASYNC110  (work, not waiting)
                await asyncio.sleep(0)
            if self.transcript.records != before:
                self._notify()
            elif not await asyncio.to_thread(lambda: self.reader.running):
                # What was written between the last look and the end of the writer.
                self.reader.advance()
                await self._judge()

    async def _judge(self) -> None:
        self.running = await asyncio.to_thread(lambda: self.reader.running)
        findings = await asyncio.to_thread(self.reader.finish)
        self.findings = [str(finding) for finding in findings]
        if not self.running and not self.transcript.complete:
            left = self.transcript.abandon("the run ended here")
            if left is not None:
                self.changed.add(left.index)
        self._notify()

    async def detail(self, turn: Turn) -> TurnDetail:
        """Everything the log says about a turn, up to the cursor."""
        if turn.index == self.position and self.stage is not None:
            return self.partial_detail()
        return await self._records.detail(self.path, self.transcript, turn)

    def partial_detail(self) -> TurnDetail:
        """What the log says about the cursor's turn, up to the cursor."""
        assert self.position is not None
        turn = self.transcript.turns[self.position]
        end = self.steps[self.step].seq
        kept = [r for r in self._cursor_records if int(r.get("seq", 0)) <= end]
        return sort_records(turn.session, turn.number, turn.speaker, kept)

    async def messages(self, request: RecordDict, log: Path | None = None) -> list[Any]:
        """The exact messages of an `llm.request`."""
        return await self._records.messages(self.path, self.transcript, request, log)

    def records(self, turn: Turn) -> TurnDetail:
        """What the log says about a turn, without the wire. Blocking, for threads."""
        return self._records.read(self.path, self.transcript, turn)

    def raw(self, turn: Turn) -> str | None:
        """The raw reply of a turn. Blocking, for threads."""
        return self._records.raw(self.path, self.transcript, turn)

    def close(self) -> None:
        """Stops reading and playing and closes the file."""
        self._closed = True
        for task in (self._play_task, self._load_task):
            if task is not None:
                task.cancel()
        self._records.close()
        self.reader.close()
        # What was kept from the collector when it was read can go now, and the screen of it, too.
        gc.unfreeze()

    # --- the cursor

    async def go_to(self, index: int | None, step: int | None = None) -> None:
        """Puts the cursor on a turn; `step` counts its stages from 0, None is after all of them."""
        if index is None or not self.transcript.turns:
            self.position, self.step, self.steps, self.limit_turn = None, -1, [], None
            self._notify()
            return
        index = max(0, min(index, len(self.transcript.turns) - 1))
        if index != self.position or not self.steps:
            turn = self.transcript.turns[index]
            found = await self._records.detail(self.path, self.transcript, turn)
            self._cursor_records = found.records
            self.steps = steps_of(found.records)
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
            # The view caches by version: every place inside the turn needs its own.
            turn.version = whole.version * 1000 + self.step + 1
        return turn

    async def next_stage(self) -> bool:
        """One stage on; whether there was one."""
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
        """To the end of the next turn (of this one, from inside it); whether there was one."""
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
        """To the end of the turn before; whether there was one."""
        position = len(self.transcript.turns) if self.position is None else self.position
        if position <= 0:
            return False
        await self.go_to(position - 1)
        return True

    def change_speed(self, direction: int) -> float:
        """The next faster (1) or slower (-1) speed; returns it."""
        nearest = min(range(len(SPEEDS)), key=lambda place: abs(SPEEDS[place] - self.speed))
        self.speed = SPEEDS[max(0, min(nearest + direction, len(SPEEDS) - 1))]
        self._notify()
        return self.speed

    # --- playing

    def play(self) -> None:
        """Plays on from the cursor; from the first turn when everything is shown."""
        if not self.playing and self.transcript.turns:
            self.playing = True
            self._play_task = asyncio.ensure_future(self._play())
            self._notify()

    def pause(self) -> None:
        """Stops playing where the cursor is."""
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
            # A conversation that still goes on is followed from where playing has caught up.
            self.position, self.steps, self.limit_turn = None, [], None
        self._notify()

    def _now(self) -> float:
        if 0 <= self.step < len(self.steps):
            return self.steps[self.step].t
        if self.position is not None:
            return self.transcript.turns[self.position].started
        return 0.0

    @property
    def unfinished(self) -> bool:
        """Whether the last turn was never committed, dropped or given up."""
        turns = self.transcript.turns
        return bool(turns) and turns[-1].status == OPEN
