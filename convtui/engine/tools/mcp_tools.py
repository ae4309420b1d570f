"""Tools of MCP servers, which are started before the conversation and stopped after it.

The mcp package is an extra and takes a second to import: it is imported with the first server
that a conversation names.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convtui import __version__
from convtui.engine.core.journal import Journal
from convtui.engine.core.output import OutputCapture, StreamName
from convtui.engine.tools.base import Tool, tool_schema
from convtui.engine.tools.mcp_results import (
    cause_of,
    is_lost,
    label_of,
    message_of,
    require_package,
    value_of,
)
from convtui.errors import FileError, ToolError, ToolFailure
from convtui.providers.calling import in_thread
from convtui.records.models import ProviderOutput, Warned
from convtui.scenario.scenario import McpServer
from convtui.secrets.masking import public_arguments, public_url
from convtui.secrets.redactor import Redactor
from convtui.secrets.shapes import REDACTED

if TYPE_CHECKING:
    from mcp import Client

    from convtui.engine.tools.mcp_process import ServerProcess

_START_WITHIN = 30.0
"""Seconds between a server's start and its list of tools."""
_STOP_WITHIN = 8.0
_LIST_WITHIN = 10.0
_MAX_PAGES = 100
_MAX_BYTES = 64 << 20
"""Size of one message over HTTP."""


class McpTool:
    serial: str | None = None

    def __init__(self, server: McpToolServer, listed: Any) -> None:
        self.name = str(listed.name)
        self.origin = f"{self.name} of the MCP server {server.label}"
        self._server = server
        self._description = str(listed.description or listed.title or "")
        self._parameters: dict[str, Any] = dict(listed.input_schema or {"type": "object"})

    @property
    def schema(self) -> dict[str, Any]:
        return tool_schema(self.name, self._description, self._parameters)

    async def prepare(self) -> None:
        """Restarts a server that has ended. Raises `ToolFailure`."""
        await self._server.prepare()

    async def run(self, arguments: dict[str, Any]) -> Any:
        return await self._server.call(self.name, arguments)


