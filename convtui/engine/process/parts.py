"""What an engine process has, whatever it runs: its pipe, its captured output, the way it ends."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from convtui.engine.core.output import OutputCapture, ProcessStreams, StreamName
from convtui.engine.process.originals import Originals
from convtui.engine.process.pipe import FrameSender
from convtui.engine.process.pulse import Pulse
from convtui.engine.process.shutdown import Shutdown
from convtui.protocol import HEARTBEAT_EVERY, Kind
from convtui.secrets.redactor import Redactor


class ProcessParts:
    """The parts of an engine process.

    `capture` gets the output that belongs to no conversation in particular, which is sent to the
    screen and kept in `early` until somebody else takes it.
    """

    def __init__(self, frames_fd: int, leave: Callable[[int], NoReturn]) -> None:
        self.leave = leave
        self.redactor = Redactor.of_process()
        self.pulse = Pulse()
        self.sender = FrameSender(frames_fd, self.redactor)
        self.early: list[tuple[StreamName, str, int]] = []
        self.capture = OutputCapture(self._output, self.redactor)
        self.streams = ProcessStreams(self.capture)
        self.originals = Originals()
        self.shutdown = Shutdown(self.sender, self.originals, self.pulse, leave)
        self.sender.on_error = self.shutdown.on_send_error
        self.on_breakpoint: Callable[[str], None] = self._on_breakpoint

    def _output(self, stream: StreamName, text: str, dropped: int) -> None:
        self.early.append((stream, text, dropped))
        self.sender.send(Kind.OUTPUT, stream=stream, text=text)

    def _on_breakpoint(self, location: str) -> None:
        self.capture.take("stderr", f"breakpoint() at {location} was passed over\n")

    def breakpoint_hook(self, *_: Any, **__: Any) -> None:
        """Replaces `breakpoint()`, which has no terminal here."""
        frame = sys._getframe(1)
        self.on_breakpoint(f"{frame.f_code.co_filename}:{frame.f_lineno}")

    def on_fork(self, *private: int) -> None:
        """Lets go of the engine's resources in a child that provider code has forked.

        The child ends when its code returns to the event loop. `private` are the engine's
        descriptors, which the child must not keep open.
        """
        faulthandler.disable()
        self.sender.forget()
        self.streams.forget()
        for fd in private:
            with contextlib.suppress(OSError):
                os.close(fd)
        if self.pulse.loop is not None:
            self.pulse.loop.call_soon(self.leave, 0)

    def start_beating(self, beat: Callable[[], None]) -> None:
        """Calls `beat`, which sends a heartbeat, from now on while the event loop is alive.

        Not a task: provider code may cancel all tasks.
        """
        loop = self.pulse.loop = asyncio.get_running_loop()

        def again() -> None:
            self.pulse.beat()
            beat()
            loop.call_later(HEARTBEAT_EVERY, again)

        again()
