"""Converts runs to rows of the library's index and back."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from convtui.errors import LogError
from convtui.log.detail import TurnDetail
from convtui.log.filter_lookup import NoteLookup
from convtui.log.notes import Address, Notes, TurnNote
from convtui.log.reader import LogReader
from convtui.log.run_summary import RunSummary, mean_latency, number, summarise, total
from convtui.records.codec import RecordDict
from convtui.text.boundary import near_empty
from convtui.transcript.fault_rules import SIDES, faults_of
from convtui.transcript.fold import Session, Transcript, Turn

SUMMARY_ONLY, WITH_TURNS, ASK_THE_LOG = 0, 1, 2
"""What the index stores of a run. `ASK_THE_LOG` is for values that fit no column."""
NO_RAW, RAW_AS_SHOWN, RAW_KEPT, RAW_ELSEWHERE = 0, 1, 2, 3
"""Where the raw reply of a turn is stored; `RAW_ELSEWHERE` is a parent log."""
TURN_COLUMNS: Final = (
    "id", "idx", "session", "number", "speaker", "attempt", "status", "stage", "flags", "signals",
    "codes", "latency", "prompt", "completion", "cost", "tokens", "blank", "faults", "has_raw",
)  # fmt: skip
TEXT_COLUMNS: Final = ("id", "text", "raw", "happened")
MAX_TURNS: Final = 1 << 24
"""Maximum number of turns of a run, given the layout of turn ids."""
LIVE_LIMIT: Final = 2_000_000
"""Size in bytes above which the turns of a log that is being written are not indexed."""
MAX_OUTPUT: Final = 20_000
"""Characters of one turn's output that are indexed."""
_OUTSIDE = 1 << 63
_KEPT = frozenset(
    {
        "turn.started",
        "llm.response",
        "user.decided",
        "debug.edited",
        "tool.called",
        "provider.output",
    }
)

Stored = str | bytes
"""A text as stored in the database: as bytes if it has lone surrogates."""


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
    words: list[str] = field(default_factory=list)
    """The texts, case-folded for searching, in the order of `texts`."""


def stat_of(path: Path) -> tuple[int, int]:
    """Size in bytes and modification time in nanoseconds; zeros for a missing file."""
    try:
        info = path.stat()
    except OSError:
        return 0, 0
    return info.st_size, info.st_mtime_ns


def read_run(path: Path, *, turns: bool) -> RunRows:
    """One run from its log and its notes, with or without its turns; damage raises nothing.

    A log without a trailer is always read to its end: nothing else says how many turns it has.
    Size and modification time are taken before anything is read, so that whatever is written
    meanwhile makes the row outdated.
    """
    size, mtime = stat_of(path)
    summary = replace(summarise(path), size=size)
    rows = RunRows(summary, mtime, *_notes(path))
    counted = summary.closed or summary.turns is not None
    if summary.damaged or (counted and not turns):
        rows.depth = WITH_TURNS if summary.damaged else SUMMARY_ONLY
        return rows
    if summary.running and size > LIVE_LIMIT:
        rows.depth = ASK_THE_LOG
        return rows
    try:
        reader = _Collector(path)
        with reader:
            reader.advance()
            reader.finish()
            _take(rows, reader)
        rows.depth = WITH_TURNS
    except LogError:
        # Not a log after all (one of a newer version, say): it has no turns to match.
        rows.depth = WITH_TURNS
    except (_UnfitError, ValueError, TypeError, RecursionError, OSError):
        rows.turns, rows.texts, rows.words, rows.sessions = [], [], [], "[]"
        rows.depth = ASK_THE_LOG
    return rows


def _notes(path: Path) -> tuple[tuple[int, int], str, bool, bool]:
    notes = Notes(path)
    stat = stat_of(notes.path)
    by_turn = notes.all()
    data = {
        f"{session}:{turn}": [note.mark, note.note, dict(note.flags), note.fault]
        for (session, turn), note in by_turn.items()
    }
    return stat, json.dumps(data), bool(data), any(note.corrects for note in by_turn.values())


class _Collector(LogReader):
    """Reads a log and keeps what the fold does not: by turn, what the atoms look up."""

    every_record = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.kept: dict[tuple[int, int], list[RecordDict]] = {}

    def add_record(self, record: RecordDict, line: bytes, offset: int) -> None:
        super().add_record(record, line, offset)
        if record.get("type") in _KEPT and "turn" in record:
            address = (record.get("session", 1), record["turn"])
            self.kept.setdefault(address, []).append(record)


