"""Marks and notes beside a log."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

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


def test_corrections_are_kept_and_taken_back(log: Path) -> None:
    notes = Notes(log)
    notes.correct_flag(2, 7, "role", False)
    notes.correct_flag(2, 7, "leak", True)
    notes.correct_fault(2, 7, "provider")
    notes.mark(2, 7, True)
    again = Notes(log).on(2, 7)
    assert again == TurnNote(mark=True, flags={"role": False, "leak": True}, fault="provider")
    assert again.corrects
    notes.correct_flag(2, 7, "role", None)
    notes.correct_flag(2, 7, "leak", False)
    notes.correct_fault(2, 7, "")
    again = Notes(log).on(2, 7)
    assert again == TurnNote(mark=True, flags={"leak": False})
    notes.correct_flag(2, 7, "leak", None)
    assert not Notes(log).on(2, 7).corrects


@pytest.mark.parametrize(
    "line",
    [
        {"flag": "nonsense", "value": True},
        {"flag": ["role"], "value": True},
        {"flag": "role", "value": "yes"},
        {"fault": "the weather"},
        {"fault": ["provider"]},
        {"fault": 3},
    ],
)
def test_a_correction_that_says_nothing_known_changes_nothing(
    log: Path, line: dict[str, Any]
) -> None:
    notes = Notes(log)
    notes.correct_fault(1, 2, "harness")
    with notes.path.open("ab") as file:
        file.write(json.dumps({"session": 1, "turn": 2, **line}).encode() + b"\n")
        file.write(b"[" * 100_000 + b"\n")
    assert Notes(log).on(1, 2) == TurnNote(fault="harness")


def test_a_null_takes_a_label_back(log: Path) -> None:
    notes = Notes(log)
    notes.correct_fault(1, 2, "harness")
    with notes.path.open("ab") as file:
        file.write(b'{"session": 1, "turn": 2, "fault": null}\n')
    assert Notes(log).all() == {}
