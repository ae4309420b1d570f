"""Reads litellm's chunks and answers: what the endpoint said, without what litellm made up."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from convtui.errors import BadModelRequest, StreamDropped
from convtui.models.base import Delta, ToolCallDelta, Usage

_KEPT_HEADER = re.compile(
    r"(?i)^(?:.*request-id|.*trace-id|cf-ray|openai-(?:processing-ms|version)|retry-after(?:-ms)?"
    r"|(?:x|anthropic)-ratelimit-.*|x-should-retry|server-timing)$"
)


class ChunkReader:
    """Turns litellm's chunks into deltas, leaving out what litellm made up."""

    def __init__(self, litellm: Any, model: str, response: Any) -> None:
        self._litellm = litellm
        self._model = model
        self._response = response
        self._told: set[str] = set()
        self._call_ids: dict[int, str] = {}
        self._no_index = False
        self._said_something = False

    def delta(self, chunk: Any) -> Delta | None:
        """The delta of one chunk; None when there is nothing in it."""
        text = reasoning = ""
        calls: tuple[ToolCallDelta, ...] = ()
        finish: str | None = None
        for choice in getattr(chunk, "choices", None) or ():
            piece = choice.delta
            text += getattr(piece, "content", None) or ""
            reasoning += getattr(piece, "reasoning_content", None) or ""
            found = getattr(piece, "tool_calls", None) or ()
            calls += tuple(self._indexed(_call_delta(call)) for call in found)
            finish = choice.finish_reason or finish
        # Without a finish reason from the endpoint litellm says "stop".
        if not getattr(self._response, "received_finish_reason", finish):
            finish = None
        usage = self._usage(chunk)
        headers = _headers(self._response) if "headers" not in self._told else {}
        self._told.add("headers")
        delta = Delta(
            text=text,
            reasoning=reasoning,
            tool_calls=calls,
            finish_reason=finish,
            usage=usage,
            response_id=self._first("id", getattr(chunk, "id", None)),
            model=self._first("model", _model_used(chunk)),
            metadata={"headers": headers} if headers else None,
        )
        if text or reasoning or calls or finish or usage:
            self._said_something = True
        return None if delta == Delta() else delta

    def check_end(self) -> None:
        """Raises when the endpoint answered with something that is no stream of chat chunks."""
        if self._said_something:
            return
        headers = getattr(self._response, "_response_headers", None) or {}
        kind = str(dict(headers).get("content-type", "")).partition(";")[0].strip()
        if kind in ("text/html", "application/json", "text/plain"):
            raise BadModelRequest(
                f"{self._model} answered with {kind} where a stream was expected: "
                "is api_base right? (stream: false asks for the reply at once)"
            )
        raise StreamDropped(f"the stream of {self._model} ended without a reply")

    def _first(self, name: str, value: Any) -> str | None:
        if not value or name in self._told:
            return None
        self._told.add(name)
        return str(value)

    def _indexed(self, piece: ToolCallDelta) -> ToolCallDelta:
        """litellm puts index 0 where an endpoint sends none: a second id there shows it."""
        if piece.index is not None and piece.id:
            known = self._call_ids.setdefault(piece.index, piece.id)
            self._no_index = self._no_index or known != piece.id
        return replace(piece, index=None) if self._no_index else piece

    def _usage(self, chunk: Any) -> Usage | None:
        """The usage the endpoint sent; where it sent none litellm counts by itself."""
        usage = getattr(chunk, "usage", None)
        if usage is None:
            return None
        seen = getattr(self._response, "chunks", None)
        if seen is not None and all(getattr(item, "usage", None) is None for item in seen):
            return None
        return _usage(self._litellm, self._model, chunk, usage)


def _call_delta(piece: Any) -> ToolCallDelta:
    function = getattr(piece, "function", None)
    return ToolCallDelta(
        index=getattr(piece, "index", None),
        id=getattr(piece, "id", None) or None,
        name=getattr(function, "name", None) or None,
        arguments=getattr(function, "arguments", None) or "",
    )


def whole_delta(litellm: Any, response: Any, model: str) -> Delta:
    """A reply that came at once, as one delta."""
    text = reasoning = ""
    calls: tuple[ToolCallDelta, ...] = ()
    finish: str | None = None
    for choice in getattr(response, "choices", None) or ():
        message = choice.message
        text += getattr(message, "content", None) or ""
        reasoning += getattr(message, "reasoning_content", None) or ""
        found = getattr(message, "tool_calls", None) or ()
        calls += tuple(
            ToolCallDelta(index, call.id, call.function.name, call.function.arguments or "")
            for index, call in enumerate(found, len(calls))
        )
        finish = choice.finish_reason or finish
    usage = getattr(response, "usage", None)
    headers = _headers(response)
    return Delta(
        text=text,
        reasoning=reasoning,
        tool_calls=calls,
        finish_reason=finish,
        usage=None if usage is None else _usage(litellm, model, response, usage),
        response_id=getattr(response, "id", None),
        model=_model_used(response),
        metadata={"headers": headers} if headers else None,
    )


def _model_used(answer: Any) -> str | None:
    hidden = getattr(answer, "_hidden_params", None) or {}
    named = hidden.get("provider_response_model") if isinstance(hidden, Mapping) else None
    return named or getattr(answer, "model", None)


def _headers(response: Any) -> dict[str, str]:
    found = getattr(response, "_response_headers", None)
    if not found:
        hidden = getattr(response, "_hidden_params", None) or {}
        found = hidden.get("headers") or {}
    return {
        str(name).lower(): str(value)
        for name, value in dict(found).items()
        if _KEPT_HEADER.match(str(name))
    }


def _usage(litellm: Any, model: str, answer: Any, usage: Any) -> Usage:
    out = getattr(usage, "completion_tokens_details", None)
    into = getattr(usage, "prompt_tokens_details", None)
    return Usage(
        prompt_tokens=getattr(usage, "prompt_tokens", None),
        completion_tokens=getattr(usage, "completion_tokens", None),
        total_tokens=getattr(usage, "total_tokens", None),
        reasoning_tokens=getattr(out, "reasoning_tokens", None),
        cached_tokens=getattr(into, "cached_tokens", None),
        cost=_cost(litellm, model, answer, usage),
    )


def is_priced(litellm: Any, model: str) -> bool:
    """Whether the local price list knows a model.

    litellm asks the endpoint itself about some models that are not in it; those are not asked for.
    """
    provider, _, name = model.partition("/")
    return bool({model, name} & litellm.model_cost.keys()) and "ollama" not in provider


def _cost(litellm: Any, model: str, answer: Any, usage: Any) -> float | None:
    """US dollars: what the endpoint says, else the local price list; None when neither knows."""
    said = getattr(usage, "cost", None)
    if isinstance(said, (int, float)) and not isinstance(said, bool):
        return float(said)
    used = _model_used(answer)
    provider, slash, _ = model.partition("/")
    names = [model] if used is None else [f"{provider}/{used}" if slash else used, model]
    for name in names:
        if not is_priced(litellm, name):
            continue
        with contextlib.suppress(Exception):  # unknown, which is not zero
            into, out = litellm.cost_per_token(
                model=name,
                prompt_tokens=usage.prompt_tokens or 0,
                completion_tokens=usage.completion_tokens or 0,
                usage_object=usage,
            )
            return float(into) + float(out)
    return None
