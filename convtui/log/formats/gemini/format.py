"""Sessions of Gemini CLI: a file for each, and checkpoints, which are contents of the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.chat.conversation import Chat
from convtui.log.formats.chat.readers import ChatFiles
from convtui.log.formats.findings import Finding
from convtui.log.formats.gemini.messages import messages_of
from convtui.log.formats.gemini.recording import is_first_line, recording_of
from convtui.log.formats.json_files import items
from convtui.records.times import parse_time, zone_of
from convtui.records.values import as_list, as_object, as_text, drop_none

NAME: Final = "gemini-cli"
_ABOUT: Final = ("projectHash", "lastUpdated", "kind", "summary", "directories")


def _is_value(value: Any) -> bool:
    session = as_object(value)
    messages = session.get("messages", session.get("history"))
    if "sessionId" in session and isinstance(messages, list):
        return all("type" in as_object(message) for message in messages[:1])
    if is_first_line(value):
        return True
    contents = messages if isinstance(messages, list) else value
    first = as_object(contents[0]) if isinstance(contents, list) and contents else {}
    return first.get("role") in ("user", "model") and isinstance(first.get("parts"), list)


def _chats(path: Path, damage: list[Finding]) -> Iterator[Chat]:
    rows = list(items(path, damage))
    if rows and is_first_line(rows[0].value):
        recording = recording_of(rows)
        yield _chat(path, recording.about, recording.messages)
        return
    for row in rows:
        session = as_object(row.value)
        yield _chat(path, session, session.get("messages", session.get("history", row.value)))


def _chat(path: Path, session: Mapping[str, Any], given: Any) -> Chat:
    messages = as_list(given)
    written = as_text(session.get("startTime"))
    models = (as_text(as_object(message).get("model")) for message in messages)
    return Chat(
        NAME,
        path,
        partial(messages_of, messages),
        session_id=as_text(session.get("sessionId")),
        provider="gemini-cli",
        model=next((model for model in models if model), ""),
        created=parse_time(written),
        created_from="startTime",
        created_zone=zone_of(written),
        details=drop_none({name: session.get(name) for name in _ABOUT}),
    )


FORMAT = ChatFiles("sessions of Gemini CLI", _is_value, _chats).format(
    NAME,
    "sessions and checkpoints of Gemini CLI (.json, .jsonl)",
    ("sessionId", "projectHash", "messages", "type", "parts"),
)
