"""A tool server's process, which speaks MCP over its standard input and output.

The mcp package has a transport of this kind, too, but it reports neither the exit code nor the
output of a server that does not start, and it starts the server in a process group of its own,
where killing the engine's group would leave it behind.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from convtui.engine.core.output import StreamName

_EXIT_WITHIN = 2.0
"""Seconds that a server has to exit by itself, and again after SIGTERM."""
_CHUNK = 1 << 16
_LAST_LINES = 8


class ServerProcess:
    """One run of a server's program. `on_output` gets what it prints besides the protocol."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        on_output: Callable[[StreamName, str], None],
    ) -> None:
        self._process = process
        self._on_output = on_output
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._tasks = [asyncio.create_task(self._read_errors())]
        self.gone = asyncio.Event()
        """Set when it has closed its standard output."""

    @classmethod
    async def start(
        cls,
        command: list[str],
        env: dict[str, str],
        cwd: str | None,
        on_output: Callable[[StreamName, str], None],
    ) -> ServerProcess:
        """Starts a program. Raises OSError, or ValueError for arguments that cannot be passed."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=get_default_environment() | env,
            cwd=cwd,
        )
        return cls(process, on_output)

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.returncode

    @property
    def last_lines(self) -> list[str]:
        """The last lines that it printed on standard error."""
        return list(self._last_lines)

    async def wait_for_exit(self) -> None:
        """Waits for the exit code and last lines of a server that has closed its output."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_WITHIN):
                await self._process.wait()
                await asyncio.wait(self._tasks)

    @contextlib.asynccontextmanager
    async def streams(self) -> AsyncIterator[tuple[Any, Any]]:
        """The transport that `mcp.Client` takes: a stream to read from and one to write to."""
        incoming, reading = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        writing, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
        tasks = [
            asyncio.create_task(self._read(incoming)),
            asyncio.create_task(self._write(outgoing)),
        ]
        try:
            yield reading, writing
        finally:
            for stream in (reading, writing, incoming, outgoing):
                stream.close()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _read(self, incoming: Any) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        parts: list[bytes] = []
        try:
            while data := await stdout.read(_CHUNK):
                lines = data.split(b"\n")
                parts.append(lines[0])
                for line in lines[1:]:
                    await self._receive(b"".join(parts), incoming)
                    parts = [line]
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError):
            pass  # the session is over
        finally:
            self.gone.set()
            incoming.close()

    async def _receive(self, line: bytes, incoming: Any) -> None:
        if not line.strip():
            return
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            # Not a message but a `print()` in a tool.
            self._on_output("stdout", line.decode("utf-8", "replace") + "\n")
            return
        await incoming.send(SessionMessage(message))

    async def _write(self, outgoing: Any) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        try:
            async for item in outgoing:
                text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                stdin.write(text.encode() + b"\n")
                await stdin.drain()
        except (ConnectionError, RuntimeError):
            self.gone.set()

    async def _read_errors(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        pending = ""
        while data := await stderr.read(_CHUNK):
            pending += decoder.decode(data)
            whole, newline, pending = pending.rpartition("\n")
            if newline:
                self._last_lines.extend(whole.splitlines())
                self._on_output("stderr", whole + newline)
        if pending:
            self._last_lines.append(pending)
            self._on_output("stderr", pending)

    async def stop(self) -> None:
        """Closes its standard input, then terminates it, then kills it."""
        process = self._process
        if process.stdin is not None:
            process.stdin.close()
        for send_signal in (None, process.terminate, process.kill):
            if send_signal is not None:
                with contextlib.suppress(ProcessLookupError):
                    send_signal()
            try:
                # Its output must be read: a server that cannot write does not exit.
                await asyncio.wait_for(self._drained(), _EXIT_WITHIN)
                break
            except (TimeoutError, RuntimeError):
                continue  # RuntimeError: a session that has not ended is still reading
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        transport = getattr(process, "_transport", None)
        if transport is not None:
            # A child of the server may hold its ends of the pipes open.
            transport.close()

    async def _drained(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        while self.exit_code is None and await stdout.read(_CHUNK):
            pass
        await self._process.wait()
