"""hermes' sessions as files: exports, and the logs of its command line and of its gateway.

An export has a session a line, its columns beside `messages`; a log of the command line is one JSON
object; one of the gateway has a message a line and may begin with a line about the session.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.files.regular import open_regular, read_regular
from convtui.log.formats.chat.messages import Message, message_of, text_of
from convtui.log.formats.findings import Finding, finding_of
from convtui.log.formats.hermes.sessions import Session, columns_of, in_order, link
from convtui.log.formats.json_files import first_value
from convtui.log.formats.json_objects import (
    MAX_LINE,
    head_of,
    kind_of,
    lines,
    parse_json,
    values_in,
)
from convtui.log.formats.registry import Imported, Listed
from convtui.records.times import parse_time

_COLUMNS: Final = ("started_at", "end_reason", "parent_session_id", "source", "tool_call_count")
_ROLES: Final = frozenset({"user", "assistant", "tool", "system", "session_meta"})
_APART: Final = ("messages", "system_prompt", "tools")
_PREVIEW: Final = 80


def is_export(path: Path) -> bool:
    """Whether a file looks like an export of sessions, by its first line."""
    if path.suffix.lower() not in (".jsonl", ".json"):
        return False
    first = head_of(path).split("\n", 1)[0]
    names = [f'"{name}"' for name in _COLUMNS]
    if not first.startswith("{") or '"id"' not in first or sum(n in first for n in names) < 2:
        return False
    session = first_value(path)
    if isinstance(session, dict) and ("id" not in session or _columns_in(session) < 2):
        # Another tool's file, with such names further inside.
        return False
    return '"messages"' in _whole(path, first)


def _columns_in(session: dict[str, Any]) -> int:
    return sum(name in session for name in _COLUMNS)


def _whole(path: Path, first: str) -> str:
    """The first line, as far as it takes to find what comes after long columns."""
    return first if '"messages"' in first else head_of(path, 8 << 20).split("\n", 1)[0]


def is_cli_log(path: Path) -> bool:
    """Whether a file looks like a log of the command line."""
    if path.suffix.lower() != ".json":
        return False
    head = head_of(path)
    named = all(f'"{name}"' in head for name in ("session_id", "session_start"))
    return head.startswith("{") and named and "session_" in path.name


def is_gateway_log(path: Path) -> bool:
    """Whether a file surely is a log of the gateway: only some say so in their first line."""
    head = _first_object(path)
    return head is not None and head.get("role") == "session_meta"


def may_be_gateway_log(path: Path) -> bool:
    """Whether a file could be one: messages of a chat, one a line."""
    head = _first_object(path)
    return head is not None and head.get("role") in _ROLES and "conversations" not in head


def _first_object(path: Path) -> dict[str, Any] | None:
    if path.suffix.lower() != ".jsonl":
        return None
    head = head_of(path, 1 << 22)
    try:
        first = json.loads(head.split("\n", 1)[0])
    except (ValueError, RecursionError):
        return None
    return first if isinstance(first, dict) else None


class Export:
    """The sessions of an export. A line that is none is named in `damage`; the rest are read."""

    damage: list[Finding]

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage = []
        self._sessions: dict[str, Session] | None = None

    def close(self) -> None:
        """Nothing is open between two calls."""

    def listed(self) -> list[Listed]:
        """Every session, in the order of the file."""
        return [session.listed() for session in self.sessions().values()]

    def read(self, wanted: Collection[str] | None = None) -> Iterator[Imported]:
        """The wanted sessions, or all, parents before their children."""
        sessions = self.sessions()
        for session in in_order(sessions, sessions if wanted is None else wanted):
            yield session.imported()

    def sessions(self) -> dict[str, Session]:
        """Every session by its id. Of two with one id the first counts. Raises `FileError`."""
        if self._sessions is not None:
            return self._sessions
        sessions: dict[str, Session] = {}
        for line in lines(self.path):
            values, findings = values_in(line, self.path)
            self.damage += findings
            for index, value in enumerate(values):
                where = f"{self.path}: line {line.number}"
                try:
                    data = _session_in(value, where)
                except FileError as error:
                    self.damage.append(finding_of(error, self.path, line.number))
                    continue
                id_ = data.get("id")
                if not isinstance(id_, str) or not id_ or id_ in sessions:
                    message = "a session without an id of its own"
                    self.damage.append(Finding(self.path, message, line.number, "no_id"))
                    continue
                sessions[id_] = self._session(id_, data, _Session(self.path, line.offset, index))
        if not sessions and not self.damage:
            raise FileError(f"{self.path}: there is no session in it")
        link(sessions)
        self._sessions = sessions
        return sessions

    def _session(self, id_: str, data: dict[str, Any], messages: _Session) -> Session:
        about_file = {} if data.get("title") else {"preview": preview(data["messages"])}
        return Session(
            id_,
            columns_of(data, without=_APART),
            messages,
            self.path,
            kept_of(data),
            count=len(data["messages"]),
            about_file=about_file,
        )


@dataclass(slots=True, frozen=True)
class _Session:
    """The messages of the session in one line, read again when they are asked for."""

    path: Path
    offset: int
    index: int
    """Which of the values of the line it is."""

    def __call__(self) -> Iterator[Message | Finding]:
        try:
            file = open_regular(self.path)
            file.seek(self.offset)
        except OSError as error:
            raise FileError(f"{self.path}: cannot be read: {error.strerror}") from error
        line = next(lines(self.path, file), None)
        values, _ = values_in(line, self.path) if line is not None else ([], [])
        if self.index >= len(values):
            raise FileError(f"{self.path}: was written while it was read: import it again")
        for number, message in enumerate(
            _session_in(values[self.index], str(self.path))["messages"]
        ):
            yield message_of(message, f"messages[{number}]")


def _session_in(data: Any, where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise FileError(f"{where}: must be a session, not {kind_of(data)}")
    if not isinstance(data.get("messages"), list):
        raise FileError(f"{where}: messages must be a list, not {kind_of(data.get('messages'))}")
    return data


def cli_log(path: Path) -> Session:
    """The session of a log of the command line. Raises `FileError`."""
    try:
        if path.stat().st_size > MAX_LINE:
            raise FileError(f"{path}: larger than {MAX_LINE >> 20} MB, which no session is")
        raw = read_regular(path)
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from error
    data = _session_in(parse_json(raw, str(path)), str(path))
    columns = columns_of(data, without=_APART)
    for name, ours in (("session_start", "started_at"), ("last_updated", "last_active")):
        at = parse_time(data.get(name) if isinstance(data.get(name), str) else None)
        if at is not None:
            columns.setdefault(ours, at.timestamp())
    messages = data["messages"]
    id_ = data.get("session_id")
    return Session(
        id_ if isinstance(id_, str) and id_ else path.stem,
        columns,
        lambda: [
            message_of(message, f"messages[{number}]") for number, message in enumerate(messages)
        ],
        path,
        kept_of(data),
        count=len(messages),
        about_file={"preview": preview(messages)},
    )


def gateway_log(path: Path) -> Session:
    """The session of a log of the gateway: it is named as its file is."""
    messages = _Gateway(path)
    times = (None if isinstance(message, Finding) else message.at for message in messages())
    first = next((at for at in times if at is not None), None)
    columns: dict[str, Any] = {} if first is None else {"started_at": first}
    meta = _first_object(path) or {}
    if meta.get("role") == "session_meta":
        columns |= {
            name: value
            for name, value in columns_of(meta, without=_APART).items()
            if name in ("model", "platform", "source")
        }
    return Session(path.stem, columns, messages, path)


@dataclass(slots=True, frozen=True)
class _Gateway:
    """The messages of a gateway's log, one a line."""

    path: Path

    def __call__(self) -> Iterator[Message | Finding]:
        for line in lines(self.path):
            values, findings = values_in(line, self.path)
            yield from (message_of(value, f"line {line.number}", line.number) for value in values)
            yield from findings


def kept_of(data: dict[str, Any]) -> dict[str, Any]:
    """What is put at the beginning of a session, by the name of an event."""
    kept: dict[str, Any] = {}
    if data.get("system_prompt"):
        kept["system"] = {"content": data["system_prompt"]}
    if data.get("tools"):
        kept["tools"] = {"tools": data["tools"]}
    return kept


def preview(messages: list[Any]) -> str:
    """The first words of the first user message."""
    for message in messages[:20]:
        if isinstance(message, dict) and message.get("role") == "user":
            return text_of(message.get("content") or "")[:_PREVIEW]
    return ""
