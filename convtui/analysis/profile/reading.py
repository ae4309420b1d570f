"""Reads runs for a profile, one after the other: with progress, and until it has to stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from convtui.analysis.profile.compress_check import (
    CompressionCheck,
    check_compression,
    was_compressed,
)
from convtui.analysis.profile.profile import Profile, RunProfile, combine, profile_run
from convtui.errors import ConvtuiError, LogError
from convtui.library.library import Library
from convtui.log.reader import open_log

MOST_CHECKS: Final = 50
"""Compressions that are looked at: each one reads the logs that it goes back to."""


@dataclass(slots=True)
class Reading:
    """What was read."""

    profile: Profile
    left_out: list[str] = field(default_factory=list)
    """Why logs were left out, a sentence each. Foreign text."""
    checks: list[CompressionCheck] = field(default_factory=list)
    """Of the runs that go on from a summary, and of those that one run became."""
    unchecked: int = 0
    """Runs that go on from a summary above the limit."""
    stopped: bool = False
    """Whether it ended before the last log."""


def read_runs(
    paths: Sequence[Path],
    *,
    progress: Callable[[int], None] = lambda done: None,
    stop: Callable[[], bool] = lambda: False,
) -> Reading:
    """The profile of logs together. Blocking.

    `stop` is asked before each log, `progress` called after it. A log that cannot be opened is left
    out; `Reading.left_out` says why.
    """
    runs: list[RunProfile] = []
    reading = Reading(combine([]))
    compressed: list[Path] = []
    for number, path in enumerate(paths, 1):
        if stop():
            reading.stopped = True
            break
        try:
            with open_log(path) as log:
                runs.append(profile_run(log))
                if was_compressed(log.transcript):
                    compressed.append(path)
        except (LogError, OSError) as error:
            reading.left_out.append(str(error))
        progress(number)
    reading.profile = combine(runs)
    if len(runs) == 1 and not reading.stopped:
        # Its compression may lie further back, or be what another run went on from.
        compressed = [runs[0].path, *compressed_into(runs[0])]
    for path in compressed[:MOST_CHECKS]:
        if stop():
            reading.stopped = True
            break
        try:
            check = check_compression(path)
        except (LogError, OSError) as error:
            reading.left_out.append(str(error))
            continue
        if check.has_compression is not False:
            reading.checks.append(check)
    reading.unchecked = max(0, len(compressed) - MOST_CHECKS)
    return reading


def compressed_into(run: RunProfile) -> list[Path]:
    """The logs beside a run's that go on from a summary of it, the newest first."""
    try:
        runs = Library(run.path.parent).runs()
    except (ConvtuiError, OSError):
        return []
    return [
        other.path
        for other in runs
        if other.change == "compress" and other.parent == run.id and other.path != run.path
    ]
