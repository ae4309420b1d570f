"""A session of hermes as its columns tell it: how it ended, what it used, what it continues."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.chat.messages import Message, plain
from convtui.log.formats.chat.records import Ending, MessageReader
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_objects import file_time
from convtui.log.formats.registry import Imported, Listed, ParentIn, imported_provider
from convtui.records.codec import Speaker
from convtui.records.models import Record
from convtui.records.values import as_text, drop_none

PERSONA: Final = "user"
PROVIDER: Final = "hermes"
_BY_USER: Final = frozenset(
    {
        "user_exit", "cli_close", "tui_close", "new_session", "resumed_other", "branched",
        "session_reset", "session_switch",
    }
)  # fmt: skip
_BY_ITSELF: Final = frozenset({"completed", "compression", "cron_complete"})
_CUT_OFF: Final = frozenset(
    {
        "tui_shutdown", "agent_close", "idle_timeout", "lru_evict", "ws_disconnect",
        "ws_orphan_reap", "orphaned_compression",
    }
)  # fmt: skip
_FAILED: Final = ("error", "fail", "crash")
_TOKENS: Final = ("input_tokens", "cache_read_tokens", "cache_write_tokens")
_HELPERS: Final = frozenset({"subagent", "delegate", "tool"})
"""Sources of sessions that another session began, to have something done for it."""
_COMPRESSED: Final = frozenset({"compression", "orphaned_compression"})

Messages = Iterable[Message | Finding]
"""The messages of a session, and what could not be read between them."""


@dataclass(slots=True)
class Session:
    """One session. `messages` begins anew each time it is called."""

    id: str
    columns: dict[str, Any]
    messages: Callable[[], Messages]
    path: Path
    kept: dict[str, Any] = field(default_factory=dict)
    """What is put at its beginning, by the name of an event: a system prompt, the tools."""
    parent: Session | None = None
    count: int | None = None
    """How many messages it has, where that is known."""
    about_file: dict[str, Any] = field(default_factory=dict)
    """What is known of the file that it stands in."""
    _digest: tuple[str, Speaker] | None = None

    def text(self, name: str) -> str:
        """A column that is text; empty where it is none."""
        return as_text(self.columns.get(name))

    def number(self, name: str) -> float | None:
        """A column that is a number that is not negative."""
        value = self.columns.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return value if 0 <= value < 1e15 else None

    @property
    def began(self) -> float | None:
        """When, in seconds since the epoch."""
        return _epoch(self.number("started_at"))

    @property
    def parent_id(self) -> str:
        """The session that it goes back to; empty where there is none."""
        return self.text("parent_session_id")

    @property
    def relation(self) -> str:
        """How it goes back to its parent: compress, fork, subagent, child; or not at all."""
        if not self.parent_id:
            return ""
        if self.text("source") in _HELPERS:
            return "subagent"
        if self.parent is None:
            return "child"
        ended, began = _epoch(self.parent.number("ended_at")), self.began
        reason = self.parent.text("end_reason")
        early = ended is not None and began is not None and began < ended
        if reason in _COMPRESSED and not early:
            return "compress"
        return "fork" if reason == "branched" else "child"

    def listed(self) -> Listed:
        """The session as a list shows it."""
        began = self.began
        return Listed(
            id=self.id,
            title=self.text("title") or str(self.about_file.get("preview") or ""),
            source=self.text("source") or self.text("platform"),
            model=self.text("model"),
            created_at=datetime.fromtimestamp(began, UTC) if began is not None else None,
            messages=self.count,
            ended=self.text("end_reason"),
            parent=self.parent_id,
            relation=self.relation,
        )

    # --- what it says

    def _ending(self) -> Ending:
        reason, ended, began = self.text("end_reason"), self.number("ended_at"), self.began
        seconds = None
        if ended is not None and began is not None and ended >= began:
            seconds = ended - began
        return Ending(termination_of(reason, over=ended is not None), seconds, self._usage())

    def _usage(self) -> dict[str, dict[str, Any]] | None:
        """What it used. Nothing but zeros means that nobody has counted."""
        prompt = [self.number(name) or 0 for name in _TOKENS]
        completion = self.number("output_tokens") or 0
        cost = self.number("actual_cost_usd")
        if cost is None:
            cost = self.number("estimated_cost_usd")
        used: dict[str, Any] = {}
        if sum(prompt) or completion:
            used = {"prompt_tokens": int(sum(prompt)), "completion_tokens": int(completion)}
        if cost:
            used["cost"] = cost
        calls = self.number("api_call_count")
        if calls:
            used["calls"] = int(calls)
        return {"provider": used} if used else None

    def digest(self) -> tuple[str, Speaker]:
        """The id of its log, and who speaks first. Reads the messages."""
        if self._digest is not None:
            return self._digest
        digest = hashlib.sha256(f"hermes\n{self.id!r}\n{self.text('end_reason')!r}\n".encode())
        first: Speaker | None = None
        for message in self.messages():
            if isinstance(message, Finding):
                continue
            digest.update(message.digest() + b"\n")
            if first is None and message.role in ("user", "assistant", "tool", "function"):
                first = "persona" if message.role == "user" else "provider"
        self._digest = digest.hexdigest()[:32], first or "persona"
        return self._digest

    def imported(self) -> Imported:
        """The session, ready to be written as a log."""
        id_, first = self.digest()
        began = self.began
        created = datetime.fromtimestamp(began, UTC) if began is not None else file_time(self.path)
        model = self.text("model")
        relation = self.relation
        details = {
            "format": "hermes",
            "session_id": self.id,
            "title": self.text("title") or None,
            "parent_session_id": self.parent_id or None,
            "relation": relation or None,
            "created_at_from": "started_at" if began is not None else "file's date",
            **{name: value for name, value in self.about_file.items() if name != "preview"},
            "session": drop_none(self.columns),
        }
        imported = Imported(
            id=id_,
            created_at=created,
            persona=PERSONA,
            provider=imported_provider(PROVIDER, model),
            records=(),
            sources=[self.path],
            details=drop_none(details),
        )
        if relation:
            parent = self.parent.digest()[0] if self.parent is not None else ""
            imported.parent = ParentIn("hermes", self.parent_id, parent, relation)
        imported.records = _Records(self, first, imported)
        return imported


@dataclass(slots=True)
class _Records:
    """The records of a session, made while its messages are read. Every pass begins anew."""

    session: Session
    first: Speaker
    imported: Imported

    def __iter__(self) -> Iterator[tuple[float, Record]]:
        session, ending = self.session, self.session._ending()
        parent = session.parent if session.relation == "compress" else None
        reader = MessageReader(
            "hermes",
            session.text("source") or session.text("platform") or "default",
            self.first,
            session.began,
            messages_before=(parent.count or 0) if parent is not None else 0,
        )
        yield from reader.begin(session.kept)
        for message in session.messages():
            if isinstance(message, Finding):
                yield from reader.finding(message)
            else:
                yield from reader.read(message)
        yield from reader.end(ending)
        self.imported.termination = ending.termination


def termination_of(reason: str, *, over: bool) -> dict[str, Any]:
    """How a session ended, by its `end_reason`, which is kept; `over` whether it has an end."""

    def ended(sentence: str, kind: str = "completed", by: str = "harness") -> dict[str, Any]:
        detail: dict[str, Any] = {"end_reason": reason} if reason else {"recorded": False}
        return {"kind": kind, "by": by, "detail": detail, "reason": sentence}

    if not reason and over:
        return ended("the session was ended; the file does not say why")
    if not reason:
        crashed = "the file names no end: the session crashed, or was still going"
        return ended(crashed, "interrupted")
    if reason == "compression":
        return ended(f"the context was compressed; the session goes on in another one ({reason})")
    if reason in _BY_USER:
        return ended(f"the user left the session ({reason})", by="persona")
    if reason in _BY_ITSELF:
        return ended(f"the session was done ({reason})")
    if reason in _CUT_OFF:
        return ended(f"the session was closed without the user ({reason})", "interrupted")
    if any(word in reason.lower() for word in _FAILED):
        return ended(f"it failed: {reason}", "failed", "provider")
    return ended(f"the session was ended: {reason}")


def columns_of(data: Mapping[Any, Any], *, without: Iterable[str] = ()) -> dict[str, Any]:
    """The columns of a session as plain data."""
    left = set(without)
    return {str(name): plain(value) for name, value in data.items() if name not in left}


def in_order(sessions: Mapping[str, Session], wanted: Iterable[str]) -> list[Session]:
    """The wanted sessions and all that they were compressed from, parents before their children.

    Sessions that name each other in a circle stand in the order in which they are come upon.
    """
    asked = set(wanted)
    ordered: dict[str, Session] = {}
    for name in sessions:
        if name not in asked:
            continue
        line: list[Session] = []
        here: Session | None = sessions[name]
        seen: set[str] = set()
        while here is not None and here.id not in ordered and here.id not in seen:
            seen.add(here.id)
            line.append(here)
            above = here.parent
            follow = above is not None and (above.id in asked or here.relation == "compress")
            here = above if follow else None
        for session in reversed(line):
            ordered[session.id] = session
    return list(ordered.values())


def link(sessions: Mapping[str, Session]) -> None:
    """Tells sessions of one file of their parents."""
    for session in sessions.values():
        parent = sessions.get(session.parent_id)
        session.parent = parent if parent is not session else None


def _epoch(value: float | None) -> float | None:
    return value if value is not None and 0 < value < 1e11 else None
