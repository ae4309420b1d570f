"""The words that name a log."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from convtui.errors import LogError
from convtui.library.log_names import find_log, find_sample, names_log, samples
from tests.builders.logs import header, sample, write_log

DAY = "20260301T10"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three runs, one a day, and the files beside one; the folder is not here.

    The run that began last is the one written first.
    """
    folder = tmp_path / "runs"
    names = {f"{DAY}00_maya_desk_aa11": "aa1122", f"{DAY}05_maya_desk_aa12": "aa1233",
             f"{DAY}30_tom_desk_bb11": "bb1144"}  # fmt: skip
    for age, (name, id_) in enumerate(names.items()):
        log = write_log(
            folder / f"{name}.jsonl",
            [header(id=id_, created_at=f"2026-03-0{3 - age}T10:00:00+00:00"), *sample()[1:]],
        )
        os.utime(log, (1000 + age, 1000 + age))
    (folder / f"{DAY}00_maya_desk_aa11.jsonl.notes.jsonl").write_text("")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return folder


@pytest.mark.parametrize(
    ("word", "name"),
    [
        (f"{DAY}05_maya_desk_aa12", f"{DAY}05_maya_desk_aa12"),
        (f"{DAY}05_maya_desk_aa12.jsonl", f"{DAY}05_maya_desk_aa12"),
        (f"{DAY}3", f"{DAY}30_tom_desk_bb11"),
        ("aa1122", f"{DAY}00_maya_desk_aa11"),
        ("aa12", f"{DAY}05_maya_desk_aa12"),
        ("last", f"{DAY}00_maya_desk_aa11"),
        ("last~0", f"{DAY}00_maya_desk_aa11"),
        ("last~2", f"{DAY}30_tom_desk_bb11"),
    ],
)
def test_a_run_by_name_by_id_and_by_the_start_of_either(runs: Path, word: str, name: str) -> None:
    assert find_log(word, [runs]) == runs / f"{name}.jsonl"
    assert names_log(word, [runs]) == runs / f"{name}.jsonl"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (DAY, f"may be {DAY}30_tom_desk_bb11, {DAY}05_maya_desk_aa12 or {DAY}00_maya_desk_aa11:"),
        ("aa1", "may be"),
        (f"{DAY}05_mya_desk_aa12", f"no such log, did you mean '{DAY}05_maya_desk_aa12'?"),
        ("zzz", "zzz: there is no such log; `convtui runs` lists saved ones"),
        ("last~3", "last~3: there is no such log, only 3 saved runs"),
        (" ", "no log is named"),
        ("sample:clen", "there is no such sample, did you mean 'clean'?"),
        ("sample:", "which one? There are clean, crashed"),
        ("sample:../clean", "there is no such sample"),
        ("x\x1b[2Jy", "y: there is no such log"),
    ],
)
def test_what_names_none_or_several(runs: Path, word: str, message: str) -> None:
    with pytest.raises(LogError) as error:
        find_log(word, [runs])
    assert message in str(error.value)
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize("word", ["../runs/x", "/etc/passwd", "..", "a/b.jsonl", "x\0y"])
def test_what_looks_like_a_path_is_only_a_path(runs: Path, word: str) -> None:
    assert find_log(word, [runs]) == Path(word)


def test_a_file_that_is_here_comes_before_a_run_of_its_name(runs: Path) -> None:
    here = write_log(Path.cwd() / "last", sample())
    assert find_log("last", [runs]) == Path("last")
    here.unlink()
    Path("last").mkdir()
    assert find_log("last", [runs]).parent == runs


def test_the_first_folder_that_has_it_counts(runs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_log(other / "mine.jsonl", [header(id="aa1122"), *sample()[1:]])
    assert find_log("aa1122", [other, runs]).parent == other
    assert find_log("bb11", [other, runs]).parent == runs


def test_where_a_filter_may_stand_a_word_is_one(runs: Path) -> None:
    for word in ("maya", "2", "aa", "~discard", "sorry 2", "aa1122 & x", "zz99"):
        assert names_log(word, [runs]) is None
    with pytest.raises(LogError, match="may be"):
        names_log("2026", [runs])


def test_samples_ship_with_convtui() -> None:
    assert {"clean", "crashed", "discarded", "taken-over"} <= set(samples())
    assert all(find_sample(name).is_file() for name in samples())
    assert find_sample("clean.jsonl") == find_sample("clean")


def test_an_empty_library_says_what_makes_a_run(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="`convtui demo` makes one"):
        find_log("last", [tmp_path / "none"])


def test_where_there_are_only_batches_the_newest_is_named(tmp_path: Path) -> None:
    for name in ("20260304T100000Z_one", "20260305T100000Z_two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "batch.jsonl").write_text("")
    with pytest.raises(LogError, match=r"only batches.*convtui runs 20260305T100000Z_two"):
        find_log("last", [tmp_path])
