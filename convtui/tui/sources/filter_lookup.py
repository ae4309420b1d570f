"""Answers filter atoms that need more than the fold, from the log that a screen shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from convtui.log.filter_lookup import NoteLookup
from convtui.log.inherited import inherited_notes
from convtui.log.notes import Notes, TurnNote

if TYPE_CHECKING:
    from convtui.records.codec import RecordDict
    from convtui.transcript.fold import Turn
    from convtui.tui.sources.source import Source


class SourceLookup(NoteLookup):
    """Answers every atom; inherited marks and notes count. Blocking."""

    def __init__(self, source: Source) -> None:
        self._source = source
        super().__init__(_with_inherited(source.path) if source.path else lambda turn: None)

    def raw(self, turn: Turn) -> str | None:
        return self._source.raw(turn)

    def records(self, turn: Turn) -> Sequence[RecordDict]:
        return self._source.records(turn).records


def _with_inherited(path: Path) -> Callable[[Turn], TurnNote]:
    notes, inherited = Notes(path), inherited_notes(path)

    def note(turn: Turn) -> TurnNote:
        address = (turn.session, turn.number)
        return replace(notes.on(*address), inherited=inherited.get(address, ()))

    return note
