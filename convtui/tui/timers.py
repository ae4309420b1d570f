"""Timers that go off once, and always do."""

from __future__ import annotations

from collections.abc import Callable

from textual.message_pump import MessagePump
from textual.timer import Timer


def call_once(pump: MessagePump, delay: float, callback: Callable[[], object]) -> Timer:
    """Calls back after `delay` seconds, however busy the machine is.

    Textual's timers leave out the ticks that they are late for. A timer with one tick that is held
    up for longer than its delay, by another thread or another process, would never go off.
    """
    timer = pump.set_timer(delay, callback)
    timer._skip = False  # its task has not run yet
    return timer
