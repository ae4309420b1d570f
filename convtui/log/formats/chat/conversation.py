"""A chat of any tool, ready to be imported: its messages, who spoke, when, and how it ended."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.chat.messages import Message
from convtui.log.formats.chat.records import Ending, MessageReader
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_objects import file_time
from convtui.log.formats.record_builder import NO_REASON
from convtui.log.formats.registry import Imported, ParentIn, imported_provider
from convtui.records.codec import Speaker
from convtui.records.models import Record
from convtui.records.values import drop_none

SPOKEN: Final = ("user", "assistant", "tool", "function")
"""The roles of messages that are turns, or a part of one."""


def unknown_ending() -> Ending:
    """The ending of a conversation whose file does not say why it ended."""
    detail = {"recorded": False}
    return Ending({"kind": "completed", "by": "harness", "detail": detail, "reason": NO_REASON})


@dataclass(slots=True)
class Chat:
    """One conversation. `messages` begins anew each time it is called.

    The same messages with the same `session_id` and `place` are the same conversation: they are
    imported once.
    """

    format: str
    path: Path
    messages: Callable[[], Iterable[Message | Finding]]
    session_id: str = ""
    place: str = ""
    """Where it stands in its file, if equal ones may stand there: a task and a trial, say."""
    persona: str = "user"
    provider: str = "assistant"
    model: str = ""
    created: datetime | None = None
    """When it began; None where the file does not say: the time of the file then."""
    created_from: str = ""
    """The key that says so."""
    created_zone: str | None = None
    """`NO_ZONE` where it names no time zone."""
    session_type: str = "default"
    kept: dict[str, Any] = field(default_factory=dict)
    """What stands at its beginning, by the name of an event: the tools, say."""
    ending: Callable[[], Ending] = unknown_ending
    details: dict[str, Any] = field(default_factory=dict)
    """What else the file says; the header's `imported`."""
    parent: ParentIn | None = None
    findings: list[Finding] = field(default_factory=list)
    """What could not be read of its file beside its own messages."""

    def identity(self) -> tuple[str, Speaker]:
        """The id of its log, and who speaks first. Reads the messages."""
        digest = hashlib.sha256(f"{self.format}\n{self.session_id!r}\n{self.place!r}\n".encode())
        first: Speaker | None = None
        for message in self.messages():
            if isinstance(message, Finding):
                continue
            digest.update(message.digest() + b"\n")
            if first is None and message.role in SPOKEN:
                first = "persona" if message.role == "user" else "provider"
        return digest.hexdigest()[:32], first or "persona"

    def imported(self) -> Imported:
        """The conversation, ready to be written as a log."""
        id_, first = self.identity()
        details = {
            "format": self.format,
            "session_id": self.session_id or None,
            "created_at_from": self.created_from if self.created else "file's date",
            "created_at_zone": self.created_zone,
            **self.details,
        }
        imported = Imported(
            id=id_,
            created_at=(self.created or file_time(self.path)).astimezone(UTC),
            persona=self.persona,
            provider=imported_provider(self.provider, self.model or None),
            records=(),
            sources=[self.path],
            details=drop_none(details),
            parent=self.parent,
        )
        imported.records = _Records(self, first, imported)
        return imported


@dataclass(slots=True)
class _Records:
    """The records of a chat, made while its messages are read. Every pass begins anew."""

    chat: Chat
    first: Speaker
    imported: Imported

    def __iter__(self) -> Iterator[tuple[float, Record]]:
        chat, ending = self.chat, self.chat.ending()
        began = None if chat.created is None else chat.created.timestamp()
        reader = MessageReader(chat.format, chat.session_type, self.first, began)
        yield from reader.begin(chat.kept)
        for finding in chat.findings:
            yield from reader.finding(finding)
        for message in chat.messages():
            if isinstance(message, Finding):
                yield from reader.finding(message)
            else:
                yield from reader.read(message)
        yield from reader.end(ending)
        self.imported.termination = ending.termination


def imported_all(chats: Iterable[Chat], path: Path, damage: list[Finding]) -> Iterator[Imported]:
    """The conversations of a file, each ready to be written as a log.

    `damage` is filled while `chats` is gone through: what could not be read is said in the log of
    the conversation before it, or of the first. Raises `FileError` where there is none.
    """
    last: Chat | None = None
    for chat in chats:
        _move(damage, chat if last is None else last)
        if last is not None:
            yield last.imported()
        last = chat
    if last is None:
        why = f": {damage[0].placed}" if damage else ""
        raise FileError(f"{path}: there is no conversation in it{why}")
    _move(damage, last)
    yield last.imported()


def _move(damage: list[Finding], chat: Chat) -> None:
    chat.findings += damage
    damage.clear()
