"""The folders of batches."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from convtui.batch.folders import batch_folders, begun_with, is_batch, new_folder
from convtui.errors import FileError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_folder_is_named_by_its_start_and_title(tmp_path: Path) -> None:
    assert new_folder(tmp_path, "a/../b", NOW).name == "20260102T030405Z_a_b"
    assert new_folder(tmp_path, "a/../b", NOW).name == "20260102T030405Z_a_b-2"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot be made"):
        new_folder(tmp_path / "file", "x")


def test_batches_are_found_by_their_manifests_the_newest_first(tmp_path: Path) -> None:
    for name in ("20260101T000000Z_a", "20260301T000000Z_c", "20260201T000000Z_b", "other"):
        (tmp_path / name).mkdir()
        if name != "other":
            (tmp_path / name / "batch.jsonl").write_text("{}\n")
    assert [folder.name[-1] for folder in batch_folders(tmp_path)] == ["c", "b", "a"]
    assert batch_folders(tmp_path / "nothing") == []
    assert is_batch(tmp_path / "20260101T000000Z_a")
    assert is_batch(tmp_path / "20260101T000000Z_a" / "batch.jsonl")
    assert not is_batch(tmp_path / "other")


@pytest.mark.parametrize("text", ["", "nonsense\n", "[]\n", '{"plan": 3}\n'])
def test_a_manifest_that_tells_no_plan(tmp_path: Path, text: str) -> None:
    (tmp_path / "batch.jsonl").write_text(text)
    assert begun_with(tmp_path) == {}
    assert begun_with(tmp_path / "nothing") == {}
