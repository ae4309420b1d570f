"""A log as one JSON document: the folded transcript of `convtui show --json`."""

from __future__ import annotations

from typing import Any

from convtui.log.detail import TurnDetail, read_turn
from convtui.log.notes import Notes, TurnNote
from convtui.log.reader import Log
from convtui.log.spans import session_spans
from convtui.log.tool_uses import ToolUse, tool_uses
from convtui.records.codec import RecordDict
from convtui.records.values import as_list
from convtui.transcript.clock import elapsed
from convtui.transcript.corrections import corrected_faults, corrected_flags
from convtui.transcript.fold import Flag, Session, Turn
from convtui.transcript.usage import whole_totals

_STAGE_OF = {
    "llm.request": "request",
    "llm.response": "response",
    "tool.returned": "tools",
    "signals.extracted": "signals",
    "response.processed": "post_process",
    "turn.discarded": "discard",
    "turn.committed": "commit",
}
_STAGE_FIELDS = ("attempt", "round", "revision", "hook", "duration", "ttft", "finish_reason")


def folded(log: Log) -> dict[str, Any]:
    """The whole conversation as JSON data, with exact texts; unknown values are None."""
    transcript = log.transcript
    header = transcript.header
    spans = session_spans(log.path)
    notes = Notes(log.path)
    return {
        "id": transcript.id,
        "log": str(log.path),
        "format": header.get("version"),
        "created_at": header.get("created_at"),
        "origin": header.get("origin"),
        "persona": header.get("persona"),
        "provider": header.get("provider"),
        "environment": header.get("environment", {}),
        "parents": header.get("parents", []),
        "warm": _warm(transcript.warm),
        "reflections": [
            {name: record.get(name) for name in ("of", "text", "model")}
            for record in transcript.reflections
        ],
        "sessions": [
            _session(log, session, spans.get(session.index), notes)
            for session in transcript.sessions
        ],
        "termination": transcript.termination,
        "elapsed": elapsed(transcript).as_dict(),
        "totals": {side: totals.as_dict() for side, totals in whole_totals(transcript).items()},
        "warnings": [record.get("message") for record in transcript.warnings],
        "running": log.running,
        "complete": transcript.complete,
        "findings": [
            {"code": finding.code, "line": finding.line, "message": finding.message}
            for finding in log.findings
        ],
    }


def _warm(record: RecordDict | None) -> dict[str, Any] | None:
    """The warm context that the provider's history begins with."""
    if record is None:
        return None
    names = ("template", "file", "sha256", "slots", "addendum", "messages")
    return {name: record.get(name) for name in names}


def _session(
    log: Log, session: Session, span: dict[str, int] | None, notes: Notes
) -> dict[str, Any]:
    turns = (log.transcript.turns[index] for index in session.turns)
    return {
        "index": session.index,
        "type": session.session_type,
        "first_speaker": session.first_speaker,
        "max_turns": session.max_turns,
        "turns": [_turn(log, turn, notes.on(turn.session, turn.number)) for turn in turns],
        "duration": duration(session),
        "termination": session.termination,
        "skipped": session.skipped,
        "log_span": span,
    }


def duration(session: Session) -> float | None:
    """Seconds from a session's start to its end; None for imported logs without times."""
    # A damaged log may have values of any type.
    start: object = session.started_at
    end: object = session.ended_at
    if not isinstance(start, int | float) or not isinstance(end, int | float) or start == end:
        return None
    return round(end - start, 4)


def turn_detail(log: Log, turn: Turn) -> TurnDetail:
    """Everything that the log records about a turn; empty for a seeded turn."""
    return read_turn(log.reader.single, turn)


def _turn(log: Log, turn: Turn, note: TurnNote) -> dict[str, Any]:
    detail = turn_detail(log, turn)
    flags = corrected_flags(turn, note)
    return {
        "session": turn.session,
        "turn": turn.number,
        "speaker": turn.speaker,
        "status": turn.status,
        "text": turn.text,
        "raw": detail.raw,
        "interim": [part._asdict() for part in detail.interim or turn.interim],
        "signals": detail.matches,
        "discarded": bool(turn.flags & Flag.DISCARDED),
        "changed": bool(turn.flags & Flag.CHANGED),
        "attempt": turn.attempt,
        "flags": [str(flag.name).lower() for flag in Flag if flags & flag],
        "noticed": _noticed(detail),
        "faults": [fault.as_dict() for fault in corrected_faults(turn, note)],
        "corrected": {**note.flags, **({"fault": note.fault} if note.fault else {})} or None,
        "note": turn.note or None,
        "error": turn.error or None,
        "latency": turn.latency,
        "tokens": {"prompt": turn.prompt_tokens, "completion": turn.completion_tokens},
        "cost": turn.cost,
        "stages": [
            _stage(record) for record in detail.records if str(record.get("type")) in _STAGE_OF
        ],
        "tools": [_tool(use) for use in tool_uses(detail)],
        "decisions": [
            {key: record.get(key) for key in ("kind", "tool", "arguments", "valid", "reason")}
            for record in detail.decisions
            if record["type"] == "user.decided"
        ],
        "output": "".join(str(record.get("text", "")) for record in detail.outputs),
        "metadata": detail.metadata,
    }


def _noticed(detail: TurnDetail) -> list[Any]:
    """What the text checks noticed about the committed text, with their rules and spans."""
    return as_list((detail.last("turn.committed") or {}).get("flags"))


def _stage(record: RecordDict) -> dict[str, Any]:
    stage: dict[str, Any] = {"stage": _STAGE_OF[record["type"]], "t": record.get("t")}
    stage.update({key: record[key] for key in _STAGE_FIELDS if key in record})
    return stage


def _tool(use: ToolUse) -> dict[str, Any]:
    returned = use.returned or {}
    return {
        "name": use.name,
        "round": use.round,
        "arguments": use.arguments,
        "state": use.state,
        "ok": returned.get("ok"),
        "result": returned.get("result"),
        "error_kind": returned.get("error_kind"),
        "duration": returned.get("duration"),
        "approved": use.approved,
        "edited": use.edited is not None,
        "denied": None if use.denied is None else str(use.denied.get("reason") or ""),
        "size": use.cut,
    }
