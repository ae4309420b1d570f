"""The tools of a conversation: their servers, their calls, and approval."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from convtui.engine.core.journal import Journal
from convtui.engine.tools.base import (
    TRUNCATED,
    Cut,
    FunctionTool,
    Tool,
    ToolResult,
    as_json,
    as_text,
    failed,
)
from convtui.errors import ToolError, ToolFailure, did_you_mean
from convtui.log.tool_arguments import decoded
from convtui.models.base import ToolCall
from convtui.simulators.decisions import ABSTAIN_TOOL, REPLY_TOOL, STOP_TOOL

_RESERVED = frozenset({REPLY_TOOL, STOP_TOOL, ABSTAIN_TOOL})
_ECHO_LIMIT = 2000
_CANCEL_WITHIN = 0.15
"""Seconds that a cancelled call has to end; after that it is abandoned."""


class ToolServer(Protocol):
    """A source of tools that is started and stopped."""

    label: str
    tools: list[Tool]

    def connect(self, journal: Journal) -> None:
        """Records its output and restarts in `journal` from now on."""

    async def start(self) -> None:
        """Starts it and lists its tools. Raises `ToolError`."""

    async def stop(self) -> None:
        """Stops it; does nothing when it is not running."""

    async def refresh(self) -> bool:
        """Lists its tools again after a notice that they changed; whether they did."""


@dataclass(slots=True)
class Approval:
    """Which calls wait for approval: none, all, or those of some tools."""

    of: bool | frozenset[str] = False

    @classmethod
    def parse(cls, value: Any) -> Approval:
        """`True`, `False` or a list of names. Raises ValueError."""
        if isinstance(value, bool):
            return cls(value)
        if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
            return cls(frozenset(value) or False)
        raise ValueError("write true, false or a list of tools")

    def needed(self, calls: Iterable[ToolCall]) -> list[ToolCall]:
        """The calls that have to wait for approval."""
        if isinstance(self.of, bool):
            return list(calls) if self.of else []
        return [tool_call for tool_call in calls if tool_call.name in self.of]

    def as_data(self) -> bool | list[str]:
        """The value that `parse()` takes."""
        return self.of if isinstance(self.of, bool) else sorted(self.of)


class Toolbox:
    """The tools of one conversation.

    `timeout` (seconds) and `max_result` (characters that the model sees) apply to each call.
    Raises `ToolError` for two tools with the same name, and for a reserved name.
    """

    def __init__(
        self,
        functions: Sequence[Callable[..., Any]] = (),
        servers: Sequence[ToolServer] = (),
        *,
        timeout: float = 60.0,
        max_result: int = 48_000,
        approval: Approval | None = None,
    ) -> None:
        self.servers = list(servers)
        self.approval = approval or Approval()
        self._timeout = timeout
        self._max_result = max_result
        self._own: list[Tool] = [FunctionTool(function) for function in functions]
        self._tools: dict[str, Tool] = {}
        self._by_hand: asyncio.Future[None] | None = None
        self.schemas: list[dict[str, Any]] = []
        self._collect()

    def __len__(self) -> int:
        return len(self._tools)

    def _collect(self) -> None:
        tools: dict[str, Tool] = {}
        for tool in (*self._own, *(tool for server in self.servers for tool in server.tools)):
            if tool.name in _RESERVED:
                raise ToolError(
                    f"{tool.origin} cannot be a tool: {tool.name!r} is what a responder decides"
                    " with; rename it"
                )
            other = tools.get(tool.name)
            if other is not None:
                raise ToolError(
                    f"two tools are called {tool.name!r}: {other.origin} and {tool.origin}; rename"
                    " one of them or take it out"
                )
            tools[tool.name] = tool
        self._tools = tools
        self.schemas = [tool.schema for tool in tools.values()]

    # --- servers

    def connect(self, journal: Journal) -> None:
        """Records output and restarts of the tool servers in `journal` from now on."""
        for server in self.servers:
            server.connect(journal)

    async def start(self) -> None:
        """Starts the tool servers concurrently.

        Raises `ToolError` when one does not start, or when approval names an unknown tool, whose
        calls would otherwise run unasked; the servers that did start are stopped.
        """
        outcomes = await asyncio.gather(
            *(server.start() for server in self.servers), return_exceptions=True
        )
        try:
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
            self._collect()
            self.check_approval(self.approval)
        except BaseException:
            await self.stop()
            raise

    def check_approval(self, approval: Approval) -> None:
        """Raises `ToolError` for approval that names an unknown tool."""
        names = () if isinstance(approval.of, bool) else sorted(approval.of)
        for name in names:
            if name not in self._tools:
                known = ", ".join(self._tools) or "none"
                raise ToolError(
                    f"approve_tools names {name!r}, which is no tool"
                    f"{did_you_mean(name, self._tools)} (known: {known})"
                )

    async def stop(self) -> None:
        """Stops the tool servers concurrently."""
        await asyncio.gather(*(server.stop() for server in self.servers))

    async def refresh(self) -> str | None:
        """Adopts changes of the servers' tools; returns a description, None without any.

        A change that would give two tools the same name is not adopted.
        """
        if not self.servers:
            return None
        before = set(self._tools)
        changed = await asyncio.gather(*(server.refresh() for server in self.servers))
        if not any(changed):
            return None
        try:
            self._collect()
        except ToolError as error:
            return f"the tools that were there stay: {error}"
        changes = {"new": set(self._tools) - before, "gone": before - set(self._tools)}
        parts = [f"{what}: {', '.join(sorted(names))}" for what, names in changes.items() if names]
        return "; ".join(parts) or "their descriptions or arguments changed"

    # --- calls

    def arguments(self, tool_call: ToolCall) -> dict[str, Any] | None:
        """The decoded arguments of a call; None when they are no JSON object."""
        return decoded(tool_call.arguments)

    async def run(
        self,
        calls: Sequence[ToolCall],
        on_result: Callable[[ToolResult], None] = lambda result: None,
    ) -> list[ToolResult]:
        """Runs the calls of one round concurrently; returns the results in call order.

        `on_result` is called with each result as soon as it is there.
        """
        self._by_hand = asyncio.get_running_loop().create_future()
        queues: dict[str, asyncio.Lock] = {}

        async def run_one(tool_call: ToolCall) -> ToolResult:
            tool = self._tools.get(tool_call.name)
            if tool is None or tool.serial is None:
                result = await self._run(tool_call)
            else:
                async with queues.setdefault(tool.serial, asyncio.Lock()):
                    result = await self._run(tool_call)
            on_result(result)
            return result

        tasks = [asyncio.ensure_future(run_one(tool_call)) for tool_call in calls]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            self._by_hand = None

    def cancel(self) -> bool:
        """Cancels the calls of the round in progress; whether there was one."""
        if self._by_hand is None or self._by_hand.done():
            return False
        self._by_hand.set_result(None)
        return True

    async def _run(self, tool_call: ToolCall) -> ToolResult:
        started = time.perf_counter()
        try:
            tool, arguments = self._resolve(tool_call)
            await self._finish(tool.prepare(), None)
            value = await self._finish(tool.run(arguments), self._timeout)
        except ToolFailure as failure:
            result = failed(tool_call, failure.kind, str(failure), failure.detail)
        else:
            result = self._result_of(tool_call, value)
        result.duration = round(time.perf_counter() - started, 4)
        return result

    async def _finish(self, work: Coroutine[Any, Any, Any], seconds: float | None) -> Any:
        """The result of `work`. Raises `ToolFailure` when it takes too long or is cancelled."""
        by_hand = self._by_hand
        assert by_hand is not None
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait(
                {task, by_hand}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if task.done():
                return task.result()
            if by_hand.done():
                raise ToolFailure("tool_cancelled", "the call was cancelled by hand")
            raise ToolFailure(
                "tool_timeout", f"no result within {seconds:g} s (limits.tool_timeout)"
            )
        finally:
            if not task.done():
                # Code that ignores the cancellation is abandoned.
                task.cancel()
                await asyncio.wait({task}, timeout=_CANCEL_WITHIN)
            if task.done() and not task.cancelled():
                task.exception()  # retrieved: a result that came too late is dropped

    def _resolve(self, tool_call: ToolCall) -> tuple[Tool, dict[str, Any]]:
        """The tool of a call, and its arguments. Raises `ToolFailure`."""
        if self._by_hand is not None and self._by_hand.done():
            raise ToolFailure("tool_cancelled", "the call was cancelled by hand before it ran")
        tool = self._tools.get(tool_call.name)
        if tool is None:
            known = ", ".join(self._tools) or "none"
            raise ToolFailure(
                "unknown_tool", f"there is no tool {tool_call.name!r}", f"known: {known}"
            )
        arguments = self.arguments(tool_call)
        if arguments is None:
            raise ToolFailure(
                "invalid_tool_arguments",
                "the arguments are not a JSON object",
                tool_call.arguments[:_ECHO_LIMIT],
            )
        return tool, arguments

    def _result_of(self, tool_call: ToolCall, value: Any) -> ToolResult:
        """A value as a result, cut when it is too long."""
        whole: str | None = None
        if isinstance(value, Cut):
            value, whole = value.shown, value.whole
        body = as_json(value)
        text = as_text(body)
        if len(text) > self._max_result:
            body = text[: self._max_result] + TRUNCATED
            whole = text if whole is None else whole
        return ToolResult(tool_call, True, body, whole=whole)
