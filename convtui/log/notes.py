"""Marks, notes and corrections on the turns of a log, and its tags: kept beside it, written at any
time.

`<log>.notes.jsonl` holds one JSON object a line, appended as they are made; the last word on a turn
counts:

    {"t": ISO time, "session": 2, "turn": 7, "mark": true}
    {"t": ISO time, "session": 2, "turn": 7, "note": "asks for the booking again"}
    {"t": ISO time, "session": 2, "turn": 7, "flag": "role", "value": false}
    {"t": ISO time, "session": 2, "turn": 7, "fault": "provider"}
    {"t": ISO time, "tag": "regression", "value": true}

An empty note takes the note away. A flag's value is true (added by hand), false (taken away by
hand) or null (as the log has it); a fault is one of `corrections.FAULT_LABELS`, or empty or null
for what the rules say. A tag is of the whole run; one that is false takes away what the scenario
gave it. Lines that cannot be read are passed over: a damaged note must
not keep anybody from the log.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.names import notes_path
from convtui.records.codec import decode, encode
from convtui.secrets.redactor import Redactor
from convtui.transcript.corrections import CORRECTABLE, FAULT_LABELS

Address = tuple[int, int]
"""Session and turn."""


@dataclass(slots=True, frozen=True)
class Inherited:
    """What was marked and noted on a turn in a log that this one goes back to."""

    run: str
    """Id of that log's run."""
    mark: bool = False
    note: str = ""


@dataclass(slots=True, frozen=True)
class TurnNote:
    """What was noted on one turn."""

    mark: bool = False
    note: str = ""
    flags: Mapping[str, bool] = field(default_factory=dict)
    """Flags by name that were added (True) or taken away (False) by hand."""
    fault: str = ""
    """Whose fault it is, as labelled by hand; empty leaves it to the rules."""
    inherited: tuple[Inherited, ...] = ()
    """What the logs that this one goes back to say of it, the nearest first; never written here."""

    @property
    def marked(self) -> bool:
        """Whether it is marked, here or where it comes from."""
        return self.mark or any(note.mark for note in self.inherited)

    @property
    def noted(self) -> bool:
        """Whether there is a note on it, here or where it comes from."""
        return bool(self.note) or any(note.note for note in self.inherited)

    @property
    def corrects(self) -> bool:
        """Whether something is corrected."""
        return bool(self.flags or self.fault)


_NOTHING: Final = TurnNote()


class Notes:
    """The marks, notes and corrections of one log."""

    def __init__(self, log: Path) -> None:
        self.path = notes_path(log)
        self._notes: dict[Address, TurnNote] = {}
        self._tags: dict[str, bool] = {}
        self._read()

    def __len__(self) -> int:
        return len(self._notes)

    def on(self, session: int, turn: int) -> TurnNote:
        """What was noted on a turn."""
        return self._notes.get((session, turn), _NOTHING)

    def all(self) -> dict[Address, TurnNote]:
        """Everything that was noted, by address, in order."""
        return dict(sorted(self._notes.items()))

    def tags(self, given: Iterable[str] = ()) -> tuple[str, ...]:
        """The tags of the run: those that its scenario has `given` it and what was made of them."""
        tags = dict.fromkeys(tag for tag in given if self._tags.get(tag, True))
        tags.update(dict.fromkeys(tag for tag, there in self._tags.items() if there))
        return tuple(tags)

    def tag(self, tag: str, there: bool = True) -> None:
        """Gives the run a tag or takes it away. Raises `FileError` when it cannot be written."""
        self._write({"tag": tag, "value": there})

    def mark(self, session: int, turn: int, marked: bool) -> None:
        """Sets or takes away a mark. Raises `FileError` when it cannot be written."""
        self._write({"session": session, "turn": turn, "mark": marked})

    def note(self, session: int, turn: int, text: str) -> None:
        """Writes a note; an empty one takes it away. Raises `FileError`."""
        self._write({"session": session, "turn": turn, "note": text})

    def correct_flag(self, session: int, turn: int, flag: str, value: bool | None) -> None:
        """Adds (True) or takes away (False) a flag of `corrections.CORRECTABLE`; None takes the
        correction back. Raises `FileError`."""
        self._write({"session": session, "turn": turn, "flag": flag, "value": value})

    def correct_fault(self, session: int, turn: int, fault: str) -> None:
        """Labels whose fault it is, one of `corrections.FAULT_LABELS`; empty takes the label back.
        Raises `FileError`."""
        self._write({"session": session, "turn": turn, "fault": fault})

    def _write(self, entry: dict[str, Any]) -> None:
        entry = Redactor.of_process().data(entry)
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
                entry = decode(line)
            except ValueError:
                continue
            self._take(entry)

    def _take(self, entry: dict[str, Any]) -> None:
        session, turn = entry.get("session"), entry.get("turn")
        tag, there = entry.get("tag"), entry.get("value")
        if isinstance(tag, str) and isinstance(there, bool):
            self._tags[tag] = there
        if type(session) is not int or type(turn) is not int:
            return  # true is an int, too
        before = self.on(session, turn)
        after = replace(before, mark=bool(entry.get("mark", before.mark)))
        if isinstance(entry.get("note"), str):
            after = replace(after, note=entry["note"])
        flag, value = entry.get("flag"), entry.get("value")
        if isinstance(flag, str) and flag in CORRECTABLE:
            flags = {name: set_ for name, set_ in after.flags.items() if name != flag}
            if isinstance(value, bool):
                flags[flag] = value
            after = replace(after, flags=flags)
        fault = entry.get("fault", before.fault)
        if fault in ("", None, *FAULT_LABELS):
            after = replace(after, fault=fault or "")
        if after == _NOTHING:
            self._notes.pop((session, turn), None)
        else:
            self._notes[session, turn] = after


MAX_TAG: Final = 40


def check_tag(tag: str) -> str | None:
    """What is wrong with a tag; None for one that can be given."""
    if not tag.strip():
        return "a tag is a word or two"
    if len(tag) > MAX_TAG:
        return f"a tag of more than {MAX_TAG} characters"
    if tag != tag.strip() or not tag.isprintable() or any(sign in tag for sign in "#,"):
        return "a tag has no #, no comma, and no space before or after it"
    return None


def _torn(fd: int) -> bool:
    """Whether the last line has no end, which would swallow the next one."""
    size = os.fstat(fd).st_size
    if not size:
        return False
    os.lseek(fd, size - 1, os.SEEK_SET)
    return os.read(fd, 1) != b"\n"
