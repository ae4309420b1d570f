"""Runs move to the trash with all that belongs to them, and back."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from convtui.errors import FileError
from convtui.library.trash import Trash
from convtui.log.notes import Notes
from convtui.log.writer import LogWriter
from tests.builders.logs import sample, write_log


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with its companions, and others whose names begin like it."""
    path = write_log(tmp_path / "runs" / "a.jsonl", sample())
    Notes(path).tag("kept")
    for suffix in (".wire.jsonl", ".tools.jsonl", ".lock"):
        path.with_name(path.name + suffix).write_text(suffix)
    path.with_name("a.jsonlike.jsonl").write_text("another")
    path.with_name("ab.jsonl").write_text("another")
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_everything_that_belongs_to_a_log_goes_and_comes_back(tmp_path: Path, log: Path) -> None:
    contents = {path.name: path.read_bytes() for path in log.parent.iterdir()}
    trash = Trash(tmp_path / "trash")
    trashed = trash.put(log)
    assert names(log.parent) == ["a.jsonlike.jsonl", "ab.jsonl"]
    assert names(trashed.folder) == [
        "a.jsonl", "a.jsonl.notes.jsonl", "a.jsonl.tools.jsonl", "a.jsonl.wire.jsonl",
        "origin.json",
    ]  # fmt: skip
    assert (tmp_path / "trash").stat().st_mode & 0o777 == 0o700
    assert trash.list() == [trashed]
    assert trash.restore(trashed) == log
    contents.pop("a.jsonl.lock")
    assert {path.name: path.read_bytes() for path in log.parent.iterdir()} == contents
    assert Notes(log).tags() == ("kept",)
    assert list((tmp_path / "trash").iterdir()) == []


def test_runs_of_the_same_name_lie_side_by_side(tmp_path: Path, log: Path) -> None:
    trash = Trash(tmp_path / "trash")
    first = trash.put(log)
    second = trash.put(write_log(log, sample()))
    assert first.folder != second.folder
    assert len(trash.list()) == 2
    trash.restore(second)
    with pytest.raises(FileError, match="is there already, and nothing is overwritten"):
        trash.restore(first)
    assert (first.folder / "a.jsonl").exists()


def test_a_name_as_long_as_the_file_system_allows(tmp_path: Path, log: Path) -> None:
    long = log.rename(log.with_name("ü" * 120 + ".jsonl"))
    trash = Trash(tmp_path / "trash")
    kept = trash.put(long)
    assert not long.exists()
    trash.restore(kept)
    assert long.exists()


def test_a_run_that_is_going_on_stays(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "live.jsonl")
    trash = Trash(tmp_path / "trash")
    with pytest.raises(FileError, match="still going on"):
        trash.put(writer.path)
    writer.abandon()
    trash.put(writer.path)
    with pytest.raises(FileError, match="there is no such log"):
        trash.put(writer.path)


def test_another_file_system_is_copied_to(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    before = log.read_bytes()
    monkeypatch.setattr(Path, "rename", refuse)
    trash = Trash(tmp_path / "trash")
    trashed = trash.put(log)
    assert names(log.parent) == ["a.jsonlike.jsonl", "ab.jsonl"]
    assert (trashed.folder / "a.jsonl").read_bytes() == before
    assert trash.restore(trashed).read_bytes() == before


def test_all_files_go_or_none(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = names(log.parent)
    whole.remove("a.jsonl.lock")
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.name == "a.jsonl.wire.jsonl":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    trash = Trash(tmp_path / "trash")
    with pytest.raises(FileError, match="was not moved to the trash: No space left"):
        trash.put(log)
    assert names(log.parent) == whole
    assert trash.list() == []
    assert names(tmp_path / "trash") == []


@pytest.mark.parametrize(
    "origin",
    ["", "[]", "{}", '{"log": "a.jsonl", "at": "2026-01-01T00:00:00+00:00"}',
     '{"log": "/x/other.jsonl", "at": "2026-01-01T00:00:00+00:00"}',
     '{"log": 7, "at": "2026-01-01T00:00:00+00:00"}', '{"log": "/x/a.jsonl", "at": "never"}'],
)  # fmt: skip
def test_what_lies_in_the_trash_and_is_no_run_is_left_out(
    tmp_path: Path, log: Path, origin: str
) -> None:
    trash = Trash(tmp_path / "trash")
    trashed = trash.put(log)
    (trashed.folder / "origin.json").write_text(origin)
    assert trash.list() == []


def test_a_file_that_came_in_between_is_not_overwritten(tmp_path: Path, log: Path) -> None:
    trash = Trash(tmp_path / "trash")
    trashed = trash.put(log)
    wire = log.with_name("a.jsonl.wire.jsonl")
    wire.write_text("new")
    with pytest.raises(FileError, match=r"a\.jsonl\.wire\.jsonl: is there already"):
        trash.restore(trashed)
    assert wire.read_text() == "new"
    assert not log.exists()
    assert json.loads((trashed.folder / "origin.json").read_text())["log"] == str(log)
