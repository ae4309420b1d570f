"""Counts over all conversations of a batch, kept while rows change; rates and the time left."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Final

from convtui.tui.screens.fleet.view import FleetRow

_WINDOW: Final = 10.0
"""Seconds over which rates are taken."""
_KNOWN_FROM: Final = 3
"""Conversations that have to be over before the time left is said."""


_NOTHING: Final = (0, 0, 0.0)
"""Turns, tokens and cost of a row that was not counted yet."""


class Tally:
    """Conversations by state, endings by kind, sums over all attempts."""

    def __init__(self, rows: Sequence[FleetRow], now: float) -> None:
        self._rows = rows
        self._last: dict[int, int] = {}
        """The latest attempt by the index of the first."""
        self._states: dict[int, tuple[str, str, int]] = {}
        self._parts: dict[int, tuple[int, int, float]] = {}
        """Turns, tokens and cost of each row, as they are counted."""
        self.states: Counter[str] = Counter()
        self.endings: Counter[str] = Counter()
        self.total = 0
        """Conversations."""
        self.turns = 0
        self.tokens = 0
        self.cost = 0.0
        self._turns_of_done = 0
        self._turns_of_running = 0
        self._samples: deque[tuple[float, int, int]] = deque()
        self.update(range(len(rows)), now)

    @property
    def done(self) -> int:
        return self.states["over"] + self.states["crashed"]

    @property
    def running(self) -> int:
        return self.states["running"] + self.states["starting"]

    def update(self, changed: Iterable[int], now: float) -> None:
        """Takes changed and new rows in."""
        rows, parts, last = self._rows, self._parts, self._last
        for index in changed:
            row = rows[index]
            part = (row.turns, row.tokens or 0, row.cost or 0.0)
            turns, tokens, cost = parts.get(index, _NOTHING)
            if part != (turns, tokens, cost):
                parts[index] = part
                self.turns += part[0] - turns
                self.tokens += part[1] - tokens
                self.cost += part[2] - cost
            if last.get(row.first, -1) <= index:
                last[row.first] = index
                self._count(row)
        self._samples.append((now, self.turns, self.tokens))
        while len(self._samples) > 2 and self._samples[1][0] <= now - _WINDOW:
            self._samples.popleft()

    def _count(self, row: FleetRow) -> None:
        old = self._states.get(row.first)
        new = (row.state, row.kind, row.turns)
        if old == new:
            return
        self._states[row.first] = new
        if old is None:
            self.total += 1
        else:
            self._add(*old, by=-1)
        self._add(*new, by=1)

    def _add(self, state: str, kind: str, turns: int, *, by: int) -> None:
        self.states[state] += by
        if kind:
            self.endings[kind] += by
            self._turns_of_done += by * turns
        elif state in ("running", "starting"):
            self._turns_of_running += by * turns

    def rates(self, now: float) -> tuple[float, float]:
        """Turns and tokens a second, lately."""
        if not self._samples:
            return 0.0, 0.0
        begun, turns, tokens = self._samples[0]
        seconds = now - begun
        if seconds < 0.2:
            return 0.0, 0.0
        # One that is gone back in has fewer than before.
        return max(0, self.turns - turns) / seconds, max(0, self.tokens - tokens) / seconds

    def left(self, now: float) -> float | None:
        """Seconds until all are over that are not held; None while nothing is known."""
        open_ = self.running + self.states["waiting"]
        speed, _ = self.rates(now)
        if self.done < _KNOWN_FROM or not open_ or speed <= 0:
            return None
        mean = self._turns_of_done / self.done
        turns = max(mean * open_ - self._turns_of_running, 0.1 * mean * open_)
        return turns / speed if turns > 0 else None
