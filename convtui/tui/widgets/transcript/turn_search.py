"""Finds the turns that match, a slice at a time."""

from __future__ import annotations

import re
import time
from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence

from convtui.text.boundary import visible
from convtui.transcript.fold import Turn

Wanted = str | re.Pattern[str] | Callable[[Turn], bool]
"""A text (found whatever its case), a pattern, or what says yes to a turn."""


class TurnSearch:
    """The matches of one search, as turn indexes in order."""

    def __init__(self, wanted: Wanted, highlight: re.Pattern[str] | None = None) -> None:
        self.highlight: re.Pattern[str] | None = highlight
        """What to light up in the text; None when the turns were chosen otherwise."""
        self.matches: array[int] = array("l")
        self.position = 0
        """Turns looked at so far."""
        self._test: Callable[[Turn], object]
        if isinstance(wanted, str):
            self.highlight = re.compile(re.escape(visible(wanted, lines=False)), re.IGNORECASE)
            needle = wanted.lower()
            self._test = lambda turn: needle in turn.text.lower()
        elif isinstance(wanted, re.Pattern):
            self.highlight = wanted
            search = wanted.search
            self._test = lambda turn: search(turn.text)
        else:
            self._test = wanted

    def step(self, turns: Sequence[Turn], end: int, seconds: float) -> bool:
        """Looks on for about `seconds`; whether everything was looked at."""
        deadline = time.perf_counter() + seconds
        test, matches = self._test, self.matches
        while self.position < end:
            stop = min(self.position + 128, end)
            for index in range(self.position, stop):
                if test(turns[index]):
                    matches.append(index)
            self.position = stop
            if time.perf_counter() >= deadline:
                break
        return self.position >= end

    def again(self, turn: Turn, index: int) -> None:
        """Looks at a changed turn again."""
        if index >= self.position:
            return
        place = bisect_left(self.matches, index)
        known = place < len(self.matches) and self.matches[place] == index
        found = bool(self._test(turn))
        if found and not known:
            insort(self.matches, index)
        elif known and not found:
            self.matches.pop(place)

    def next(self, index: int, direction: int) -> int | None:
        """The nearest match after (or before) a turn, round the end; None without any."""
        if not self.matches:
            return None
        if direction >= 0:
            place = bisect_right(self.matches, index)
        else:
            place = bisect_left(self.matches, index) - 1
        return self.matches[place % len(self.matches)]

    def ordinal(self, index: int) -> int | None:
        """Which match a turn is, from 1; None when it is none."""
        place = bisect_left(self.matches, index)
        if place < len(self.matches) and self.matches[place] == index:
            return place + 1
        return None
