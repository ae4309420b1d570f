"""Leaves the app in order when it is killed from outside or its terminal is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from textual.app import App

_HANGUP: Final = 128 + 1
"""The exit code of a program that SIGHUP ended."""
_EVERY: Final = 0.5
"""Seconds between two looks at the terminal."""


def leave_when_ended(app: App[Any]) -> None:
    """Has the app exit at SIGTERM, at SIGHUP, and when its terminal is gone.

    The kernel sends SIGHUP to the leader of a terminal's session, and that may be a program
    which does not pass it on. Textual does not notice: it reads nothing, again and again.
    """
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None:
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, app.exit, 128 + number)
    gone = _hangup_check()
    if gone is not None:
        app.set_interval(_EVERY, lambda: app.exit(_HANGUP) if gone() else None)


def _hangup_check() -> Callable[[], bool] | None:
    """Tells whether the terminal is gone; None where there was none, or nobody can tell."""
    try:
        terminal = sys.__stdin__.fileno() if sys.__stdin__ is not None else -1
        if not os.isatty(terminal) or not hasattr(select, "poll"):
            return None
    except (OSError, ValueError):
        return None
    poll = select.poll()
    poll.register(terminal, select.POLLHUP)
    return lambda: bool(poll.poll(0))
