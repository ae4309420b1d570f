"""Items of OpenAI's Responses API as messages: calls and thoughts stand on their own there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from convtui.log.formats.chat.messages import Message, message_of, plain, text_of
from convtui.records.values import as_list, as_object, as_text

_CALLS: Final = ("function_call", "custom_tool_call")
_RESULTS: Final = ("function_call_output", "custom_tool_call_output")
KINDS: Final = frozenset((*_CALLS, *_RESULTS, "reasoning"))
"""The kinds of items by which a list is known to be one of them; others are messages."""


def has_items(given: Any) -> bool:
    """Whether a list has items that no list of messages has."""
    return isinstance(given, list) and any(
        _kind(item) in KINDS or _kind(item) == "message" for item in given
    )


def messages_of_items(given: list[Any], address: str) -> Iterator[Message]:
    """What the items say, in order: text, thoughts and calls up to a result are one reply."""
    reply: Message | None = None
    for index, item in enumerate(given):
        where, kind = f"{address}[{index}]", _kind(item)
        data = as_object(item)
        of_reply = kind in (*_CALLS, "reasoning") or data.get("role") == "assistant"
        if reply is not None and (not of_reply or (kind == "message" and reply.calls)):
            yield reply
            reply = None
        if of_reply:
            reply = reply or Message("assistant", "", where)
            _add(reply, kind, data, where)
        elif kind in _RESULTS:
            output = data.get("output")
            text = text_of(output) if output is not None else ""
            yield Message("tool", text, where, call_id=as_text(data.get("call_id")))
        elif kind in ("", "message"):
            yield message_of(_without_kind(item), where)
        else:
            yield Message("", "", where, event=kind[:40], content=plain(data))
    if reply is not None:
        yield reply


def _kind(item: Any) -> str:
    return as_text(item.get("type")) if isinstance(item, Mapping) else ""


def _without_kind(item: Any) -> Any:
    known = ("type", "status", "id")
    if not isinstance(item, Mapping):
        return item
    return {name: value for name, value in item.items() if name not in known}


def _add(reply: Message, kind: str, item: Mapping[str, Any], where: str) -> None:
    if kind == "reasoning":
        parts = [*as_list(item.get("summary")), *as_list(item.get("content"))]
        texts = [as_text(as_object(part).get("text")) for part in parts]
        thought = "\n".join(text for text in texts if text) or "[encrypted]"
        reply.reasoning = f"{reply.reasoning}\n{thought}" if reply.reasoning else thought
    elif kind in _CALLS:
        given = item.get("arguments", item.get("input"))
        function = {"name": item.get("name"), "arguments": given}
        reply.calls.append({"id": item.get("call_id"), "type": "function", "function": function})
    else:
        said = message_of(_without_kind(item), where)
        reply.text = f"{reply.text}\n{said.text}" if reply.text else said.text
        simple = all(as_object(p).get("type") == "output_text" for p in as_list(said.content))
        reply.content = reply.content if simple else said.content
