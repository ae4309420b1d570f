"""The progress bar on standard error, if that is a terminal."""

from __future__ import annotations

import shutil
import sys
import time

from convtui.printing.output import Output

_AFTER = 0.3
"""Seconds of work before a bar is worth showing."""
_EVERY = 0.1
"""Seconds between updates."""


class Bar:
    """Shows how many items are done. Call it for each update, then `close()` it."""

    def __init__(self, what: str = "") -> None:
        self._what = what
        self._on = sys.stderr.isatty()
        self._next = time.monotonic() + _AFTER
        self._output = Output(sys.stderr)

    def __call__(self, done: int, of: int, text: str = "") -> None:
        """Shows that `done` items `of` a total are done; `text` replaces the default label.

        A total of 0 is unknown: there is no bar then.
        """
        if not self._on or (now := time.monotonic()) < self._next:
            return
        self._next = now + _EVERY
        text = text or f"{self._what}: {done:,} of {of:,}"
        width = _room()
        size = min(30, width - len(text) - 3)
        full = size * done // max(1, of)
        bar = f"[{'#' * full}{'.' * (size - full)}] " if size >= 5 and of else ""
        self._output.progress((bar + text)[:width])

    def step(self, name: str) -> None:
        """Shows the name of a step of unknown length at once, without a bar."""
        if self._on:
            self._output.progress(f"... {name}"[: _room()])

    def close(self) -> None:
        """Removes the bar."""
        self._output.clear()


def _room() -> int:
    # Leaves room for the echo of ctrl+c.
    return shutil.get_terminal_size().columns - 3
