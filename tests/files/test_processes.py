"""Work that is shared out among processes: the same results, whatever happens to a helper."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from convtui.files import processes
from convtui.files.processes import cores, shared_out
from tests.builders.waiting import WITHIN
from tests.e2e.terminal import until
from tests.files.work import divided_by_zero, squared, squared_by_survivors

pytestmark = pytest.mark.slow
HERE = os.getpid()


@pytest.mark.parametrize(("among", "parts"), [(1, 9), (2, 1), (2, 9)])
def test_every_part_is_worked_on_once(among: int, parts: int) -> None:
    results = dict(shared_out(squared, range(parts), processes=among))
    assert {index: square for index, (square, _) in results.items()} == {
        number: number**2 for number in range(parts)
    }
    workers = {pid for _, pid in results.values()}
    assert workers.isdisjoint({HERE}) == (among > 1 and parts > 1)
    assert len(workers) <= among


def test_with_one_process_a_part_is_worked_on_when_it_is_asked_for() -> None:
    asked: list[int] = []

    def work(part: int) -> int:
        asked.append(part)
        return part

    results = shared_out(work, range(9), processes=1)
    assert next(results) == (0, 0)
    assert asked == [0]


def test_what_a_helper_dies_of_is_done_here() -> None:
    results = dict(shared_out(partial(squared_by_survivors, HERE), range(6), processes=2))
    assert results == {number: number**2 for number in range(6)}


def test_where_no_helper_can_be_started_all_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    results = dict(shared_out(squared, range(4), processes=2))
    assert results == {number: (number**2, HERE) for number in range(4)}


def test_what_the_work_raises_is_raised_here() -> None:
    with (
        pytest.raises(ZeroDivisionError),
        closing(shared_out(divided_by_zero, range(4), processes=2)) as results,
    ):
        next(results)


def test_who_wants_no_more_ends_the_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = processes._start

    def noted() -> subprocess.Popen[bytes]:
        started.append(start())
        return started[-1]

    monkeypatch.setattr(processes, "_start", noted)
    results = shared_out(squared, range(1000), processes=2)
    next(results)
    results.close()
    assert started
    assert all(process.poll() is not None for process in started)


KILLED = """
import os, signal
from convtui.files import processes
from tests.files.work import squared

start = processes._start
started = []
processes._start = lambda: (started.append(start()), started[-1])[1]
for _ in processes.shared_out(squared, range(1000), processes=2):
    print(*(process.pid for process in started), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_no_helper_outlives_a_process_that_is_killed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=WITHIN,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == -signal.SIGKILL
    pids = done.stdout.split()
    assert pids
    until(lambda: not any(_is_alive(pid) for pid in pids), "the end of the helpers")


def _is_alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cores() >= 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert cores() == 1
