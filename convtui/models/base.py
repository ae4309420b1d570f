"""What goes to a model and what comes back: messages, deltas, usage, the folded reply."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

Message = dict[str, Any]
"""An OpenAI chat message: `role`, `content` and, where they apply, `tool_calls`, `tool_call_id`."""


class Usage(BaseModel):
    """Tokens and cost of one call, or of many. None is "unknown", which is not zero."""

    model_config = ConfigDict(extra="ignore")

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cost: float | None = None
    """US dollars."""

    def plus(self, other: Usage) -> Usage:
        """The sum; a figure known on one side only is kept as it is."""

        total = self.model_copy()
        for name in type(self).model_fields:
            mine, theirs = getattr(self, name), getattr(other, name)
            if theirs is not None:
                setattr(total, name, theirs if mine is None else mine + theirs)
        return total


@dataclass(slots=True, frozen=True)
class ToolCallDelta:
    """A piece of a tool call; pieces of one call share an `index`, the first has id and name."""

    index: int | None = None
    id: str | None = None
    name: str | None = None
    arguments: str = ""


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
    begins: bool = False
    """The request goes out now: what was before it was the loading of code, not of an answer."""


@dataclass(slots=True)
class ToolCall:
    """A complete tool call; `arguments` is the JSON text exactly as the model wrote it."""

    id: str
    name: str
    arguments: str = ""

    def as_message(self) -> dict[str, Any]:
        """The call as it stands in an assistant message."""
        return {
            "id": self.id,
            "type": "function",
            "function": {"name": self.name, "arguments": self.arguments},
        }


@dataclass(slots=True)
class Reply:
    """A whole reply. `text` is the raw text; reasoning is kept apart from it."""

    text: str
    reasoning: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    finish_reason: str | None = None
    usage: Usage | None = None
    response_id: str | None = None
    model: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    refused: bool = False
    """Whether the text is a refusal: it came in the field or the part that is for one."""
    incomplete: str = ""
    """Why it did not come to its end, or is none: see `convtui.incomplete.REASONS`."""


class ReplyFold:
    """Folds deltas into one reply, whatever order and shape they come in.

    Tool-call pieces are collected by index; a piece without an index starts a new call when its id
    is new and continues the last one otherwise (servers that leave the index out must not have two
    calls glued together).
    """

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, ToolCall] = {}
        self._last_index: int | None = None
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.response_id: str | None = None
        self.model: str | None = None
        self.metadata: dict[str, Any] = {}

    def add(self, delta: Delta) -> None:
        """Takes in one delta."""
        if delta.text:
            self._text.append(delta.text)
        if delta.reasoning:
            self._reasoning.append(delta.reasoning)
        for piece in delta.tool_calls:
            self._add_call(piece)
        if delta.finish_reason is not None:
            self.finish_reason = delta.finish_reason
        if delta.usage is not None:
            self.usage = delta.usage
        if delta.response_id is not None:
            self.response_id = delta.response_id
        if delta.model is not None:
            self.model = delta.model
        if delta.metadata:
            self.metadata.update(delta.metadata)

    def _add_call(self, piece: ToolCallDelta) -> None:
        index = piece.index
        if index is None:
            known = next((i for i, c in self._calls.items() if piece.id and c.id == piece.id), None)
            if known is not None:
                index = known
            elif piece.id or self._last_index is None:
                index = max(self._calls, default=-1) + 1
            else:
                index = self._last_index
        self._last_index = index
        call = self._calls.get(index)
        if call is None:
            call = self._calls[index] = ToolCall(id="", name="")
        if piece.id:
            call.id = piece.id
        if piece.name:
            call.name += piece.name
        call.arguments += piece.arguments

    @property
    def text(self) -> str:
        """The text so far."""
        if len(self._text) > 1:
            self._text = ["".join(self._text)]
        return self._text[0] if self._text else ""

    def reply(self) -> Reply:
        """The reply folded so far; `finish_reason` stays None when the model gave none."""
        calls = [self._calls[index] for index in sorted(self._calls)]
        for number, call in enumerate(calls):
            call.id = call.id or f"call_{number}"
        return Reply(
            text=self.text,
            reasoning="".join(self._reasoning),
            tool_calls=calls,
            finish_reason=self.finish_reason,
            usage=self.usage,
            response_id=self.response_id,
            model=self.model,
            metadata=self.metadata,
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
        """The reply as deltas, as they arrive. `params` are laid over the client's own."""
        ...


class ModelClients(Protocol):
    """Makes model clients; handed to whatever needs one, so that nothing imports litellm itself."""

    def client(self, model: str, params: Mapping[str, Any] | None = None) -> ModelClient:
        """A client for a litellm model string. Raises `UsageError` for a model it cannot call."""
        ...

    async def priced(self, model: str) -> bool:
        """Whether what a model costs is known before it is called. May take seconds."""
        ...
