"""What goes to a model and what comes back: messages, deltas, usage, the folded reply."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from convtui.models.calls import CallFold, ToolCall, ToolCallDelta
from convtui.models.surrogates import PairJoiner, joined_pairs

__all__ = [
    "Delta",
    "Message",
    "ModelClient",
    "ModelClients",
    "Reply",
    "ReplyFold",
    "ToolCall",
    "ToolCallDelta",
    "Usage",
]

Message = dict[str, Any]
"""An OpenAI chat message: `role`, `content` and, where they apply, `tool_calls`, `tool_call_id`."""


MOST_PARTS: Final = 50
"""Parts of a reply that are kept; of the others their number."""


class Usage(BaseModel):
    """Tokens and cost of one call, or of many. None is "unknown", which is not zero.

    A value that cannot be a figure (text, negative, NaN) is unknown.
    """

    model_config = ConfigDict(extra="ignore")

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cost: float | None = None
    """US dollars."""

    @field_validator("*", mode="before")
    @classmethod
    def _figure(cls, value: Any, info: ValidationInfo) -> float | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        if not math.isfinite(value) or value < 0:
            return None
        if info.field_name == "cost":
            return float(value)
        return int(value) if value == int(value) else None

    def updated(self, later: Usage) -> Usage:
        """The figures of a later piece of the same reply, which are totals so far.

        A figure that is unknown there, or back at zero, stays as it was.
        """
        news = {name: value for name, value in later if value or getattr(self, name) is None}
        return self.model_copy(update=news)

    def plus(self, other: Usage) -> Usage:
        """Adds figures; one that only one side knows is kept as it is."""

        total = self.model_copy()
        for name in type(self).model_fields:
            left, right = getattr(self, name), getattr(other, name)
            if right is not None:
                setattr(total, name, right if left is None else left + right)
        return total


@dataclass(slots=True, frozen=True)
class Delta:
    """A piece of a streamed reply; every field is optional."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    response_id: str | None = None
    model: str | None = None
    metadata: Mapping[str, Any] | None = None
    refused: bool = False
    """The text, or a part of it, is a refusal."""
    parts: tuple[dict[str, Any], ...] = ()
    """What is no text: images, audio, files and the like."""
    begins: bool = False
    """The request goes out now: what was before it was the loading of code, not of an answer."""


@dataclass(slots=True)
class Reply:
    """A whole reply. `text` is the raw text; reasoning is kept apart from it."""

    text: str
    reasoning: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    finish_reason: str | None = None
    """None exactly where the endpoint, or the provider's code, gave none."""
    usage: Usage | None = None
    response_id: str | None = None
    model: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    refused: bool = False
    """The text, or a part of it, is a refusal: it came in the field or the part for one."""
    incomplete: str = ""
    """Why it did not come to its end, or is none: see `convtui.text_checks.incomplete.REASONS`."""
    parts: list[dict[str, Any]] = field(default_factory=list)
    """What is no text, with long data cut."""
    doubtful: list[str] = field(default_factory=list)
    """Where the tool calls could have been put together otherwise, in words."""


class ReplyFold:
    """Folds deltas into one reply, whatever order and shape they come in.

    `tools` are the names of the tools that were offered. Usage is a total so far in every delta
    that has it; it is not added up.
    """

    def __init__(self, tools: Collection[str] = ()) -> None:
        self._text = PairJoiner()
        self._reasoning: list[str] = []
        self._tools = tools
        self._calls: CallFold | None = None
        self._parts: list[dict[str, Any]] = []
        self._more_parts = 0
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.response_id: str | None = None
        self.model: str | None = None
        self.metadata: dict[str, Any] = {}
        self.refused = False

    def add(self, delta: Delta) -> None:
        if delta.text:
            self._text.add(delta.text)
        if delta.reasoning:
            self._reasoning.append(delta.reasoning)
        for piece in delta.tool_calls:
            self._calling().add(piece)
        for part in delta.parts:
            if len(self._parts) < MOST_PARTS:
                self._parts.append(part)
            else:
                self._more_parts += 1
        if delta.finish_reason:
            self.finish_reason = delta.finish_reason
        if delta.usage is not None:
            self.usage = delta.usage if self.usage is None else self.usage.updated(delta.usage)
        if delta.response_id is not None:
            self.response_id = delta.response_id
        if delta.model is not None:
            self.model = delta.model
        if delta.metadata:
            self.metadata.update(delta.metadata)
        self.refused = self.refused or delta.refused

    def _calling(self) -> CallFold:
        """Most replies call nothing."""
        if self._calls is None:
            self._calls = CallFold(self._tools)
        return self._calls

    @property
    def text(self) -> str:
        """The text so far; half a character at its end waits for the other half."""
        return self._text.text

    def reply(self) -> Reply:
        """The reply folded so far; `finish_reason` stays None when the model gave none."""
        calls: list[ToolCall] = []
        doubtful: list[str] = []
        if self._calls is not None:
            calls, doubtful = self._calls.result()
        for call in calls:
            call.arguments = joined_pairs(call.arguments)
        more = [{"type": "more", "count": self._more_parts}] if self._more_parts else []
        return Reply(
            text=self._text.whole,
            reasoning=joined_pairs("".join(self._reasoning)),
            tool_calls=calls,
            finish_reason=self.finish_reason,
            usage=self.usage,
            response_id=self.response_id,
            model=self.model,
            metadata=self.metadata,
            refused=self.refused,
            parts=[*self._parts, *more],
            doubtful=doubtful,
        )


class ModelClient(Protocol):
    """One model, ready to be called. Every model call of the program goes through one of these.

    `stream()` makes exactly one attempt: retries, deadlines, records and budgets belong to the
    engine, which drives it. It raises `ModelError`s only.
    """

    model: str
    params: Mapping[str, Any]

    def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        params: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[Delta]:
        """The reply as deltas, as they arrive. `params` override the client's own."""
        ...


@runtime_checkable
class ModelClients(Protocol):
    """Makes model clients; handed to whatever needs one, so that nothing imports litellm itself."""

    def client(self, model: str, params: Mapping[str, Any] | None = None) -> ModelClient:
        """A client for a litellm model string. Raises `UsageError` for a model it cannot call."""
        ...

    async def priced(self, model: str) -> bool:
        """Whether the price of a model is known before it is called. May take seconds."""
        ...
