"""What earlier runs of the benchmark measured, and what has become slower since."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from convtui.files.processes import cores
from convtui.records.values import as_object
from tests.bench.measure import Row, quantity

FILE: Final = "history.jsonl"
KEPT: Final = 300
"""Runs that are kept, of all kinds of machines together."""
NOTICED: Final = 1.2
"""How many times as much, or as little where more is better, a figure may become unnoticed."""


def machine() -> str:
    """What figures are compared on: two machines of the same kind are the same to this."""
    version = ".".join(platform.python_version_tuple()[:2])
    return f"{platform.system()} {platform.machine()}, {cores()} cores, Python {version}"


@dataclass(slots=True, frozen=True)
class Figure:
    """A row as an earlier run measured it."""

    measured: float
    ratio: float | None
    """To the reference of that run; None without one."""
    at: str
    commit: str


@dataclass(slots=True, frozen=True)
class Change:
    """A row that has become worse."""

    row: Row
    before: Figure

    def __str__(self) -> str:
        times = self.row.measured / self.before.measured - 1
        now, before = (
            quantity(value, self.row.unit) for value in (self.row.measured, self.before.measured)
        )
        return f"{self.row.what}: {now}, before {before} ({times:+.0%})"


class History:
    """One run a line, the last one last, in a file of a folder that can be kept between runs."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE

    def last(self, kind: str, *, quick: bool) -> dict[str, Figure]:
        """Each row as it was measured last on such a machine, in as many runs or as few."""
        figures: dict[str, Figure] = {}
        for run in self._runs():
            if run.get("machine") != kind or run.get("quick") is not quick:
                continue
            at, commit = str(run.get("at", "")), str(run.get("commit", ""))
            for what, row in as_object(run.get("rows")).items():
                measured, ratio = as_object(row).get("measured"), as_object(row).get("ratio")
                if isinstance(measured, (int, float)):
                    known = ratio if isinstance(ratio, (int, float)) else None
                    figures[what] = Figure(measured, known, at, commit)
        return figures

    def add(self, rows: Iterable[Row], kind: str, *, quick: bool) -> None:
        """Adds a run; the oldest ones go."""
        run = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": _commit(),
            "machine": kind,
            "quick": quick,
            "rows": {
                row.what: {"measured": row.measured, "unit": row.unit, "ratio": row.ratio}
                for row in rows
                if row.unit != "failure"
            },
        }
        runs = [*self._runs(), run][-KEPT:]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.file.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(run) + "\n" for run in runs), encoding="utf-8")
        temporary.replace(self.file)

    def _runs(self) -> list[dict[str, Any]]:
        """The runs that can be read."""
        try:
            lines = self.file.read_text(encoding="utf-8", errors="replace").split("\n")
        except FileNotFoundError:
            return []
        runs: list[dict[str, Any]] = []
        for line in lines:
            try:
                run = json.loads(line)
            except ValueError:
                continue
            if isinstance(run, dict):
                runs.append(run)
        return runs


def worse(rows: Sequence[Row], before: Mapping[str, Figure]) -> list[Change]:
    """The rows that have become noticeably worse than before, the worst first.

    What has a reference must be worse by itself and against it: either alone may be the machine.
    """
    changes: list[tuple[float, Change]] = []
    for row in rows:
        figure = before.get(row.what)
        if figure is None:
            continue
        times = [_times(row, row.measured, figure.measured)]
        if row.ratio is not None and figure.ratio is not None:
            times.append(_times(row, row.ratio, figure.ratio))
        if min(times) > NOTICED:
            changes.append((min(times), Change(row, figure)))
    changes.sort(key=lambda change: -change[0])
    return [change for _, change in changes]


def _times(row: Row, now: float, before: float) -> float:
    """How many times worse a figure is."""
    if row.bar_is == "at least":
        now, before = before, now
    return now / before if before > 0 else 1.0


def _commit() -> str:
    """The commit of the checkout; empty where there is none."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parent,
        )
    except OSError:
        return ""
    return done.stdout.strip()
