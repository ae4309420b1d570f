"""Work for helper processes to do, in a module that is imported in no time."""

from __future__ import annotations

import os
import signal


def squared(number: int) -> tuple[int, int]:
    """The square, and the process that found it."""
    print("printed where nobody reads it")
    return number * number, os.getpid()


def squared_by_survivors(started_by: int, number: int) -> int:
    """The square; a helper that is asked for that of an odd number is killed."""
    if number % 2 and os.getpid() != started_by:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def divided_by_zero(number: int) -> float:
    return number / 0
