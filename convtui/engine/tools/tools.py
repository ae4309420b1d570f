"""The tools of a conversation: calls of one round together, servers, approval."""

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
    as_text,
    failed,
    plain,
)
from convtui.errors import ToolError, ToolFailure, did_you_mean
from convtui.log.tool_arguments import decoded
from convtui.models.base import ToolCall
from convtui.simulators.decisions import ABSTAIN_TOOL, REPLY_TOOL, STOP_TOOL

_RESERVED = frozenset({REPLY_TOOL, STOP_TOOL, ABSTAIN_TOOL})
_ECHO_LIMIT = 2000
_CANCEL_WITHIN = 0.15
"""Seconds that a cancelled call gets to notice; after that it is left behind."""


class ToolServer(Protocol):
    """A source of tools that has to be started."""

    label: str
    tools: list[Tool]

    def connect(self, journal: Journal) -> None:
        """What it prints and what happens to it is recorded there from now on."""

    async def start(self) -> None:
        """Starts it and learns its tools. Raises `ToolError`."""

    async def stop(self) -> None:
        """Stops it; does nothing when it is not running."""

    async def refresh(self) -> bool:
        """Learns its tools again where it said that they changed; whether they did."""


@dataclass(slots=True)
class Approval:
    """Which calls wait for a human's word: none, all, or those of some tools."""

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
        """Those of `calls` that have to wait."""
        if isinstance(self.of, bool):
            return list(calls) if self.of else []
        return [each for each in calls if each.name in self.of]

    def as_data(self) -> bool | list[str]:
        """The reverse of `parse()`."""
        return self.of if isinstance(self.of, bool) else sorted(self.of)


class Toolbox:
    """The tools of one conversation. Raises `ToolError` for two tools of one name.

    `timeout` (seconds) and `max_result` (characters that the model sees) hold for each call.
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
        self._running: set[asyncio.Task[Any]] = set()
        self._by_hand: asyncio.Future[None] | None = None
        self.schemas: list[dict[str, Any]] = []
        self._collect()

    def __len__(self) -> int:
        return len(self._tools)

    def _collect(self) -> None:
        found: dict[str, Tool] = {}
        for tool in (*self._own, *(tool for server in self.servers for tool in server.tools)):
            if tool.name in _RESERVED:
                raise ToolError(
                    f"{tool.origin} cannot be a tool: {tool.name!r} is what a responder decides"
                    " with; rename it"
                )
            other = found.get(tool.name)
            if other is not None:
                raise ToolError(
                    f"two tools are called {tool.name!r}: {other.origin} and {tool.origin}; rename"
                    " one of them or take it out"
                )
            found[tool.name] = tool
        self._tools = found
        self.schemas = [tool.schema for tool in found.values()]

    # --- servers

    def connect(self, journal: Journal) -> None:
        """Where the tool servers are recorded."""
        for server in self.servers:
            server.connect(journal)

    async def start(self) -> None:
        """Starts the tool servers together. Raises `ToolError`; those that run are stopped then.

        What waits for approval has to be a tool then: a name written wrong would approve itself.
        """
        done = await asyncio.gather(
            *(server.start() for server in self.servers), return_exceptions=True
        )
        try:
            for outcome in done:
                if isinstance(outcome, BaseException):
                    raise outcome
            self._collect()
            self.check_approval(self.approval)
        except BaseException:
            await self.stop()
            raise

    def check_approval(self, approval: Approval) -> None:
        """Raises `ToolError` where calls of something that is no tool wait for approval."""
        names = () if isinstance(approval.of, bool) else sorted(approval.of)
        for name in names:
            if name not in self._tools:
                known = ", ".join(self._tools) or "none"
                raise ToolError(
                    f"approve_tools names {name!r}, which is no tool"
                    f"{did_you_mean(name, self._tools)} (known: {known})"
                )

    async def stop(self) -> None:
        """Stops the tool servers together."""
        await asyncio.gather(*(server.stop() for server in self.servers))

    async def refresh(self) -> str | None:
        """Takes in what servers have changed of their tools; in words, None where nothing has.

        A change that makes two tools of one name is not taken in.
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
        come, gone = sorted(set(self._tools) - before), sorted(before - set(self._tools))
        parts = [f"{word} {', '.join(names)}" for word, names in (("new:", come), ("gone:", gone))
                 if names]  # fmt: skip
        return "; ".join(parts) or "their descriptions or arguments changed"

    # --- calls

    def arguments(self, tool_call: ToolCall) -> dict[str, Any] | None:
        """The call's arguments as far as they can be read; empty text means none."""
        return decoded(tool_call.arguments)

    async def run(
        self,
        calls: Sequence[ToolCall],
        came: Callable[[ToolResult], None] = lambda result: None,
    ) -> list[ToolResult]:
        """Runs the calls of one round together; results come in call order.

        `came` is told of each as soon as it is there.
        """
        self._by_hand = asyncio.get_running_loop().create_future()
        queues: dict[str, asyncio.Lock] = {}

        async def one(tool_call: ToolCall) -> ToolResult:
            tool = self._tools.get(tool_call.name)
            if tool is None or tool.serial is None:
                result = await self._run(tool_call)
            else:
                async with queues.setdefault(tool.serial, asyncio.Lock()):
                    result = await self._run(tool_call)
            came(result)
            return result

        tasks = [asyncio.ensure_future(one(each)) for each in calls]
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
            tool, arguments = self._chosen(tool_call)
            await self._guarded(tool.prepare(), None)
            value = await self._guarded(tool.run(arguments), self._timeout)
        except ToolFailure as failure:
            result = failed(tool_call, failure.kind, str(failure), failure.detail)
        else:
            result = self._given(tool_call, value)
        result.duration = round(time.perf_counter() - started, 4)
        return result

    async def _guarded(self, work: Coroutine[Any, Any, Any], within: float | None) -> Any:
        """What a tool returns within the time that it has, unless it is cancelled by hand."""
        by_hand = self._by_hand
        assert by_hand is not None
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, by_hand}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if by_hand.done():
                raise ToolFailure("tool_cancelled", "the call was cancelled by hand")
            raise ToolFailure(
                "tool_timeout", f"no result within {within:g} s (limits.tool_timeout)"
            )
        finally:
            if not task.done():
                # Code that takes no notice is left behind.
                task.cancel()
                await asyncio.wait({task}, timeout=_CANCEL_WITHIN)
            if task.done() and not task.cancelled():
                task.exception()  # looked at: a result that came too late is nobody's

    def _chosen(self, tool_call: ToolCall) -> tuple[Tool, dict[str, Any]]:
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

    def _given(self, tool_call: ToolCall, value: Any) -> ToolResult:
        """A value as a result, cut where it is too long."""
        whole: str | None = None
        if isinstance(value, Cut):
            value, whole = value.shown, value.whole
        body = plain(value)
        text = as_text(body)
        if len(text) > self._max_result:
            body = text[: self._max_result] + TRUNCATED
            whole = text if whole is None else whole
        return ToolResult(tool_call, True, body, whole=whole)
