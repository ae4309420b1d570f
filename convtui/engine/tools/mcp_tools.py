"""Tools of MCP servers: started before the conversation, stopped after it, restarted on the way.

The mcp package is an extra and takes a second to import, so that it is loaded with the first
server that a conversation names.
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
    need_package,
    value_of,
    words_of,
)
from convtui.errors import FileError, ToolError, ToolFailure
from convtui.providers.base import in_thread
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
_MOST_PAGES = 100
_MOST_BYTES = 64 << 20
"""Of one message over HTTP."""


class McpTool:
    """One tool of a server."""

    serial: str | None = None

    def __init__(self, server: McpToolServer, listed: Any) -> None:
        self.name = str(listed.name)
        self.origin = f"{self.name} of the MCP server {server.label}"
        self._server = server
        self._description = str(listed.description or listed.title or "")
        self._parameters: dict[str, Any] = dict(listed.input_schema or {"type": "object"})

    @property
    def schema(self) -> dict[str, Any]:
        """The tool in the form of chat APIs."""
        return tool_schema(self.name, self._description, self._parameters)

    async def prepare(self) -> None:
        """Sees that the server is there. Raises `ToolFailure`."""
        await self._server.prepare()

    async def run(self, arguments: dict[str, Any]) -> Any:
        """Runs one call on the server. Raises `ToolFailure`."""
        return await self._server.call(self.name, arguments)


class McpToolServer:
    """One server of a scenario; `label` is what it is called in records."""

    def __init__(self, config: McpServer, redactor: Redactor) -> None:
        self.label = redactor.text(label_of(config, redactor))
        self.tools: list[Tool] = []
        self._config = config
        self._redactor = redactor
        self._journal: Journal | None = None
        self._capture = OutputCapture(self._printed, redactor)
        self._restarting: asyncio.Task[None] | None = None
        self._stopping = asyncio.Lock()
        self._life: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()
        self._client: Client | None = None
        self._process: ServerProcess | None = None
        self._stale = False
        self._changed = False

    def connect(self, journal: Journal) -> None:
        """What it prints and what happens to it is recorded there from now on."""
        self._journal = journal

    @property
    def named(self) -> str:
        """The server as the scenario names it, without secrets."""
        config = self._config
        if config.command:
            return shlex.join(public_arguments(config.command, self._redactor))
        return public_url(str(config.url), self._redactor)

    # --- its life

    async def start(self) -> None:
        """Starts it and learns its tools. Raises `ToolError` with what kept it from starting."""
        await in_thread(need_package)  # a second or two, in which the loop goes on
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        self._ending = asyncio.Event()
        # One task holds the connection from its beginning to its end, as the mcp package demands.
        life = self._life = asyncio.create_task(self._live(ready))
        try:
            await asyncio.wait({life, ready}, timeout=_START_WITHIN, return_when="FIRST_COMPLETED")
            if ready.done():
                return
            failure = life.exception() if life.done() and not life.cancelled() else None
            why = await self._why_not(failure, late=not life.done())
        except asyncio.CancelledError:
            life.cancel()
            await self._stop()
            raise
        life.cancel()
        await self._stop()
        raise ToolError(f"the MCP server {self.named} {why}")

    async def stop(self) -> None:
        """Stops it, within a time limit; does nothing when it is not running."""
        restart = self._restarting
        if restart is not None and not restart.done():
            restart.cancel()
            await asyncio.wait({restart})
        await self._stop()

    async def _stop(self) -> None:
        async with self._stopping:
            await self._stop_alone()

    async def _stop_alone(self) -> None:
        self._ending.set()
        life, self._life = self._life, None
        if life is not None:
            await asyncio.wait({life}, timeout=_STOP_WITHIN)
            if not life.done():
                life.cancel()
                await asyncio.wait({life}, timeout=1.0)
            if life.done() and not life.cancelled():
                life.exception()  # looked at: it has been told where it mattered
        process, self._process = self._process, None
        if process is not None:
            await process.stop()
            self._capture.let_out()
        self._client = None

    async def _live(self, ready: asyncio.Future[None]) -> None:
        from mcp import Client
        from mcp_types import Implementation

        async with self._transport() as transport:
            client = Client(
                transport,
                client_info=Implementation(name="convtui", version=__version__),
                message_handler=self._heard,
            )
            async with client:
                self._client = client
                self.tools = await self._list(client)
                if not ready.done():
                    ready.set_result(None)
                listening = asyncio.create_task(self._listen(client))
                try:
                    await self._until_over()
                finally:
                    listening.cancel()
                    await asyncio.wait({listening})

    @contextlib.asynccontextmanager
    async def _transport(self) -> AsyncIterator[Any]:
        config = self._config
        if config.command is None:
            from mcp.client.streamable_http import streamable_http_client
            from mcp.shared._httpx_utils import create_mcp_http_client

            async with create_mcp_http_client(headers=_unmasked(config.headers)) as http:
                yield streamable_http_client(
                    str(config.url), http_client=http, max_sse_event_size=_MOST_BYTES
                )
            return
        from convtui.engine.tools.mcp_process import ServerProcess

        process = self._process = await ServerProcess.start(
            config.command, _unmasked(config.env), config.cwd, self._take
        )
        yield process.streams()

    async def _until_over(self) -> None:
        waits = [asyncio.create_task(self._ending.wait())]
        if self._process is not None:
            waits.append(asyncio.create_task(self._process.gone.wait()))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _why_not(self, failure: BaseException | None, *, late: bool) -> str:
        """Why it is not there, in words."""
        process = self._process
        if process is not None and process.gone.is_set():
            await process.settled()
        if process is not None and process.exit_code is not None:
            why = f"ended before it was ready, with exit code {process.exit_code}"
        elif late:
            why = f"did not say what tools it has within {_START_WITHIN:g} s"
        else:
            cause = cause_of(failure)
            if isinstance(cause, FileNotFoundError | NotADirectoryError):
                where = self._config.cwd or "."
                there = Path(where).is_dir()
                missing = (self._config.command or [""])[0] if there else where
                why = f"cannot be started: there is no {missing}"
            elif isinstance(cause, OSError | ValueError) and process is None:
                why = f"cannot be started: {words_of(failure)}"
            elif self._config.url is not None:
                why = f"cannot be reached: {words_of(failure) or 'it closed the connection'}"
            else:
                why = f"does not speak MCP: {words_of(failure) or 'it closed its output'}"
        lines = [] if process is None else process.last_lines
        return self._redactor.text("\n  ".join([why + (":" if lines else ""), *lines]))

    # --- its tools

    async def _list(self, client: Client) -> list[Tool]:
        found: list[Tool] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor, cache_mode="bypass")
            found += [McpTool(self, listed) for listed in page.tools]
            cursor = page.next_cursor
            if not cursor:
                break
        return found

    async def _heard(self, message: Any) -> None:
        """What the server says without being asked."""
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self._stale = True

    async def _listen(self, client: Client) -> None:
        """The same, where the protocol has a channel of its own for it."""
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
        from mcp.shared.exceptions import MCPError

        with contextlib.suppress(ListenNotSupportedError, SubscriptionLost, MCPError):
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._stale = True

    async def refresh(self) -> bool:
        """Learns its tools again where it said that they changed; whether they did."""
        client = self._client
        changed, self._changed = self._changed, False
        if not self._stale or client is None:
            return changed
        self._stale = False
        before = [tool.schema for tool in self.tools]
        try:
            async with asyncio.timeout(_LIST_WITHIN):
                self.tools = await self._list(client)
        except Exception as error:  # noqa: BLE001 - whatever a server answers; the old ones stay
            self._warn("mcp_list", f"its tools changed and cannot be listed: {words_of(error)}")
        return changed or before != [tool.schema for tool in self.tools]

    # --- calls

    async def prepare(self) -> None:
        """Before a call: a server that has ended is started again, once. Raises `ToolFailure`."""
        self._capture.begin_turn()
        if self._over:
            # One restart serves all calls of a round, and goes on when one of them is cancelled.
            if self._restarting is None or self._restarting.done():
                self._restarting = asyncio.create_task(self._restart())
            await asyncio.shield(self._restarting)

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Makes one call.

        A call during which the server ends is not made again: nobody knows how far it got. Raises
        `ToolFailure`.
        """
        client = self._client
        life = self._life
        if client is None or life is None:
            raise ToolFailure("tool_execution_exception", f"{self.label} is not running")
        asked = asyncio.create_task(client.call_tool(name, arguments))
        try:
            await asyncio.wait({asked, life}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return value_of(asked.result())
            # The server is gone; an answer may be on its way through the session still.
            await asyncio.wait({asked}, timeout=1.0)
            if asked.done():
                return value_of(asked.result())
            raise ConnectionError("the connection was closed")
        except (ToolFailure, asyncio.CancelledError):
            raise
        except Exception as error:
            raise await self._failure(error) from error
        finally:
            asked.cancel()

    @property
    def _over(self) -> bool:
        gone = self._process is not None and self._process.gone.is_set()
        return gone or self._life is None or self._life.done()

    async def _failure(self, error: Exception) -> ToolFailure:
        process = self._process
        if process is not None and process.gone.is_set():
            await process.settled()
            code = "" if process.exit_code is None else f" with exit code {process.exit_code}"
            return ToolFailure(
                "tool_execution_exception",
                f"the MCP server {self.label} ended during the call{code}",
                self._redactor.text("\n".join(process.last_lines)),
            )
        cause = cause_of(error)
        if self._config.url is not None and is_lost(cause):
            # The next call connects anew.
            self._ending.set()
            return ToolFailure(
                "tool_execution_exception",
                f"the MCP server {self.label} cannot be reached: {words_of(error)}",
            )
        return ToolFailure("tool_execution_exception", words_of(error))

    async def _restart(self) -> None:
        process = self._process
        if process is not None:
            await process.settled()
        code = None if process is None else process.exit_code
        how = "" if code is None else f" (exit code {code})"
        await self._stop()
        before = [tool.schema for tool in self.tools]
        try:
            await self.start()
        except ToolError as error:
            self._warn("mcp_restart", f"it had ended{how} and does not start again: {error}")
            raise ToolFailure(
                "tool_execution_exception",
                f"the MCP server {self.label} had ended{how} and does not start again",
                str(error),
            ) from error
        self._changed = before != [tool.schema for tool in self.tools]
        self._warn("mcp_restart", f"it had ended{how} and was started again")

    # --- records

    def _take(self, stream: StreamName, text: str) -> None:
        """What its process prints, as it comes."""
        self._capture.take(stream, text, source=stream)

    def _printed(self, stream: StreamName, text: str, dropped: int) -> None:
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
    """Those that have their value: nothing is looked up for one that was taken out of a log."""
    return {name: value for name, value in values.items() if REDACTED not in value}
