"""The process itself: it folds, ends with who started it, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from convtui.log.folding.process import FoldProcess
from convtui.log.folding.steps import take_step
from convtui.log.reader import LogReader
from tests.builders.folds import state_read
from tests.builders.logs import sample, write_log
from tests.builders.waiting import WITHIN
from tests.e2e.terminal import alive, until

pytestmark = pytest.mark.slow


async def all_steps(process: FoldProcess) -> list[bytes]:
    return [step async for step in process.steps()]


def folded(log: Path, folder: Path) -> list[bytes]:
    process = FoldProcess(log, folder)
    # Nobody waits for the steps yet: they are kept.
    until(lambda: process.returned is not None, "it ends by itself")
    steps = asyncio.run(all_steps(process))
    with LogReader(log) as reader, LogReader(log) as other:
        assert process.identity == reader.identity
        for step in steps:
            take_step(reader, step)
        other.advance()
        assert state_read(reader) == state_read(other)
    process.close()
    return steps


def test_it_folds_a_log_and_remembers_it(tmp_path: Path) -> None:
    log, folder = write_log(tmp_path / "a.jsonl", sample()), tmp_path / "folds"
    assert folded(log, folder) == folded(log, folder)
    assert [path.suffix for path in folder.iterdir()] == [".fold"]


def test_without_a_folder_nothing_is_remembered(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.jsonl", sample())
    process = FoldProcess(log, None)
    assert asyncio.run(all_steps(process))
    process.close()
    assert [*tmp_path.iterdir()] == [log]


def test_of_what_cannot_be_read_there_are_no_steps(tmp_path: Path) -> None:
    process = FoldProcess(tmp_path / "none.jsonl", None)
    assert asyncio.run(all_steps(process)) == []
    assert process.identity is None
    process.close()


def test_closed_it_ends_whatever_it_does(tmp_path: Path) -> None:
    fifo = tmp_path / "never.jsonl"
    os.mkfifo(fifo)
    process = FoldProcess(fifo, tmp_path / "folds")
    process.close()
    until(lambda: process.returned is not None, "it ends")
    assert asyncio.run(all_steps(process)) == []


DIES = """
import os, sys, time
from pathlib import Path
from convtui.log.folding.process import FoldProcess
process = FoldProcess(Path(sys.argv[1]), None)
print(process.pid, flush=True)
os._exit(9)
"""


def test_it_ends_with_who_started_it(tmp_path: Path) -> None:
    fifo = tmp_path / "never.jsonl"
    os.mkfifo(fifo)
    died = subprocess.run(
        [sys.executable, "-c", DIES, str(fifo)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    pid = int(died.stdout)

    until(lambda: not alive(pid), "it ends")