def _take(rows: RunRows, reader: _Collector) -> None:
    transcript = reader.transcript
    if len(transcript.turns) >= MAX_TURNS:
        raise _UnfitError
    rows.sessions = json.dumps(
        [
            [s.index, s.session_type, s.turns[-1] if s.turns else -1, s.termination]
            for s in transcript.sessions
        ]
    )
    for turn in transcript.turns:
        has_raw, texts = _text_row(turn, reader.kept.get((turn.session, turn.number), []))
        rows.turns.append((*_turn_row(turn), has_raw))
        rows.texts.append(texts)
        rows.words.append(fold_text(turn.everything))
    rows.summary = _completed(rows.summary, transcript)


def _completed(summary: RunSummary, transcript: Transcript) -> RunSummary:
    """The summary of a log without a trailer; what its last lines lack is from `transcript`."""
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
    return replace(
        summary, **{name: value for name, value in known.items() if getattr(summary, name) is None}
    )


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
    raw = TurnDetail(turn.session, turn.number, turn.speaker, list(records)).all_raw
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


def stored(text: str) -> Stored:
    """A text as it is stored in a column."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def loaded(value: Stored) -> str:
    """The exact text of a column."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogatepass")


# --- texts, searched by trigrams

_LIKE_ASCII = str.maketrans({"\u0130": "i", "\u0131": "i", "\u017f": "s", "\u212a": "k"})
_CONTROL = str.maketrans({chr(code): " " for code in range(32)})


def fold_text(text: str) -> str:
    """A text in which an ASCII word is found whatever its case, as a pattern would find it.

    A pattern that ignores case takes four characters outside ASCII for an i, an s and a k.
    """
    folded = text.translate(_LIKE_ASCII).lower().translate(_CONTROL)
    return folded.encode("utf-8", "replace").decode()


# --- from rows to transcripts


class IndexedRun(NoteLookup):
    """One run of the index at a time, in the form the filter evaluator needs: a transcript and
    a lookup."""

    def __init__(self) -> None:
        super().__init__(lambda turn: self.notes.get((turn.session, turn.number)))
        self.transcript = Transcript()
        self.notes: Mapping[Address, TurnNote] = {}
        self._elsewhere: Callable[[], Mapping[int, str | None]] = dict
        self._seeded: Mapping[int, str | None] | None = None
        self._has_raw = NO_RAW
        self._raw: Stored | None = None
        self._happened: str | None = None

    def enter(
        self,
        header: RecordDict,
        sessions: str,
        notes: str,
        elsewhere: Callable[[], Mapping[int, str | None]],
    ) -> None:
        """Moves on to another run.

        `elsewhere` reads the raw replies, by turn index, that stand in a parent log.
        """
        self.transcript.header = header
        self.transcript.sessions = []
        for index, session_type, last, termination in json.loads(sessions) if sessions else ():
            session = Session(index, session_type)
            session.termination = termination
            session.turns = array("L", [last] if last >= 0 else [])
            self.transcript.sessions.append(session)
        self.notes = decode_notes(notes) if notes else {}
        self._elsewhere = elsewhere
        self._seeded = None

    def turn(self, row: Sequence[Any], text: Sequence[Any] | None) -> Turn:
        """The turn of a row; what is looked up next is about this one."""
        turn = Turn(row[1], row[2], row[3], loaded(row[4]), row[5])
        turn.status = row[6]
        turn.stage = row[7]
        turn.flags = row[8]
        turn.signals = tuple(json.loads(row[9])) if row[9] else ()
        turn.codes = tuple(json.loads(row[10])) if row[10] else ()
        turn.latency = row[11]
        turn.prompt_tokens = row[12]
        turn.completion_tokens = row[13]
        turn.cost = row[14]
        self._has_raw = row[18]
        if text is not None:
            turn.text = loaded(text[0])
            self._raw, self._happened = text[1], text[2]
        return turn

    def raw(self, turn: Turn) -> str | None:
        if self._has_raw == RAW_ELSEWHERE:
            if self._seeded is None:
                self._seeded = self._elsewhere()
            return self._seeded.get(turn.index)
        if self._has_raw == RAW_AS_SHOWN:
            return turn.text
        return loaded(self._raw) if self._raw is not None else None

    def records(self, turn: Turn) -> list[RecordDict]:
        return [
            {"type": "tool.called", "name": text}
            if kind == "t"
            else {"type": "provider.output", "text": text}
            for kind, text in json.loads(self._happened or "[]")
        ]


def decode_notes(text: str) -> Mapping[Address, TurnNote]:
    """The notes of a run's row, by session and turn."""
    notes: dict[Address, TurnNote] = {}
    for address, (mark, note, flags, fault) in json.loads(text).items():
        session, _, turn = address.partition(":")
        notes[int(session), int(turn)] = TurnNote(mark, note, flags, fault)
    return notes


def header_of(run: RunSummary) -> RecordDict:
    """The part of a header that the atoms about runs need, with the tags as they are now."""
    return {
        "persona": run.persona,
        "provider": {"name": run.provider_name, "spec": run.provider, "model": run.model},
        "created_at": run.created,
        "scenario": {"tags": list(run.tags)},
    }
