"""One conversation in an engine, whichever process hosts it: its state, its fold, its commands."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from convtui.client.exits import failure_of
from convtui.errors import CommandRefused, EngineError
from convtui.files.regular import open_regular
from convtui.protocol import Commands, Kind, StartSpec, unpack_record
from convtui.records.codec import RecordDict, decode
from convtui.records.fields import FieldChecker
from convtui.transcript.fold import Transcript


class EngineState(Enum):
    """What an engine is doing, as far as its handle knows."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    HELD = "held"
    CLOSED = "closed"
    """The conversation is over and its log is closed."""
    FAILED = "failed"
    """It could not start; `error` says why."""
    DEAD = "dead"
    """The process ended without closing the log; `error` says how."""


OVER = frozenset({EngineState.CLOSED, EngineState.FAILED, EngineState.DEAD})


class ConversationLink(ABC):
    """What a screen or a command knows of a conversation, and how it orders it about.

    Must be created and used on one event loop. `transcript` and `changed` are what a screen draws;
    callbacks given to `subscribe()` are called on the loop after something has changed, once for
    many records.
    """

    thinking = False
    """Whether what arrived last was reasoning, not text."""
    python: str
    """The interpreter that runs it."""

    def __init__(self) -> None:
        self.state = EngineState.NEW
        self.hold: RecordDict | None = None
        self.transcript = Transcript()
        self.changed: set[int] = set()
        """Indexes of turns that changed; whoever draws them clears it."""
        self.log_path: Path | None = None
        self.log_id = ""
        """The conversation's id, known before its header has arrived."""
        self.error: dict[str, Any] | None = None
        self.early_output: list[tuple[str, str]] = []
        self.busy: float | None = None
        """Seconds the current call has been in flight, as the last heartbeat said."""
        self.retry_wait: dict[str, Any] | None = None
        """What the last heartbeat said of a wait before another attempt: `{left, attempt, attempts,
        why}`."""
        self.armed: dict[str, dict[str, Any]] = {}
        """Faults that wait for the next call, by side: `{fault, left}`."""
        self.approve_tools: bool | list[str] | None = None
        """Which tool calls wait for approval, where that was changed by hand in this log."""
        self.spec: StartSpec | None = None
        self._takers: dict[Kind, Callable[[dict[str, Any]], None]] = {
            Kind.DELTA: self._take_delta,
            Kind.GATE: self._take_gate,
            Kind.ACK: self._take_ack,
            Kind.HEARTBEAT: self._take_heartbeat,
            Kind.CATCH_UP: lambda _: self.catch_up(),
            Kind.READY: self._take_ready,
            Kind.FAILED: self._take_failed,
            Kind.OUTPUT: self._take_output,
        }
        self._fields = FieldChecker()
        self._next_seq = self._next_offset = 0
        self._began = math.inf
        """When the log's clock stood at 0, by ours; the record that came quickest tells it best."""
        self._command_id = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._subscribers: list[Callable[[], None]] = []
        self._record_subscribers: list[Callable[[RecordDict], None]] = []
        self._over = asyncio.Event()
        self._ready = asyncio.Event()

    # --- whoever carries its frames

    @property
    @abstractmethod
    def silent_for(self) -> float:
        """Seconds without a heartbeat; 0.0 while that is normal."""

    @abstractmethod
    def _send_command(self, fields: Mapping[str, Any]) -> None:
        """Sends a COMMAND. Raises `CommandRefused` while there is nothing to send it to."""

    @abstractmethod
    async def close(self) -> None:
        """Ends the conversation; its log is closed."""

    @abstractmethod
    def kill(self) -> None:
        """Ends the conversation at once, also where its code blocks the engine."""

    @abstractmethod
    async def watch(self) -> None:
        """Has `transcript` be kept up to date, where it is not anyway; returns when it is."""

    @abstractmethod
    def unwatch(self) -> None:
        """Takes back one `watch()`."""

    @property
    def blocked_by(self) -> str:
        """Which code blocks the engine while that is silent, in words; empty if unknown."""
        return ""

    @property
    def killed_along(self) -> int:
        """Number of other conversations that `kill()` would end now, too."""
        return 0

    # --- state for screens

    @property
    def over(self) -> bool:
        """Whether the engine will send nothing more."""
        return self.state in OVER

    @property
    def log_time(self) -> float:
        """The time now on the log's own clock (`t` of its records), in seconds."""
        return max(time.monotonic() - self._began, self.transcript.last_t)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls back after changes; call the result to unsubscribe."""
        self._subscribers.append(callback)
        return lambda: self._forget(callback)

    def _forget(self, callback: Callable[[], None]) -> None:
        with contextlib.suppress(ValueError):
            self._subscribers.remove(callback)

    def on_record(self, callback: Callable[[RecordDict], None]) -> None:
        """Calls back with every record, in order (printers; screens use `subscribe()`)."""
        self._record_subscribers.append(callback)

    async def ready(self) -> None:
        """Waits until the log is open. Raises `EngineError` when that fails."""
        ready = asyncio.ensure_future(self._ready.wait())
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait({ready, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
            over.cancel()
        if not self._ready.is_set():
            raise self.failure()

    async def wait(self) -> None:
        """Waits until the engine has nothing more to send."""
        await self._over.wait()

    def failure(self) -> EngineError:
        """Why the engine could not start, as an error to raise."""
        return failure_of(self.error)

    # --- commands

    async def command(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Sends a debugger command and returns the answer.

        Raises `CommandRefused` with the reason when the engine refuses it or is gone.
        """
        if self.over:
            raise CommandRefused("the conversation is over")
        self._command_id += 1
        number = self._command_id
        self._send_command({"id": number, "do": do, **arguments})
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        reply = await answer
        if not reply.get("ok"):
            raise CommandRefused(str(reply.get("reason", "refused")))
        return reply

    async def release(self, choice: str, edits: dict[str, Any] | None = None) -> dict[str, Any]:
        """Answers the hold that is shown now. Raises `CommandRefused` when there is none."""
        if self.hold is None:
            raise CommandRefused("nothing is held")
        return await self.command(
            Commands.RELEASE, hold=self.hold["hold"], choice=choice, edits=edits or {}
        )

    # --- frames, on the loop

    def take(self, kind: Kind, body: bytes) -> bool:
        """Takes in a frame of this conversation; whether it calls for `notify()`, which is for
        whoever carries the frames.

        A heartbeat that tells of the same wait as the last one, only longer, does not: screens draw
        everything after a change, and count the seconds themselves.
        """
        if kind is Kind.RECORD:
            self._take_record(*unpack_record(body))
            return True
        before = self._awaited
        if (take := self._takers.get(kind)) is not None:
            take(json.loads(body))
        return kind is not Kind.HEARTBEAT or self._awaited != before

    @property
    def _awaited(self) -> tuple[bool, int | None]:
        """Whether a call is in flight, and before which other attempt the engine waits."""
        wait = self.retry_wait
        return self.busy is not None, wait.get("attempt", 0) if wait is not None else None

    def notify(self) -> None:
        """Calls back those who have subscribed."""
        for callback in list(self._subscribers):
            callback()

    def _take_delta(self, data: dict[str, Any]) -> None:
        text, number = data.get("text"), data.get("turn")
        self.thinking = bool(data.get("reasoning")) and not text
        # A responder's decision is not what is said, and a summary belongs to no turn.
        if text and number is not None and data.get("side") != "responder":
            turn = self.transcript.stream(data["session"], number, text, data.get("offset"))
            if turn is not None:
                self.changed.add(turn.index)

    def _take_gate(self, data: dict[str, Any]) -> None:
        self.hold = data.get("hold")
        if not self.over:
            self.state = EngineState(data["state"])

    def _take_ack(self, data: dict[str, Any]) -> None:
        self.armed = data.get("armed", self.armed)
        waiting = self._waiting.pop(data["id"], None)
        if waiting is not None and not waiting.done():
            waiting.set_result(data)

    def _take_heartbeat(self, data: dict[str, Any]) -> None:
        self.busy = data.get("busy")
        self.retry_wait = data.get("wait")

    def _take_ready(self, data: dict[str, Any]) -> None:
        self.log_path = Path(data["log"])
        self.log_id = str(data["id"])
        self.state = EngineState.RUNNING
        self._ready.set()

    def _take_failed(self, data: dict[str, Any]) -> None:
        self.error = data["error"]
        # One that had begun has died, and can be gone on with from its log.
        if self.log_path is None:
            self.state = EngineState.FAILED

    def _take_output(self, data: dict[str, Any]) -> None:
        self.early_output.append((data["stream"], data["text"]))

    # --- records

    def _take_record(self, offset: int, line: bytes) -> None:
        record = self._decoded(line)
        seq = record["seq"]
        if seq < self._next_seq:
            return
        if seq > self._next_seq:
            # Records were left to the log because we did not read fast enough.
            self.catch_up()
            return
        self._apply(record, offset, len(line))

    def _decoded(self, line: bytes) -> RecordDict:
        record = decode(line)
        self._fields.mend(record, line)
        return record

    def _apply(self, record: RecordDict, offset: int, size: int) -> None:
        self._next_seq = record["seq"] + 1
        self._next_offset = offset + size
        turn = self.transcript.apply(record, offset)
        self._began = min(self._began, time.monotonic() - self.transcript.last_t)
        if turn is not None:
            self.changed.add(turn.index)
        if record.get("type") == "debug.injected":
            self._injected(record)
        elif record.get("type") == "debug.overrode" and record.get("what") == "approve_tools":
            self.approve_tools = record.get("after")
        for callback in self._record_subscribers:
            callback(record)

    def _injected(self, record: RecordDict) -> None:
        """Updates the armed faults after one was used."""
        side, left = str(record.get("side")), record.get("left")
        if left:
            known = self.armed.get(side, {})
            self.armed[side] = {**known, "fault": record.get("fault"), "left": left}
        else:
            self.armed.pop(side, None)

    def catch_up(self) -> None:
        """Reads the records that are in the log and did not come through the pipe."""
        if self.log_path is None:
            return
        with contextlib.suppress(OSError), open_regular(self.log_path) as file:
            file.seek(self._next_offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                try:
                    record = self._decoded(line)
                except ValueError:
                    # Another program has written into it; opening the log reports where.
                    break
                self._apply(record, self._next_offset, len(line))

    # --- the end

    def _finish(self, *, closed: bool, error: dict[str, Any]) -> None:
        """Nothing more will come; `error` says why if the log was not `closed`."""
        self.hold = None
        if self.state is not EngineState.FAILED:
            self.state = EngineState.CLOSED if closed else EngineState.DEAD
        if self.state is EngineState.DEAD:
            self.error = self.error or error
            self._abandon()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result({"ok": False, "reason": "the engine has ended"})
        self._waiting.clear()
        self._over.set()
        self.notify()

    def _abandon(self) -> None:
        """Closes the turn in progress: the log has no writer any more."""
        left = self.transcript.abandon("the engine ended here")
        if left is not None:
            self.changed.add(left.index)
