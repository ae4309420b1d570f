"""Answers filter atoms that need more than the fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from convtui.filters.filter import Filter, decide
from convtui.log.detail import read_raw
from convtui.log.notes import Notes, TurnNote
from convtui.log.parents import Ancestry
from convtui.log.reader import Log
from convtui.log.transcript_json import turn_detail
from convtui.records.codec import RecordDict
from convtui.transcript.fold import Flag, Turn


class NoteLookup:
    """Answers atoms about marks, notes and corrections; `note` returns those of a turn."""

    ANSWERS: Final = frozenset({"mark", "note", "role", "repeat", "fault"})
    """The atoms that need nothing else beyond the fold."""

    def __init__(self, note: Callable[[Turn], TurnNote | None]) -> None:
        self._note = note

    def raw(self, turn: Turn) -> str | None:
        """The raw reply of a turn; None where there is none to read."""
        return None

    def records(self, turn: Turn) -> Sequence[RecordDict]:
        """All records of a turn, as far as they can be read."""
        return []

    def marked(self, turn: Turn) -> bool:
        note = self._note(turn)
        return note is not None and note.marked

    def noted(self, turn: Turn) -> bool:
        note = self._note(turn)
        return note is not None and note.noted

    def correction(self, turn: Turn) -> TurnNote | None:
        note = self._note(turn)
        return note if note is not None and note.corrects else None


class LogLookup(NoteLookup):
    """Answers every atom from one open log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        notes = Notes(log.path)
        super().__init__(lambda turn: notes.on(turn.session, turn.number))
        self._seeded: dict[int, str | None] | None = None

    def raw(self, turn: Turn) -> str | None:
        """The raw reply of a turn; None for one without, such as a script's.

        For a turn that the log began with it is read from the parent logs.
        """
        if turn.flags & Flag.SEEDED and turn.first < 0:
            return self.seeded().get(turn.index)
        return read_raw(self._log.reader.single, turn) if turn.first >= 0 else None

    def seeded(self) -> dict[int, str | None]:
        """The raw replies of the turns that the log began with, by index.

        All are read at once, so that no parent log stays open.
        """
        if self._seeded is None:
            self._seeded = self._read_seeded()
        return self._seeded

    def _read_seeded(self) -> dict[int, str | None]:
        replies: dict[int, str | None] = {}
        ancestry = Ancestry()
        try:
            for turn in self._log.transcript.turns:
                if turn.flags & Flag.SEEDED and turn.first < 0:
                    parent = ancestry.find(self._log.transcript, turn, self._log.path)
                    replies[turn.index] = parent[1].all_raw if parent is not None else None
        finally:
            ancestry.close()
        return replies

    def records(self, turn: Turn) -> Sequence[RecordDict]:
        return turn_detail(self._log, turn).records


def log_matches(log: Log, expression: Filter) -> bool:
    """Whether a filter matches a log: by its header, or by one of its turns. Raises `LogError`."""
    transcript = log.transcript
    if not expression.about_turns:
        return decide(expression.on_header(transcript))
    lookup = LogLookup(log) if expression.needs_raw else None
    return any(decide(expression.on_turn(turn, transcript, lookup)) for turn in transcript.turns)
