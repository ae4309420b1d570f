"""Which sentence is shown when: each once, long enough to be read, in the first runs."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from convtui.tui.hints.table import HELD, MOMENTS, OF_A_TURN, SEEN, Moment

FIRST_RUNS = 3
"""Runs that are explained; the demo always is, as far as it was not yet."""
READ = 4.0
"""Seconds that a sentence stays at least."""
GONE = 14.0
"""Seconds after which a sentence is gone, unless its hold is still there."""
STALE = 15.0
"""Seconds after which a moment that had to wait is not explained any more, until it comes again."""
LAST = "ended"
"""The moment after which nothing happens: its sentence stays."""


@dataclass(slots=True)
class Guide:
    """What has been explained, and what is being explained now."""

    seen: set[Moment] = field(default_factory=set)
    """Moments that were explained, in this run or an earlier one."""
    runs: int = 0
    """Runs that were explained, with this one."""
    off: bool = False
    shown: Moment | None = None
    _idle: bool = False
    """Whether this run is not explained, as it is none of the first."""
    _since: float = 0.0
    _waiting: dict[Moment, float] = field(default_factory=dict)
    """What happened while something else was shown, and when."""

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Guide:
        """The guide as it was left; off where the state says nothing that makes sense."""
        if state.get("hinted"):
            return cls(off=True)
        saved = state.get("hints")
        if not isinstance(saved, dict):
            return cls()
        seen, runs = saved.get("seen"), saved.get("runs")
        return cls(
            seen={str(name) for name in seen} & set(MOMENTS) if isinstance(seen, list) else set(),
            runs=runs if isinstance(runs, int) else 0,
            off=bool(saved.get("off")),
        )

    def state(self) -> dict[str, Any]:
        return {"seen": sorted(self.seen), "runs": self.runs, "off": self.off}

    def begin(self, *, demo: bool) -> None:
        """A run begins; after the first runs only the demo is explained."""
        self.runs += 1
        self._idle = self.runs > FIRST_RUNS and not demo

    @property
    def on(self) -> bool:
        """Whether this run is explained."""
        return not (self.off or self._idle)

    def toggle(self) -> None:
        """Switches it off, or on again from the beginning."""
        self.off, self._idle = self.on, False
        self.shown, self._waiting = None, {}
        if self.on:
            self.seen.clear()

    def look(
        self,
        now: float,
        hold: Moment | None,
        happened: Collection[Moment],
        near: Collection[Moment] | None = None,
    ) -> bool:
        """Decides what is shown; whether that is something else than before.

        `near` is what the turns at a hold show: no sentence there is about an earlier one.
        """
        before = self.shown
        if self.on:
            if near is not None:
                self._forget(OF_A_TURN.difference(near), now)
            # What a run does is no news while it is held.
            self._queue(now, set(happened) - {"streaming"} if hold else happened)
            self._decide(now, hold)
        return self.shown != before

    def _forget(self, far: Collection[Moment], now: float) -> None:
        """Explains nothing of `far`, until it comes again; what was read is not explained again."""
        self._waiting = {name: at for name, at in self._waiting.items() if name not in far}
        if self.shown in far:
            if now - self._since >= READ:
                self._finish()
            self.shown = None

    def _queue(self, now: float, happened: Collection[Moment]) -> None:
        waiting = {name: at for name, at in self._waiting.items() if now - at < STALE}
        waiting |= {name: now for name in happened if name not in self.seen}
        waiting.pop(self.shown or "", None)
        self._waiting = waiting

    def _decide(self, now: float, hold: Moment | None) -> None:
        age = now - self._since
        if self.shown in HELD and self.shown != hold:
            self._finish()
        if hold is not None and hold != self.shown and hold not in self.seen:
            if self.shown is not None and age < READ:
                # It was hardly read: it comes back.
                self._waiting |= {self.shown: now} if self.shown in SEEN else {}
                self.shown = None
            self._show(hold, now)
        elif self.shown in SEEN and age >= self._time():
            self._finish()
        if self.shown is None and self._waiting:
            rarest = next(name for name in SEEN if name in self._waiting)
            del self._waiting[rarest]
            self._show(rarest, now)

    def _time(self) -> float:
        """Seconds that what is shown stays."""
        if self._waiting:
            return READ
        return math.inf if self.shown == LAST else GONE

    def _show(self, moment: Moment, now: float) -> None:
        self._finish()
        self.shown, self._since = moment, now

    def _finish(self) -> None:
        if self.shown is not None:
            self.seen.add(self.shown)
            self.shown = None
