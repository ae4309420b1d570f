"""Ends the engine process with complete logs, whatever provider code does."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Literal, NoReturn, Protocol

from convtui.engine.process.exit_report import describe_unforeseen
from convtui.engine.process.originals import Originals
from convtui.engine.process.pipe import FrameSender
from convtui.engine.process.pulse import Pulse
from convtui.errors import ConvtuiError
from convtui.log.syncing import SYNCER
from convtui.protocol import Kind

EXIT_WITHIN: Final = 2.0
"""Seconds that the process has to end after the screen is gone."""


class Conversations(Protocol):
    """What a process runs: one conversation or many."""

    @property
    def begun(self) -> bool:
        """Whether there is a conversation."""
        ...

    def interrupt(self, reason: str) -> None:
        """Ends all of them as `interrupted`; called on the event loop."""
        ...

    def force_close(
        self,
        reason: str,
        *,
        kind: Literal["interrupted", "failed"] = "interrupted",
        by: Literal["human", "provider"] = "human",
    ) -> None:
        """Closes the logs that are open, in any thread."""
        ...


class Shutdown:
    """Ends the run and the process, from any thread.

    `running` is set once it exists. `leave` ends the process at once, whatever provider code has
    made of `os._exit`.
    """

    def __init__(
        self,
        sender: FrameSender,
        originals: Originals,
        pulse: Pulse,
        leave: Callable[[int], NoReturn],
    ) -> None:
        self.running: Conversations | None = None
        self.reason = ""
        """Why the process is about to end; empty while it is not."""
        self._sender = sender
        self._originals = originals
        self._pulse = pulse
        self._leave = leave
        self._pid = os.getpid()

    def on_sigterm(self, number: int, frame: Any) -> None:
        """Ends the run with a whole log: who kills a process group kills the screen, too."""
        if os.getpid() != self._pid:
            # The signal is for a child that provider code has forked.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        reason = "the engine was told to end (SIGTERM)"
        threading.Thread(target=self.end, args=(reason,), daemon=True).start()

    def on_send_error(self, error: OSError) -> None:
        """Ends the run where provider code closed the pipe; a gone screen is noticed elsewhere."""
        if error.errno == errno.EBADF:
            self.give_up("provider code has closed the pipe to the screen")

    def end(self, reason: str) -> None:
        """Cancels the run, and ends the process with a whole log if that does not end it in time.

        Must not be called from the event loop's thread.
        """
        self.reason = self.reason or reason
        loop = self._pulse.loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._interrupt, self.reason)
        time.sleep(EXIT_WITHIN)
        if self.running is not None:
            # The loop is blocked in provider code.
            self.running.force_close(f"{self.reason} while provider code blocked the engine")
        SYNCER.flush()
        self._leave(0)

    def _interrupt(self, reason: str) -> None:
        if self.running is not None and self.running.begun:
            self.running.interrupt(reason)
        else:
            self._leave(0)

    def give_up(self, reason: str) -> None:
        """As `end()`, but at once: the event loop is known not to react."""
        if self.running is None or not self.running.begun:
            self.end(reason)
            return
        self.reason = self.reason or reason
        self._force_failed(reason)
        self._sender.close()
        SYNCER.flush()
        self._leave(0)

    def report_failure(self, error: BaseException) -> None:
        """Closes the log and tells the screen why the event loop cannot go on."""
        # First of all: until it has run, no function of Python is safe to call.
        reason = self._originals.explain_failure(error)
        if isinstance(error, ConvtuiError):
            # The log itself could not be written.
            self._sender.send(Kind.FAILED, error=describe_unforeseen(error))
            return
        self._force_failed(reason)
        self._sender.send(Kind.FAILED, error=describe_unforeseen(error) | {"message": reason})

    def _force_failed(self, reason: str) -> None:
        if self.running is not None:
            self.running.force_close(reason, kind="failed", by="provider")
