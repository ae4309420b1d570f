"""The messages of Gemini CLI: those of its sessions, and contents of the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from convtui.log.formats.chat.messages import Message, message_of, plain, text_of_result
from convtui.log.formats.gemini.recording import REPLACED, REWOUND
from convtui.records.times import parse_time
from convtui.records.values import as_list, as_object, as_text

_ROLES: Final = {"user": "user", "gemini": "assistant", "model": "assistant"}
_USAGE: Final = {
    "prompt_tokens": "input", "completion_tokens": "output", "cached_tokens": "cached",
    "reasoning_tokens": "thoughts",
}  # fmt: skip
_PUT_IN: Final = ("<session_context>", "<hook_context>")


def messages_of(given: list[Any]) -> Iterator[Message]:
    """The messages of a session or a checkpoint, in order."""
    answered = {
        as_text(call.get("id"))
        for item in map(as_object, given)
        for call in map(as_object, as_list(item.get("toolCalls")))
        if call.get("result")
    }
    """Ids of the calls whose results stand beside them: newer versions repeat those afterwards."""
    for index, item in enumerate(given):
        address = f"messages[{index}]"
        if not isinstance(item, Mapping):
            yield message_of(item, address)
            continue
        inactive = REWOUND in item or REPLACED in item
        for message in _of_item(item, address):
            if message.role == "tool" and message.call_id in answered and "toolCalls" not in item:
                continue
            message.active, message.compacted = not inactive, REPLACED in item
            yield message


def _of_item(item: Mapping[str, Any], address: str) -> Iterator[Message]:
    kind = as_text(item.get("type")) or as_text(item.get("role"))
    message = Message(_ROLES.get(kind, kind), "", address, id=item.get("id"), at=_seconds(item))
    if "parts" in item:
        yield from _filled(message, as_list(item["parts"]))
        return
    if kind not in _ROLES:
        # What the program has told its user: no model has seen it.
        message.event, message.content = (kind or "unknown")[:40], plain(dict(item))
        yield message
        return
    if message.role == "assistant":
        _add_reply(message, item)
    content = item.get("content")
    parts = content if isinstance(content, list) else [{"text": as_text(content)}]
    yield from _filled(message, parts)
    for call in map(as_object, as_list(item.get("toolCalls"))):
        yield from _result(call, address)


def _seconds(item: Mapping[str, Any]) -> float | None:
    at = parse_time(as_text(item.get("timestamp")))
    return at.timestamp() if at is not None else None


def _add_reply(message: Message, item: Mapping[str, Any]) -> None:
    thoughts = [as_object(thought) for thought in as_list(item.get("thoughts"))]
    lines = (f"{one.get('subject', '')}: {one.get('description', '')}" for one in thoughts)
    message.reasoning = "\n".join(lines) or None
    message.model = as_text(item.get("model")) or None
    tokens = as_object(item.get("tokens"))
    used = {ours: tokens.get(theirs) for ours, theirs in _USAGE.items()}
    message.usage = {n: v for n, v in used.items() if isinstance(v, int)} or None
    for call in map(as_object, as_list(item.get("toolCalls"))):
        message.calls.append(_call(call))


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": call.get("name"), "arguments": call.get("args")}
    return {"id": call.get("id"), "type": "function", "function": function}


def _result(call: Mapping[str, Any], address: str) -> Iterator[Message]:
    """What a call has returned, where it is said beside it; it may hold those of other calls."""
    id_ = as_text(call.get("id"))
    parts = (as_object(part).get("functionResponse") for part in as_list(call.get("result")))
    responses = [as_object(part) for part in parts if part is not None]
    own = [one for one in responses if one.get("id") == id_] or responses
    returned = [one.get("response") for one in own]
    given = returned[0] if len(returned) == 1 else (returned or call.get("resultDisplay"))
    if given is None and "status" not in call:
        return
    yield Message(
        "tool",
        text_of_result(given),
        address,
        call_id=id_,
        name=as_text(call.get("name")),
        at=_seconds(call),
        failed=call.get("status") in ("error", "cancelled"),
    )


def _filled(message: Message, parts: list[Any]) -> Iterator[Message]:
    """The message with what its parts say, after the results that are among them."""
    texts: list[str] = []
    results: list[Message] = []
    known = {as_text(call.get("id")) for call in message.calls} - {""}
    for part in map(as_object, parts):
        call, response = as_object(part.get("functionCall")), part.get("functionResponse")
        if call:
            if as_text(call.get("id")) not in known:
                message.calls.append(_call(call))
        elif response is not None:
            results.append(_response(as_object(response), message))
        elif part.get("thought") is True:
            message.reasoning = message.reasoning or as_text(part.get("text")) or None
        elif "text" in part:
            texts.append(as_text(part.get("text")))
        else:
            texts.append(f"[{next(iter(part), 'part')}]")
            message.content = plain(parts)
    message.text = "\n".join(texts)
    yield from results
    if message.role == "user" and message.text.lstrip().startswith(_PUT_IN):
        message.role, message.event, message.content = "", "put_in", message.text
        yield message
    elif texts or message.calls or message.reasoning or not results:
        yield message


def _response(response: Mapping[str, Any], message: Message) -> Message:
    return Message(
        "tool",
        text_of_result(response.get("response")),
        message.address,
        call_id=as_text(response.get("id")),
        name=as_text(response.get("name")),
        at=message.at,
    )
