"""The handle on an engine process: starts it, folds what it says, sends it commands.

Screens and commands use the same handle. It never waits for the engine: frames are read by a
thread of their own and folded on the event loop in slices of a few milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from convtui.errors import CommandRefused, EngineError
from convtui.protocol import (
    ENGINE_MARK,
    SILENT_AFTER,
    Commands,
    Kind,
    StartSpec,
    pack_json,
    read_frame,
    unpack_record,
)
from convtui.records.codec import RecordDict, decode
from convtui.records.fields import FieldChecker
from convtui.transcript.fold import Transcript

_SLICE = 0.005
CLOSE_WITHIN = 2.5
"""Seconds an engine gets to close its log before it is killed."""
_READ_WITHIN = 2.0
"""Seconds for what an engine that has ended had still sent: others may hold its pipe open."""


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


class EngineHandle:
    """One engine process and the conversation it runs.

    Must be created and used on one event loop. `transcript` and `changed` are what a screen draws;
    callbacks given to `subscribe()` are called on the loop after something has changed, once for
    many records.
    """

    thinking = False
    """Whether what arrived last was reasoning, not text."""

    def __init__(self, *, python: str | None = None) -> None:
        self.python = python or sys.executable
        self.state = EngineState.NEW
        self.hold: RecordDict | None = None
        self.transcript = Transcript()
        self.changed: set[int] = set()
        """Indexes of turns that changed; whoever draws them clears it."""
        self.log_path: Path | None = None
        self.log_id = ""
        """The conversation's id, known before its header has arrived."""
        self.pid: int | None = None
        self.error: dict[str, Any] | None = None
        self.exit_status: int | None = None
        self.early_output: list[tuple[str, str]] = []
        self.loaded: dict[str, Any] | None = None
        """What `only_load` or `rehook` found out about the provider."""
        self.rehooked: deque[dict[str, Any]] = deque()
        """What `rehook` has sent, a log at a time; whoever reads it takes it out."""
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
        self._process: subprocess.Popen[bytes] | None = None
        self._mark = uuid.uuid4().hex
        self._stdin: IO[bytes] | None = None
        self._frames: deque[tuple[Kind, bytes]] = deque()
        self._takers: dict[Kind, Callable[[dict[str, Any]], None]] = {
            Kind.DELTA: self._take_delta,
            Kind.GATE: self._take_gate,
            Kind.ACK: self._take_ack,
            Kind.HEARTBEAT: self._take_heartbeat,
            Kind.CATCH_UP: self._take_catch_up,
            Kind.READY: self._take_ready,
            Kind.FAILED: self._take_failed,
            Kind.LOADED: self._take_loaded,
            Kind.REHOOKED: self.rehooked.append,
            Kind.OUTPUT: self._take_output,
        }
        self._fields = FieldChecker()
        self._scheduled = False
        self._wake_lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next_seq = self._next_offset = 0
        self._began = math.inf
        """When the log's clock stood at 0, by ours; the record that came quickest tells it best."""
        self._command_id = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._subscribers: list[Callable[[], None]] = []
        self._record_subscribers: list[Callable[[RecordDict], None]] = []
        self._over = asyncio.Event()
        self._ready = asyncio.Event()
        self._last_beat = 0.0
        self._write_lock = threading.Lock()

    # --- state for screens

    @property
    def over(self) -> bool:
        """Whether the engine will send nothing more."""
        return self.state in OVER

    @property
    def silent_for(self) -> float:
        """Seconds without a heartbeat; 0.0 while that is normal."""
        if self.over or self.state in (EngineState.NEW, EngineState.STARTING):
            return 0.0
        silence = time.monotonic() - self._last_beat
        return silence if silence > SILENT_AFTER else 0.0

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

    # --- starting and ending

    async def prepare(self) -> None:
        """Starts the process and has it load what model calls need, before it is known what to run.

        `start()` then goes on with that process. Raises `EngineError` when it cannot be started.
        """
        await self._spawn()
        await self._send(pack_json(Kind.WARM))

    async def start(self, spec: StartSpec, *, wait: bool = True) -> None:
        """Starts the engine; returns when its log is open, or raises `EngineError`.

        With `wait=False` it returns as soon as the process runs; `state` tells the rest.
        """
        self.spec = spec
        self.armed = {side: dict(item) for side, item in spec.faults.items()}
        await self._spawn()
        self.state = EngineState.STARTING
        await self._send(pack_json(Kind.START, **spec.as_dict()))
        if wait:
            await self.ready()

    async def _spawn(self) -> None:
        if self._process is not None:
            return
        self._loop = asyncio.get_running_loop()
        try:
            self._process = await asyncio.to_thread(_spawn, self.python, self._mark)
        except OSError as error:
            self._fail(f"cannot start {self.python}: {error.strerror or error}")
            raise self.failure() from error
        self.pid = self._process.pid
        self._stdin = self._process.stdin
        reader = threading.Thread(target=self._read, name="convtui-frames", daemon=True)
        reader.start()
        threading.Thread(target=self._read_errors, name="convtui-stderr", daemon=True).start()
        threading.Thread(
            target=self._await_end, args=(reader,), name="convtui-end", daemon=True
        ).start()

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
        """Waits until the engine process has ended."""
        await self._over.wait()

    async def command(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Sends a debugger command and returns the answer.

        Raises `CommandRefused` with the reason when the engine refuses it or is gone.
        """
        if self.over:
            raise CommandRefused("the conversation is over")
        if self._loop is None:
            raise CommandRefused("the engine is starting")
        self._command_id += 1
        number = self._command_id
        answer: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._waiting[number] = answer
        await self._send(pack_json(Kind.COMMAND, id=number, do=do, **arguments))
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

    async def close(self) -> None:
        """Ends the engine: its input is closed, and after `CLOSE_WITHIN` seconds it is killed."""
        if self._process is None:
            return
        self._close_input()
        try:
            await asyncio.wait_for(self._over.wait(), CLOSE_WITHIN)
        except TimeoutError:
            self.kill()
            await self._over.wait()

    def kill(self) -> None:
        """Kills the engine process and everything it started."""
        if self._process is not None:
            kill_group(self._process)

    def _close_input(self) -> None:
        if self._stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self._stdin.close()

    async def _send(self, frame: bytes) -> None:
        def write() -> None:
            with self._write_lock:
                if self._stdin is None or self._stdin.closed:
                    return
                self._stdin.write(frame)
                self._stdin.flush()

        # An engine that has gone is noticed by the reader, which knows how it ended.
        with contextlib.suppress(OSError, ValueError):
            await asyncio.to_thread(write)

    # --- threads

    def _read(self) -> None:
        process = self._process
        assert process is not None and process.stdout is not None
        stream = cast(BinaryIO, process.stdout)
        try:
            while (frame := read_frame(stream)) is not None:
                self._frames.append(frame)
                self._wake()
        except (OSError, ValueError) as error:
            self._frames.append((Kind.FAILED, _failure(f"unreadable engine output: {error}")))
            kill_group(process)
        stream.close()
        try:
            # An engine that has lost its pipe ends by itself.
            process.wait(2 * CLOSE_WITHIN)
        except subprocess.TimeoutExpired:
            kill_group(process)

    def _await_end(self, reader: threading.Thread) -> None:
        """Waits for the process, not for its pipe: a forked child may hold that open."""
        process = self._process
        assert process is not None
        status = process.wait()
        # What a provider started must not outlive the engine.
        kill_group(process)
        kill_marked(self._mark)
        reader.join(_READ_WITHIN)
        with contextlib.suppress(RuntimeError):
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._ended, status)

    def _read_errors(self) -> None:
        process = self._process
        assert process is not None and process.stderr is not None
        for line in iter(process.stderr.readline, b""):
            self.early_output.append(("stderr", line.decode(errors="replace")))
            del self.early_output[:-200]
        process.stderr.close()

    def _wake(self) -> None:
        with self._wake_lock:
            if self._scheduled or self._loop is None:
                return
            self._scheduled = True
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._drain)

    # --- on the loop

    def _drain(self) -> None:
        with self._wake_lock:
            self._scheduled = False
        deadline = time.perf_counter() + _SLICE
        while self._frames:
            kind, body = self._frames.popleft()
            self._take(kind, body)
            if time.perf_counter() > deadline and self._frames:
                assert self._loop is not None
                with self._wake_lock:
                    self._scheduled = True
                self._loop.call_later(0.001, self._drain)
                break
        self._notify()

    def _notify(self) -> None:
        for callback in list(self._subscribers):
            callback()

    def _take(self, kind: Kind, body: bytes) -> None:
        if kind is Kind.RECORD:
            self._take_record(*unpack_record(body))
        elif (take := self._takers.get(kind)) is not None:
            take(json.loads(body))

    def _take_delta(self, data: dict[str, Any]) -> None:
        text, number = data.get("text"), data.get("turn")
        self.thinking = bool(data.get("reasoning")) and not text
        # A responder's decision is not what is said, and a summary belongs to no turn.
        if text and number is not None and data.get("side") != "responder":
            turn = self.transcript.stream(data["session"], number, text)
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
        self._last_beat = time.monotonic()
        self.busy = data.get("busy")
        self.retry_wait = data.get("wait")

    def _take_catch_up(self, _: dict[str, Any]) -> None:
        self.catch_up()

    def _take_ready(self, data: dict[str, Any]) -> None:
        self.log_path = Path(data["log"])
        self.log_id = str(data["id"])
        self.state = EngineState.RUNNING
        self._last_beat = time.monotonic()
        self._ready.set()

    def _take_failed(self, data: dict[str, Any]) -> None:
        self.error = data["error"]
        # One that had begun has died, and can be gone on with from its log.
        if self.log_path is None:
            self.state = EngineState.FAILED

    def _take_loaded(self, data: dict[str, Any]) -> None:
        self.loaded = data

    def _take_output(self, data: dict[str, Any]) -> None:
        self.early_output.append((data["stream"], data["text"]))

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
        with contextlib.suppress(OSError), self.log_path.open("rb") as file:
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

    def _ended(self, status: int) -> None:
        while self._frames:
            self._take(*self._frames.popleft())
        self.catch_up()
        self.exit_status = status
        self.hold = None
        if self.state is not EngineState.FAILED:
            if self.transcript.complete:
                self.state = EngineState.CLOSED
            else:
                self.state = EngineState.DEAD
                left = self.transcript.abandon("the engine ended here")
                if left is not None:
                    self.changed.add(left.index)
                if self.error is None:
                    self.error = {
                        "type": "EngineDied",
                        "message": describe_exit(status, begun=self.log_path is not None),
                    }
                frames = crash_frames("".join(text for _, text in self.early_output))
                if frames:
                    self.error["frames"] = frames
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result({"ok": False, "reason": "the engine has ended"})
        self._waiting.clear()
        self._close_input()
        self._over.set()
        self._notify()

    def _fail(self, message: str) -> None:
        self.state = EngineState.FAILED
        self.error = {"type": "EngineError", "message": message}
        self._over.set()

    def failure(self) -> EngineError:
        """Why the engine could not start, as an error to raise."""
        error = self.error or {"message": "the engine did not start"}
        failure = EngineError("\n".join([str(error["message"]), *error.get("frames", ())]))
        # A SPEC that names nothing is bad usage, whichever process has found that out.
        failure.exit_code = int(error.get("exit_code", failure.exit_code))
        failure.error = dict(error)
        return failure


async def inspect_provider(spec: StartSpec, *, python: str | None = None) -> dict[str, Any]:
    """Loads a provider in an engine process of its own and describes it.

    `{identity, hooks, near_names, termination_signals, stateful, call, construction}`, as
    `convtui.engine.conversation.build.describe_provider()` has it. Raises `EngineError` with the
    developer's own frames when it cannot be loaded.
    """
    handle = EngineHandle(python=python)
    await handle.start(StartSpec.from_dict({**spec.as_dict(), "only_load": True}), wait=False)
    await handle.wait()
    if handle.loaded is None:
        raise handle.failure()
    return handle.loaded


def _failure(message: str) -> bytes:
    return json.dumps({"error": {"type": "EngineError", "message": message}}).encode()


def _spawn(python: str, mark: str = "") -> subprocess.Popen[bytes]:
    package_home = str(Path(__file__).resolve().parents[2])
    # Another interpreter has the provider's packages first and borrows ours after them.
    extra = [package_home]
    if Path(python).resolve() != Path(sys.executable).resolve() or not _same_prefix(python):
        extra += [entry for entry in sys.path if entry.endswith("site-packages")]
    boot = (
        f"import sys; sys.path.extend(p for p in {extra!r} if p not in sys.path);"
        " from convtui.engine.process.process import main; main()"
    )
    # -P: nothing in the current folder may shadow a module that we or the standard library need.
    command = [python, "-P", "-c", boot]
    env = {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        ENGINE_MARK: mark,
    }
    if sys.platform == "win32":
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
        )
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        start_new_session=True,
    )


def _same_prefix(python: str) -> bool:
    return Path(python).parent == Path(sys.executable).parent


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kills a process started by us with everything it started itself; harmless when it is gone."""
    if sys.platform == "win32":
        with contextlib.suppress(OSError):
            subprocess.run(
                ["taskkill", "/F", "/T", "/PID", str(process.pid)],
                capture_output=True,
                check=False,
            )
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def kill_marked(mark: str) -> None:
    """Kills what an engine has started outside of its group: whatever inherited its mark.

    Where there is no `/proc` to find it in, nothing is done.
    """
    wanted = f"{ENGINE_MARK}={mark}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in entry.read_bytes().split(b"\0"):
                os.kill(int(entry.parent.name), signal.SIGKILL)


async def last_words(handle: EngineHandle) -> None:
    """Waits a moment for the report of a crash, which may be read after the process has ended."""
    if handle.state is not EngineState.DEAD or handle.error is None:
        return
    for _ in range(50):
        frames = crash_frames("".join(text for _, text in list(handle.early_output)))
        if any(line.startswith('  File "') for line in frames):
            handle.error["frames"] = frames
            return
        await asyncio.sleep(0.01)


def crash_frames(text: str) -> list[str]:
    """The lines of a crash report worth showing: the error and the user's own frames."""
    ours = str(Path(__file__).resolve().parents[1])
    library = str(Path(os.__file__).resolve().parent)
    lines = [
        line.rstrip()
        for line in text.split("\n")
        if line.startswith(("Fatal", "Current thread", "Traceback"))
        or (line.startswith('  File "') and ours not in line and library not in line)
        or (line and not line.startswith((" ", "Thread", "Extension modules")))
    ]
    return lines[:12]


def describe_exit(status: int, *, begun: bool = True) -> str:
    """How a process ended, in words; `begun` is whether it had opened a log."""
    kept = "; everything said is in the log" if begun else ""
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = str(-status)
        why = {
            "SIGSEGV": " (a crash in native code)",
            "SIGKILL": " (killed, or out of memory)",
            "SIGABRT": " (aborted)",
        }.get(name, "")
        return f"the engine was ended by {name}{why}{kept}"
    when = "before it closed its log" if begun else "before there was a log"
    return (
        f"the engine exited with status {status} {when}: did provider code call os._exit(), or"
        f" close file descriptors that are not its own?{' Everything said is in the log' * begun}"
    )
