"""Reads a run from its log and its notes, as rows of the library's index."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convtui.errors import LogError
from convtui.library.index_file import stamp
from convtui.library.index_rows import (
    ASK_THE_LOG,
    NO_RAW,
    RAW_AS_SHOWN,
    RAW_ELSEWHERE,
    RAW_KEPT,
    SUMMARY_ONLY,
    WITH_TURNS,
    stored,
)
from convtui.log.detail import RAW_FIELDS, all_rounds, rounds_of
from convtui.log.names import notes_path
from convtui.log.notes import Notes
from convtui.log.reader import LogReader
from convtui.log.run_summary import RunSummary, mean_latency, number, summarise, total
from convtui.records.codec import RecordDict
from convtui.records.views import View
from convtui.text.boundary import near_empty
from convtui.transcript.fault_rules import SIDES, faults_of
from convtui.transcript.fold import Transcript, Turn

MAX_TURNS: Final = 1 << 24
"""Maximum number of turns of a run, given the layout of turn ids."""
LIVE_LIMIT: Final = 2_000_000
"""Size in bytes above which the turns of a log that is being written are not indexed."""
MAX_OUTPUT: Final = 20_000
"""Characters of one turn's output that are indexed."""
_OUTSIDE = 1 << 63
_KEPT: Final = {**RAW_FIELDS, "tool.called": ("name",), "provider.output": ("text",)}
"""What is kept of the records of a turn."""


class _UnfitError(Exception):
    """A value that fits no column. Never leaves this module: the log is read instead."""


@dataclass(slots=True)
class RunRows:
    """One run, ready to be written. `turns` and `texts` begin with the turn's index, not its id."""

    summary: RunSummary
    mtime: int
    """Nanoseconds."""
    notes_stat: tuple[int, int]
    notes: str
    noted: bool
    corrected: bool
    depth: int = SUMMARY_ONLY
    sessions: str = "[]"
    turns: list[tuple[Any, ...]] = field(default_factory=list)
    texts: list[tuple[Any, ...]] = field(default_factory=list)


def stat_of(path: Path) -> tuple[int, int]:
    """Size in bytes and modification time in nanoseconds; zeros for a missing file."""
    try:
        info = path.stat()
    except OSError:
        return 0, 0
    return stamp(info)


def read_run(path: Path, *, turns: bool, many: bool = False) -> RunRows:
    """One run from its log and its notes, with or without its turns; damage raises nothing.

    A log without a trailer is always read to its end: nothing else says how many turns it has.
    Size and modification time are taken before anything is read, so that whatever is written
    meanwhile makes the row outdated. `many`: see `LogReader`.
    """
    size, mtime = stat_of(path)
    notes_stat = stat_of(notes_path(path))
    notes = Notes(path)
    summary = summarise(path, notes)
    summary.size = size
    rows = RunRows(summary, mtime, notes_stat, *_of_notes(notes))
    counted = summary.closed or summary.turns is not None
    if summary.damaged or (counted and not turns):
        rows.depth = WITH_TURNS if summary.damaged else SUMMARY_ONLY
        return rows
    if summary.running and size > LIVE_LIMIT:
        rows.depth = ASK_THE_LOG
        return rows
    try:
        transcript = _Collector()
        with LogReader(path, transcript=transcript, many=many) as reader:
            reader.advance()
            reader.finish()
            _take(rows, transcript)
        rows.depth = WITH_TURNS
    except LogError:
        # Not a log after all (one of a newer version, say): it has no turns to match.
        rows.depth = WITH_TURNS
    except (_UnfitError, ValueError, TypeError, RecursionError, OSError):
        rows.turns, rows.texts, rows.sessions = [], [], "[]"
        rows.depth = ASK_THE_LOG
    return rows


def _of_notes(notes: Notes) -> tuple[str, bool, bool]:
    by_turn = notes.all()
    data = {
        f"{session}:{turn}": [note.mark, note.note, dict(note.flags), note.fault]
        for (session, turn), note in by_turn.items()
    }
    return json.dumps(data), bool(data), any(note.corrects for note in by_turn.values())


