"""Answers filter atoms that need more than the fold, from the log behind a screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from convtui.log.inherited import inherited_notes
from convtui.log.notes import Notes, TurnNote
from convtui.records.codec import RecordDict
from convtui.transcript.fold import Turn
from convtui.tui.sources.source import Source


class SourceLookup:
    """Reads raw replies, records, marks, notes and corrections. Blocking: for threads."""

    def __init__(self, source: Source) -> None:
        self._source = source
        path = source.path
        self._notes = Notes(path) if path is not None else None
        self._inherited = inherited_notes(path) if path is not None else {}

    def raw(self, turn: Turn) -> str | None:
        """The raw reply of a turn; None for one without, such as a script's."""
        return self._source.raw(turn)

    def records(self, turn: Turn) -> Sequence[RecordDict]:
        """All records of a turn."""
        return self._source.records(turn).records

    def marked(self, turn: Turn) -> bool:
        """Whether the turn is marked."""
        return self._notes is not None and self._on(self._notes, turn).marked

    def noted(self, turn: Turn) -> bool:
        """Whether there is a note on the turn."""
        return self._notes is not None and self._on(self._notes, turn).noted

    def _on(self, notes: Notes, turn: Turn) -> TurnNote:
        address = (turn.session, turn.number)
        return replace(notes.on(*address), inherited=self._inherited.get(address, ()))

    def correction(self, turn: Turn) -> TurnNote | None:
        """What was corrected on the turn by hand."""
        if self._notes is None:
            return None
        note = self._notes.on(turn.session, turn.number)
        return note if note.corrects else None
