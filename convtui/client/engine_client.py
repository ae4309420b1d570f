"""The handle on an engine process that runs one conversation.

Screens and commands use the same handle. It never waits for the engine: frames are read by a
thread of their own and folded on the event loop in slices of a few milliseconds.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from convtui.client.exits import crash_frames, describe_exit
from convtui.client.inbox import Inbox
from convtui.client.link import OVER, ConversationLink, EngineState
from convtui.client.pipe_port import PipePort
from convtui.errors import CommandRefused, EngineError
from convtui.protocol import SILENT_AFTER, Kind, StartSpec, pack_json

__all__ = [
    "OVER",
    "EngineHandle",
    "EngineState",
    "crash_frames",
    "describe_exit",
    "inspect_provider",
    "last_words",
]


class EngineHandle(ConversationLink):
    """One engine process and the conversation it runs."""

    def __init__(self, *, python: str | None = None) -> None:
        super().__init__()
        self._port = PipePort(python)
        self.python = self._port.python
        self.exit_status: int | None = None
        self.loaded: dict[str, Any] | None = None
        """What `only_load` or `rehook` found out about the provider."""
        self.rehooked: deque[dict[str, Any]] = deque()
        """What `rehook` has sent, a log at a time; whoever reads it takes it out."""
        self._takers[Kind.LOADED] = self._take_loaded
        self._takers[Kind.REHOOKED] = self.rehooked.append
        self._inbox = Inbox(self._take_frame, self._taken)
        self._touched = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._last_beat = 0.0

    @property
    def pid(self) -> int | None:
        """The process, once it runs."""
        return self._port.pid

    @property
    def silent_for(self) -> float:
        """Seconds without a heartbeat; 0.0 while that is normal."""
        if self.over or self.state in (EngineState.NEW, EngineState.STARTING):
            return 0.0
        silence = time.monotonic() - self._last_beat
        return silence if silence > SILENT_AFTER else 0.0

    # --- starting and ending

    async def prepare(self) -> None:
        """Starts the process and has it load what model calls need, before it is known what to run.

        `start()` then goes on with that process. Raises `EngineError` when it cannot be started.
        """
        await self.open()
        self._port.send(pack_json(Kind.WARM))

    async def start(self, spec: StartSpec, *, wait: bool = True) -> None:
        """Starts the engine; returns when its log is open, or raises `EngineError`.

        With `wait=False` it returns as soon as the process runs; `state` tells the rest.
        """
        self.spec = spec
        self.armed = {side: dict(item) for side, item in spec.faults.items()}
        await self.open()
        self.state = EngineState.STARTING
        self._port.send(pack_json(Kind.START, **spec.as_dict()))
        if wait:
            await self.ready()

    async def open(self) -> None:
        """Starts the process, which waits to be told what to run. Raises `EngineError`."""
        if self._loop is not None:
            return
        port = self._port
        port.on_frame = self._inbox.put
        port.on_error_line = self._keep_error_line
        port.on_end = self._end_from_thread
        # Its threads may say something before open() returns.
        self._loop = asyncio.get_running_loop()
        self._inbox.attach()
        try:
            await port.open()
        except EngineError as error:
            self._loop = None
            self.state = EngineState.FAILED
            self.error = {"type": "EngineError", "message": str(error)}
            self._over.set()
            raise self.failure() from error
        self._inbox.open()

    def _send_command(self, fields: Mapping[str, Any]) -> None:
        if self.pid is None or self.state is EngineState.NEW:
            raise CommandRefused("the engine is starting")
        self._port.send(pack_json(Kind.COMMAND, **fields))

    async def close(self) -> None:
        """Ends the engine: its input is closed; it is killed if it does not end within seconds."""
        if self.pid is None:
            return
        await self._port.close()
        await self._over.wait()

    def kill(self) -> None:
        """Kills the engine process and everything it started."""
        self._port.kill()

    async def watch(self) -> None:
        """Says that somebody sees it. All of its records are sent anyway."""
        self._send_watch(on=True)

    def unwatch(self) -> None:
        """Says that nobody does any more."""
        self._send_watch(on=False)

    def _send_watch(self, *, on: bool) -> None:
        if self.spec is not None and not self.spec.hold_endings and not self.over:
            self._port.send(pack_json(Kind.WATCH, on=on))

    # --- in threads

    def _keep_error_line(self, line: str) -> None:
        self.early_output.append(("stderr", line))
        del self.early_output[:-200]

    def _end_from_thread(self, status: int | None) -> None:
        self._inbox.call(self._ended, status or 0)

    # --- on the loop

    def _take_frame(self, kind: Kind, body: bytes) -> None:
        self._touched = self.take(kind, body) or self._touched

    def _taken(self) -> None:
        if self._touched:
            self._touched = False
            self.notify()

    def _take_heartbeat(self, data: dict[str, Any]) -> None:
        super()._take_heartbeat(data)
        self._last_beat = time.monotonic()

    def _take_ready(self, data: dict[str, Any]) -> None:
        super()._take_ready(data)
        self._last_beat = time.monotonic()

    def _take_loaded(self, data: dict[str, Any]) -> None:
        self.loaded = data

    def _ended(self, status: int) -> None:
        self._inbox.take_all()
        self.catch_up()
        self.exit_status = status
        error: dict[str, Any] = {
            "type": "EngineDied",
            "message": describe_exit(status, begun=self.log_path is not None),
        }
        closed = self.transcript.complete
        if not closed and self.state is not EngineState.FAILED:
            error = self.error or error
            frames = crash_frames("".join(text for _, text in self.early_output))
            if frames:
                error["frames"] = frames
        self._finish(closed=closed, error=error)


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
