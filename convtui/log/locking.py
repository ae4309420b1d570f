"""A lock file that one process holds: other processes see whether it is held.

It is what `filelock.FileLock` does with `flock`, without the bookkeeping that makes that one cost
more than all else of opening a log; where there is no `flock`, it is `filelock`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import FileLock


class ProcessLock:
    """An exclusive lock on a file, which is created with mode 0600. Not reentrant."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._other: FileLock | None = None

    def acquire(self) -> bool:
        """Takes the lock; returns whether it was free. Raises OSError."""
        if sys.platform == "win32":
            from filelock import FileLock, Timeout

            self._other = FileLock(str(self._path), timeout=0, mode=0o600)
            try:
                self._other.acquire()
            except Timeout:
                return False
            return True
        import fcntl

        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return True

    def release(self) -> None:
        """Gives the lock back; does nothing without it. The file stays."""
        if self._other is not None:
            with contextlib.suppress(OSError):
                self._other.release()
        self.forget_in_child()

    def forget_in_child(self) -> None:
        """Closes the file, as a forked child has to: it would keep the lock."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)
