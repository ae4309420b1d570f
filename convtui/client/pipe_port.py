"""The way to an engine process on this machine: its standard input and output."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import BinaryIO, cast

from convtui.client import spawn
from convtui.client.spawn import kill_group, kill_marked
from convtui.errors import EngineError
from convtui.protocol import Kind, read_frame

CLOSE_WITHIN = 2.5
"""Seconds an engine gets to close its log before it is killed."""
_READ_WITHIN = 2.0
"""Seconds for what an engine that has ended had still sent: others may hold its pipe open."""


class PipePort:
    """A `WorkerPort` that starts a process and talks to it over pipes."""

    def __init__(
        self, python: str | None = None, *, environment: Mapping[str, str] | None = None
    ) -> None:
        """`environment` takes the place of that of this process."""
        self._environment = environment
        self.python = python or sys.executable
        self.pid: int | None = None
        self.on_frame: Callable[[Kind, bytes], None] = lambda kind, body: None
        self.on_error_line: Callable[[str], None] = lambda line: None
        self.on_end: Callable[[int | None], None] = lambda status: None
        self._process: subprocess.Popen[bytes] | None = None
        self._mark = uuid.uuid4().hex
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._ended = asyncio.Event()

    async def open(self) -> None:
        """Starts the process, unless it runs. Raises `EngineError`."""
        if self._process is not None:
            return
        loop = asyncio.get_running_loop()
        try:
            process = await asyncio.to_thread(
                spawn.spawn_engine, self.python, self._mark, self._environment
            )
        except OSError as error:
            raise EngineError(f"cannot start {self.python}: {error.strerror or error}") from error
        self._process = process
        self.pid = process.pid
        reader = _thread("frames", self._read, process)
        _thread("commands", self._write, process)
        _thread("stderr", self._read_errors, process)
        _thread("end", self._await_end, process, reader, loop)

    def send(self, frame: bytes) -> None:
        """Sends a frame, without waiting; dropped when the process has gone."""
        self._outbox.put(frame)

    def close_input(self) -> None:
        """Tells the process, after what was sent, that nothing more will come: it ends."""
        self._outbox.put(None)

    async def close(self) -> None:
        """Closes the input of the process, which is killed if it runs `CLOSE_WITHIN` s later."""
        if self._process is None:
            return
        self.close_input()
        try:
            await asyncio.wait_for(self._ended.wait(), CLOSE_WITHIN)
        except TimeoutError:
            self.kill()
            await self._ended.wait()

    def kill(self) -> None:
        """Kills the process and everything it started."""
        if self._process is not None:
            kill_group(self._process)

    # --- threads

    def _write(self, process: subprocess.Popen[bytes]) -> None:
        stdin = process.stdin
        assert stdin is not None
        # A process that has gone is noticed by the reader, which knows how it ended.
        with contextlib.suppress(OSError, ValueError):
            while (frame := self._outbox.get()) is not None:
                stdin.write(frame)
                if self._outbox.empty():
                    stdin.flush()
        with contextlib.suppress(OSError, ValueError):
            stdin.close()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        stream = cast(BinaryIO, process.stdout)
        try:
            while (frame := read_frame(stream)) is not None:
                self.on_frame(*frame)
        except (OSError, ValueError) as error:
            self.on_frame(Kind.FAILED, _failure(f"unreadable engine output: {error}"))
            kill_group(process)
        stream.close()
        try:
            # An engine that has lost its pipe ends by itself.
            process.wait(2 * CLOSE_WITHIN)
        except subprocess.TimeoutExpired:
            kill_group(process)

    def _read_errors(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        for line in iter(process.stderr.readline, b""):
            self.on_error_line(line.decode(errors="replace"))
        process.stderr.close()

    def _await_end(
        self,
        process: subprocess.Popen[bytes],
        reader: threading.Thread,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Waits for the process, not for its pipe: a forked child may hold that open."""
        status = process.wait()
        # What a provider started must not outlive the engine.
        kill_group(process)
        kill_marked(self._mark)
        reader.join(_READ_WITHIN)
        self.close_input()
        self.on_end(status)
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._ended.set)


def _thread(name: str, run: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=run, args=arguments, name=f"convtui-{name}", daemon=True)
    thread.start()
    return thread


def _failure(message: str) -> bytes:
    return json.dumps({"error": {"type": "EngineError", "message": message}}).encode()
