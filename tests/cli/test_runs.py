"""`convtui runs`: orders, tags, the trash, and the index behind it."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from convtui.library.index_file import FILE
from convtui.log.notes import Notes
from convtui.log.writer import LogWriter
from tests.builders.logs import ending, header, sample, session, turn, write_log
from tests.cli.conftest import Run


@pytest.fixture
def library(home: Path) -> Path:
    """Three runs of their own and a branch of the first."""
    folder = home / "data" / "runs"
    write_log(folder / "one.jsonl", sample())
    parent = {"id": "a1b2c3", "file": "one.jsonl", "seq": 5, "sha256": "0"}
    write_log(folder / "branch.jsonl", [header(id="br", parents=[parent]), *sample()[1:8]])
    usage = {"prompt_tokens": 9000, "completion_tokens": 1, "cost": 1.5}
    big = session(1, "a", [turn(1, "provider", "big", usage=usage)], ending())
    _write(folder / "two.jsonl", [header(id="two", persona="Tom"), *big], usage)
    write_log(folder / "three.jsonl", [header(id="three", persona="Zoe"), *sample()[1:9]])
    return folder


def _write(path: Path, records: list[Any], usage: dict[str, Any]) -> None:
    writer = LogWriter(path)
    for record in records:
        writer.write(record)
    used = {"calls": 1, "seconds": 2.0, "tokens": 9001, "cost": usage["cost"]}
    writer.close(ending(), {"turns": 1, "seconds": 12.5, "usage": {"provider": used}})


def listed(convtui: Run, *arguments: str) -> list[str]:
    code, out, err = convtui("runs", "--json", *arguments)
    assert (code, err) == (0, "")
    return [row["name"].removesuffix(".jsonl") for row in json.loads(out)]


def test_orders(convtui: Run, library: Path) -> None:
    assert listed(convtui, "--sort", "persona")[-2:] == ["two", "three"]
    assert listed(convtui, "--sort", "-tokens")[0] == "two"
    assert listed(convtui, "--sort", "name") == ["branch", "one", "three", "two"]
    assert listed(convtui, "--sort", "-name", "--limit", "2") == ["two", "three"]
    assert listed(convtui, "--sort", "duration")[0] == "two"  # the others do not say
    head, first, *_ = convtui("runs", "--sort", "-tokens").out.splitlines()
    assert head.split()[-2:] == ["TOKENS", "LOG"]
    assert first.split()[-2:] == ["9,001", "two.jsonl"]
    code, out, err = convtui("runs", "--sort", "-cost", "--limit", "1", "--all")
    assert (code, len(out.splitlines())) == (0, 2)
    assert "$1.5000" in out
    assert "3 more; without --limit all are listed" in err


def test_the_list_is_sorted_by_the_time_it_shows_and_last_is_its_first(
    convtui: Run, home: Path
) -> None:
    folder = home / "data" / "runs"
    for number, day in enumerate((5, 9, 7)):
        created = f"2026-03-0{day}T10:00:00+00:00"
        log = write_log(folder / f"day{day}.jsonl", [header(created_at=created), *sample()[1:]])
        os.utime(log, (number, number))
    assert listed(convtui) == ["day9", "day7", "day5"]
    assert [row.split()[0] for row in convtui("runs").out.splitlines()[1:]] == [
        "2026-03-09", "2026-03-07", "2026-03-05",
    ]  # fmt: skip
    assert listed(convtui, "last") == ["day9"]
    assert listed(convtui, "last~1") == ["day7"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sort", "token"], "cannot sort by 'token', did you mean 'tokens'?"),
        (["a", "b"], "'b' is no log here, and two filters are one too many"),
        (["gone.jsonl"], "gone.jsonl: there is no such log"),
        (["--trash"], "--trash: which runs?"),
        (["--tag", "x"], "--tag: which runs?"),
        (["--tag", "a,b", "one"], "a tag has no #, no comma"),
        (["--trash", "--tag", "x"], "--tag and --trash exclude each other"),
        (["--trash", "--limit", "1", "one"], "--limit does nothing with --trash: everything that"),
        (["--tag", "x", "--tree", "one"], "--tree does nothing with --tag"),
        (["--untag", "x", "--sort", "size", "one"], "--sort does nothing with --untag"),
        (
            ["--trashed", "one"],
            "an argument does nothing with --trashed: the whole trash is listed",
        ),
        (["--restore", "--since", "7d", "one"], "--since does nothing with --restore: name the"),
        (["--trash", "one"], "1 run would go, and nobody can be asked: add --yes"),
        (["--restore"], "--restore: name the logs"),
        (["--restore", "one"], "one: no such run is in the trash"),
    ],
)
def test_mistakes_are_told(convtui: Run, library: Path, arguments: list[str], message: str) -> None:
    code, out, err = convtui("runs", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(list(library.glob("*.jsonl"))) == 4


def test_tags_are_given_found_shown_and_taken(convtui: Run, library: Path) -> None:
    code, out, _ = convtui("runs", "--tag", "bad day", "--tag", "x", "~discard")
    assert (code, out.splitlines()[1].split()) == (0, ["one.jsonl", "bad", "day", "x"])
    assert listed(convtui, '~tag "bad day"') == ["one"]
    assert listed(convtui, "--name", "bad") == ["one"]
    assert "#bad day #x" in convtui("runs", "~tag x").out
    code, out, _ = convtui("runs", "--untag", "x", "--json", "one", str(library / "two.jsonl"))
    assert [Path(row["log"]).name for row in json.loads(out)] == ["one.jsonl", "two.jsonl"]
    assert [row["tags"] for row in json.loads(out)] == [["bad day"], []]
    assert listed(convtui, "~tag x") == []
    assert Notes(library / "one.jsonl").tags() == ("bad day",)
    (library / FILE).unlink()
    assert listed(convtui, "~tag bad & ~discard") == ["one"]


def test_runs_go_to_the_trash_and_come_back(convtui: Run, library: Path, home: Path) -> None:
    Notes(library / "one.jsonl").tag("kept")
    code, out, err = convtui("runs", "--trash", "--yes", "~tag kept")
    assert (code, out) == (0, "")
    assert "branch.jsonl goes on from one.jsonl" in err
    assert "1 run moved to the trash" in err
    assert not list(library.glob("one.jsonl*"))
    assert "one" not in listed(convtui)
    (trashed,) = json.loads(convtui("runs", "--trashed", "--json").out)
    assert (trashed["name"], trashed["log"]) == ("one.jsonl", str(library / "one.jsonl"))
    assert Path(trashed["place"]).is_relative_to(home / "data" / "trash")
    assert "one.jsonl" in convtui("runs", "--trashed").out
    code, out, _ = convtui("runs", "--restore", "--json", "one")
    assert json.loads(out) == [{"log": str(library / "one.jsonl")}]
    assert listed(convtui, "~tag kept & ~discard") == ["one"]
    assert "the trash is empty" in convtui("runs", "--trashed").err


def test_a_run_that_is_going_on_is_named_and_the_others_go(convtui: Run, library: Path) -> None:
    writer = LogWriter(library / "live.jsonl")
    for record in sample()[:6]:
        writer.write(record)
    code, out, err = convtui("runs", "--trash", "--yes", "--json", "live", "three")
    writer.abandon()
    assert code == 2
    assert [row["name"] for row in json.loads(out)] == ["three.jsonl"]
    assert "live.jsonl: this run is still going on" in err


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "left"), [("y\n", 3), ("n\n", 4), ("", 4)])
def test_the_trash_asks_before(
    convtui: Run, library: Path, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(answer))
    code, _, err = convtui("runs", "--trash", "one")
    assert code == (0 if left == 3 else 130)
    assert "  one.jsonl  Maya → my_provider.py:Bot  early_termination" in err
    assert "branch.jsonl goes on from one.jsonl" in err
    assert "Move 1 run to the trash?" in err
    assert len(list(library.glob("*.jsonl"))) == left


def test_where_there_is_no_index_it_is_said_once(convtui: Run, library: Path) -> None:
    (library / FILE).mkdir()
    code, out, err = convtui("runs", "--json", "~discard")
    assert (code, [row["name"] for row in json.loads(out)]) == (0, ["one.jsonl"])
    assert err.count("the logs are read one by one: no index (") == 1
