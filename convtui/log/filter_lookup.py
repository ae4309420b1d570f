"""Answers filter atoms that need more than the fold, from a log that is open."""

from __future__ import annotations

from convtui.log.detail import read_raw
from convtui.log.notes import Notes, TurnNote
from convtui.log.parents import Ancestry
from convtui.log.reader import Log
from convtui.log.transcript_json import turn_detail
from convtui.records.codec import RecordDict
from convtui.transcript.fold import Flag, Turn


class LogLookup:
    """Reads raw replies, records, marks, notes and corrections of one log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._notes = Notes(log.path)
        self._seeded: dict[int, str | None] | None = None

    def raw(self, turn: Turn) -> str | None:
        """The raw reply of a turn; None for one without, such as a script's.

        That of a turn which the log began with is read from the logs that it goes back to.
        """
        if turn.flags & Flag.SEEDED and turn.first < 0:
            return self.seeded().get(turn.index)
        return read_raw(self._log.reader.single, turn) if turn.first >= 0 else None

    def seeded(self) -> dict[int, str | None]:
        """The raw replies of the turns that the log began with, by index.

        All are read at once, so that no other log stays open.
        """
        if self._seeded is None:
            self._seeded = self._read_seeded()
        return self._seeded

    def _read_seeded(self) -> dict[int, str | None]:
        texts: dict[int, str | None] = {}
        ancestry = Ancestry()
        try:
            for turn in self._log.transcript.turns:
                if turn.flags & Flag.SEEDED and turn.first < 0:
                    there = ancestry.find(self._log.transcript, turn, self._log.path)
                    texts[turn.index] = there[1].all_raw if there is not None else None
        finally:
            ancestry.close()
        return texts

    def records(self, turn: Turn) -> list[RecordDict]:
        """All records of a turn."""
        return turn_detail(self._log, turn).records

    def marked(self, turn: Turn) -> bool:
        """Whether the turn is marked."""
        return self._notes.on(turn.session, turn.number).mark

    def noted(self, turn: Turn) -> bool:
        """Whether there is a note on the turn."""
        return bool(self._notes.on(turn.session, turn.number).note)

    def correction(self, turn: Turn) -> TurnNote | None:
        """What was corrected on the turn by hand."""
        note = self._notes.on(turn.session, turn.number)
        return note if note.corrects else None
