"""Sessions of Gemini CLI: a file for each, and checkpoints, which are contents of the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.chat.conversation import Chat
from convtui.log.formats.chat.messages import Message, message_of, plain, text_of, text_of_result
from convtui.log.formats.chat.readers import ChatFiles
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_files import items
from convtui.records.times import parse_time, zone_of
from convtui.records.values import as_list, as_object, as_text, drop_none

NAME: Final = "gemini-cli"
_ROLES: Final = {"user": "user", "gemini": "assistant", "model": "assistant"}
_USAGE: Final = {"prompt_tokens": "input", "completion_tokens": "output",
                 "cached_tokens": "cached", "reasoning_tokens": "thoughts"}  # fmt: skip


def _is_value(value: Any) -> bool:
    session = as_object(value)
    messages = session.get("messages", session.get("history"))
    if "sessionId" in session and isinstance(messages, list):
        return all("type" in as_object(message) for message in messages[:1])
    contents = messages if isinstance(messages, list) else value
    first = as_object(contents[0]) if isinstance(contents, list) and contents else {}
    return first.get("role") in ("user", "model") and isinstance(first.get("parts"), list)


def _chats(path: Path, damage: list[Finding]) -> Iterator[Chat]:
    for item in items(path, damage):
        session = as_object(item.value)
        given = session.get("messages", session.get("history", item.value))
        messages = as_list(given)
        written = as_text(session.get("startTime"))
        models = (as_text(as_object(message).get("model")) for message in messages)
        yield Chat(
            NAME,
            path,
            lambda messages=messages: _messages(messages),  # type: ignore[misc]
            session_id=as_text(session.get("sessionId")),
            provider="gemini-cli",
            model=next((model for model in models if model), ""),
            created=parse_time(written),
            created_from="startTime",
            created_zone=zone_of(written),
            details=drop_none({name: session.get(name) for name in ("projectHash", "lastUpdated")}),
        )


def _messages(given: list[Any]) -> Iterator[Message]:
    for index, item in enumerate(given):
        address = f"messages[{index}]"
        if not isinstance(item, Mapping):
            yield message_of(item, address)
        elif "parts" in item:
            yield from _content(item, address)
        else:
            yield from _said(item, address)


def _said(item: Mapping[str, Any], address: str) -> Iterator[Message]:
    kind = as_text(item.get("type"))
    at = parse_time(as_text(item.get("timestamp")))
    seconds = at.timestamp() if at is not None else None
    if kind not in _ROLES:
        # What the program has told its user: no model has seen it.
        yield Message("", "", address, event=(kind or "unknown")[:40], content=plain(dict(item)),
                      at=seconds)  # fmt: skip
        return
    content = item.get("content")
    message = Message(_ROLES[kind], text_of(content) if content is not None else "", address,
                      id=item.get("id"), at=seconds)  # fmt: skip
    thoughts = [as_object(thought) for thought in as_list(item.get("thoughts"))]
    lines = (f"{one.get('subject', '')}: {one.get('description', '')}" for one in thoughts)
    message.reasoning = "\n".join(lines) or None
    message.model = as_text(item.get("model")) or None
    tokens = as_object(item.get("tokens"))
    used = {ours: tokens.get(theirs) for ours, theirs in _USAGE.items()}
    message.usage = {n: v for n, v in used.items() if isinstance(v, int)} or None
    calls = [as_object(call) for call in as_list(item.get("toolCalls"))]
    message.calls = [
        {"id": call.get("id"), "type": "function",
         "function": {"name": call.get("name"), "arguments": call.get("args")}}
        for call in calls
    ]  # fmt: skip
    if message.calls and message.text:
        # The text came after the tools.
        text, message.text = message.text, ""
        yield message
        yield from _results(calls, address)
        yield Message("assistant", text, address, at=seconds)
        return
    yield message
    yield from _results(calls, address)


def _results(calls: list[dict[str, Any]], address: str) -> Iterator[Message]:
    for call in calls:
        parts = [as_object(part) for part in as_list(call.get("result"))]
        responses = [as_object(part.get("functionResponse")).get("response") for part in parts]
        given = responses[0] if len(responses) == 1 else (responses or call.get("resultDisplay"))
        if given is None and "status" not in call:
            continue
        yield Message("tool", text_of_result(given), address, call_id=as_text(call.get("id")),
                      name=as_text(call.get("name")),
                      failed=call.get("status") in ("error", "cancelled"))  # fmt: skip


def _content(item: Mapping[str, Any], address: str) -> Iterator[Message]:
    """A content of the API: its parts are texts, calls and responses."""
    role = _ROLES.get(as_text(item.get("role")), as_text(item.get("role")))
    message = Message(role, "", address)
    texts: list[str] = []
    results: list[Message] = []
    for part in map(as_object, as_list(item.get("parts"))):
        call, response = (
            as_object(part.get("functionCall")),
            as_object(part.get("functionResponse")),
        )
        if call:
            function = {"name": call.get("name"), "arguments": call.get("args")}
            id_ = call.get("id")
            message.calls.append({"id": id_, "type": "function", "function": function})
        elif response:
            results.append(Message("tool", text_of_result(response.get("response")), address,
                                   call_id=as_text(response.get("id")),
                                   name=as_text(response.get("name"))))  # fmt: skip
        elif part.get("thought") is True:
            message.reasoning = as_text(part.get("text")) or None
        elif "text" in part:
            texts.append(as_text(part.get("text")))
        else:
            texts.append(f"[{next(iter(part), 'part')}]")
            message.content = plain(list(as_list(item.get("parts"))))
    message.text = "\n".join(texts)
    yield from results
    if texts or message.calls or message.reasoning or not results:
        yield message


FORMAT = ChatFiles("sessions of Gemini CLI", _is_value, _chats).format(
    NAME,
    "sessions and checkpoints of Gemini CLI (.json)",
    ("sessionId", "messages", "type", "parts"),
)
