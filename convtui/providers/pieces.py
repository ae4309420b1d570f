"""Converts what provider code returns, in any form of chat APIs, to deltas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from convtui.errors import ProviderError
from convtui.models.base import Delta, Reply, ToolCall, ToolCallDelta, Usage
from convtui.models.chat import ChatReader, usage_of
from convtui.models.parts import (
    Content,
    arguments_text,
    call_index,
    call_pieces,
    message_delta,
    part_type,
    reasoning_text,
)

_MESSAGE: Final = {
    "content",
    "tool_calls",
    "function_call",
    "refusal",
    "reasoning_content",
    "audio",
}
_EMPTY: Final = Delta()
_PART: Final = {"text", "thinking", "image_url"}


def delta_of(value: object) -> Delta:
    """A reply, or a piece of one, as one delta.

    Accepts text, `Delta`, `Reply`, a message or a chunk of chat APIs, a part of a message or a
    list of parts, a list of messages (the last is the reply), and objects of SDKs with a
    `model_dump()`. Raises `ProviderError` for anything else, naming what was returned.
    """
    if isinstance(value, str):
        return Delta(text=value)
    if isinstance(value, Delta):
        return _checked(value)
    if isinstance(value, Reply):
        return _checked(
            Delta(
                text=value.text,
                reasoning=value.reasoning,
                tool_calls=_calls(value.tool_calls, whole=True),
                finish_reason=value.finish_reason,
                usage=value.usage,
                response_id=value.response_id,
                model=value.model,
                metadata=value.metadata or None,
                refused=value.refused,
                parts=tuple(value.parts),
            )
        )
    if isinstance(value, Mapping):
        return _of_mapping(value)
    if isinstance(value, (list, tuple)):
        return _of_list(value)
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        dumped = dump()
        if isinstance(dumped, Mapping):
            return _of_mapping(dumped, type(value).__name__)
    if value is None:
        raise ProviderError("the provider returned None instead of text: is a `return` missing?")
    hint = ": decode it first" if isinstance(value, bytes) else ""
    raise ProviderError(f"the provider returned {type(value).__name__} instead of text{hint}")


def is_chat_form(value: object) -> bool:
    """Whether a whole reply has a form that only chat APIs use.

    That is a response with choices, a list of parts or of messages, or a message with such a list,
    a refusal or function calls; text beside other keys is ambiguous.
    """
    if isinstance(value, (list, tuple)):
        return bool(value) and all(
            isinstance(item, Mapping) and (isinstance(item.get("type"), str) or "role" in item)
            for item in value
        )
    if not isinstance(value, Mapping):
        return False
    lists = (value.get("choices"), value.get("content"))
    if any(isinstance(items, (list, tuple)) and items for items in lists):
        return True
    if isinstance(value.get("content"), Mapping) or isinstance(value.get("refusal"), str):
        return True
    calls = value.get("tool_calls") or value.get("function_call")
    return any(piece.name for piece in call_pieces(calls))


def _of_mapping(value: Mapping[str, Any], kind: str = "a dict") -> Delta:
    if isinstance(value.get("choices"), (list, tuple)):
        data = {**value, "choices": list(value["choices"])}
        return ChatReader(lambda model, sent, usage: None).delta(data)
    if _MESSAGE & value.keys():
        delta = message_delta(value)
        reason = value.get("finish_reason") or value.get("stop_reason")
        return replace(
            delta,
            finish_reason=reason if isinstance(reason, str) else None,
            usage=usage_of(value.get("usage")),
        )
    if isinstance(value.get("type"), str) or _PART & value.keys():
        return _of_content(value)
    names = ", ".join(sorted(str(name)[:40] for name in value)[:6]) or "nothing"
    raise ProviderError(
        f"the provider returned {kind} with {names} instead of text: a message has `content`"
    )


def _of_list(value: list[Any] | tuple[Any, ...]) -> Delta:
    if not value or not all(isinstance(item, Mapping) and "role" in item for item in value):
        return _of_content(value)
    role = value[-1]["role"]
    if role != "assistant":
        raise ProviderError(
            f"the provider returned messages of which the last is of the role {str(role)[:40]!r}:"
            " the reply is the last one, of the role 'assistant'"
        )
    return _of_mapping(value[-1])


def _of_content(value: Any) -> Delta:
    content = Content()
    content.add(value)
    return Delta(
        text="".join(content.text),
        reasoning="".join(content.reasoning),
        refused=content.refused,
        parts=tuple(content.parts),
    )


def _checked(delta: Delta) -> Delta:
    """A delta from provider code, with every field converted to its type."""
    if _is_text_alone(delta):
        return delta
    # The developer's code may have put anything into it.
    sent: Any = delta
    content = Content(refused=sent.refused is True)
    if isinstance(sent.text, (str, Mapping, list, tuple)):
        content.add(sent.text)
    elif sent.text is not None:
        raise ProviderError(f"Delta.text must be text, not {type(sent.text).__name__}")
    for part in sent.parts or ():
        name = part_type(part) if isinstance(part, Mapping) else type(part).__name__
        content.keep(name, part)
    usage = sent.usage
    if not (sent.metadata is None or isinstance(sent.metadata, Mapping)):
        raise ProviderError(f"Delta.metadata must be a dict, not {type(sent.metadata).__name__}")
    return replace(
        delta,
        text="".join(content.text),
        reasoning=reasoning_text(sent.reasoning) + "".join(content.reasoning),
        tool_calls=_calls(sent.tool_calls or ()),
        finish_reason=_name(sent.finish_reason),
        usage=usage if usage is None or isinstance(usage, Usage) else usage_of(usage),
        response_id=_name(sent.response_id),
        model=_name(sent.model),
        refused=content.refused,
        parts=tuple(content.parts),
    )


def _is_text_alone(delta: Delta) -> bool:
    """Whether there is nothing to convert, as in most pieces of a stream."""
    return (
        delta.text.__class__ is str
        and delta.reasoning is _EMPTY.reasoning
        and delta.tool_calls is _EMPTY.tool_calls
        and delta.finish_reason is None
        and delta.usage is None
        and delta.response_id is None
        and delta.model is None
        and delta.metadata is None
        and delta.refused is False
        and delta.parts is _EMPTY.parts
    )


def _name(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)


def _calls(value: Any, *, whole: bool = False) -> tuple[ToolCallDelta, ...]:
    """Tool calls from provider code; `whole` ones are numbered by position."""
    if not isinstance(value, (list, tuple)):
        value = [value]
    calls: list[ToolCallDelta] = []
    for number, item in enumerate(value):
        if isinstance(item, Mapping):
            pieces = call_pieces(item)
            if whole and not pieces:
                names = ", ".join(sorted(str(name)[:40] for name in item)[:6]) or "nothing"
                raise ProviderError(
                    f"a tool call must be a ToolCall, not a dict with {names}: a call has `name`"
                    " and `arguments`"
                )
        elif isinstance(item, (ToolCall, ToolCallDelta)):
            piece = ToolCallDelta(
                index=call_index(getattr(item, "index", None)),
                id=str(item.id) if item.id else None,
                name=str(item.name) if item.name else None,
                arguments=arguments_text(item.arguments),
            )
            pieces = (piece,)
        else:
            raise ProviderError(f"a tool call must be a ToolCall, not {type(item).__name__}")
        calls += [replace(piece, index=number) for piece in pieces] if whole else pieces
    return tuple(calls)


def piece_delta(value: object) -> Delta:
    """A piece of a stream as a delta; None, as in the last chunk of many APIs, is an empty one."""
    return Delta() if value is None else delta_of(value)
