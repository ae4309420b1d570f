"""The lines of an event file that is written: envelopes, spans, and what every run has."""

from __future__ import annotations

import re
import uuid
from typing import Any, BinaryIO, Final

from convtui import __version__
from convtui.log.formats.export_fold import ExportFold
from convtui.log.formats.oharness.events import NAMESPACE
from convtui.log.reader import Log
from convtui.records.codec import encode
from convtui.records.values import as_object
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


class EventFile:
    """An event file of one run while it is written, each event at the time of the fold."""

    def __init__(self, fold: ExportFold, file: BinaryIO) -> None:
        self._fold = fold
        self._file = file
        self._run_id = _uuid(fold.log.transcript.id)
        self._seq = 0

    def emit(
        self, kind: str, payload: dict[str, Any], span: str = RUN, parent: int | None = None
    ) -> int:
        """Writes an event; returns its `seq`."""
        at = self._fold.now.isoformat(timespec="microseconds")
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


def meta_of(fold: ExportFold) -> dict[str, Any]:
    """What a run's `meta` says."""
    scenario = as_object(fold.header.get("scenario"))
    persona = as_object(scenario.get("persona"))
    task: dict[str, Any] = {"instruction": _instruction(fold.log, persona)}
    if isinstance(scenario.get("name"), str):
        task["id"] = scenario["name"]
    metadata = {
        "log": fold.log.transcript.id,
        "persona": fold.header.get("persona"),
        "provider": fold.provider.get("name"),
        "task": persona.get("task"),
    }
    task["metadata"] = {
        NAMESPACE + name: value for name, value in metadata.items() if isinstance(value, str)
    }
    return {
        "schema_version": SCHEMA,
        "harness_version": f"convtui {__version__}",
        "task_snapshot": task,
        "llm_capabilities": _CAPABILITIES,
    }


def _instruction(log: Log, persona: dict[str, Any]) -> str:
    """What the user says first: theirs is the task word for word."""
    first = next((turn for turn in log.transcript.turns if turn.status == COMMITTED), None)
    if first is not None and first.speaker != "provider":
        return first.text
    return str(persona.get("task") or "")


def _uuid(text: str) -> str:
    """The log's id as a UUID; of one that is none, a UUID that follows from it."""
    if re.fullmatch(r"[0-9a-fA-F]{32}", text):
        return str(uuid.UUID(text))
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"convtui:{text}"))
