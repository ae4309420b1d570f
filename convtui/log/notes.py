"""Marks and notes on the turns of a log: kept beside it, written by the screen at any time.

`<log>.notes.jsonl` holds one JSON object a line, appended as they are made; the last word on a turn
counts:

    {"t": ISO time, "session": 2, "turn": 7, "mark": true}
    {"t": ISO time, "session": 2, "turn": 7, "note": "asks for the booking again"}

An empty note takes the note away. Lines that cannot be read are passed over: a damaged note must
not keep anybody from the log.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from convtui.errors import FileError
from convtui.log.names import notes_path
from convtui.records import encode

Address = tuple[int, int]
"""Session and turn."""


@dataclass(slots=True, frozen=True)
class TurnNote:
    """What was noted on one turn."""

    mark: bool = False
    note: str = ""


class Notes:
    """The marks and notes of one log."""

    def __init__(self, log: Path) -> None:
        self.path = notes_path(log)
        self._notes: dict[Address, TurnNote] = {}
        self._read()

    def __len__(self) -> int:
        return len(self._notes)

    def on(self, session: int, turn: int) -> TurnNote:
        """What was noted on a turn."""
        return self._notes.get((session, turn), TurnNote())

    def all(self) -> dict[Address, TurnNote]:
        """Everything that was noted, by address, in order."""
        return dict(sorted(self._notes.items()))

    def mark(self, session: int, turn: int, marked: bool) -> None:
        """Sets or takes away a mark. Raises `FileError` when it cannot be written."""
        self._write({"session": session, "turn": turn, "mark": marked})

    def note(self, session: int, turn: int, text: str) -> None:
        """Writes a note; an empty one takes it away. Raises `FileError`."""
        self._write({"session": session, "turn": turn, "note": text})

    def _write(self, entry: dict[str, Any]) -> None:
        line = encode({"t": datetime.now(UTC).isoformat(timespec="seconds"), **entry})
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                if _torn(fd):
                    line = b"\n" + line
                os.write(fd, line)
            finally:
                os.close(fd)
        except OSError as error:
            raise FileError(f"{self.path}: the note was not kept: {error.strerror}") from error
        self._take(entry)

    def _read(self) -> None:
        try:
            data = self.path.read_bytes()
        except OSError:
            return
        for line in data.split(b"\n"):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                self._take(entry)

    def _take(self, entry: dict[str, Any]) -> None:
        session, turn = entry.get("session"), entry.get("turn")
        if not isinstance(session, int) or not isinstance(turn, int):
            return
        before = self.on(session, turn)
        mark, note = entry.get("mark", before.mark), entry.get("note", before.note)
        after = TurnNote(bool(mark), note if isinstance(note, str) else before.note)
        if after == TurnNote():
            self._notes.pop((session, turn), None)
        else:
            self._notes[session, turn] = after


def _torn(fd: int) -> bool:
    """Whether the last line has no end, which would swallow the next one."""
    size = os.fstat(fd).st_size
    if not size:
        return False
    os.lseek(fd, size - 1, os.SEEK_SET)
    return os.read(fd, 1) != b"\n"
