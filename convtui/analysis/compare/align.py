"""Which turn of one conversation stands beside which of another.

Equal beginnings and ends are taken as they are. What lies between is aligned by speaker and words:
short stretches by looking at every pair, long ones between texts that occur once in both, and near
the diagonal. So it takes time linear in the number of turns (times the width of the band).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Protocol


class Spoken(Protocol):
    """What is aligned."""

    @property
    def speaker(self) -> str:
        """Who speaks: turns of different speakers never stand side by side."""

    @property
    def text(self) -> str:
        """What is said."""


Places = list[tuple[int | None, int | None]]
"""Indexes into both, in order; None where one has nothing beside what the other has."""

_ALL_PAIRS: Final = 4096
"""Pairs of a stretch that are looked at without a band."""
BAND: Final = 10
"""Turns to each side of the diagonal that are looked at in a longer one."""
_ANCHOR: Final = 12
"""Characters of a text that is told apart from any other by itself."""
_READ: Final = 2_000
"""Characters of a text that are looked at for its words."""
_SIDE_BY_SIDE: Final = 0.2
"""What two turns of one speaker are worth side by side, whatever they say: that is better than
leaving both alone."""
_WORDS: Final = re.compile(r"\w+")


def align(a: Sequence[Spoken], b: Sequence[Spoken]) -> Places:
    """The two sequences side by side: every index of both occurs once, in order."""
    head = 0
    while head < min(len(a), len(b)) and _same(a[head], b[head]):
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and _same(a[-1 - tail], b[-1 - tail]):
        tail += 1
    places: Places = [(index, index) for index in range(head)]
    end_a, end_b = len(a) - tail, len(b) - tail
    for low_a, high_a, low_b, high_b in _stretches(a, b, (head, end_a), (head, end_b)):
        places += _stretch(a, b, (low_a, high_a), (low_b, high_b))
        if high_a < end_a and high_b < end_b:
            places.append((high_a, high_b))
    places += [(end_a + index, end_b + index) for index in range(tail)]
    return places


def _same(one: Spoken, other: Spoken) -> bool:
    return one.speaker == other.speaker and one.text == other.text


def _stretches(
    a: Sequence[Spoken], b: Sequence[Spoken], of_a: tuple[int, int], of_b: tuple[int, int]
) -> Iterator[tuple[int, int, int, int]]:
    """What lies between the anchors; each stretch but the last ends at one."""
    low_a, low_b = of_a[0], of_b[0]
    if (of_a[1] - low_a) * (of_b[1] - low_b) > _ALL_PAIRS:
        for anchor_a, anchor_b in _anchors(a, b, of_a, of_b):
            yield low_a, anchor_a, low_b, anchor_b
            low_a, low_b = anchor_a + 1, anchor_b + 1
    yield low_a, of_a[1], low_b, of_b[1]


def _anchors(
    a: Sequence[Spoken], b: Sequence[Spoken], of_a: tuple[int, int], of_b: tuple[int, int]
) -> list[tuple[int, int]]:
    """Turns that occur once in both, in an order that is the same in both."""

    def once(spoken: Sequence[Spoken], low: int, high: int) -> dict[tuple[str, str], int]:
        keys = [(spoken[i].speaker, spoken[i].text) for i in range(low, high)]
        count = Counter(keys)
        return {
            key: place
            for place, key in enumerate(keys, low)
            if count[key] == 1 and len(key[1]) >= _ANCHOR
        }

    there = once(b, *of_b)
    pairs = [(i, there[key]) for key, i in once(a, *of_a).items() if key in there]
    # The longest run of them that rises in both.
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for number, (_, place) in enumerate(pairs):
        at = bisect_left(ends, place)
        before.append(last[at - 1] if at else -1)
        if at == len(ends):
            ends.append(place)
            last.append(number)
        else:
            ends[at], last[at] = place, number
    found: list[tuple[int, int]] = []
    number = last[-1] if last else -1
    while number >= 0:
        found.append(pairs[number])
        number = before[number]
    return found[::-1]


def _stretch(
    a: Sequence[Spoken], b: Sequence[Spoken], of_a: tuple[int, int], of_b: tuple[int, int]
) -> Places:
    """Aligns a stretch: as much as possible side by side, the more alike the better."""
    (low_a, high_a), (low_b, high_b) = of_a, of_b
    rows, columns = high_a - low_a, high_b - low_b
    if not rows or not columns:
        return [(i, None) for i in range(low_a, high_a)] + [(None, j) for j in range(low_b, high_b)]
    words_a = [_words(a[i].text) for i in range(low_a, high_a)]
    words_b = [_words(b[j].text) for j in range(low_b, high_b)]
    wide = rows * columns <= _ALL_PAIRS
    # best[i][j] is the worth of what lies before row i and column j, from column first[i] on.
    first: list[int] = []
    best: list[list[float]] = []
    for row in range(rows + 1):
        middle = row * columns // rows
        low = 0 if wide else max(0, middle - BAND)
        step = columns // rows + 1
        high = columns if wide else min(columns, middle + BAND + step)
        first.append(low)
        line: list[float] = []
        above = best[row - 1] if row else []
        above_first = first[row - 1] if row else 0
        for column in range(low, high + 1):
            worth = 0.0 if not row and not column else -1.0
            place = column - above_first
            if row and 0 <= place < len(above):
                worth = max(worth, above[place])
            if column > low:
                worth = max(worth, line[-1])
            if row and column and 0 <= place - 1 < len(above):
                one, other = a[low_a + row - 1], b[low_b + column - 1]
                if one.speaker == other.speaker:
                    alike = _alike(one.text, other.text, words_a[row - 1], words_b[column - 1])
                    worth = max(worth, above[place - 1] + _SIDE_BY_SIDE + alike)
            line.append(worth)
        best.append(line)
    return _back(best, first, low_a, low_b)


def _back(best: list[list[float]], first: list[int], low_a: int, low_b: int) -> Places:
    """The way back through the table; of equal ways the one that leaves out late turns."""
    row, column = len(best) - 1, first[-1] + len(best[-1]) - 1
    found: Places = []
    while row or column:
        worth = best[row][column - first[row]]
        left = column - 1 - first[row]
        if left >= 0 and best[row][left] == worth:
            column -= 1
            found.append((None, low_b + column))
            continue
        up = column - first[row - 1] if row else -1
        if row and 0 <= up < len(best[row - 1]) and best[row - 1][up] == worth:
            row -= 1
            found.append((low_a + row, None))
            continue
        row, column = row - 1, column - 1
        found.append((low_a + row, low_b + column))
    return found[::-1]


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORDS.findall(text[:_READ].lower()))


def _alike(
    one: str, other: str, words_of_one: frozenset[str], words_of_other: frozenset[str]
) -> float:
    """How much of their words two texts have in common: 0 to 1."""
    if one == other:
        return 1.0
    common = len(words_of_one & words_of_other)
    if not common:
        return 0.0
    return 0.9 * common / (len(words_of_one) + len(words_of_other) - common)
