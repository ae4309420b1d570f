"""Reads what provider code returns for a whole reply: text, text with metadata, or an object.

Strict where more than one reading is possible: a reply that is guessed wrong is worse than an error
that names what came back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from convtui.errors import ProviderError
from convtui.log.formats.vera.log_files import usage_figures
from convtui.models.base import Delta, Reply, Usage
from convtui.providers.pieces import delta_of, is_chat_form

_TEXTS: Final = ("content", "text", "response")
"""Keys or attributes that may hold the text of a reply."""
_METADATA: Final = ("metadata", "response_metadata")
_OF_CHAT: Final = (
    "choices", "content", "refusal", "reasoning_content", "reasoning", "reasoning_details",
    "thinking", "thinking_blocks", "tool_calls", "function_call", "images", "audio",
)  # fmt: skip
_REFUSED: Final = "return text, or text and a dictionary of metadata"
_ABSENT: Final = object()


def read_reply(value: object) -> Delta:
    """A whole reply as one delta, with the metadata that came with it.

    Accepts text, `Reply`, `Delta`, `(text, metadata or None)`, a dictionary or an object with its
    text under `content`, `text` or `response`, and what chat APIs return: a message with a list of
    parts, a list of them, a response with choices. Raises `ProviderError` for anything else,
    naming what was returned.
    """
    delta = _read(value)
    return delta if isinstance(value, (str, Delta, Reply)) else lifted(delta)


def lifted(delta: Delta) -> Delta:
    """The delta with its own fields filled in from its metadata: usage, model and the like."""
    metadata = delta.metadata or {}
    return replace(
        delta,
        usage=delta.usage or usage_of(metadata.get("usage")),
        response_id=delta.response_id or _text(metadata.get("response_id")),
        model=delta.model or _text(metadata.get("model")),
        reasoning=delta.reasoning or _text(metadata.get("reasoning_content")) or "",
        finish_reason=delta.finish_reason
        or _text(metadata.get("finish_reason"))
        or _text(metadata.get("stop_reason")),
    )


def usage_of(value: Any) -> Usage | None:
    """Usage in either of the two common vocabularies; None if there is none."""
    figures = usage_figures(value)
    return Usage.model_validate(figures) if figures else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _read(value: object) -> Delta:
    if value is None or isinstance(value, (str, bytes, bytearray, Delta, Reply)):
        return delta_of(value)
    if isinstance(value, (Iterator, AsyncIterator)):
        kind = type(value).__name__
        raise ProviderError(
            f"the provider returned {kind} instead of text: `yield` its pieces, or return the whole"
            " text"
        )
    if isinstance(value, BaseException):
        raise ProviderError(
            f"the provider returned the error {type(value).__name__} instead of text: `raise` it"
        )
    if isinstance(value, Mapping):
        return _from_mapping(value)
    if is_chat_form(value):
        return delta_of(value)
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        return _from_pair(value)
    return _from_object(value)


def _from_pair(pair: tuple[Any, ...] | list[Any]) -> Delta:
    if len(pair) == 2 and (isinstance(pair[0], (str, Reply, Delta)) or is_chat_form(pair[0])):
        text, metadata = pair
        if metadata is None:
            return delta_of(text)
        if isinstance(metadata, Mapping):
            delta = delta_of(text)
            return replace(delta, metadata={**(delta.metadata or {}), **_plain_keys(metadata)})
    hint = _REFUSED
    if len(pair) == 1 and isinstance(pair[0], str) and isinstance(pair, tuple):
        hint = "is there a comma behind the text?"
    elif len(pair) == 2 and isinstance(pair[1], str) and isinstance(pair[0], Mapping):
        hint = "the text comes first"
    raise ProviderError(f"the provider returned {_described(pair)} instead of text: {hint}")


def _described(items: tuple[Any, ...] | list[Any]) -> str:
    """`a tuple of 3 (str, dict, int)`."""
    names = ", ".join(type(item).__name__ for item in items[:4]) + (", ..." if items[4:] else "")
    return f"a {type(items).__name__} of {len(items)} ({names})"


def _from_mapping(reply: Mapping[Any, Any]) -> Delta:
    if is_chat_form(reply):
        others = {name: value for name, value in reply.items() if name not in _OF_CHAT}
        return replace(delta_of(reply), metadata=_metadata(others))
    what = f"a dictionary ({', '.join(map(str, list(reply)[:8]))})" if reply else "an empty dict"
    texts = {name: reply[name] for name in _TEXTS if name in reply}
    text = _only_text(texts, what)
    if reply.get("tool_calls"):
        raise ProviderError(
            f"the provider returned {what} with tool calls, which would be lost: return a"
            " convtui.Reply"
        )
    others = {name: value for name, value in reply.items() if name not in _TEXTS}
    return Delta(text=text, metadata=_metadata(others))


def _metadata(fields: Mapping[Any, Any]) -> dict[str, Any] | None:
    """The metadata of a dictionary, with nested metadata merged in."""
    metadata = {name: value for name, value in fields.items() if name not in (*_METADATA, "role")}
    for name in _METADATA:
        if isinstance(fields.get(name), Mapping):
            metadata.update(fields[name])
    return _plain_keys(metadata) or None


def _from_object(reply: object) -> Delta:
    metadata: dict[str, Any] = {}
    for name in _METADATA:
        value = _attribute(reply, name)
        if isinstance(value, Mapping):
            metadata.update(_plain_keys(value))
    for name, key in (("usage_metadata", "usage"), ("usage", "usage"), ("id", "response_id")):
        value = _attribute(reply, name)
        if isinstance(value, str if key == "response_id" else Mapping):
            metadata.setdefault(key, value)
    return replace(_object_delta(reply), metadata=metadata or None)


def _object_delta(reply: object) -> Delta:
    dump = getattr(type(reply), "model_dump", None)
    dumped = dump(reply) if callable(dump) else None
    if is_chat_form(dumped):
        return delta_of(dumped)
    what = f"{type(reply).__name__}"
    calls = _attribute(reply, "tool_calls")
    if isinstance(calls, (list, tuple)) and calls:
        raise ProviderError(
            f"the provider returned {what} with tool calls, which would be lost: return a"
            " convtui.Reply"
        )
    content = _attribute(reply, "content")
    if isinstance(content, (list, tuple)) and content:
        return delta_of(content)
    texts = {name: value for name in _TEXTS if (value := _attribute(reply, name)) is not _ABSENT}
    return Delta(text=_only_text(texts, what))


def _attribute(reply: object, name: str) -> Any:
    """A data attribute; `_ABSENT` if it is missing, raises, or is a method."""
    try:
        value = getattr(reply, name, _ABSENT)
    except Exception:  # noqa: BLE001 - a property of somebody else's class
        return _ABSENT
    return _ABSENT if callable(value) and not isinstance(value, str) else value


def _only_text(texts: Mapping[str, Any], what: str) -> str:
    """The text among candidates. Raises `ProviderError` unless they agree on one text."""
    if not texts:
        raise ProviderError(f"the provider returned {what} instead of text: {_REFUSED}")
    others = [name for name, value in texts.items() if not isinstance(value, (str, type(None)))]
    if others:
        kind = type(texts[others[0]]).__name__
        raise ProviderError(
            f"the provider returned {what} instead of text, and its {others[0]} is {kind}: return"
            " the text itself"
        )
    distinct = {str(value) for value in texts.values() if value is not None}
    if len(distinct) > 1:
        names = " and ".join(texts)
        raise ProviderError(
            f"the provider returned {what} instead of text, with different {names}: return the one"
            " that is said"
        )
    if not distinct:
        raise ProviderError(f"the provider returned {what} whose {next(iter(texts))} is None")
    return distinct.pop()


def _plain_keys(data: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in data.items()}