class McpToolServer:
    """One server of a scenario; `label` is its name in records."""

    def __init__(self, config: McpServer, redactor: Redactor) -> None:
        self.label = redactor.text(label_of(config, redactor))
        self.tools: list[Tool] = []
        self._config = config
        self._redactor = redactor
        self._journal: Journal | None = None
        self._capture = OutputCapture(self._record_output, redactor)
        self._restarting: asyncio.Task[None] | None = None
        self._stopping = asyncio.Lock()
        self._life: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()
        self._client: Client | None = None
        self._process: ServerProcess | None = None
        self._stale = False
        self._changed = False

    def connect(self, journal: Journal) -> None:
        """Records its output and restarts in `journal` from now on."""
        self._journal = journal

    @property
    def _command_or_url(self) -> str:
        """The server as the scenario names it, without secrets."""
        config = self._config
        if config.command:
            return shlex.join(public_arguments(config.command, self._redactor))
        return public_url(str(config.url), self._redactor)

    # --- starting and stopping

    async def start(self) -> None:
        """Starts it and lists its tools. Raises `ToolError` with the reason why it cannot start."""
        await in_thread(require_package)  # takes a second or two
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        self._ending = asyncio.Event()
        # The mcp package wants a connection opened and closed in the same task.
        life = self._life = asyncio.create_task(self._run(ready))
        try:
            await asyncio.wait({life, ready}, timeout=_START_WITHIN, return_when="FIRST_COMPLETED")
            if ready.done():
                return
            failure = life.exception() if life.done() and not life.cancelled() else None
            why = await self._start_problem(failure, late=not life.done())
        except asyncio.CancelledError:
            life.cancel()
            await self._stop()
            raise
        life.cancel()
        await self._stop()
        raise ToolError(f"the MCP server {self._command_or_url} {why}")

    async def stop(self) -> None:
        """Stops it within a time limit; does nothing when it is not running."""
        restart = self._restarting
        if restart is not None and not restart.done():
            restart.cancel()
            await asyncio.wait({restart})
        await self._stop()

    async def _stop(self) -> None:
        async with self._stopping:
            await self._stop_locked()

    async def _stop_locked(self) -> None:
        self._ending.set()
        life, self._life = self._life, None
        if life is not None:
            await asyncio.wait({life}, timeout=_STOP_WITHIN)
            if not life.done():
                life.cancel()
                await asyncio.wait({life}, timeout=1.0)
            if life.done() and not life.cancelled():
                life.exception()  # retrieved: it was reported where it mattered
        process, self._process = self._process, None
        if process is not None:
            await process.stop()
            self._capture.let_out()
        self._client = None

    async def _run(self, ready: asyncio.Future[None]) -> None:
        from mcp import Client
        from mcp_types import Implementation

        async with self._transport() as transport:
            client = Client(
                transport,
                client_info=Implementation(name="convtui", version=__version__),
                message_handler=self._on_message,
            )
            async with client:
                self._client = client
                self.tools = await self._list(client)
                if not ready.done():
                    ready.set_result(None)
                watching = asyncio.create_task(self._watch_tools(client))
                try:
                    await self._wait_until_over()
                finally:
                    watching.cancel()
                    await asyncio.wait({watching})

    @contextlib.asynccontextmanager
    async def _transport(self) -> AsyncIterator[Any]:
        config = self._config
        if config.command is None:
            from mcp.client.streamable_http import streamable_http_client
            from mcp.shared._httpx_utils import create_mcp_http_client

            async with create_mcp_http_client(headers=_unmasked(config.headers)) as http:
                yield streamable_http_client(
                    str(config.url), http_client=http, max_sse_event_size=_MAX_BYTES
                )
            return
        from convtui.engine.tools.mcp_process import ServerProcess

        process = self._process = await ServerProcess.start(
            config.command, _unmasked(config.env), config.cwd, self._on_output
        )
        yield process.streams()

    async def _wait_until_over(self) -> None:
        events = [asyncio.create_task(self._ending.wait())]
        if self._process is not None:
            events.append(asyncio.create_task(self._process.gone.wait()))
        try:
            await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for event in events:
                event.cancel()

    async def _start_problem(self, failure: BaseException | None, *, late: bool) -> str:
        """Why it did not start."""
        process = self._process
        if process is not None and process.gone.is_set():
            await process.wait_for_exit()
        if process is not None and process.exit_code is not None:
            why = f"ended before it was ready, with exit code {process.exit_code}"
        elif late:
            why = f"did not say what tools it has within {_START_WITHIN:g} s"
        else:
            cause = cause_of(failure)
            if isinstance(cause, FileNotFoundError | NotADirectoryError):
                folder = self._config.cwd or "."
                program = (self._config.command or [""])[0]
                missing = program if Path(folder).is_dir() else folder
                why = f"cannot be started: there is no {missing}"
            elif isinstance(cause, OSError | ValueError) and process is None:
                why = f"cannot be started: {message_of(failure)}"
            elif self._config.url is not None:
                why = f"cannot be reached: {message_of(failure) or 'it closed the connection'}"
            else:
                why = f"does not speak MCP: {message_of(failure) or 'it closed its output'}"
        lines = [] if process is None else process.last_lines
        return self._redactor.text("\n  ".join([why + (":" if lines else ""), *lines]))

    # --- tools

    async def _list(self, client: Client) -> list[Tool]:
        tools: list[Tool] = []
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = await client.list_tools(cursor=cursor, cache_mode="bypass")
            tools += [McpTool(self, listed) for listed in page.tools]
            cursor = page.next_cursor
            if not cursor:
                break
        return tools

    async def _on_message(self, message: Any) -> None:
        """Notes an unsolicited notice that the tools changed."""
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self._stale = True

    async def _watch_tools(self, client: Client) -> None:
        """The same over a subscription, for servers that offer one."""
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
        from mcp.shared.exceptions import MCPError

        with contextlib.suppress(ListenNotSupportedError, SubscriptionLost, MCPError):
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._stale = True

    async def refresh(self) -> bool:
        """Lists its tools again after a notice that they changed; whether they did."""
        client = self._client
        changed, self._changed = self._changed, False
        if not self._stale or client is None:
            return changed
        self._stale = False
        before = [tool.schema for tool in self.tools]
        try:
            async with asyncio.timeout(_LIST_WITHIN):
                self.tools = await self._list(client)
        except Exception as error:  # noqa: BLE001 - any answer of a server; the old tools stay
            self._warn("mcp_list", f"its tools changed and cannot be listed: {message_of(error)}")
        return changed or before != [tool.schema for tool in self.tools]

    # --- calls

    async def prepare(self) -> None:
        """Restarts a server that has ended, before a call. Raises `ToolFailure`."""
        self._capture.begin_turn()
        if self._has_ended:
            # The calls of a round share one restart, which outlives a cancelled call.
            if self._restarting is None or self._restarting.done():
                self._restarting = asyncio.create_task(self._restart())
            await asyncio.shield(self._restarting)

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Calls a tool. Raises `ToolFailure`.

        A call during which the server ends is not repeated: it may have had its effect.
        """
        client = self._client
        life = self._life
        if client is None or life is None:
            raise ToolFailure("tool_execution_exception", f"{self.label} is not running")
        answer = asyncio.create_task(client.call_tool(name, arguments))
        try:
            await asyncio.wait({answer, life}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return value_of(answer.result())
            # The server is gone, but its answer may still be in the session's queue.
            await asyncio.wait({answer}, timeout=1.0)
            if answer.done():
                return value_of(answer.result())
            raise ConnectionError("the connection was closed")
        except (ToolFailure, asyncio.CancelledError):
            raise
        except Exception as error:
            raise await self._failure(error) from error
        finally:
            answer.cancel()

    @property
    def _has_ended(self) -> bool:
        gone = self._process is not None and self._process.gone.is_set()
        return gone or self._life is None or self._life.done()

    async def _failure(self, error: Exception) -> ToolFailure:
        process = self._process
        if process is not None and process.gone.is_set():
            await process.wait_for_exit()
            code = "" if process.exit_code is None else f" with exit code {process.exit_code}"
            return ToolFailure(
                "tool_execution_exception",
                f"the MCP server {self.label} ended during the call{code}",
                self._redactor.text("\n".join(process.last_lines)),
            )
        cause = cause_of(error)
        if self._config.url is not None and is_lost(cause):
            # The next call reconnects.
            self._ending.set()
            return ToolFailure(
                "tool_execution_exception",
                f"the MCP server {self.label} cannot be reached: {message_of(error)}",
            )
        return ToolFailure("tool_execution_exception", message_of(error))

    async def _restart(self) -> None:
        process = self._process
        if process is not None:
            await process.wait_for_exit()
        code = None if process is None else process.exit_code
        exited = "" if code is None else f" (exit code {code})"
        await self._stop()
        before = [tool.schema for tool in self.tools]
        try:
            await self.start()
        except ToolError as error:
            self._warn("mcp_restart", f"it had ended{exited} and does not start again: {error}")
            raise ToolFailure(
                "tool_execution_exception",
                f"the MCP server {self.label} had ended{exited} and does not start again",
                str(error),
            ) from error
        self._changed = before != [tool.schema for tool in self.tools]
        self._warn("mcp_restart", f"it had ended{exited} and was started again")

    # --- records

    def _on_output(self, stream: StreamName, text: str) -> None:
        self._capture.take(stream, text, source=stream)

    def _record_output(self, stream: StreamName, text: str, dropped: int) -> None:
        journal = self._journal
        if journal is None or journal.writer.closed or journal.writer.broken is not None:
            return
        with contextlib.suppress(FileError):  # a full disk ends the conversation elsewhere
            journal.emit_here(
                ProviderOutput, stream=stream, text=text, dropped=dropped or None, source=self.label
            )

    def _warn(self, code: str, message: str) -> None:
        if self._journal is not None:
            detail = {"server": self.label}
            text = f"MCP server {self.label}: {message}"
            self._journal.emit_here(Warned, code=code, message=text, detail=detail)


def _unmasked(values: dict[str, str]) -> dict[str, str]:
    """The values that are not masked; those read from a log may be."""
    return {name: value for name, value in values.items() if REDACTED not in value}
