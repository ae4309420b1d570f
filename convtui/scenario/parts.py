"""The parts of a scenario file: provider, limits, budget, retry, tools, and what a signal does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetPydanticSchema,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from convtui.errors import ProviderLoadError
from convtui.scenario.provider_spec import ProviderSpec, absolute, parse_provider_spec
from convtui.warm.names import MAX_PATTERNS, is_path

START_PROMPT = "Start the conversation based on the system prompt"
TERMINATION_SIGNAL = "<END OF CONVERSATION>"
BREAKPOINT_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        # `once: ~end` without quotes.
        {"type": "object", "maxProperties": 1, "additionalProperties": {"type": "string"}},
    ]
}


class StrictModel(BaseModel):
    """A mapping that people write: strict keys, strict types, not changed after loading."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        # Built at first use, so that importing costs nothing.
        defer_build=True,
    )


def at_key(key: str, message: str) -> PydanticCustomError:
    """A validation error of a whole mapping, shown at one of its keys."""
    return PydanticCustomError("at_key", "{message}", {"key": key, "message": message})


def check_signals(values: list[str]) -> list[str]:
    """`values` when none is empty and no two are the same but for upper and lower case."""
    seen: dict[str, str] = {}
    for value in values:
        if not value.strip():
            raise ValueError("an empty termination signal would match everything; take it out")
        key = value.lower()  # as they are matched: to casefold(), "ß" is "ss"
        if key in seen:
            raise ValueError(
                f"the termination signal {value!r} is there twice (as {seen[key]!r});"
                " upper and lower case do not matter"
            )
        seen[key] = value
    return values


def not_blank(value: str) -> str:
    """Requires text that is not blank."""
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def base_of(info: ValidationInfo) -> Path | None:
    """The directory that relative paths are relative to; None when they are resolved already."""
    base = (info.context or {}).get("base")
    return base if isinstance(base, Path) else None


@dataclass(frozen=True, slots=True)
class OnDiscard:
    """What follows a discarded turn: `end`, `skip`, or asking again up to `retries` times."""

    action: Literal["end", "skip", "retry"] = "end"
    retries: int = 0

    def __str__(self) -> str:
        return f"retry {self.retries}" if self.action == "retry" else self.action

    @classmethod
    def parse(cls, text: object) -> OnDiscard:
        """`end`, `skip` or `retry N`. Raises ValueError."""
        if isinstance(text, cls):
            return text
        if text == "end":
            return cls("end")
        if text == "skip":
            return cls("skip")
        match = re.fullmatch(r"retry\s+(\d{1,6})", text) if isinstance(text, str) else None
        if match and int(match[1]) >= 1:
            return cls("retry", int(match[1]))
        hint = "; say how often, as in retry 2" if text == "retry" else ""
        raise ValueError(f"must be end, skip or retry N, not {text!r}{hint}")


OnDiscardField = Annotated[
    OnDiscard,
    GetPydanticSchema(
        lambda _source, _handler: core_schema.no_info_plain_validator_function(
            OnDiscard.parse,
            json_schema_input_schema=core_schema.str_schema(pattern=r"^(end|skip|retry\s+\d+)$"),
            serialization=core_schema.to_string_ser_schema(),
        )
    ),
]

OnSignal = Literal["end", "pause", "ignore"]


class ProviderConfig(StrictModel):
    """The system under test: what to use, and what it is given."""

    use: str = "demo"
    """A provider SPEC: demo, openai/gpt-4o, file.py:name, package.module:name, recorded:LOG."""
    system_prompt: str | None = None
    """Put before the history in every request."""
    start_prompt: str = START_PROMPT
    """Its only message when it speaks first."""
    first_message: str | None = None
    """Said without a model call when it speaks first."""
    model: str | None = None
    """Given to providers that take a model."""
    params: dict[str, Any] = Field({})
    """Parameters of its model calls, such as temperature or api_base."""
    options: dict[str, Any] = Field({})
    """Keyword arguments of the provider's class."""

    _not_blank = field_validator("start_prompt")(not_blank)

    @field_validator("use")
    @classmethod
    def _usable(cls, value: str, info: ValidationInfo) -> str:
        base = base_of(info)
        try:
            spec = parse_provider_spec(value, base)
        except ProviderLoadError as error:
            raise ValueError(str(error)) from None
        return str(spec if base is None else spec.located(base))

    @property
    def spec(self) -> ProviderSpec:
        """`use`, taken apart."""
        return parse_provider_spec(self.use)

    @field_validator("options")
    @classmethod
    def _keywords(cls, value: dict[str, Any]) -> dict[str, Any]:
        bad = [key for key in value if not str(key).isidentifier()]
        if bad:
            raise ValueError(f"{bad[0]!r} cannot be a keyword argument of a class")
        return value


class Limits(StrictModel):
    """When a session ends for its length alone."""

    max_turns: int = Field(20, ge=1)
    """Committed turns of both sides; raised by one if the provider would not have the last one."""
    max_total_words: int | None = Field(None, ge=1)
    """Shown words of both sides."""
    max_tool_rounds: int = Field(64, ge=1)
    """Rounds of tool calls within one turn."""
    turn_timeout: float = Field(120.0, gt=0)
    """Seconds that one model call may take."""
    tool_timeout: float = Field(60.0, gt=0)
    """Seconds that one tool call may take."""
    max_tool_result: int = Field(48_000, ge=1)
    """Characters of a tool's result that the model sees; the whole is kept beside the log."""


