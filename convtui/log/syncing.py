"""Calls fsync for all logs that this process writes, in one thread, off everybody's way."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from typing import Protocol

SYNC_EVERY = 1.0
"""Minimum seconds between two fsyncs of a file."""


class Syncable(Protocol):
    """A file that is written to."""

    def sync(self) -> None:
        """Calls fsync, unless it is closed."""
        ...


class Syncer:
    """Syncs what has been written about once a second, and files that are closed at once.

    Thread-safe; the thread starts with the first file. What is left when the process ends is synced
    then.
    """

    def __init__(self) -> None:
        self._dirty: set[Syncable] = set()
        self._closing: list[int] = []
        self._busy = False
        self._started = False
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)

    def wrote(self, file: Syncable) -> None:
        """Has a file synced within about a second."""
        with self._lock:
            self._dirty.add(file)
            if len(self._dirty) == 1:
                self._start()

    def close(self, fd: int) -> None:
        """Syncs a descriptor and closes it."""
        with self._lock:
            self._closing.append(fd)
            self._start()

    def flush(self, timeout: float = 2.0) -> None:
        """Syncs everything now, and waits for it at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._lock:
            left, self._dirty = self._dirty, set()
        for file in left:
            file.sync()
        with self._lock:
            while (self._closing or self._busy) and time.monotonic() < deadline:
                self._wake.wait(0.05)

    def _start(self) -> None:
        if not self._started:
            self._started = True
            threading.Thread(target=self._run, name="convtui-fsync", daemon=True).start()
            atexit.register(self.flush)
        self._wake.notify_all()

    def _run(self) -> None:
        next_round = 0.0
        while True:
            with self._lock:
                self._busy = False
                self._wake.notify_all()
                while not self._closing:
                    now = time.monotonic()
                    if self._dirty and now >= next_round:
                        break
                    self._wake.wait(next_round - now if self._dirty else None)
                self._busy = True
                closing, self._closing = self._closing, []
                dirty: set[Syncable] = set()
                if time.monotonic() >= next_round:
                    dirty, self._dirty = self._dirty, set()
                    next_round = time.monotonic() + SYNC_EVERY
            for fd in closing:
                with contextlib.suppress(OSError):
                    os.fsync(fd)
                with contextlib.suppress(OSError):
                    os.close(fd)
            for file in dirty:
                file.sync()

    def forget(self) -> None:
        """In a forked child: the files are those of its parent, and the thread is not there.

        Takes no lock: a thread that the child does not have may hold it.
        """
        self._dirty, self._closing, self._started = set(), [], False
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)


SYNCER = Syncer()
"""That of this process."""
