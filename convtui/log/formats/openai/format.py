"""Chat messages in OpenAI's words or in Anthropic's: what most programs keep, under no format.

A file is a list of messages, an object with `messages` (as for fine-tuning, or a request's body),
a list of such objects, or one of either on each line. Messages on lines of their own are one
conversation. Both spellings of calls and results are known, and may stand in one file; roles that
are nobody's in a conversation keep their names as events. `system` beside the messages is kept, as
are `tools`. Files say neither when it was nor how it ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.chat.blocks import messages_of
from convtui.log.formats.chat.conversation import Chat
from convtui.log.formats.chat.messages import Message, plain
from convtui.log.formats.chat.readers import ChatFiles
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_files import Item, items
from convtui.log.formats.json_objects import kind_of
from convtui.log.formats.openai.export import NAME, write
from convtui.records.times import parse_time, zone_of
from convtui.records.values import as_text

_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_SAID: Final = ("content", "tool_calls", "function_call", "refusal")
_TIMES: Final = ("created_at", "timestamp", "created", "date")
_IDS: Final = ("conversation_id", "session_id", "thread_id", "id")
_KEPT: Final = ("system", "tools", "functions")


def _is_value(value: Any) -> bool:
    # A message, messages, or one or more conversations of them.
    for _ in range(2):
        if _is_message(value) or _has_messages(value):
            return True
        value = value[0] if isinstance(value, list) and value else None
    return _is_message(value) or _has_messages(value)


def _has_messages(value: Any) -> bool:
    messages = value.get("messages") if isinstance(value, Mapping) else None
    return isinstance(messages, list) and bool(messages) and _is_message(messages[0])


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("role"), str)
        and value["role"] in _ROLES
        and any(name in value for name in _SAID)
    )


def _chats(path: Path, damage: list[Finding]) -> Iterator[Chat]:
    loose: list[tuple[Any, str, int | None]] = []
    """Messages on lines of their own, which are one conversation."""
    for item in items(path, damage):
        if _is_message(item.value):
            loose.append((item.value, item.address, item.line))
            continue
        yield from _in_value(item, path, damage)
    if loose:
        yield Chat(NAME, path, lambda: _flat(loose))


def _in_value(item: Item, path: Path, damage: list[Finding]) -> Iterator[Chat]:
    value = item.value
    if isinstance(value, list) and not any(map(_is_message, value)):
        for index, inner in enumerate(value):
            address = f"{item.address} [{index}]".strip()
            if isinstance(inner, list) or (isinstance(inner, Mapping) and "messages" in inner):
                yield _chat(inner, address, item.line, path)
            else:
                damage.append(Finding(path, f"{address}: {_no_chat(inner)}", item.line))
    elif isinstance(value, list) or (isinstance(value, Mapping) and "messages" in value):
        yield _chat(value, item.address, item.line, path)
    else:
        damage.append(Finding(path, f"{item.address}: {_no_chat(value)}".lstrip(": "), item.line))


def _no_chat(value: Any) -> str:
    return f"is {kind_of(value)} without messages; left out"


def _chat(value: Any, address: str, line: int | None, path: Path) -> Chat:
    fields = {"messages": value} if isinstance(value, list) else dict(value)
    given = fields.pop("messages")
    messages = given if isinstance(given, list) else [given]
    dot = f"{address}: " if address else ""
    placed = [(one, f"{dot}messages[{index}]", line) for index, one in enumerate(messages)]
    kept = {name: {"content": plain(fields.pop(name))} for name in _KEPT if name in fields}
    when = next((name for name in _TIMES if parse_time(as_text(fields.get(name)))), "")
    name = next((key for key in _IDS if isinstance(fields.get(key), str) and fields[key]), "")
    return Chat(
        NAME,
        path,
        lambda: _flat(placed),
        session_id=as_text(fields.get(name)) if name else "",
        model=as_text(fields.get("model")),
        created=parse_time(as_text(fields.get(when))) if when else None,
        created_from=when,
        created_zone=zone_of(as_text(fields.get(when))) if when else None,
        kept=kept,
        details={"line": line, "file_fields": {k: plain(v) for k, v in fields.items()} or None},
    )


def _flat(placed: Iterable[tuple[Any, str, int | None]]) -> Iterator[Message]:
    for value, address, line in placed:
        yield from messages_of(_modern(value), address, line)


def _modern(value: Any) -> Any:
    """A message with what older programs call by other names: `function_call`, `refusal`."""
    if not isinstance(value, Mapping):
        return value
    fields = dict(value)
    called = fields.get("function_call")
    if isinstance(called, Mapping) and not fields.get("tool_calls"):
        del fields["function_call"]
        fields["tool_calls"] = [{"type": "function", "function": dict(called)}]
    if not fields.get("content") and isinstance(fields.get("refusal"), str):
        fields["content"] = fields["refusal"]
    return fields


FORMAT = replace(
    ChatFiles("chat messages", _is_value, _chats).format(
        NAME,
        "chat messages as OpenAI and Anthropic have them: a list, {messages}, or JSONL",
        ("messages", "role", "content"),
        generic=True,
    ),
    write=write,
)
