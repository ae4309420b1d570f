"""Batches in lists of runs, and the words that name one."""

from __future__ import annotations

from pathlib import Path

import pytest

from convtui.batch import listing
from convtui.batch.listing import find_batch, list_batches, logs_in, names_batch
from convtui.batch.manifest_writer import ManifestWriter
from convtui.errors import FileError
from convtui.library.library import Library
from convtui.log.notes import Notes
from convtui.log.run_summary import log_files
from tests.builders.batches import BatchFolder, cell, talk
from tests.builders.logs import header, sample, write_log

NAME = "20260304T050000Z_refund"


@pytest.fixture
def batch(tmp_path: Path) -> BatchFolder:
    """A batch of two cells, of which one conversation failed twice."""
    write_log(tmp_path / "single.jsonl", sample())
    batch = BatchFolder(tmp_path / NAME, [cell("anna"), cell("bert")])
    batch.run("anna.1", talk("failed"))
    batch.run("anna.1.a2", talk("failed"))
    batch.run("bert.1")
    return batch


def test_a_row_has_the_counts_of_its_conversations(batch: BatchFolder, tmp_path: Path) -> None:
    (row,) = list_batches(Library(tmp_path))
    assert (row.path, row.origin, row.state) == (batch.path, "batch", "unfinished")
    assert (row.persona, row.provider) == ("2 personas", "demo")
    assert row.tokens == 3 * 2 * 88 and row.turns == 12
    counts = row.batch
    assert counts is not None
    assert (counts.cells, counts.conversations, counts.attempts, counts.bad) == (2, 2, 1, 1)
    assert counts.endings == {"failed": 1, "max_turns": 1}
    assert counts.words == "1 went wrong, 1 more attempt"
    batch.add("finished")
    assert list_batches(Library(tmp_path))[0].state == "finished"


def test_the_runs_beside_it_stay_what_they_are(batch: BatchFolder, tmp_path: Path) -> None:
    library = Library(tmp_path)
    assert [run.name for run in library.runs()] == ["single.jsonl"]
    assert {run.name for run in Library(batch.path).runs()} == {
        "anna.1.jsonl", "anna.1.a2.jsonl", "bert.1.jsonl",
    }  # fmt: skip
    assert len(log_files(batch.path)) == 3


def test_a_manifest_that_did_not_change_is_not_read_again(
    batch: BatchFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = list_batches(Library(tmp_path))
    reads: list[Path] = []

    def read(folder: Path) -> object:
        reads.append(folder)
        return read_row(folder)

    read_row = listing._read_row
    monkeypatch.setattr(listing, "_read_row", read)
    (again,) = list_batches(Library(tmp_path))
    assert not reads
    for name in (
        "id",
        "persona",
        "created_at",
        "turns",
        "tokens",
        "cost",
        "state",
        "batch",
        "size",
    ):
        assert getattr(again, name) == getattr(first, name)
    batch.add("stopped", why="10 conversations failed")
    assert list_batches(Library(tmp_path))[0].state == "stopped" and len(reads) == 1


def test_without_an_index_the_manifests_are_read(batch: BatchFolder, tmp_path: Path) -> None:
    (tmp_path / ".library.sqlite3").mkdir()
    assert len(list_batches(Library(tmp_path))) == 1


def test_tags_and_running_are_as_they_are_now(tmp_path: Path) -> None:
    writer = ManifestWriter.create(
        tmp_path / NAME, batch_id="b", name="refund", convtui="0", plan={}, digest="d", cells=[],
        runs=1,
    )  # fmt: skip
    (row,) = list_batches(Library(tmp_path))
    assert row.state == "running"
    writer.close()
    Notes(row.log).tag("slow")
    (row,) = list_batches(Library(tmp_path))
    assert (row.state, row.tags) == ("unfinished", ("slow",))


def test_what_was_running_when_its_process_died_is_crashed(tmp_path: Path) -> None:
    batch = BatchFolder(tmp_path / NAME, [cell("anna")])
    batch.run("anna.1", close=False)
    for _ in range(2):
        (row,) = list_batches(Library(tmp_path))
        assert row.batch is not None
        assert row.batch.states["crashed"] == 1 and row.batch.states["running"] == 0


@pytest.mark.parametrize("content", ["", "{}\n", "[]\n", '{"type": "batch", "format": 99}\n', "\0"])
def test_a_damaged_manifest_is_a_damaged_row(tmp_path: Path, content: str) -> None:
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "batch.jsonl").write_text(content)
    (row,) = list_batches(Library(tmp_path))
    assert row.state == "damaged" and row.damaged
    assert list_batches(Library(tmp_path))[0].damaged == row.damaged


@pytest.mark.parametrize("word", [NAME, "20260304", f"{NAME[:-1]}"])
def test_a_name_or_its_start_names_a_batch(batch: BatchFolder, tmp_path: Path, word: str) -> None:
    assert names_batch(word, [tmp_path]) == batch.path
    assert find_batch("last", [tmp_path]) == batch.path


def test_a_path_names_a_batch(batch: BatchFolder) -> None:
    for path in (batch.path, batch.path / "batch.jsonl"):
        assert names_batch(str(path), []) == batch.path


@pytest.mark.parametrize(
    "word", ["", " ", "~discard", "refund", "\0", "..", "last", "single.jsonl"]
)
def test_other_words_name_none(batch: BatchFolder, tmp_path: Path, word: str) -> None:
    assert names_batch(word, [tmp_path]) is None


def test_a_start_of_several_is_refused(batch: BatchFolder, tmp_path: Path) -> None:
    BatchFolder(tmp_path / "20260304T060000Z_refund", [cell("anna")])
    with pytest.raises(FileError, match="write more of it"):
        names_batch("20260304T0", [tmp_path])


def test_a_wrong_name_is_answered_with_the_nearest(batch: BatchFolder, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=f"did you mean '{NAME}'"):
        find_batch("20260304T050000Z_refunds", [tmp_path])
    with pytest.raises(FileError, match="no saved batch yet"):
        find_batch("last", [tmp_path / "nothing"])


def test_logs_that_were_begun_again_do_not_count(tmp_path: Path) -> None:
    batch = BatchFolder(tmp_path / NAME, [cell("anna"), cell("bert")])
    for name in ("anna", "bert"):
        batch.run(f"{name}.1", close=False)
    batch.add("rerun", key="anna.1", because="its worker died", log="anna.1.jsonl")
    write_log(batch.path / "anna.1-2.jsonl", talk())
    parent = {"id": "a1b2c3", "file": str(batch.path / "bert.1.jsonl"), "seq": 5, "sha256": "0"}
    went_on = [header(id="child", origin="continue", parents=[parent]), *talk()[1:]]
    write_log(batch.path / "bert.1-2.jsonl", went_on)
    for name in ("anna", "bert"):
        batch.add("started", key=f"{name}.1", log=f"{name}.1-2.jsonl", worker=2)
    names = [path.name for path in logs_in(batch.path)]
    assert names == ["anna.1-2.jsonl", "bert.1-2.jsonl", "bert.1.jsonl"]
    (batch.path / "batch.jsonl").write_text("damaged")
    assert len(logs_in(batch.path)) == 4
    assert [path.name for path in logs_in(tmp_path)] == []
