"""Importing: a long conversation in each foreign format, and a folder of many files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from convtui.log.run_summary import list_runs
from tests.bench import foreign
from tests.bench.measure import Row, median
from tests.e2e.terminal import clean_environment, convtui

TURNS = 10_000
FILES = 500
FILE_TURNS = 10


def rows(home: Path, times: int, turns: int = TURNS, files: int = FILES) -> list[Row]:
    """Each format once: those that are alike are enough of a median."""
    if sys.platform == "win32":
        return []
    environment = clean_environment(home)
    measured: list[Row] = []
    for name, write in foreign.FILES.items():
        folder = home / name
        folder.mkdir()
        file = write(folder, turns)
        logs = folder / "logs"
        spent = _spent(convtui("import", file, "--out", logs), environment)
        (log,) = list_runs(logs)
        if log.turns != turns:
            raise RuntimeError(f"{name}: {log.turns} turns of {turns:,} were imported")
        size = file.stat().st_size / 1e6
        note = f"CPU of the whole process, once; {spent.seconds:.2f} s in all; {size:.1f} MB"
        what = f"import of {turns:,} turns"
        measured += [
            Row(f"{what}: {name}", spent.cpu, bar=4.0, note=note),
            Row(f"{what}, memory: {name}", spent.memory, "MB", bar=120, note="the same process"),
        ]
    return measured + _many(home, times, environment, files)


def _many(home: Path, times: int, environment: dict[str, str], files: int) -> list[Row]:
    folder = foreign.many(home / "many", files, FILE_TURNS)
    first: list[Spent] = []
    again: list[Spent] = []
    for number in range(times):
        command = convtui("import", folder, "--out", home / f"logs{number}")
        first.append(_spent(command, environment))
        again.append(_spent(command, environment))
        found = len(list((home / f"logs{number}").glob("*.jsonl")))
        if found != files:
            raise RuntimeError(f"{found} logs of {files} files")
    return [
        Row(
            f"import of {files} files{what}",
            median([spent.cpu for spent in all_spent]),
            bar=bar,
            note=f"CPU of the whole process, {FILE_TURNS} turns each, median of {times};"
            f" {median([spent.seconds for spent in all_spent]):.2f} s in all",
        )
        for what, all_spent, bar in (("", first, 5.0), (" again", again, 1.0))
    ]


# A small process starts the other: what is started has at first the memory of who starts it.
_MEASURED = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
seconds = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""


class Spent(NamedTuple):
    """What a whole process has taken."""

    seconds: float
    cpu: float
    memory: float
    """At most, in MB."""


def _spent(command: Sequence[str | Path], environment: dict[str, str]) -> Spent:
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *command],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    code, seconds, cpu, most = json.loads(done.stdout)
    if code != 0:
        raise subprocess.CalledProcessError(code, list(command))
    return Spent(seconds, cpu, most / 1e6 if sys.platform == "darwin" else most / 1e3)
