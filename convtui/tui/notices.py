"""The notices of a session: the one that is shown, and the log of all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

KEPT = 500
"""Notices in the log."""
_READING = 0.06
"""Seconds that a character of a notice takes to read."""


@dataclass(slots=True)
class Notice:
    """What the program said; `text` may have several lines."""

    text: str
    severity: str
    at: datetime
    until: float
    """Until when it is shown, by the clock of `Notices`."""
    count: int = 1
    """How often it was said while it was shown."""


class Notices:
    """Newest wins; one that is said again while it is shown is counted."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self.log: deque[Notice] = deque(maxlen=KEPT)
        self._dismissed = False

    def add(self, text: str, severity: str, timeout: float) -> Notice:
        """Records a notice and shows it for `timeout` seconds, or longer if it takes longer to
        read."""
        until = self._clock() + max(timeout, 2 + _READING * len(text))
        current = self.current
        self._dismissed = False
        if current is not None and (current.text, current.severity) == (text, severity):
            current.count += 1
            current.until = until
            return current
        notice = Notice(text, severity, datetime.now().astimezone(), until)
        self.log.append(notice)
        return notice

    @property
    def current(self) -> Notice | None:
        """The notice to show now."""
        latest = self.log[-1] if self.log and not self._dismissed else None
        return latest if latest is not None and latest.until > self._clock() else None

    @property
    def time_left(self) -> float:
        """Seconds until the current notice goes; 0 without one."""
        current = self.current
        return 0.0 if current is None else current.until - self._clock()

    def dismiss(self) -> None:
        """Shows no notice any more; the log keeps it."""
        self._dismissed = True
