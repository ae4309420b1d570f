"""`convtui run --runs N`: a batch of one cell, printed run by run."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from convtui.batch.manifest import read_batch
from convtui.batch.plan_changes import plan_changes
from convtui.batch.record import PlanSource
from convtui.cli.batch_plan import planned
from convtui.cli.several_runs import flags_of_batch, run_several
from convtui.printing.printer import Printer
from tests.builders.waiting import WITHIN
from tests.cli.conftest import Run

CODE = """
import asyncio, os, pathlib

here = pathlib.Path(__file__).parent

async def bot(messages):
    await asyncio.sleep(0)
    return "You said: " + messages[-1]["content"]

async def moody(messages):
    try:
        (here / "failed").touch(exist_ok=False)
    except FileExistsError:
        return "fine"
    raise KeyError("nope")

async def waits(messages):
    with (here / "called").open("a") as calls:
        calls.write("x")
    await asyncio.sleep(0.02)
    while not (here / "go").exists():
        await asyncio.sleep(0.01)
    return "done"

class Picky:
    def __init__(self):
        raise ValueError("not today")
    async def generate_response(self, messages): ...
"""


def called_by(path: Path) -> int:
    """How many conversations have called `waits`: each stays in its first call."""
    return path.stat().st_size if path.exists() else 0


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    path = tmp_path / "work" / "bot.py"
    path.write_text(CODE)
    return path


@pytest.fixture
def runs_folder(home: Path) -> Path:
    return home / "data" / "runs"


def run(spec: str, *more: str) -> tuple[str, ...]:
    return ("run", "--provider", f"bot.py:{spec}", "--persona", "maya", "--max-turns", "2", *more)


def test_each_is_printed_as_a_run_alone_would_be(
    convtui: Run, bot: Path, runs_folder: Path
) -> None:
    code, out, err = convtui(*run("bot", "--runs", "3"))
    assert code == 0
    logs = [Path(line) for line in err.splitlines()]
    (folder,) = runs_folder.iterdir()
    assert {log.parent for log in logs} == {folder} and len(set(logs)) == 3
    pieces = out.split("\n\nrun ")
    assert sorted(piece.removeprefix("run ")[:6] for piece in pieces) == [
        f"{number} of 3" for number in (1, 2, 3)
    ]
    for log, piece in zip(logs, pieces, strict=True):
        printed = piece.partition("\n")[2].strip()
        assert convtui("show", str(log)).out.replace("  ran 00:00", "").strip() == printed
        assert convtui("check", str(log)).code == 0


def test_json_has_one_entry_for_each(convtui: Run, bot: Path) -> None:
    alone = json.loads(convtui(*run("bot", "--json")).out)
    code, out, err = convtui(*run("bot", "--runs", "3", "--json"))
    data = json.loads(out)
    assert code == data["exit_code"] == 0
    assert [set(entry) for entry in data["runs"]] == [set(alone)] * 3
    assert len({entry["id"] for entry in data["runs"]}) == 3
    assert [Path(entry["log"]).stem for entry in data["runs"]] == ["Maya.1", "Maya.2", "Maya.3"]
    assert {entry["log"] for entry in data["runs"]} == set(err.splitlines())


def test_the_exit_code_is_the_highest(convtui: Run, bot: Path) -> None:
    code, out, _ = convtui(*run("moody", "--runs", "3", "--json"))
    data = json.loads(out)
    assert code == data["exit_code"] == 3
    assert sorted(entry["exit_code"] for entry in data["runs"]) == [0, 0, 3]


def test_runs_that_cannot_begin_leave_nothing(convtui: Run, bot: Path, runs_folder: Path) -> None:
    alone = convtui(*run("Picky"))
    several = convtui(*run("Picky", "--runs", "30"))
    assert (several.code, several.out) == (alone.code, alone.out) == (2, "")
    assert "ValueError: not today" in several.err and f"{bot}:" in several.err
    assert several.err.count("not today") == alone.err.count("not today")
    assert not runs_folder.exists() or not list(runs_folder.iterdir())


@pytest.mark.parametrize(
    "wrong",
    [
        ("--set", "limits.max_turnss=3"),
        ("--persona", "nobody"),
        ("--env-file", "missing.env"),
        ("--break", "~nonsense"),
        ("--resume", "missing.jsonl"),
    ],
)
def test_mistakes_are_told_as_for_a_single_run(
    convtui: Run, bot: Path, runs_folder: Path, wrong: tuple[str, ...]
) -> None:
    alone = convtui(*run("bot", *wrong))
    assert convtui(*run("bot", *wrong, "--runs", "3")) == alone
    assert alone.code == 2 and not runs_folder.exists()


@pytest.mark.parametrize("flag", ["--debug", "--in-process"])
def test_those_that_are_watched_run_one_by_one(
    convtui: Run, bot: Path, runs_folder: Path, flag: str
) -> None:
    code, out, _ = convtui(*run("bot", "--runs", "2", flag))
    assert code == 0
    assert [line for line in out.splitlines() if line.startswith("run ")] == [
        "run 1 of 2", "run 2 of 2",
    ]  # fmt: skip
    assert sorted(path.suffix for path in runs_folder.iterdir() if path.suffix == ".jsonl")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent")
def test_ctrl_c_ends_them_after_their_turn_and_the_batch_can_go_on(
    convtui: Run, bot: Path, runs_folder: Path
) -> None:
    def press() -> None:
        give_up = time.monotonic() + WITHIN
        while called_by(bot.parent / "called") < 2 and time.monotonic() < give_up:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        (manifest,) = runs_folder.glob("*/batch.jsonl")
        while b'"stopped"' not in manifest.read_bytes() and time.monotonic() < give_up:
            time.sleep(0.01)
        (bot.parent / "go").touch()

    pressing = threading.Thread(target=press)
    pressing.start()
    command = ("run", "--provider", "bot.py:waits", "--persona", "maya", "--max-turns", "40")
    code, out, err = convtui(*command, "--runs", "2", "--budget-tokens", "90000")
    pressing.join()
    (folder,) = runs_folder.iterdir()
    assert code == 130
    assert "conversation ended: interrupted by human" in out
    assert f"to go on: convtui batch {folder.name}\n" in err
    batch = read_batch(folder)
    assert {entry.status for entry in batch.entries.values()} == {"stopped"}
    # The plan that goes on is the very same.
    source = PlanSource.of(batch.plan)
    assert source is not None and source.readable
    again = planned(None, source.flags, source.cwd)
    assert not plan_changes(batch, again.plan, again.cells)
    assert convtui("batch", folder.name, "--no-tui").code == 0
    assert read_batch(folder).finished


def test_without_a_reader_no_more_runs_begin(bot: Path, runs_folder: Path) -> None:
    class Closed(Printer):
        def record(self, record: object) -> None:
            raise BrokenPipeError

    flags = {"provider": f"{bot}:bot", "persona": "maya", "max_turns": 2}
    with pytest.raises(BrokenPipeError):
        run_several(
            None, flags, 60, on_pause="end", make_printer=lambda: Closed(None), headings=False
        )
    (folder,) = runs_folder.iterdir()
    batch = read_batch(folder)
    assert batch.stopped == "its output is not read any more"
    assert not batch.finished


def test_flags_mean_for_a_batch_what_they_mean_for_a_run() -> None:
    flags = {
        "persona": "maya", "provider": "demo", "sessions": "a,b", "budget_tokens": 5,
        "budget_cost": 0.5, "set_": ("name=x",), "trust": False, "model": None, "break_": ("~end",),
    }  # fmt: skip
    assert flags_of_batch(flags) == {
        "persona": ("maya",), "provider": ("demo",), "sessions": ("a,b",),
        "set_": ("name=x", "budget.tokens=5", "budget.cost=0.5"), "break_": ("~end",),
    }  # fmt: skip
