"""A tool server's process: started, spoken to over its standard input and output, and stopped.

The mcp package has a transport of this kind, too. It tells neither the exit code nor what the
server printed, both of which a developer needs when a server does not start, and it puts the
server into a process group of its own, where killing the engine's group would leave it behind.
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
"""Seconds that a server has to end by itself, and then to end when it is told to."""
_CHUNK = 1 << 16
_LAST_LINES = 8


class ServerProcess:
    """One run of a server's program. `printed` gets what it prints beside the protocol."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        printed: Callable[[StreamName, str], None],
    ) -> None:
        self._process = process
        self._printed = printed
        self._said: deque[str] = deque(maxlen=_LAST_LINES)
        self._tasks = [asyncio.create_task(self._read_errors())]
        self.gone = asyncio.Event()
        """Set when it has closed its standard output: nothing more can come."""

    @classmethod
    async def start(
        cls,
        command: list[str],
        env: dict[str, str],
        cwd: str | None,
        printed: Callable[[StreamName, str], None],
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
        return cls(process, printed)

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.returncode

    @property
    def last_lines(self) -> list[str]:
        """The last of what it printed on standard error."""
        return list(self._said)

    async def settled(self) -> None:
        """Waits a moment for the exit code and the last words of a server that has gone."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_WITHIN):
                await self._process.wait()
                await asyncio.wait(self._tasks)

    @contextlib.asynccontextmanager
    async def streams(self) -> AsyncIterator[tuple[Any, Any]]:
        """The transport, as `mcp.Client` takes it: a stream of what comes and one for what goes."""
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
                for following in lines[1:]:
                    await self._take(b"".join(parts), incoming)
                    parts = [following]
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError):
            pass  # the session is over
        finally:
            self.gone.set()
            incoming.close()

    async def _take(self, line: bytes, incoming: Any) -> None:
        if not line.strip():
            return
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            # `print()` in a tool: no message, and no reason to end anything.
            self._printed("stdout", line.decode("utf-8", "replace") + "\n")
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
                self._said.extend(whole.splitlines())
                self._printed("stderr", whole + newline)
        if pending:
            self._said.append(pending)
            self._printed("stderr", pending)

    async def stop(self) -> None:
        """Ends it: standard input closed, then told to end, then killed."""
        process = self._process
        if process.stdin is not None:
            process.stdin.close()
        for end in (None, process.terminate, process.kill):
            if end is not None:
                with contextlib.suppress(ProcessLookupError):
                    end()
            try:
                # Its output is read on: a server that cannot write does not end.
                await asyncio.wait_for(self._drained(), _EXIT_WITHIN)
                break
            except (TimeoutError, RuntimeError):
                continue  # RuntimeError: a session that does not end reads still
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        transport = getattr(process, "_transport", None)
        if transport is not None:
            # A child of its own may hold the pipes open; ours are closed all the same.
            transport.close()

    async def _drained(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        while self.exit_code is None and await stdout.read(_CHUNK):
            pass
        await self._process.wait()
