"""A progress bar on standard error, where that is a terminal."""

from __future__ import annotations

import shutil
import sys
import time

from convtui.printing.output import Output

_AFTER = 0.3
"""Seconds of work before a bar is worth showing."""


class Bar:
    """Says how many of how many are done. Call it, then `close()` it."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._on = sys.stderr.isatty()
        self._next = time.monotonic() + _AFTER
        self._output = Output(sys.stderr)

    def __call__(self, done: int, of: int) -> None:
        """So many are done."""
        if not self._on or (now := time.monotonic()) < self._next:
            return
        self._next = now + 0.1
        words = f"{self._what}: {done:,} of {of:,}"
        width = shutil.get_terminal_size().columns - 3  # there is room for the echo of ctrl+c
        room = min(30, width - len(words) - 3)
        full = room * done // max(1, of)
        bar = f"[{'#' * full}{'.' * (room - full)}] " if room >= 5 else ""
        self._output.progress((bar + words)[:width])

    def close(self) -> None:
        """Takes the bar away."""
        self._output.clear()
