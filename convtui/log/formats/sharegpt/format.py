"""ShareGPT: conversations for fine-tuning, as `conversations` of `from` and `value`.

A file is one conversation, a list of them (plain or pretty-printed), or one a line. Roles and keys
are spelled in many ways. Calls are texts of JSON with a role of their own, results have another.
Files say neither when it was nor how it ended; `system` and `tools` beside the turns are kept.
Trajectories of hermes are written in the same words, and have a format of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.chat.conversation import Chat, imported_all
from convtui.log.formats.chat.messages import Message, message_of, plain
from convtui.log.formats.findings import Finding
from convtui.log.formats.hermes import trajectory
from convtui.log.formats.json_files import Item, files_below, first_value, items
from convtui.log.formats.json_objects import files_of, kind_of
from convtui.log.formats.registry import Format, Imported
from convtui.records.values import as_text

NAME: Final = "sharegpt"
_LISTS: Final = ("conversations", "conversation", "items")
_WHO: Final = ("from", "role", "speaker", "author")
_WHAT: Final = ("value", "content", "text", "message")
_KEPT: Final = ("system", "system_prompt", "tools")
_IDS: Final = ("id", "conversation_id", "conv_id")
ROLES: Final = {
    "system": "system", "human": "user", "user": "user", "prompter": "user", "gpt": "assistant",
    "chatgpt": "assistant", "assistant": "assistant", "model": "assistant", "bot": "assistant",
    "ai": "assistant", "bard": "assistant", "bing": "assistant", "claude": "assistant",
    "function_call": "call", "function-call": "call", "tool_call": "call", "tool": "tool",
    "observation": "tool", "function_response": "tool", "function-response": "tool",
    "tool_response": "tool", "ipython": "tool",
}  # fmt: skip
"""What roles are called, and what they are."""


def detect(path: Path) -> bool:
    """Whether a file holds such conversations, or a folder holds such files. Never raises."""
    if path.is_dir():
        return any(map(_is_one, files_below(path, _is_one)))
    return _is_one(path)


def _is_one(path: Path) -> bool:
    value = first_value(path)
    if isinstance(value, list) and value:
        value = value[0]
    return _is_conversation(value) and not trajectory.detect(path)


def _is_conversation(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    turns: list[Any] = next((value[n] for n in _LISTS if isinstance(value.get(n), list)), [])
    return bool(turns) and all(map(_is_turn, turns[:2]))


def _is_turn(value: Any) -> bool:
    return isinstance(value, Mapping) and any(
        isinstance(value.get(who), str) and any(what in value for what in _WHAT) for who in _WHO
    )


def files(path: Path) -> list[Path]:
    """The files that are read for a path. Raises `FileError` for a folder without any."""
    return files_of(path, lambda folder: files_below(folder, _is_one), _is_one, "ShareGPT files")


def read(path: Path) -> Iterator[Imported]:
    """The conversations of a file, or of a folder's files in the order of their names.

    Raises `FileError` for what holds none.
    """
    for file in files(path):
        damage: list[Finding] = []
        yield from imported_all(_chats(file, damage), file, damage)


def _chats(path: Path, damage: list[Finding]) -> Iterator[Chat]:
    for item in items(path, damage):
        values = item.value if isinstance(item.value, list) else [item.value]
        for index, value in enumerate(values):
            address = f"[{index}]" if isinstance(item.value, list) else item.address
            if _is_conversation(value):
                yield _chat(Item(value, item.line, address), path)
            else:
                message = f"{address}: is {kind_of(value)} without turns; left out".lstrip(": ")
                damage.append(Finding(path, message, item.line))


def _chat(item: Item, path: Path) -> Chat:
    fields = dict(item.value)
    name = next(name for name in _LISTS if isinstance(fields.get(name), list))
    turns = fields.pop(name)
    kept = {key: {"content": plain(fields.pop(key))} for key in _KEPT if key in fields}
    id_ = next((key for key in _IDS if isinstance(fields.get(key), (str, int))), "")
    return Chat(
        NAME,
        path,
        lambda: _messages(turns, f"{item.address}: {name}".lstrip(": "), item.line),
        session_id=str(fields[id_]) if id_ else "",
        model=as_text(fields.get("model")),
        kept=kept,
        details={
            "line": item.line,
            "file_fields": {k: plain(v) for k, v in fields.items()} or None,
        },
    )


def _messages(turns: list[Any], where: str, line: int | None) -> Iterator[Message]:
    called: list[str] = []
    """Ids of the calls that have no result yet: the files give none."""
    number = 0
    for index, turn in enumerate(turns):
        address = f"{where}[{index}]"
        if not isinstance(turn, Mapping):
            yield message_of(turn, address, line)
            continue
        who = next((key for key in _WHO if isinstance(turn.get(key), str)), "")
        what = next((key for key in _WHAT if key in turn), "")
        given = as_text(turn.get(who))
        role = ROLES.get(given.lower(), given)
        more = {str(k): plain(v) for k, v in turn.items() if k not in (who, what)}
        if role == "call":
            calls = _calls(turn.get(what), address)
            for call in calls:
                number += 1
                call["id"] = f"call_{number}"
                called.append(call["id"])
            message = Message("assistant", "", address, line, calls=calls)
        elif role == "tool":
            message = message_of({"role": "tool", "content": turn.get(what)}, address, line)
            message.call_id = called.pop(0) if called else ""
        else:
            message = message_of({"role": role, "content": turn.get(what)}, address, line)
        message.more |= more
        yield message


def _calls(value: Any, address: str) -> list[dict[str, Any]]:
    """The calls that a text of JSON, or an object, makes. What is none is one without a name."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return [{"type": "function", "function": {"name": "", "arguments": value}}]
    calls = []
    for call in value if isinstance(value, list) else [value]:
        named = call if isinstance(call, Mapping) else {"arguments": call}
        function = {"name": named.get("name"), "arguments": named.get("arguments")}
        calls.append({"type": "function", "function": function})
    return calls


FORMAT = Format(
    name=NAME,
    description="ShareGPT conversations (from, value): a list, one object, or one a line",
    detect=detect,
    read=read,
    files=files,
    keys=("conversations", "from", "value"),
    generic=True,
)
