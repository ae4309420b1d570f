"""The event loop of whatever runs conversations: its timers are due when they are due.

An epoll waits in whole milliseconds and rounds up, so that a timer of one millisecond that is
waited for after some work comes late by as much as that work took.
"""

from __future__ import annotations

import asyncio
import select
import selectors
import sys

_SHORT = 0.02
"""Seconds of a wait below which a millisecond more or less matters."""

if sys.platform == "linux":

    class PunctualSelector(selectors.EpollSelector):
        """An epoll selector that waits for the time it is given, to the microsecond."""

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            """The ready files, after at most `timeout` seconds."""
            if timeout is not None and 0 < timeout < _SHORT:
                try:
                    # An epoll is itself a file, which is ready when one of its files is.
                    ready, _, _ = select.select((self.fileno(),), (), (), timeout)
                except (OSError, ValueError):
                    pass  # a number above those that select() knows
                else:
                    if not ready:
                        return []
                    timeout = 0
            return super().select(timeout)

    def new_event_loop() -> asyncio.AbstractEventLoop:
        """A new event loop, for `asyncio.Runner` or to be run as it is."""
        return asyncio.SelectorEventLoop(PunctualSelector())

else:
    # Others wait to the microsecond by themselves, or have no other way to wait.
    new_event_loop = asyncio.new_event_loop
