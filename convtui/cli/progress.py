"""The progress bar on standard error, where that is a terminal."""

from __future__ import annotations

import shutil
import sys
import time

from convtui.printing.output import Output

_AFTER = 0.3
"""Seconds of work before a bar is worth showing."""
_EVERY = 0.1
"""Seconds between two pictures of it."""


class Bar:
    """Says how many of how many are done. Call it, then `close()` it."""

    def __init__(self, what: str = "") -> None:
        self._what = what
        self._on = sys.stderr.isatty()
        self._next = time.monotonic() + _AFTER
        self._output = Output(sys.stderr)

    def __call__(self, done: int, of: int, words: str = "") -> None:
        """So many are done; `words` say it where the numbers alone do not."""
        if not self._on or (now := time.monotonic()) < self._next:
            return
        self._next = now + _EVERY
        words = words or f"{self._what}: {done:,} of {of:,}"
        width = _room()
        size = min(30, width - len(words) - 3)
        full = size * done // max(1, of)
        bar = f"[{'#' * full}{'.' * (size - full)}] " if size >= 5 else ""
        self._output.progress((bar + words)[:width])

    def step(self, name: str) -> None:
        """A step of unknown length begins: its name is shown at once, without a bar."""
        if self._on:
            self._output.progress(f"... {name}"[: _room()])

    def close(self) -> None:
        """Takes the bar away."""
        self._output.clear()


def _room() -> int:
    # There is room for the echo of ctrl+c.
    return shutil.get_terminal_size().columns - 3
