"""The lines of an event file that is written: envelopes, spans, and what every run has."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Final

from convtui import __version__
from convtui.log.formats.oharness.events import NAMESPACE
from convtui.log.reader import Log
from convtui.records.codec import RecordDict, encode
from convtui.records.times import EPOCH, later, parse_time
from convtui.transcript.fold import COMMITTED

SCHEMA: Final = "1.0"
RUN: Final = "run-0"
_CAPABILITIES: Final = {
    **dict.fromkeys(
        (
            "streaming", "prompt_caching", "parallel_tool_use", "vision", "thinking",
            "structured_output",
        ),
        False,
    ),
    "max_context_tokens": 0,
    "max_output_tokens": 0,
}  # fmt: skip


@dataclass(slots=True)
class OpenTurn:
    """The turn that is open, in their words: a reply of the model."""

    key: tuple[Any, Any]
    opened: int
    """The `seq` of its `turn.started`."""
    raw: str | None = None
    finish: Any = None
    usage: dict[str, Any] = field(default_factory=dict)
    tools: int = 0


class Lines:
    """An event file while it is written."""

    def __init__(self, log: Log, file: BinaryIO) -> None:
        self._log = log
        self._file = file
        transcript = log.transcript
        self._header = transcript.header
        self._run_id = _uuid(transcript.id)
        self._created = _created(self._header)
        self._seq = 0
        self._t = 0.0
        self._opened = 0
        """The `seq` of `run.started`."""
        self._index = -1
        self._finished = 0
        self._calls = 0
        self._tools: dict[str, str] = {}
        """The span of every tool call that has not returned."""
        self._tool_calls = 0
        self._turn: OpenTurn | None = None
        self._said = 0
        self._messages: tuple[int, list[Any]] = (-1, [])
        """The last request and its messages: the next one mostly builds on it."""
        self._termination: dict[str, Any] | None = None
        self._counts: dict[str, int] = {}
        self._seeded_session: Any = None
        """The session that was under way when the log began; it is not begun again."""

    # --- writing

    def _emit(
        self, kind: str, payload: dict[str, Any], span: str = RUN, parent: int | None = None
    ) -> int:
        at = later(self._created, self._t).isoformat(timespec="microseconds")
        event: dict[str, Any] = {
            "v": SCHEMA,
            "seq": self._seq,
            "run_id": self._run_id,
            "timestamp": at.replace("+00:00", "Z"),
            "span_id": span,
        }
        if parent is not None:
            event["parent"] = parent
        self._file.write(encode({**event, "type": kind, "payload": payload}))
        self._seq += 1
        return self._seq - 1

    def _log_own(self, name: str, payload: dict[str, Any], span: str | None = None) -> None:
        """An event that only we have, in the span of the open turn."""
        told = {key: value for key, value in payload.items() if value is not None}
        parent = self._turn.opened if self._turn is not None else self._opened
        self._emit("user.log", {"namespace": NAMESPACE + name, **told}, span or self._span, parent)

    @property
    def _span(self) -> str:
        return f"turn-{self._index}" if self._turn is not None else RUN

    def _count(self, what: str) -> None:
        self._counts[what] = self._counts.get(what, 0) + 1

    def _meta(self) -> None:
        scenario = as_object(self._header.get("scenario"))
        persona = as_object(scenario.get("persona"))
        provider = as_object(self._header.get("provider"))
        task: dict[str, Any] = {"instruction": self._instruction(persona)}
        if isinstance(scenario.get("name"), str):
            task["id"] = scenario["name"]
        told = {
            "log": self._log.transcript.id,
            "persona": self._header.get("persona"),
            "provider": provider.get("name"),
            "task": persona.get("task"),
        }
        task["metadata"] = {
            NAMESPACE + name: value for name, value in told.items() if isinstance(value, str)
        }
        self._emit(
            "meta",
            {
                "schema_version": SCHEMA,
                "harness_version": f"convtui {__version__}",
                "task_snapshot": task,
                "llm_capabilities": _CAPABILITIES,
            },
        )

    def _instruction(self, persona: dict[str, Any]) -> str:
        """What the user says first: theirs is the task word for word."""
        turns = self._log.transcript.turns
        first = next((turn for turn in turns if turn.status == COMMITTED), None)
        if first is not None and first.speaker != "provider":
            return first.text
        return str(persona.get("task") or "")

    # --- afterwards

    def notes(self) -> Iterator[str]:
        """What the format has no place for, and where it went."""
        sessions = [s for s in self._log.transcript.sessions if not s.skipped]
        if len(sessions) > 1:
            yield f"{len(sessions)} sessions are one run there (user.log events tell them apart)"
        for what, count in self._counts.items():
            where = "" if "(" in what else " left out"
            yield f"{count} {what}{where}"
        if self._log.transcript.termination is None and self._termination is None:
            yield "the log has no ending: there is no run.finished"


def _uuid(text: str) -> str:
    """The log's id as a UUID; of one that is none, a UUID that follows from it."""
    if re.fullmatch(r"[0-9a-fA-F]{32}", text):
        return str(uuid.UUID(text))
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"convtui:{text}"))


def _created(header: RecordDict) -> datetime:
    return parse_time(header["created_at"]) or EPOCH


def as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
