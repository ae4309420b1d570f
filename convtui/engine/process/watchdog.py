"""A forked child that kills the engine when the screen is gone and the engine does not notice.

Code that never gives the interpreter back (a runaway regular expression, a loop in native code)
also blocks the thread that watches for the screen.
"""

from __future__ import annotations

import os
import signal
import sys
import time

_CHECK_EVERY = 1.0
"""Seconds between two checks that the engine is still running."""


def start_watchdog(commands_fd: int, grace: float) -> None:
    """Forks the watchdog; does nothing where there is no fork.

    `commands_fd` is the read end of the screen's pipe, which hangs up when the screen is gone;
    `grace` (seconds) is how long the engine may take to end by itself then. Call it before the
    first thread is started.
    """
    if sys.platform == "win32" or not hasattr(os, "fork"):
        return
    engine = os.getpid()
    if os.fork():
        return
    try:
        _watch(engine, commands_fd, grace)
    finally:
        os._exit(0)


def _watch(engine: int, commands_fd: int, grace: float) -> None:
    import select

    lifeline = os.dup(commands_fd)
    # Every other descriptor must close when the engine closes it.
    os.closerange(0, lifeline)
    os.closerange(lifeline + 1, lifeline + 256)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    poll = select.poll()
    poll.register(lifeline, 0)
    while os.getppid() == engine:
        if poll.poll(_CHECK_EVERY * 1000):
            time.sleep(grace)
            if os.getppid() == engine:
                os.killpg(os.getpgrp(), signal.SIGKILL)
            return
