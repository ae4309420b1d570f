"""Frames on their way from a thread to the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable

from convtui.protocol import Kind

_SLICE = 0.005


class Inbox:
    """Takes frames on the event loop, in slices of a few milliseconds.

    `take` is called with each frame, `taken` after each slice.
    """

    def __init__(
        self, take: Callable[[Kind, bytes], None], taken: Callable[[], None] = lambda: None
    ) -> None:
        self._take = take
        self._taken = taken
        self._frames: deque[tuple[Kind, bytes]] = deque()
        self._scheduled = False
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context = contextvars.Context()
        self._is_open = False

    def attach(self) -> None:
        """Frames are for the running loop and the present context.

        A thread that puts frames has a context of its own, without the app that they are for.
        """
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()

    def open(self) -> None:
        """Takes what is there and what comes."""
        self._is_open = True
        if self._frames:
            self._wake()

    def put(self, kind: Kind, body: bytes) -> None:
        """Adds a frame; from any thread."""
        self._frames.append((kind, body))
        self._wake()

    def take_all(self) -> None:
        """Takes everything that is there now, without a pause."""
        while self._frames:
            self._take(*self._frames.popleft())

    def _wake(self) -> None:
        with self._lock:
            if self._scheduled or not self._is_open:
                return
            self._scheduled = True
        self.call(self._drain)

    def call(self, callback: Callable[..., None], *arguments: object) -> None:
        """Calls back where frames are taken, also when none comes any more; from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(callback, *arguments, context=self._context)

    def _drain(self) -> None:
        with self._lock:
            self._scheduled = False
        deadline = time.perf_counter() + _SLICE
        while self._frames:
            self._take(*self._frames.popleft())
            if time.perf_counter() > deadline and self._frames:
                assert self._loop is not None
                with self._lock:
                    self._scheduled = True
                self._loop.call_later(0.001, self._drain)
                break
        self._taken()
