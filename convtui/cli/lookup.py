"""Answers filter atoms that need more than the fold, from a log that is open."""

from __future__ import annotations

import json
from pathlib import Path

from convtui.folded import turn_detail
from convtui.log.reader import Log
from convtui.records import RecordDict
from convtui.transcript import Turn


class LogLookup:
    """Reads raw replies, records, marks and notes of one log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._notes: list[RecordDict] | None = None

    def raw(self, turn: Turn) -> str | None:
        """The raw reply of a turn; None for one without, such as a script's."""
        return turn_detail(self._log, turn).raw

    def records(self, turn: Turn) -> list[RecordDict]:
        """All records of a turn."""
        return turn_detail(self._log, turn).records

    def marked(self, turn: Turn) -> bool:
        """Whether the turn is marked."""
        return self._has(turn, "mark")

    def noted(self, turn: Turn) -> bool:
        """Whether there is a note on the turn."""
        return self._has(turn, "note")

    def _has(self, turn: Turn, kind: str) -> bool:
        if self._notes is None:
            self._notes = _read(self._log.path.with_suffix(".notes.jsonl"))
            self._notes += _read(self._log.path.with_name(self._log.path.name + ".notes.jsonl"))
        found = [
            note
            for note in self._notes
            if note.get("type") == kind
            and note.get("session", 1) == turn.session
            and note.get("turn") == turn.number
        ]
        # The last word counts: marks and notes can be taken back.
        return bool(found) and not found[-1].get("removed")


def _read(path: Path) -> list[RecordDict]:
    found = []
    try:
        with path.open("rb") as file:
            for line in file:
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                if isinstance(record, dict):
                    found.append(record)
    except OSError:
        return []
    return found
