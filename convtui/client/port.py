"""How frames travel to an engine process and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from convtui.protocol import Kind


class WorkerPort(Protocol):
    """A way to one engine process, wherever that runs.

    The callbacks are set before `open()`. They may be called from any thread.
    """

    pid: int | None
    """The process, once it runs, if it is on this machine."""
    on_frame: Callable[[Kind, bytes], None]
    """Called with each frame that comes, in order."""
    on_error_line: Callable[[str], None]
    """Called with each line that the process writes on standard error: reports of crashes."""
    on_end: Callable[[int | None], None]
    """Called once, after the last frame, with the exit status of the process, if that is known."""

    async def open(self) -> None:
        """Starts the process. Raises `EngineError`."""

    def send(self, frame: bytes) -> None:
        """Sends a frame, without waiting; dropped when the process has gone."""

    async def close(self) -> None:
        """Has the process close its logs and end; returns after `on_end()` was called."""

    def kill(self) -> None:
        """Kills the process and everything it started."""
