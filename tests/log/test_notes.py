"""Marks and notes beside a log."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from convtui.errors import FileError
from convtui.log.notes import Notes, TurnNote


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def test_marks_and_notes_are_read_back(log: Path) -> None:
    notes = Notes(log)
    notes.mark(2, 7, True)
    notes.note(2, 7, "asks again\u2028here \ud800")
    notes.mark(1, 1, True)
    again = Notes(log)
    assert again.on(2, 7) == TurnNote(True, "asks again\u2028here \ud800")
    assert list(again.all()) == [(1, 1), (2, 7)]


def test_the_last_word_counts(log: Path) -> None:
    notes = Notes(log)
    notes.note(1, 2, "first")
    notes.note(1, 2, "second")
    notes.mark(1, 3, True)
    notes.mark(1, 3, False)
    assert notes.on(1, 2).note == "second"
    notes.note(1, 2, "")
    assert len(Notes(log)) == 0


def test_a_damaged_line_costs_only_itself(log: Path) -> None:
    notes = Notes(log)
    notes.mark(1, 1, True)
    with notes.path.open("ab") as file:
        file.write(b'{"session": 1, "tu')
    notes.note(1, 2, "after the torn line")
    with notes.path.open("ab") as file:
        file.write(b"\xff\xfe\n[1]\n" + b'{"session": "x", "turn": 2, "mark": true}\n')
    assert Notes(log).all() == {
        (1, 1): TurnNote(mark=True),
        (1, 2): TurnNote(note="after the torn line"),
    }


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_only_the_owner_can_read_them(log: Path) -> None:
    notes = Notes(log)
    notes.mark(1, 1, True)
    assert notes.path.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="the note was not kept"):
        Notes(tmp_path / "missing" / "run.jsonl").mark(1, 1, True)
