"""The newest runs of a folder, without its index."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from convtui.library.run_order import NEWEST, sort_runs
from convtui.library.run_rows import read_run
from convtui.log.run_summary import RunSummary, list_runs


class NewestRuns:
    """Lists runs by their last lines, and reads the logs whose last lines do not say enough."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, int, float], RunSummary] = {}

    def listed(self, folder: Path, count: int) -> list[RunSummary]:
        """The `count` runs written last, in the order of lists. Blocking.

        What is only known from reading whole logs is left out.
        """
        written_last = islice(list_runs(folder), count)
        return sort_runs([self._read.get(_state(run), run) for run in written_last], NEWEST)

    def completed(self, runs: Sequence[RunSummary]) -> list[RunSummary]:
        """The same runs; those without a trailer are read, each once. Blocking."""
        for run in runs:
            if run.turns is None and not run.damaged:
                self._read[_state(run)] = read_run(run.path, turns=False).summary
        return sort_runs([self._read.get(_state(run), run) for run in runs], NEWEST)


def _state(run: RunSummary) -> tuple[str, int, float]:
    return run.file, run.size, run.modified
