"""Timers that fire once, reliably."""

from __future__ import annotations

from collections.abc import Callable

from textual.message_pump import MessagePump
from textual.timer import Timer


def call_once(pump: MessagePump, delay: float, callback: Callable[[], object]) -> Timer:
    """Calls back after `delay` seconds, however busy the machine is.

    Textual's timers skip ticks that they are late for, so a one-shot timer that another thread or
    process delays for longer than its interval would never fire.
    """
    timer = pump.set_timer(delay, callback)
    timer._skip = False  # its task has not run yet
    return timer
