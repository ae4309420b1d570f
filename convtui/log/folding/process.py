"""The handle on the process that folds a log."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections import deque
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from convtui.log.folding.child import FRAME, GREETING

if TYPE_CHECKING:
    import asyncio

_PIPE: Final = 1 << 20
"""Bytes that are on the way at most; a step has half of them."""


class FoldProcess:
    """Folds a log, or remembers what came of it in a folder, while this process does other things.

    It may be started before there is an event loop; the steps wait. Raises OSError.
    """

    def __init__(self, log: Path, folder: Path | None) -> None:
        package_home = str(Path(__file__).resolve().parents[3])
        boot = (
            f"import sys; sys.path.extend([{package_home!r}]);"
            " from convtui.log.folding.child import main; main()"
        )
        self._process = subprocess.Popen(
            # -P: nothing in the current folder may shadow a module.
            [sys.executable, "-P", "-c", boot, str(log.absolute()), str(folder or "")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        _widen(cast(BinaryIO, self._process.stdout))
        self.identity: tuple[int, int] | None = None
        """Device and number of the file that it reads, once it has said so."""
        self.pid = self._process.pid
        self.returned: int | None = None
        """Its exit status, once it has ended."""
        self._steps: deque[bytes] = deque()
        self._ended = False
        self._changed: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, name="convtui-fold", daemon=True)
        self._thread.start()

    async def steps(self) -> AsyncGenerator[bytes]:
        """The steps, until the log was read to its end or the process has ended."""
        # Not before the process was started, which needs as long to start as this to be imported.
        import asyncio

        changed = asyncio.Event()
        with self._lock:
            self._changed = (asyncio.get_running_loop(), changed)
        while True:
            while self._steps:
                yield self._steps.popleft()
            if self._ended and not self._steps:
                return
            await changed.wait()
            changed.clear()

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        stdin = self._process.stdin
        if stdin is not None:
            with contextlib.suppress(OSError):
                stdin.close()

    def _read(self) -> None:
        stream = cast(BinaryIO, self._process.stdout)
        with contextlib.suppress(OSError, ValueError), stream:
            greeting = _frame(stream)
            if greeting is not None and len(greeting) == GREETING.size:
                self.identity = GREETING.unpack(greeting)
                while (step := _frame(stream)) is not None:
                    self._steps.append(step)
                    self._notify()
        self._ended = True
        self._notify()
        self.returned = self._process.wait()

    def _notify(self) -> None:
        with self._lock:
            if self._changed is not None:
                loop, changed = self._changed
                with contextlib.suppress(RuntimeError):  # the loop was closed
                    loop.call_soon_threadsafe(changed.set)


def _widen(pipe: BinaryIO) -> None:
    """Lets a pipe hold a whole step, where that is possible.

    The thread that reads it waits for the others each time that it has to read.
    """
    if sys.platform == "linux":
        import fcntl

        # There is a limit to what the pipes of a user may hold.
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)


def _frame(stream: BinaryIO) -> bytes | None:
    """The next frame; None at the end, or where one is cut off."""
    head = stream.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    (size,) = FRAME.unpack(head)
    body = stream.read(size)
    return body if len(body) == size else None
