"""Batches in `convtui runs`, and where other commands take their names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convtui.log.names import lock_path
from tests.builders.batches import BatchFolder, cell, talk
from tests.builders.logs import header, sample, write_log
from tests.cli.conftest import Run

NAME = "20260304T050000Z_refund"


@pytest.fixture
def runs(home: Path) -> Path:
    """A single run, and a batch of two cells of which Bert drops a turn."""
    folder = home / "data" / "runs"
    write_log(folder / "one.jsonl", sample())
    batch = BatchFolder(folder / NAME, [cell("anna"), cell("bert")])
    for number, name in enumerate(("anna", "bert")):
        records = talk("completed", discard=name == "bert")
        records[0] = header(id=f"{number}{number}aabbcc", persona=name)
        batch.run(f"{name}.1", records)
    batch.add("finished")
    return folder


def test_a_batch_is_one_row(convtui: Run, runs: Path) -> None:
    code, out, _ = convtui("runs")
    rows = [line for line in out.splitlines() if "jsonl" in line or "/" in line]
    assert code == 0 and len(rows) == 2
    assert f"{NAME}/ (batch of 2: none went wrong)" in out
    assert "2 personas → demo" in out and "finished" in out


def test_the_json_marks_it(convtui: Run, runs: Path) -> None:
    rows = json.loads(convtui("runs", "--json").out)
    single, batch = sorted(rows, key=lambda row: row["batch"] is not None)
    assert single["batch"] is None and single["log"] and single["in_batch"] is None
    assert batch["log"] is None and batch["folder"] == str(runs / NAME)
    assert batch["batch"]["endings"] == {"completed": 2} and batch["state"] == "finished"


def test_a_filter_finds_it_by_its_conversations(convtui: Run, runs: Path) -> None:
    assert "; 1 match)" not in convtui("runs", "~persona nobody").err
    out = convtui("runs", "~persona bert").out
    assert "1 matches)" in out and "one.jsonl" not in out
    tree = convtui("runs", "--tree", "~persona bert").out
    assert "└─ bert.1.jsonl" in tree and "anna.1" not in tree
    every = json.loads(convtui("runs", "--json", "~discard").out)
    inside = [row["name"] for row in every if row["in_batch"]]
    assert inside == ["bert.1.jsonl"]


def test_the_tree_has_its_conversations(convtui: Run, runs: Path) -> None:
    out = convtui("runs", "--tree").out
    assert "├─ " in out and "└─ " in out and "anna.1.jsonl" in out


@pytest.mark.parametrize("name", [NAME, "20260304T05"])
def test_its_name_lists_its_conversations(convtui: Run, runs: Path, name: str) -> None:
    names = [row["name"] for row in json.loads(convtui("runs", "--json", name).out)]
    assert sorted(names) == ["anna.1.jsonl", "bert.1.jsonl"]
    names = [row["name"] for row in json.loads(convtui("runs", "--json", name, "~discard").out)]
    assert names == ["bert.1.jsonl"]


def test_last_means_the_last_single_run(convtui: Run, runs: Path) -> None:
    assert json.loads(convtui("show", "--json", "last").out)["id"] == "a1b2c3"
    assert [row["name"] for row in json.loads(convtui("runs", "--json", "last").out)] == [
        "one.jsonl"
    ]


def test_endings_of_batches(convtui: Run, runs: Path) -> None:
    assert NAME in convtui("runs", "--ended", "finished").out
    assert "1 matches" not in convtui("runs", "--ended", "finished").out
    assert "2 match)" in convtui("runs", "--ended", "completed").out


def test_it_goes_to_the_trash_as_a_whole_and_comes_back(convtui: Run, runs: Path) -> None:
    before = {path.name: path.read_bytes() for path in (runs / NAME).glob("*.jsonl")}
    code, _, err = convtui("runs", "--trash", "--yes", NAME)
    assert code == 0 and "1 run moved" in err and not (runs / NAME).exists()
    assert (runs / "one.jsonl").exists()
    assert [row["name"] for row in json.loads(convtui("runs", "--trashed", "--json").out)] == [NAME]
    assert convtui("runs", "--restore", NAME).code == 0
    assert {path.name: path.read_bytes() for path in (runs / NAME).glob("*.jsonl")} == before
    assert len(json.loads(convtui("runs", "--json").out)) == 2


def test_a_batch_that_is_running_is_not_deleted(convtui: Run, runs: Path) -> None:
    from filelock import FileLock

    with FileLock(lock_path(runs / NAME / "batch.jsonl")):
        code, _, err = convtui("runs", "--trash", "--yes", NAME)
    assert code == 2 and "this batch is still going on" in err and (runs / NAME).is_dir()


def test_a_filter_changes_no_batch(convtui: Run, runs: Path) -> None:
    code, _, err = convtui("runs", "--trash", "--yes", "~discard")
    assert code == 0 and "1 run moved" in err
    assert len(list((runs / NAME).glob("*.jsonl"))) == 3


@pytest.mark.parametrize("more", [["~discard"], ["--ended", "failed"], ["--since", "1d"]])
def test_a_batch_is_not_changed_for_some_of_it(convtui: Run, runs: Path, more: list[str]) -> None:
    code, _, err = convtui("runs", "--trash", "--yes", NAME, *more)
    assert code == 2 and "changed as a whole" in err and (runs / NAME).is_dir()


def test_it_has_tags(convtui: Run, runs: Path) -> None:
    assert convtui("runs", "--tag", "slow", NAME).code == 0
    assert f"{NAME}/ (batch of 2: none went wrong) #slow" in convtui("runs").out
    assert convtui("runs", "--untag", "slow", NAME).code == 0
    assert "#slow" not in convtui("runs").out


def test_one_batch_at_a_time_is_listed(convtui: Run, runs: Path) -> None:
    BatchFolder(runs / "20260305T050000Z_refund", [cell("anna")])
    code, _, err = convtui("runs", NAME, "20260305T05")
    assert code == 2 and "--against" in err


def test_where_a_log_is_wanted_it_is_said_what_it_is(convtui: Run, runs: Path) -> None:
    code, _, err = convtui("show", NAME)
    assert code == 2 and f"`convtui runs {NAME}` lists its conversations" in err


def test_commands_on_many_logs_take_it(convtui: Run, runs: Path, tmp_path: Path) -> None:
    data = json.loads(convtui("profile", "--json", NAME).out)
    assert [run["persona"] for run in data["runs"]] == ["anna", "bert"]
    code, out, _ = convtui("export", NAME, "--to", "oharness", "--out", tmp_path / "out")
    assert code == 0 and out.count("wrote ") == 2
