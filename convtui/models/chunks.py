"""Reads litellm's chunks and answers, for endpoints that do not speak chat completions.

litellm translates their answers, and fills in what they left out: what it made up is left out
again, as far as that can be told.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from convtui.errors import BadModelRequest, StreamDropped
from convtui.models.base import Delta, Usage
from convtui.models.chat import usage_of
from convtui.models.endpoint import HttpAnswer
from convtui.models.parts import message_delta

_KEPT_HEADER = re.compile(
    r"(?i)^(?:.*request-id|.*trace-id|cf-ray|openai-(?:processing-ms|version)|retry-after(?:-ms)?"
    r"|(?:x|anthropic)-ratelimit-.*|x-should-retry|server-timing)$"
)
_MESSAGE_FIELDS = (
    "content", "refusal", "reasoning_content", "reasoning", "thinking_blocks", "images", "audio",
    "tool_calls", "function_call",
)  # fmt: skip


class ChunkReader:
    """Turns litellm's chunks into deltas; `answer` is what the endpoint really sent."""

    def __init__(self, litellm: Any, model: str, response: Any, answer: HttpAnswer) -> None:
        self._litellm = litellm
        self._model = model
        self._response = response
        self._answer = answer
        self._once: set[str] = set()

    def delta(self, chunk: Any) -> Delta | None:
        """The delta of one chunk; None when there is nothing in it."""
        delta, finish = _first_choice(chunk, "delta")
        # Without a finish reason from the endpoint litellm says "stop".
        if not getattr(self._response, "received_finish_reason", finish):
            finish = None
        headers = {} if "headers" in self._once else _headers(self._response)
        self._once.add("headers")
        delta = replace(
            delta,
            finish_reason=finish,
            usage=self._usage(chunk),
            response_id=self._first("id", getattr(chunk, "id", None)),
            model=self._first("model", _model_used(chunk)),
            metadata={"headers": headers} if headers else None,
        )
        return None if delta == Delta() else delta

    def _first(self, name: str, value: Any) -> str | None:
        if not value or name in self._once:
            return None
        self._once.add(name)
        return str(value)

    def _usage(self, chunk: Any) -> Usage | None:
        """The usage the endpoint sent; where it sent none litellm counts by itself."""
        known = getattr(chunk, "usage", None)
        if known is None:
            return None
        seen = getattr(self._response, "chunks", None)
        if seen is not None and all(getattr(item, "usage", None) is None for item in seen):
            return None
        return _usage(self._litellm, self._model, chunk, known, self._answer)


def check_said(spoken: bool, kind: str, model: str) -> None:
    """Raises when a stream of the media type `kind` ended without any content."""
    if spoken:
        return
    if kind in ("text/html", "application/json", "text/plain"):
        raise BadModelRequest(
            f"{model} answered with {kind} where a stream was expected: "
            "is api_base right? (stream: false asks for the reply at once)"
        )
    raise StreamDropped(f"the stream of {model} ended without a reply")


def says_something(delta: Delta) -> bool:
    """Whether a delta carries more than the id and model of an answer."""
    return bool(
        delta.text
        or delta.reasoning
        or delta.tool_calls
        or delta.parts
        or delta.finish_reason
        or delta.usage
    )


def whole_delta(litellm: Any, response: Any, model: str, answer: HttpAnswer) -> Delta:
    """A reply that was not streamed, as one delta."""
    delta, finish = _first_choice(response, "message")
    usage = getattr(response, "usage", None)
    headers = _headers(response)
    return replace(
        delta,
        finish_reason=finish,
        usage=None if usage is None else _usage(litellm, model, response, usage, answer),
        response_id=getattr(response, "id", None),
        model=_model_used(response),
        metadata={"headers": headers} if headers else None,
    )


def _first_choice(answer: Any, name: str) -> tuple[Delta, str | None]:
    """The delta of the first choice, and its finish reason."""
    for choice in getattr(answer, "choices", None) or ():
        message = getattr(choice, name, None)
        fields = {field: _plain(getattr(message, field, None)) for field in _MESSAGE_FIELDS}
        return message_delta(fields), choice.finish_reason or None
    return Delta(), None


def _plain(value: Any) -> Any:
    """litellm's objects as mappings; the rest as it is."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    dump = getattr(value, "model_dump", None)
    return dump(warnings=False) if callable(dump) else value


def _model_used(answer: Any) -> str | None:
    hidden = getattr(answer, "_hidden_params", None) or {}
    named = hidden.get("provider_response_model") if isinstance(hidden, Mapping) else None
    return named or getattr(answer, "model", None)


def _headers(response: Any) -> dict[str, str]:
    headers = getattr(response, "_response_headers", None)
    if not headers:
        hidden = getattr(response, "_hidden_params", None) or {}
        headers = hidden.get("headers") or {}
    return kept_headers(dict(headers))


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        str(name).lower(): str(value)
        for name, value in headers.items()
        if _KEPT_HEADER.match(str(name))
    }


def _usage(litellm: Any, model: str, chunk: Any, usage: Any, answer: HttpAnswer) -> Usage | None:
    """litellm's usage object without the figures that the endpoint did not name."""
    sent = _plain(usage)
    known = usage_of(sent)
    named = answer.figures
    if known is None or (named is not None and "tokens" not in named):
        return None
    kept = {"reasoning_tokens": "reasoning", "cached_tokens": "cached", "total_tokens": "total"}
    # An answer that was not seen came over another transport: only counting reasoning is guessed.
    unsaid = [
        field
        for field, figure in kept.items()
        if (figure not in named if named is not None else figure == "reasoning")
    ]
    known = known.model_copy(update=dict.fromkeys(unsaid))
    if known.cost is not None:
        return known
    cost = cost_of(litellm, model, _model_used(chunk), sent, known)
    return known.model_copy(update={"cost": cost})


def is_priced(litellm: Any, model: str) -> bool:
    """Whether the local price list knows a model.

    litellm asks the endpoint itself about some models that are not in it; those are not asked for.
    """
    provider, _, name = model.partition("/")
    return bool({model, name} & litellm.model_cost.keys()) and "ollama" not in provider


def cost_of(
    litellm: Any, model: str, used: str | None, sent: Mapping[str, Any], usage: Usage
) -> float | None:
    """US dollars by the local price list; None when it does not know the model, or the usage.

    `used` is the model that says it answered, `sent` the usage object of the endpoint.
    """
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    provider, slash, _ = model.partition("/")
    names = [model] if used is None else [f"{provider}/{used}" if slash else used, model]
    for name in names:
        if not is_priced(litellm, name):
            continue
        with contextlib.suppress(Exception):  # unknown, which is not zero
            into, out = litellm.cost_per_token(
                model=name,
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                usage_object=litellm.Usage(**sent),
            )
            return float(into) + float(out)
    return None
