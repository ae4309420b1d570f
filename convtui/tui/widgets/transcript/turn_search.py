"""Searches turns in slices."""

from __future__ import annotations

import re
import time
from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence

from convtui.text.boundary import visible
from convtui.transcript.fold import Turn

Query = str | re.Pattern[str] | Callable[[Turn], bool]
"""A text (matched case-insensitively), a pattern, or a predicate."""


class TurnSearch:
    """The matches of one search, as turn indexes in order."""

    def __init__(self, query: Query, highlight: re.Pattern[str] | None = None) -> None:
        self.highlight: re.Pattern[str] | None = highlight
        """The pattern to highlight in the text, if any."""
        self.matches: array[int] = array("l")
        self.position = 0
        """The number of turns searched so far."""
        self._test: Callable[[Turn], object]
        if isinstance(query, str):
            self.highlight = re.compile(re.escape(visible(query, lines=False)), re.IGNORECASE)
            needle = query.lower()
            self._test = lambda turn: needle in turn.text.lower()
        elif isinstance(query, re.Pattern):
            self.highlight = query
            search = query.search
            self._test = lambda turn: search(turn.text)
        else:
            self._test = query

    def step(self, turns: Sequence[Turn], end: int, seconds: float) -> bool:
        """Searches for about `seconds`; True once every turn has been searched."""
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

    def retest(self, turn: Turn, index: int) -> None:
        """Tests a changed turn again."""
        if index >= self.position:
            return
        position = bisect_left(self.matches, index)
        was_match = position < len(self.matches) and self.matches[position] == index
        is_match = bool(self._test(turn))
        if is_match and not was_match:
            insort(self.matches, index)
        elif was_match and not is_match:
            self.matches.pop(position)

    def next(self, index: int, direction: int) -> int | None:
        """The nearest match after (or before) a turn, wrapping around; None without matches."""
        if not self.matches:
            return None
        if direction >= 0:
            position = bisect_right(self.matches, index)
        else:
            position = bisect_left(self.matches, index) - 1
        return self.matches[position % len(self.matches)]

    def ordinal(self, index: int) -> int | None:
        """The number of a matching turn among the matches, from 1; None for other turns."""
        position = bisect_left(self.matches, index)
        if position < len(self.matches) and self.matches[position] == index:
            return position + 1
        return None
