"""Reads the runs of a profile, with progress, until done or stopped."""

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
"""Compressions that are checked at most: each check reads the logs that its log continues."""


@dataclass(slots=True)
class Reading:
    """A profile, and what reading its logs has shown."""

    profile: Profile
    left_out: list[str] = field(default_factory=list)
    """The reasons why logs were left out, one sentence per log. Foreign text."""
    checks: list[CompressionCheck] = field(default_factory=list)
    """Of the runs with a compressed history; of a single run, also of those continued from it."""
    unchecked: int = 0
    """Runs with a compressed history beyond `MOST_CHECKS`."""
    stopped: bool = False
    """Whether reading was stopped before the last log."""


def read_runs(
    paths: Sequence[Path],
    *,
    progress: Callable[[int], None] = lambda done: None,
    stop: Callable[[], bool] = lambda: False,
) -> Reading:
    """Reads logs into one profile. Blocking.

    `stop` is called before each log, `progress` after it with the number of logs that are done. A
    log that cannot be opened is left out; `Reading.left_out` says why.
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
        # The compression may be in a parent, or in a run that continues this one.
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
    """The logs in the same folder that continue a run from a summary, newest first."""
    try:
        runs = Library(run.path.parent).runs()
    except (ConvtuiError, OSError):
        return []
    return [
        other.path
        for other in runs
        if other.change == "compress" and other.parent == run.id and other.path != run.path
    ]
