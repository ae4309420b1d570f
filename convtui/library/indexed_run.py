"""A run of the library's index, in the form in which a log answers for itself."""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convtui.errors import ConvtuiError
from convtui.library.index import Index
from convtui.library.index_rows import NO_RAW, RAW_AS_SHOWN, RAW_ELSEWHERE, Stored, loaded
from convtui.log.filter_lookup import LogLookup, NoteLookup
from convtui.log.notes import Address, Notes, TurnNote
from convtui.log.reader import open_log
from convtui.log.run_summary import RunSummary
from convtui.records.codec import RecordDict
from convtui.transcript.fold import Session, Transcript, Turn


class IndexedRun(NoteLookup):
    """One run of the index at a time, in the form the filter evaluator needs: a transcript and
    a lookup."""

    def __init__(self) -> None:
        super().__init__(lambda turn: self.notes.get((turn.session, turn.number)))
        self.transcript = Transcript()
        self.notes: Mapping[Address, TurnNote] = {}
        self._run: RunSummary | None = None
        self._seeded: Mapping[int, str | None] | None = None
        self._has_raw = NO_RAW
        self._raw: Stored | None = None
        self._happened: str | None = None

    def enter(self, run: RunSummary, header: RecordDict, sessions: str, notes: str) -> None:
        """Moves on to another run."""
        self._run = run
        self._seeded = None
        self.transcript.header = header
        self.transcript.sessions = []
        for index, session_type, last, termination in json.loads(sessions) if sessions else ():
            session = Session(index, session_type)
            session.termination = termination
            session.turns = array("L", [last] if last >= 0 else [])
            self.transcript.sessions.append(session)
        self.notes = decode_notes(notes) if notes else {}

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
                self._seeded = _raw_of_parents(self._run) if self._run is not None else {}
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


def _raw_of_parents(run: RunSummary) -> Mapping[int, str | None]:
    """The raw replies, by turn index, that stand in the parent logs."""
    try:
        with open_log(run.path) as log:
            return LogLookup(log).seeded()
    except ConvtuiError:
        return {}


@dataclass(slots=True, frozen=True)
class RunTurns:
    sessions: Sequence[Session]
    turns: Sequence[Turn]
    notes: Sequence[tuple[Address, TurnNote]]


def turns_of_index(index: Index, run: RunSummary) -> RunTurns | None:
    """The sessions and turns of a run; None where the index does not have them."""
    with index.snapshot():
        sessions, notes, rows = index.turns_of(run.name)
    if not rows:
        return None
    indexed = IndexedRun()
    indexed.enter(run, header_of(run), sessions, notes)
    turns = [indexed.turn(row, text) for row, text in rows]
    return RunTurns(indexed.transcript.sessions, turns, sorted(indexed.notes.items()))


def turns_of_log(run: RunSummary) -> RunTurns:
    """The same from its log. Raises `LogError` where that cannot be opened."""
    with open_log(run.path) as log:
        notes = sorted(Notes(run.path).all().items())
        return RunTurns(log.transcript.sessions, log.transcript.turns, notes)
