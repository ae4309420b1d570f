"""Tools: schemas from signatures, calls of one round together, every failure a result."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from convtui.errors import ToolError
from convtui.models.base import Message, ToolCall
from convtui.providers.base import ThreadExit, call
from convtui.providers.frames import describe, own_frames

_DETAIL_LIMIT = 4000
_ECHO_LIMIT = 2000


@dataclass(slots=True)
class Tool:
    """A Python callable with the schema of its arguments."""

    name: str
    description: str
    function: Callable[..., Any]
    arguments: type[BaseModel]

    @property
    def schema(self) -> dict[str, Any]:
        """The tool in the form of chat APIs."""
        parameters = self.arguments.model_json_schema()
        parameters.pop("title", None)
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": parameters,
            },
        }


@dataclass(slots=True)
class ToolResult:
    """What one call gave. `body` is what the model sees."""

    call: ToolCall
    ok: bool
    body: Any
    error_kind: str | None = None
    duration: float = 0.0

    def as_message(self) -> Message:
        """The result as a message of the chat."""
        body = self.body
        return {
            "role": "tool",
            "tool_call_id": self.call.id,
            "name": self.call.name,
            "content": body if isinstance(body, str) else json.dumps(body, default=repr),
        }


def make_tool(function: Callable[..., Any]) -> Tool:
    """A tool from a callable; the schema comes from its signature and docstring.

    Raises `ToolError` for a signature that has no schema.
    """
    name = getattr(function, "__name__", type(function).__name__)
    fields: dict[str, Any] = {}
    try:
        signature = inspect.signature(function, eval_str=True)
    except (TypeError, ValueError, NameError) as error:
        raise ToolError(f"tool {name}: its signature cannot be read ({error})") from error
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        kind = Any if parameter.annotation is parameter.empty else parameter.annotation
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (kind, default)
    try:
        model = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    except Exception as error:
        raise ToolError(f"tool {name}: no schema for its signature ({error})") from error
    return Tool(name, inspect.getdoc(function) or "", function, model)


class Toolbox:
    """The tools of one conversation. Raises `ToolError` for two tools of one name."""

    def __init__(self, functions: Sequence[Callable[..., Any]] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for function in functions:
            tool = make_tool(function)
            if tool.name in self._tools:
                raise ToolError(f"two tools are called {tool.name!r}; rename one of them")
            self._tools[tool.name] = tool
        self.schemas = [tool.schema for tool in self._tools.values()]

    def __len__(self) -> int:
        return len(self._tools)

    def arguments(self, tool_call: ToolCall) -> dict[str, Any] | None:
        """The call's arguments as far as they can be read; empty text means none."""
        if not tool_call.arguments.strip():
            return {}
        try:
            found = json.loads(tool_call.arguments)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    async def run(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        """Runs the calls of one round together; results come in call order."""
        return list(await asyncio.gather(*(self._run(each) for each in calls)))

    async def _run(self, tool_call: ToolCall) -> ToolResult:
        started = time.perf_counter()
        result = await self._result(tool_call)
        result.duration = round(time.perf_counter() - started, 4)
        return result

    async def _result(self, tool_call: ToolCall) -> ToolResult:
        tool = self._tools.get(tool_call.name)
        if tool is None:
            known = ", ".join(self._tools) or "none"
            return _failed(
                tool_call, "unknown_tool", f"there is no tool {tool_call.name!r}", f"known: {known}"
            )
        arguments = self.arguments(tool_call)
        if arguments is None:
            return _failed(
                tool_call,
                "invalid_tool_arguments",
                "the arguments are not a JSON object",
                tool_call.arguments[:_ECHO_LIMIT],
            )
        try:
            checked = tool.arguments.model_validate(arguments)
        except ValidationError as error:
            return _failed(
                tool_call, "invalid_tool_arguments", "the arguments do not fit", str(error)
            )
        values = {name: getattr(checked, name) for name in checked.model_fields_set}

        def invoke() -> Any:
            return tool.function(**values)

        try:
            if inspect.iscoroutinefunction(tool.function):
                value = await tool.function(**values)
            else:
                value = await call(invoke)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the model sees it as a result
            cause = error.cause if isinstance(error, ThreadExit) else error
            return _failed(
                tool_call,
                "tool_execution_exception",
                describe(cause),
                "\n".join(own_frames(cause)),
            )
        return ToolResult(tool_call, True, _plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return {"repr": repr(value), "type": type(value).__name__}
    return value


def _failed(tool_call: ToolCall, kind: str, message: str, detail: str = "") -> ToolResult:
    body: dict[str, Any] = {"ok": False, "error_kind": kind, "message": message}
    if detail:
        body["detail"] = detail[:_DETAIL_LIMIT]
    return ToolResult(tool_call, False, body, error_kind=kind)