class _Collector(Transcript):
    """Keeps what the fold does not: by turn, what the atoms look up."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[int, int], list[RecordDict]] = {}

    def take(
        self, kind: str | None, view: View, offset: int, record: RecordDict | None = None
    ) -> Turn | None:
        turn = super().take(kind, view, offset, record)
        fields = _KEPT.get(kind or "")
        if fields is not None and view.turn is not None:
            part = {"type": kind, **{name: getattr(view, name, None) for name in fields}}
            self.kept.setdefault((view.session, view.turn), []).append(part)
        return turn


def _take(rows: RunRows, transcript: _Collector) -> None:
    if len(transcript.turns) >= MAX_TURNS:
        raise _UnfitError
    rows.sessions = json.dumps(
        [
            [s.index, s.session_type, s.turns[-1] if s.turns else -1, s.termination]
            for s in transcript.sessions
        ]
    )
    for turn in transcript.turns:
        has_raw, texts = _text_row(turn, transcript.kept.get((turn.session, turn.number), []))
        rows.turns.append((*_turn_row(turn), has_raw))
        rows.texts.append(texts)
    _complete(rows.summary, transcript)


def _complete(summary: RunSummary, transcript: Transcript) -> None:
    """Adds what the last lines of a log without a trailer lack, from `transcript`."""
    sides = transcript.totals.values()
    provider = transcript.totals.get("provider")
    known: dict[str, Any] = {
        "turns": sum(turn.status == "committed" for turn in transcript.turns),
        "sessions": len(transcript.sessions),
        "discarded": transcript.counts.get("turn.discarded", 0),
        "records": transcript.records,
        "duration": number(transcript.last_t),
        "tokens": total(side.tokens for side in sides),
        "cost": total(side.cost for side in sides),
        "latency": mean_latency(provider.as_dict()) if provider is not None else None,
    }
    for name, value in known.items():
        if getattr(summary, name) is None:
            setattr(summary, name, value)


def _turn_row(turn: Turn) -> tuple[Any, ...]:
    faults = {fault.side for fault in faults_of(turn)}
    prompt, completion = _number(turn.prompt_tokens), _number(turn.completion_tokens)
    known = prompt is not None or completion is not None
    return (
        turn.index,
        turn.index,
        _number(turn.session),
        _number(turn.number),
        stored(turn.speaker),
        _number(turn.attempt),
        turn.status,
        turn.stage,
        int(turn.flags),
        json.dumps(turn.signals) if turn.signals else None,
        json.dumps(turn.codes) if turn.codes else None,
        _number(turn.latency),
        prompt,
        completion,
        _number(turn.cost),
        _number((prompt or 0) + (completion or 0)) if known else None,
        near_empty(turn.text),
        sum(1 << bit for bit, side in enumerate(SIDES) if side in faults),
    )


def _text_row(turn: Turn, records: Sequence[RecordDict]) -> tuple[int, tuple[Any, ...]]:
    """Where the raw reply is, and the row of the texts."""
    shown = turn.everything
    text = stored(shown)
    if turn.first < 0:
        return RAW_ELSEWHERE, (turn.index, text, None, None)
    raw = all_rounds(*rounds_of(records))
    if raw is not None and not isinstance(raw, str):
        raise _UnfitError
    happened = [
        ["t", str(record.get("name"))]
        if record["type"] == "tool.called"
        else ["o", str(record.get("text"))]
        for record in records
        if record["type"] in ("tool.called", "provider.output")
    ]
    if sum(len(text) for _, text in happened) > MAX_OUTPUT:
        raise _UnfitError
    kept = json.dumps(happened) if happened else None
    if raw is None or raw == shown:
        return NO_RAW if raw is None else RAW_AS_SHOWN, (turn.index, text, None, kept)
    return RAW_KEPT, (turn.index, text, stored(raw), kept)


def _number(value: Any) -> int | float | None:
    if value is None or (isinstance(value, int) and -_OUTSIDE <= value < _OUTSIDE):
        return value
    if isinstance(value, float) and value == value:  # noqa: PLR0124 - not NaN, which is stored as NULL
        return value
    raise _UnfitError
