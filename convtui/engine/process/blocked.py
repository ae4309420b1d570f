"""Notices code that does not give the event loop back, and names it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from convtui.engine.process.attribution import running_in
from convtui.engine.process.hosted import Hosted
from convtui.engine.process.pulse import Pulse
from convtui.protocol import SILENT_AFTER

_LOOK_EVERY: Final = 0.25
"""Seconds between two looks at the pulse."""


class BlockedWatch:
    """Looks at the event loop's pulse in a thread of its own.

    `blocks(hosted, seconds, where)` is called in that thread about once a second while the loop is
    silent, and once with 0 seconds when it is not any more. `thread` is the loop's.
    """

    def __init__(
        self, pulse: Pulse, thread: int, blocks: Callable[[Hosted | None, float, str], None]
    ) -> None:
        self._pulse = pulse
        self._thread = thread
        self._blocks = blocks
        self._told: tuple[Hosted | None, str] | None = None
        self._told_at = 0.0
        self._ended = threading.Event()

    def start(self) -> None:
        """Starts looking."""
        threading.Thread(target=self._run, name="convtui-blocked", daemon=True).start()

    def stop(self) -> None:
        """Looks no more."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_EVERY):
            self.look()

    def look(self) -> None:
        """Looks once."""
        seconds = self._pulse.silence
        if seconds <= SILENT_AFTER:
            if self._told is not None:
                told, self._told = self._told, None
                self._blocks(told[0], 0.0, told[1])
            return
        owner, where = running_in(self._thread)
        if not self._pulse.silent:
            return
        before = self._told
        if before is not None and before[0] is not owner:
            self._blocks(before[0], 0.0, before[1])
        elif before is not None and seconds - self._told_at < SILENT_AFTER:
            return
        self._told, self._told_at = (owner, where), seconds
        self._blocks(owner, round(seconds, 1), where)
