"""Sessions of Codex (`rollout-*.jsonl`): what the model was given and answered, item by item.

What was said stands twice, as an item of a response and as an event for the screen: the items are
read. Texts that the program puts in before a user has spoken are events here, not turns. Files of
the first versions have the items without an envelope.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.chat.conversation import Chat
from convtui.log.formats.chat.readers import ChatFiles
from convtui.log.formats.codex.items import ENVELOPES, messages_of
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_files import items
from convtui.log.formats.registry import ParentIn
from convtui.records.times import parse_time, zone_of
from convtui.records.values import as_object, as_text, drop_none

NAME: Final = "codex"


def _is_value(value: Any) -> bool:
    row = as_object(value)
    if row.get("type") in ENVELOPES and isinstance(row.get("payload"), Mapping):
        return True
    # The first versions: a header of its own.
    return {"id", "timestamp", "instructions"} <= set(row) and "role" not in row


def _chats(path: Path, damage: list[Finding]) -> Iterator[Chat]:
    rows = list(items(path, damage))
    meta: dict[str, Any] = {}
    model = ""
    for row in rows:
        data = as_object(row.value)
        payload = as_object(data.get("payload"))
        if not meta and (data.get("type") == "session_meta" or "instructions" in data):
            # A fork repeats those of the session that it goes on from, after its own.
            meta = payload or data
        elif data.get("type") == "turn_context":
            model = model or as_text(payload.get("model"))
    written = as_text(meta.get("timestamp")) or as_text(
        as_object(rows[0].value).get("timestamp") if rows else None
    )
    git = as_object(meta.get("git"))
    base = as_text(as_object(meta.get("history_base")).get("thread_id"))
    before = as_text(meta.get("forked_from_id")) or base
    yield Chat(
        NAME,
        path,
        partial(messages_of, rows),
        session_id=as_text(meta.get("id")),
        provider="codex",
        model=model,
        created=parse_time(written),
        created_from="timestamp",
        created_zone=zone_of(written),
        details=drop_none(
            {
                **{name: meta.get(name) for name in ("cwd", "cli_version", "originator")},
                "branch": git.get("branch"),
                "instructions": meta.get("instructions"),
            }
        ),
        parent=ParentIn(NAME, before, kind="fork") if before else None,
    )


FORMAT = ChatFiles("sessions of Codex", _is_value, _chats).format(
    NAME,
    "sessions of Codex (rollout-*.jsonl), single or a folder",
    ("payload", "timestamp", "type"),
)
