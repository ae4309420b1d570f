"""Reads what provider code returns for a whole reply: text, text with metadata, or an object.

Strict where more than one reading is possible: a reply that is guessed wrong is worse than an error
that names what came back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from convtui.errors import ProviderError
from convtui.log.formats.vera.log_files import usage_figures
from convtui.models.base import Delta, Reply, Usage
from convtui.providers.pieces import delta_of, is_chat_form

_TEXTS: Final = ("content", "text", "response")
"""Where an object or a dictionary may have what it says."""
_METADATA: Final = ("metadata", "response_metadata")
_OF_CHAT: Final = (
    "choices", "content", "refusal", "reasoning_content", "reasoning", "reasoning_details",
    "thinking", "thinking_blocks", "tool_calls", "function_call", "images", "audio",
)  # fmt: skip
_REFUSED: Final = "return text, or text and a dictionary of metadata"
_ABSENT: Final = object()


def read_reply(value: object) -> Delta:
    """A whole reply as one delta; metadata that came with it are the delta's.

    Text, `Reply`, `Delta`, `(text, metadata or None)`, a dictionary or an object with its text
    under `content`, `text` or `response`, and what chat APIs give: a message with a list of parts,
    a list of them, an answer with choices. Raises `ProviderError`, which names what was returned.
    """
    delta = _read(value)
    return delta if isinstance(value, (str, Delta, Reply)) else lifted(delta)


def lifted(delta: Delta) -> Delta:
    """The same, with what its metadata say of the call in the places that are made for it."""
    found = delta.metadata or {}
    return replace(
        delta,
        usage=delta.usage or usage_of(found.get("usage")),
        response_id=delta.response_id or _text(found.get("response_id")),
        model=delta.model or _text(found.get("model")),
        reasoning=delta.reasoning or _text(found.get("reasoning_content")) or "",
        finish_reason=delta.finish_reason
        or _text(found.get("finish_reason"))
        or _text(found.get("stop_reason")),
    )


def usage_of(found: Any) -> Usage | None:
    """Usage in either of the two usual vocabularies; None for none."""
    figures = usage_figures(found)
    return Usage.model_validate(figures) if figures else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _read(value: object) -> Delta:
    if value is None or isinstance(value, (str, bytes, bytearray, Delta, Reply)):
        return delta_of(value)
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


def _from_mapping(found: Mapping[Any, Any]) -> Delta:
    if is_chat_form(found):
        others = {name: value for name, value in found.items() if name not in _OF_CHAT}
        return replace(delta_of(found), metadata=_metadata(others))
    what = f"a dictionary ({', '.join(map(str, list(found)[:8]))})" if found else "an empty dict"
    texts = {name: found[name] for name in _TEXTS if name in found}
    text = _only_text(texts, what)
    if found.get("tool_calls"):
        raise ProviderError(
            f"the provider returned {what} with tool calls, which would be lost: return a"
            " convtui.Reply"
        )
    others = {name: value for name, value in found.items() if name not in _TEXTS}
    return Delta(text=text, metadata=_metadata(others))


def _metadata(found: Mapping[Any, Any]) -> dict[str, Any] | None:
    """What stands beside the text of a dictionary."""
    metadata = {name: value for name, value in found.items() if name not in (*_METADATA, "role")}
    for name in _METADATA:
        if isinstance(found.get(name), Mapping):
            metadata.update(found[name])
    return _plain_keys(metadata) or None


def _from_object(found: object) -> Delta:
    metadata: dict[str, Any] = {}
    for name in _METADATA:
        value = _attribute(found, name)
        if isinstance(value, Mapping):
            metadata.update(_plain_keys(value))
    for name, key in (("usage_metadata", "usage"), ("usage", "usage"), ("id", "response_id")):
        value = _attribute(found, name)
        if isinstance(value, str if key == "response_id" else Mapping):
            metadata.setdefault(key, value)
    return replace(_said_by_object(found), metadata=metadata or None)


def _said_by_object(found: object) -> Delta:
    dump = getattr(type(found), "model_dump", None)
    dumped = dump(found) if callable(dump) else None
    if is_chat_form(dumped):
        return delta_of(dumped)
    what = f"{type(found).__name__}"
    calls = _attribute(found, "tool_calls")
    if isinstance(calls, (list, tuple)) and calls:
        raise ProviderError(
            f"the provider returned {what} with tool calls, which would be lost: return a"
            " convtui.Reply"
        )
    content = _attribute(found, "content")
    if isinstance(content, (list, tuple)) and content:
        return delta_of(content)
    texts = {name: value for name in _TEXTS if (value := _attribute(found, name)) is not _ABSENT}
    return Delta(text=_only_text(texts, what))


def _attribute(found: object, name: str) -> Any:
    """An attribute that is data; `_ABSENT` where there is none, or a method."""
    try:
        value = getattr(found, name, _ABSENT)
    except Exception:  # noqa: BLE001 - a property of somebody else's class
        return _ABSENT
    return _ABSENT if callable(value) and not isinstance(value, str) else value


def _only_text(texts: Mapping[str, Any], what: str) -> str:
    """The text among candidates. Raises `ProviderError` unless there is exactly one reading."""
    if not texts:
        raise ProviderError(f"the provider returned {what} instead of text: {_REFUSED}")
    others = [name for name, value in texts.items() if not isinstance(value, (str, type(None)))]
    if others:
        kind = type(texts[others[0]]).__name__
        raise ProviderError(
            f"the provider returned {what} instead of text, and its {others[0]} is {kind}: return"
            " the text itself"
        )
    said = {str(value) for value in texts.values() if value is not None}
    if len(said) > 1:
        names = " and ".join(texts)
        raise ProviderError(
            f"the provider returned {what} instead of text, with different {names}: return the one"
            " that is said"
        )
    if not said:
        raise ProviderError(f"the provider returned {what} whose {next(iter(texts))} is None")
    return said.pop()


def _plain_keys(found: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in found.items()}
