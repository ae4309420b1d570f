"""The newest runs of a folder, without its index."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from convtui.library.index_rows import read_run
from convtui.log.run_summary import RunSummary, list_runs


class NewestRuns:
    """Lists runs by their last lines, and reads the logs whose last lines do not say enough."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, int, float], RunSummary] = {}

    def listed(self, folder: Path, count: int) -> list[RunSummary]:
        """The newest `count` runs, as far as is known without reading whole logs. Blocking."""
        return [self._read.get(_state(run), run) for run in islice(list_runs(folder), count)]

    def completed(self, runs: Sequence[RunSummary]) -> list[RunSummary]:
        """The same runs; those without a trailer are read, each once. Blocking."""
        for run in runs:
            if run.turns is None and not run.damaged:
                self._read[_state(run)] = read_run(run.path, turns=False).summary
        return [self._read.get(_state(run), run) for run in runs]


def _state(run: RunSummary) -> tuple[str, int, float]:
    return run.file, run.size, run.modified
