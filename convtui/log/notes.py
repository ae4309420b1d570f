"""Marks, notes and corrections on the turns of a log, and its tags, in a file beside it.

`<log>.notes.jsonl` holds one JSON object per line. Changes are appended at any time; the last one
counts:

    {"t": ISO time, "session": 2, "turn": 7, "mark": true}
    {"t": ISO time, "session": 2, "turn": 7, "note": "asks for the booking again"}
    {"t": ISO time, "session": 2, "turn": 7, "flag": "role", "value": false}
    {"t": ISO time, "session": 2, "turn": 7, "fault": "provider"}
    {"t": ISO time, "tag": "regression", "value": true}

An empty note removes the note. A flag's value is true (added by hand), false (removed by hand) or
null (as in the log); a fault is one of `corrections.FAULT_LABELS`, or empty or null for what the
rules say. A tag belongs to the whole run; false also removes a tag of the scenario. Unreadable
lines are skipped: a damaged note must not keep anybody from the log.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.files.regular import read_regular
from convtui.log.names import notes_path
from convtui.records.codec import decode, encode
from convtui.transcript.corrections import CORRECTABLE, FAULT_LABELS

Address = tuple[int, int]
"""Session and turn."""


@dataclass(slots=True, frozen=True)
class Inherited:
    """A mark and a note on a turn in a parent log."""

    run: str
    """Id of that log's run."""
    mark: bool = False
    note: str = ""


@dataclass(slots=True, frozen=True)
class TurnNote:
    """The mark, note and corrections of one turn."""

    mark: bool = False
    note: str = ""
    flags: Mapping[str, bool] = field(default_factory=dict)
    """Flags by name that were added (True) or removed (False) by hand."""
    fault: str = ""
    """Whose fault it is, as labelled by hand; empty without a label."""
    inherited: tuple[Inherited, ...] = ()
    """Marks and notes of parent logs, the nearest first; read-only."""

    @property
    def marked(self) -> bool:
        """Whether it is marked, here or in a parent log."""
        return self.mark or any(parent.mark for parent in self.inherited)

    @property
    def noted(self) -> bool:
        """Whether it has a note, here or in a parent log."""
        return bool(self.note) or any(parent.note for parent in self.inherited)

    @property
    def corrects(self) -> bool:
        """Whether a flag or the fault is corrected by hand."""
        return bool(self.flags or self.fault)


_NO_NOTE: Final = TurnNote()


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
        """The note on a turn; an empty one when there is none."""
        return self._notes.get((session, turn), _NO_NOTE)

    def all(self) -> dict[Address, TurnNote]:
        """All notes by address, in order."""
        return dict(sorted(self._notes.items()))

    def tags(self, given: Iterable[str] = ()) -> tuple[str, ...]:
        """The tags of the run: those that its scenario has `given`, with changes by hand."""
        tags = dict.fromkeys(tag for tag in given if self._tags.get(tag, True))
        tags.update(dict.fromkeys(tag for tag, present in self._tags.items() if present))
        return tuple(tags)

    def tag(self, tag: str, present: bool = True) -> None:
        """Adds or removes a tag of the run. Raises `FileError` when it cannot be written."""
        self._write({"tag": tag, "value": present})

    def mark(self, session: int, turn: int, marked: bool) -> None:
        """Sets or removes a mark. Raises `FileError` when it cannot be written."""
        self._write({"session": session, "turn": turn, "mark": marked})

    def note(self, session: int, turn: int, text: str) -> None:
        """Sets a note; an empty text removes it. Raises `FileError` when it cannot be written."""
        self._write({"session": session, "turn": turn, "note": text})

    def correct_flag(self, session: int, turn: int, flag: str, value: bool | None) -> None:
        """Adds (True) or removes (False) a flag of `corrections.CORRECTABLE`; None undoes that.

        Raises `FileError` when it cannot be written.
        """
        self._write({"session": session, "turn": turn, "flag": flag, "value": value})

    def correct_fault(self, session: int, turn: int, fault: str) -> None:
        """Labels whose fault it is, one of `corrections.FAULT_LABELS`; empty removes the label.

        Raises `FileError` when it cannot be written.
        """
        self._write({"session": session, "turn": turn, "fault": fault})

    def _write(self, entry: dict[str, Any]) -> None:
        # Many read notes, and few of them write any: its patterns take a while to compile.
        from convtui.secrets.redactor import Redactor

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
        self._apply(entry)

    def _read(self) -> None:
        try:
            data = read_regular(self.path)
        except OSError:
            return
        for line in data.split(b"\n"):
            try:
                entry = decode(line)
            except ValueError:
                continue
            self._apply(entry)

    def _apply(self, entry: dict[str, Any]) -> None:
        session, turn = entry.get("session"), entry.get("turn")
        tag, value = entry.get("tag"), entry.get("value")
        if isinstance(tag, str) and isinstance(value, bool):
            self._tags[tag] = value
        if type(session) is not int or type(turn) is not int:
            return  # also for true, which is an int
        before = self.on(session, turn)
        after = replace(before, mark=bool(entry.get("mark", before.mark)))
        if isinstance(entry.get("note"), str):
            after = replace(after, note=entry["note"])
        flag = entry.get("flag")
        if isinstance(flag, str) and flag in CORRECTABLE:
            flags = {name: set_ for name, set_ in after.flags.items() if name != flag}
            if isinstance(value, bool):
                flags[flag] = value
            after = replace(after, flags=flags)
        fault = entry.get("fault", before.fault)
        if fault in ("", None, *FAULT_LABELS):
            after = replace(after, fault=fault or "")
        if after == _NO_NOTE:
            self._notes.pop((session, turn), None)
        else:
            self._notes[session, turn] = after


MAX_TAG: Final = 40


def check_tag(tag: str) -> str | None:
    """Why a tag is not valid; None for a valid one."""
    if not tag.strip():
        return "a tag is a word or two"
    if len(tag) > MAX_TAG:
        return f"a tag of more than {MAX_TAG} characters"
    if tag != tag.strip() or not tag.isprintable() or any(sign in tag for sign in "#,"):
        return "a tag has no #, no comma, and no space before or after it"
    return None


def _torn(fd: int) -> bool:
    """Whether the last line has no newline; the next line would be appended to it."""
    size = os.fstat(fd).st_size
    if not size:
        return False
    os.lseek(fd, size - 1, os.SEEK_SET)
    return os.read(fd, 1) != b"\n"