class SideBudget(StrictModel):
    """Limits on what one side uses."""

    tokens: int | None = Field(None, ge=1)
    """Prompt and completion tokens of its calls."""
    cost: float | None = Field(None, gt=0)
    """US dollars."""


class Budget(StrictModel):
    """Limits on tokens and cost, of the whole conversation and of each side; each fires once."""

    tokens: int | None = Field(None, ge=1)
    """Tokens of both sides."""
    cost: float | None = Field(None, gt=0)
    """US dollars, of both sides."""
    provider: SideBudget | None = None
    """The provider's share."""
    persona: SideBudget | None = None
    """The persona's share, a responder's decisions included."""
    on_exceeded: Literal["pause", "stop", "warn"] = "pause"
    """What happens on the completion that crosses it."""


class Retry(StrictModel):
    """How failed model calls are made again: full-jitter backoff."""

    attempts: int = Field(4, ge=1, le=100)
    """Attempts in all, the first included."""
    base_delay: float = Field(0.75, ge=0)
    """Seconds."""
    max_delay: float = Field(8.0, ge=0)
    """Seconds."""
    max_wait: float = Field(60.0, ge=0)
    """The longest wait in seconds, whatever an endpoint asks for (Retry-After). A longer one holds
    in the debugger and ends a run at once."""


class WarmConfig(StrictModel):
    """What earlier sessions have learned, put before the history of every session."""

    use: str
    """The name of a saved template (`convtui warm list`), or a path to one (.json)."""
    slots: dict[str, str] = Field({})
    """Values for the template's {names}."""
    max_patterns: int = Field(MAX_PATTERNS, ge=0)
    """How many of its patterns are shown."""

    @field_validator("use")
    @classmethod
    def _located(cls, value: str, info: ValidationInfo) -> str:
        not_blank(value)
        base = base_of(info)
        return str(absolute(value, base)) if base is not None and is_path(value) else value

    @field_validator("slots", mode="before")
    @classmethod
    def _texts(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        # A number without quotes is meant as it is written.
        return {
            key: json.dumps(item) if isinstance(item, (bool, int, float)) else item
            for key, item in value.items()
        }


class McpServer(StrictModel):
    """A tool server that speaks MCP: a program over standard input and output, or a URL."""

    command: list[str] | None = Field(None, min_length=1)
    """The program and its arguments; started with the conversation, stopped with it."""
    env: dict[str, str] = Field({})
    """Environment variables for the program; it inherits only PATH, HOME and the like."""
    cwd: str | None = Field(None, validate_default=True)
    """The directory it is started in; by default the scenario's."""
    url: str | None = None
    """A server that runs already and speaks streamable HTTP, as in http://127.0.0.1:8000/mcp."""
    headers: dict[str, str] = Field({})
    """HTTP headers for every request to `url`, such as Authorization."""

    @field_validator("command")
    @classmethod
    def _program(cls, value: list[str] | None) -> list[str] | None:
        if value is not None:
            not_blank(value[0])
        return value

    @field_validator("cwd")
    @classmethod
    def _located(cls, value: str | None, info: ValidationInfo) -> str | None:
        base = base_of(info)
        return value if base is None else str(base / (value or "."))

    @field_validator("url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"https?://[^/\s]", value):
            raise ValueError(f"must be an http:// or https:// address, not {value!r}")
        return value

    @model_validator(mode="after")
    def _one(self) -> McpServer:
        if (self.command is None) == (self.url is None):
            raise ValueError("an MCP server has either a command or a url")
        if self.url is not None and self.env:
            raise at_key("env", "a server with a url is not started here and gets no environment")
        if self.command is not None and self.headers:
            raise at_key("headers", "headers are for a server with a url; a program has env")
        return self


class ToolConfig(StrictModel):
    """Where tools come from: a Python function or an MCP server."""

    use: str | None = None
    """`module:function` or `file.py:function`."""
    mcp: McpServer | None = None
    """A server to start."""

    @field_validator("use")
    @classmethod
    def _named(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        try:
            spec = parse_provider_spec(value, base_of(info))
        except ProviderLoadError as error:
            raise ValueError(str(error).replace("provider", "tool")) from None
        if spec.kind not in ("file", "module"):
            raise ValueError(f"write module:function or file.py:function, not {value!r}")
        base = base_of(info)
        return str(spec if base is None else spec.located(base))

    @model_validator(mode="after")
    def _one(self) -> ToolConfig:
        if (self.use is None) == (self.mcp is None):
            raise ValueError("a tool is either module:function or a mapping with mcp")
        return self


def breakpoint_text(item: Any) -> Any:
    """`once: ~end` without quotes is a mapping to YAML, and means the text."""
    if isinstance(item, dict) and len(item) == 1:
        [(key, value)] = item.items()
        if isinstance(key, str) and isinstance(value, str):
            return f"{key}: {value}"
    return item


def normal_tools(value: object) -> object:
    """`tools` with every bare `module:function` written as a mapping."""
    if not isinstance(value, list):
        return value
    return [{"use": item} if isinstance(item, str) else item for item in value]


def names(values: Iterable[str], what: str) -> list[str]:
    """`values` when none is blank."""
    result = list(values)
    if any(not value.strip() for value in result):
        raise ValueError(f"a {what} must not be empty")
    return result
