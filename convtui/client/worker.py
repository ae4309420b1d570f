"""The handle on a worker: one engine process that hosts many conversations."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from convtui.client.exits import crash_frames, describe_exit, failure_of
from convtui.client.hosted import Hosted
from convtui.client.inbox import Inbox
from convtui.client.pipe_port import PipePort
from convtui.client.port import WorkerPort
from convtui.errors import EngineError
from convtui.protocol import SILENT_AFTER, Kind, StartSpec, pack_json, unpack_of

__all__ = ["Hosted", "Worker", "WorkerPort"]

_OUTPUT_LINES = 200
_STOP_WITHIN = 1.0
_STOP_EACH = 0.02
"""Seconds that all conversations get to end when the process is closed, and those for each."""
_LOOK_EVERY = 0.1


class Worker:
    """A process that hosts conversations, from `start()` until it is `over`.

    Must be created and used on one event loop, on which the callbacks are called. Frames are read
    by a thread of the port and taken on the loop in slices of a few milliseconds.
    """

    def __init__(self, *, python: str | None = None, port: WorkerPort | None = None) -> None:
        self.python = python or sys.executable
        self.hosted: dict[int, Hosted] = {}
        """The conversations that are not over, by their numbers."""
        self.over = False
        """Whether the process has ended."""
        self.error: dict[str, Any] | None = None
        """Why it ended, if nobody had asked it to: `{type, message, frames?}`."""
        self.output: deque[tuple[str, str]] = deque(maxlen=_OUTPUT_LINES)
        """What it printed last that belongs to no conversation: `(stream, text)`."""
        self.blocked: tuple[Hosted | None, str] | None = None
        """Whose code blocks its event loop now, if that is known, and where."""
        self.on_rows: Callable[[list[Hosted]], None] = lambda hosted: None
        """Called with the conversations whose `row` has changed, at most ten times a second."""
        self.on_ended: Callable[[Hosted], None] = lambda hosted: None
        """Called with a conversation whose log is closed, or that could not begin."""
        self.on_used: Callable[[dict[str, dict[str, Any]]], None] = lambda calls: None
        """Called with the model calls by endpoint, as `Kind.USED` says."""
        self.on_blocked: Callable[[Hosted | None, float, str], None] = lambda *_: None
        """Called while code of a conversation, if it is known which, blocks all others: for how
        many seconds (0: it is over), and where, as `file:line in function`."""
        self.on_over: Callable[[list[Hosted]], None] = lambda lost: None
        """Called when the process has ended, with the conversations that this has ended."""
        self._port: WorkerPort = port if port is not None else PipePort(self.python)
        self._inbox = Inbox(self._take, self._taken)
        self._opened = False
        self._takers: dict[Kind, Callable[[dict[str, Any]], None]] = {
            Kind.ROWS: self._take_rows,
            Kind.HEARTBEAT: lambda _: self._beat(),
            Kind.ENDED: self._take_ended,
            Kind.USED: lambda data: self.on_used(data["calls"]),
            Kind.BLOCKED: self._take_blocked,
            Kind.OUTPUT: lambda data: self.output.append((data["stream"], data["text"])),
            Kind.READY: self._take_ready,
            Kind.FAILED: self._take_failed,
        }
        self._number = 0
        self._last_beat: float | None = None
        self._closing = False
        self._touched: set[Hosted] = set()
        self._started = asyncio.Event()
        """Whether it has said that it can host conversations, or why not."""
        self._ended = asyncio.Event()
        self._one_ended = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process, once it runs, if it is on this machine."""
        return self._port.pid

    @property
    def running(self) -> int:
        """Number of conversations that are not over."""
        return len(self.hosted)

    @property
    def silent_for(self) -> float:
        """Seconds without a heartbeat; 0.0 while that is normal."""
        if self.over or self._last_beat is None:
            return 0.0
        silence = time.monotonic() - self._last_beat
        return silence if silence > SILENT_AFTER else 0.0

    # --- starting and ending

    async def start(self, *, env_file: str | None = None) -> None:
        """Starts the process; returns when it can host conversations.

        `env_file` has variables that providers may read. Raises `EngineError`, with the exit code
        of its cause.
        """
        port = self._port
        port.on_frame = self._inbox.put
        port.on_error_line = lambda line: self.output.append(("stderr", line))
        port.on_end = self._end_from_thread
        # The port may call back before it is open.
        self._inbox.attach()
        try:
            await port.open()
        except EngineError as error:
            self.over = True
            self.error = {"type": "EngineError", "message": str(error)}
            self._ended.set()
            raise
        self._opened = True
        self._inbox.open()
        if self._closing:
            # It was closed before there was a process to close.
            await port.close()
            await self._ended.wait()
            raise failure_of(self.error)
        port.send(pack_json(Kind.HOST, env_file=env_file))
        await self._started.wait()
        if self.error is not None or self.over:
            await port.close()
            raise failure_of(self.error)

    async def close(self) -> None:
        """Ends the process: conversations that still run are `interrupted`, with whole logs."""
        self._closing = True
        if self.over or not self._opened:
            return
        await self._stop_hosted()
        await self._port.close()
        await self._ended.wait()

    async def _stop_hosted(self) -> None:
        """Ends the conversations while the process is alive, all of them in their own time.

        A process that is closed has the same few seconds for one and for a thousand.
        """
        for hosted in self.hosted.values():
            hosted.stop("the screen was closed")
        give_up = time.monotonic() + _STOP_WITHIN + _STOP_EACH * len(self.hosted)
        self._last_beat = time.monotonic()
        while self.hosted and not (self.over or self.silent_for or time.monotonic() > give_up):
            self._one_ended.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._one_ended.wait(), _LOOK_EVERY)

    def kill(self) -> None:
        """Kills the process and everything it started."""
        self._port.kill()

    async def wait(self) -> None:
        """Waits until the process has ended."""
        await self._ended.wait()

    # --- orders

    def begin(self, spec: StartSpec) -> Hosted:
        """Begins a conversation; returns at once, its `state` says the rest."""
        self._number += 1
        hosted = Hosted(self._number, spec, self)
        if self.over:
            hosted.lose(self.error or {"type": "EngineError", "message": "the worker has ended"})
            return hosted
        self.hosted[hosted.number] = hosted
        self.send(pack_json(Kind.BEGIN, conversation=hosted.number, spec=spec.as_dict()))
        return hosted

    def set_limits(self, limits: Mapping[str, int]) -> None:
        """How many model calls may run at once in this worker, by endpoint."""
        self.send(pack_json(Kind.LIMITS, limits=dict(limits)))

    def filter(self, expression: str) -> None:
        """Has rows say in `match` whether a filter finds a turn; an empty one ends that."""
        self.send(pack_json(Kind.FILTER, expression=expression))

    def send(self, frame: bytes) -> None:
        """Sends a frame, without waiting; dropped when the process has gone."""
        self._port.send(frame)

    # --- frames, on the loop

    def _take(self, kind: Kind, body: bytes) -> None:
        if kind is Kind.OF:
            self._take_of(body)
        elif (take := self._takers.get(kind)) is not None:
            take(json.loads(body))

    def _take_of(self, body: bytes) -> None:
        try:
            number, kind, rest = unpack_of(body)
        except ValueError as error:
            self.error = {"type": "EngineError", "message": f"unreadable output: {error}"}
            self.kill()
            return
        if kind is not Kind.ACK:
            # A refusal comes from a thread that lives on where the event loop is blocked.
            self._beat()
        hosted = self.hosted.get(number)
        if hosted is not None and hosted.take(kind, rest):
            self._touched.add(hosted)

    def _beat(self) -> None:
        # Heartbeats give way to other frames, which say as much.
        self._last_beat = time.monotonic()

    def _take_ready(self, _: dict[str, Any]) -> None:
        self._beat()
        self._started.set()

    def _take_failed(self, data: dict[str, Any]) -> None:
        self.error = data["error"]
        self._started.set()

    def _take_ended(self, data: dict[str, Any]) -> None:
        self._beat()
        hosted = self.hosted.pop(data["conversation"], None)
        if hosted is not None:
            hosted.take_end(data)
            self._one_ended.set()
            self.on_ended(hosted)

    def _take_blocked(self, data: dict[str, Any]) -> None:
        number = data["conversation"]
        hosted = None if number is None else self.hosted.get(number)
        seconds, where = float(data["seconds"]), str(data["where"])
        self.blocked = (hosted, where) if seconds else None
        self.on_blocked(hosted, seconds, where)

    def _take_rows(self, data: dict[str, Any]) -> None:
        self._beat()
        changed = []
        for number, row in data["rows"]:
            hosted = self.hosted.get(number)
            if hosted is not None:
                hosted.row = row
                changed.append(hosted)
        if changed:
            self.on_rows(changed)

    def _taken(self) -> None:
        touched, self._touched = self._touched, set()
        for hosted in touched:
            hosted.notify()

    # --- the end

    def _end_from_thread(self, status: int | None) -> None:
        self._inbox.call(self._take_end, status)

    def _take_end(self, status: int | None) -> None:
        self._inbox.take_all()
        self._taken()
        self.over = True
        lost = list(self.hosted.values())
        self.hosted.clear()
        if lost or not self._closing:
            self.error = self.error or {"type": "EngineDied", "message": _how(status)}
            frames = crash_frames(
                "".join(text for stream, text in self.output if stream == "stderr")
            )
            if frames:
                self.error["frames"] = frames
        for hosted in lost:
            assert self.error is not None
            hosted.lose(self.error)
        self._started.set()
        self._ended.set()
        self.on_over(lost)


def _how(status: int | None) -> str:
    return "the worker has gone" if status is None else describe_exit(status)
