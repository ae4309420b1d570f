"""Tools, their schemas, and the results of calls, failures included."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from convtui.errors import ThreadExit, ToolError, ToolFailure
from convtui.models.base import Message, ToolCall
from convtui.providers.calling import call
from convtui.text.causes import describe
from convtui.text.tracebacks import own_frames

TRUNCATED = "...(truncated)"
_DETAIL_LIMIT = 4000
_KEPT = 1_000_000
"""Characters of an exception's message that are kept beside the log."""

Function = TypeVar("Function", bound=Callable[..., Any])


def serial_tool(function: Function) -> Function:
    """Marks a tool whose calls must not run concurrently.

    The calls of a round run concurrently, except those of tools marked like this, which run one
    after the other in call order. `function.serial = "NAME"` makes a group of its own.
    """
    function.serial = True  # type: ignore[attr-defined]
    return function


class Tool(Protocol):
    """Something that a model can call."""

    name: str
    origin: str
    """Where the tool comes from, for messages."""
    serial: str | None
    """The group whose calls run one after the other; None for no group."""

    @property
    def schema(self) -> dict[str, Any]:
        """The tool as chat APIs take it."""

    async def prepare(self) -> None:
        """Gets ready for a call, outside its time limit. Raises `ToolFailure`."""

    async def run(self, arguments: dict[str, Any]) -> Any:
        """Runs one call. Raises `ToolFailure`."""


class FunctionTool:
    """A Python callable; the schema comes from its signature and docstring.

    Raises `ToolError` for a signature that has no schema.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = getattr(function, "__name__", type(function).__name__)
        self.origin = f"the function {getattr(function, '__module__', '?')}.{self.name}"
        self.description = inspect.getdoc(function) or ""
        serial = getattr(function, "serial", None)
        self.serial = serial if isinstance(serial, str) else ("" if serial is True else None)
        self._function = function
        self._arguments = _arguments_model(self.name, function)

    @property
    def schema(self) -> dict[str, Any]:
        parameters = self._arguments.model_json_schema()
        parameters.pop("title", None)
        return tool_schema(self.name, self.description, parameters)

    async def prepare(self) -> None:
        """Does nothing: a function is always ready."""

    async def run(self, arguments: dict[str, Any]) -> Any:
        try:
            checked = self._arguments.model_validate(arguments)
        except ValidationError as error:
            raise ToolFailure(
                "invalid_tool_arguments", "the arguments do not fit", str(error)
            ) from error
        values = {name: getattr(checked, name) for name in checked.model_fields_set}
        try:
            if inspect.iscoroutinefunction(self._function):
                return await self._function(**values)
            return await call(lambda: self._function(**values))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise ToolFailure(
                "tool_execution_exception", "the tool raised CancelledError"
            ) from None
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            cause = error.cause if isinstance(error, ThreadExit) else error
            raise ToolFailure(
                "tool_execution_exception", describe(cause, _KEPT), "\n".join(own_frames(cause))
            ) from error


def tool_schema(name: str, description: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A tool as chat APIs take it; `parameters` is a JSON schema."""
    function = {"name": name, "description": description, "parameters": dict(parameters)}
    return {"type": "function", "function": function}


def _arguments_model(name: str, function: Callable[..., Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception as error:
        # Annotations are code, which may raise anything.
        why = describe(error)
        raise ToolError(f"tool {name}: its signature cannot be read ({why})") from error
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        kind = Any if parameter.annotation is parameter.empty else parameter.annotation
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (kind, default)
    try:
        model = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
        model.model_json_schema()
    except Exception as error:
        why = describe(error)
        raise ToolError(f"tool {name}: no schema for its signature ({why})") from error
    return model


@dataclass(slots=True)
class ToolResult:
    """The result of one call. `body` is what the model sees."""

    call: ToolCall
    ok: bool
    body: Any
    error_kind: str | None = None
    duration: float = 0.0
    """Seconds."""
    whole: str | None = None
    """The whole text, when `body` is cut."""

    @property
    def content(self) -> str:
        return as_text(self.body)

    def as_message(self) -> Message:
        return {
            "role": "tool",
            "tool_call_id": self.call.id,
            "name": self.call.name,
            "content": self.content,
        }


def as_text(body: Any) -> str:
    """A result's body as the model sees it."""
    return body if isinstance(body, str) else json.dumps(body, default=repr)


@dataclass(slots=True, frozen=True)
class Cut:
    """A result of which the model sees `shown`, while `whole` is kept beside the log."""

    shown: Any
    whole: str


def failed(tool_call: ToolCall, kind: str, message: str, detail: str = "") -> ToolResult:
    """An error result: `{ok: false, error_kind, message, detail}`."""
    body = {"ok": False, "error_kind": kind, "message": message, "detail": detail}
    whole: str | None = None
    if len(message) > _DETAIL_LIMIT or len(detail) > _DETAIL_LIMIT:
        whole = as_text(body)
        body = {**body, "message": _cut(message), "detail": _cut(detail)}
    return ToolResult(tool_call, False, body, error_kind=kind, whole=whole)


def denied(tool_call: ToolCall, reason: str) -> ToolResult:
    """The error result of a call that a human denied."""
    message = "the call was denied" + (f": {reason}" if reason else "")
    return failed(tool_call, "tool_denied", message)


def _cut(text: str) -> str:
    return text if len(text) <= _DETAIL_LIMIT else text[:_DETAIL_LIMIT] + TRUNCATED


def as_json(value: Any) -> Any:
    """A value as JSON data; `{repr, type}` for one that cannot be."""
    try:
        if isinstance(value, BaseModel):
            return value.model_dump(mode="json")
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = dataclasses.asdict(value)
        # Encoded and decoded, so that the log and the model get the same keys.
        return json.loads(json.dumps(value, allow_nan=False))
    except Exception:  # noqa: BLE001 - serialising runs the class's own code
        try:
            shown = repr(value)
        except Exception as error:  # noqa: BLE001 - so does repr()
            shown = f"<{type(error).__name__} in __repr__>"
        return {"repr": shown, "type": type(value).__name__}
