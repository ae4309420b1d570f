"""Aligns the turns of two conversations.

Equal beginnings and ends are paired as they are. What lies between is aligned by speaker and words:
short stretches by dynamic programming over all pairs, long ones between anchors, which are texts
that occur once in both, and within a band around the diagonal. So the time is linear in the number
of turns, times the width of the band.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Protocol


class Spoken(Protocol):
    """A turn to align; turns of different speakers are never paired."""

    @property
    def speaker(self) -> str: ...

    @property
    def text(self) -> str: ...


Alignment = list[tuple[int | None, int | None]]
"""Pairs of indexes into both, in order; None where a turn has no counterpart."""

_ALL_PAIRS: Final = 4096
"""Pairs up to which a stretch is aligned without a band."""
BAND: Final = 10
"""Turns on each side of the diagonal that are considered in a longer stretch."""
_ANCHOR: Final = 12
"""Characters that the text of an anchor has at least."""
_READ: Final = 2_000
"""Characters of a text from which its words are taken."""
_SIDE_BY_SIDE: Final = 0.2
"""The score of pairing two turns of one speaker regardless of text: better than leaving both
alone."""
_WORDS: Final = re.compile(r"\w+")


def align(a: Sequence[Spoken], b: Sequence[Spoken]) -> Alignment:
    """Aligns two sequences: every index of both occurs exactly once, in order."""
    head = 0
    while head < min(len(a), len(b)) and _same(a[head], b[head]):
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and _same(a[-1 - tail], b[-1 - tail]):
        tail += 1
    pairs: Alignment = [(index, index) for index in range(head)]
    end_a, end_b = len(a) - tail, len(b) - tail
    for low_a, high_a, low_b, high_b in _stretches(a, b, (head, end_a), (head, end_b)):
        pairs += _stretch(a, b, (low_a, high_a), (low_b, high_b))
        if high_a < end_a and high_b < end_b:
            pairs.append((high_a, high_b))
    pairs += [(end_a + index, end_b + index) for index in range(tail)]
    return pairs


def _same(one: Spoken, other: Spoken) -> bool:
    return one.speaker == other.speaker and one.text == other.text


def _stretches(
    a: Sequence[Spoken], b: Sequence[Spoken], of_a: tuple[int, int], of_b: tuple[int, int]
) -> Iterator[tuple[int, int, int, int]]:
    """The stretches between anchors, as `(low_a, high_a, low_b, high_b)`; `high` is exclusive."""
    low_a, low_b = of_a[0], of_b[0]
    if (of_a[1] - low_a) * (of_b[1] - low_b) > _ALL_PAIRS:
        for anchor_a, anchor_b in _anchors(a, b, of_a, of_b):
            yield low_a, anchor_a, low_b, anchor_b
            low_a, low_b = anchor_a + 1, anchor_b + 1
    yield low_a, of_a[1], low_b, of_b[1]


def _anchors(
    a: Sequence[Spoken], b: Sequence[Spoken], of_a: tuple[int, int], of_b: tuple[int, int]
) -> list[tuple[int, int]]:
    """The indexes of turns that occur once in both, in the same order in both."""

    def once(spoken: Sequence[Spoken], low: int, high: int) -> dict[tuple[str, str], int]:
        keys = [(spoken[i].speaker, spoken[i].text) for i in range(low, high)]
        count = Counter(keys)
        return {
            key: index
            for index, key in enumerate(keys, low)
            if count[key] == 1 and len(key[1]) >= _ANCHOR
        }

    unique_b = once(b, *of_b)
    candidates = [(i, unique_b[key]) for key, i in once(a, *of_a).items() if key in unique_b]
    # The longest increasing subsequence.
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for number, (_, index_b) in enumerate(candidates):
        position = bisect_left(ends, index_b)
        before.append(last[position - 1] if position else -1)
        if position == len(ends):
            ends.append(index_b)
            last.append(number)
        else:
            ends[position], last[position] = index_b, number
    anchors: list[tuple[int, int]] = []
    number = last[-1] if last else -1
    while number >= 0:
        anchors.append(candidates[number])
        number = before[number]
    return anchors[::-1]


def _stretch(
    a: Sequence[Spoken], b: Sequence[Spoken], of_a: tuple[int, int], of_b: tuple[int, int]
) -> Alignment:
    """Aligns a stretch so that the pairs have the highest total score."""
    (low_a, high_a), (low_b, high_b) = of_a, of_b
    rows, columns = high_a - low_a, high_b - low_b
    if not rows or not columns:
        return [(i, None) for i in range(low_a, high_a)] + [(None, j) for j in range(low_b, high_b)]
    words_a = [_words_in(a[i].text) for i in range(low_a, high_a)]
    words_b = [_words_in(b[j].text) for j in range(low_b, high_b)]
    wide = rows * columns <= _ALL_PAIRS
    # best[i][j] is the best score of the first i turns of a and the first first[i] + j of b.
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
            score = 0.0 if not row and not column else -1.0
            offset = column - above_first
            if row and 0 <= offset < len(above):
                score = max(score, above[offset])
            if column > low:
                score = max(score, line[-1])
            if row and column and 0 <= offset - 1 < len(above):
                one, other = a[low_a + row - 1], b[low_b + column - 1]
                if one.speaker == other.speaker:
                    alike = _alike(one.text, other.text, words_a[row - 1], words_b[column - 1])
                    score = max(score, above[offset - 1] + _SIDE_BY_SIDE + alike)
            line.append(score)
        best.append(line)
    return _back(best, first, low_a, low_b)


def _back(best: list[list[float]], first: list[int], low_a: int, low_b: int) -> Alignment:
    """Traces the best path back through the table; on ties late turns are left alone."""
    row, column = len(best) - 1, first[-1] + len(best[-1]) - 1
    pairs: Alignment = []
    while row or column:
        score = best[row][column - first[row]]
        left = column - 1 - first[row]
        if left >= 0 and best[row][left] == score:
            column -= 1
            pairs.append((None, low_b + column))
            continue
        up = column - first[row - 1] if row else -1
        if row and 0 <= up < len(best[row - 1]) and best[row - 1][up] == score:
            row -= 1
            pairs.append((low_a + row, None))
            continue
        row, column = row - 1, column - 1
        pairs.append((low_a + row, low_b + column))
    return pairs[::-1]


def _words_in(text: str) -> frozenset[str]:
    return frozenset(_WORDS.findall(text[:_READ].lower()))


def _alike(
    one: str, other: str, words_of_one: frozenset[str], words_of_other: frozenset[str]
) -> float:
    """The similarity of two texts by their words, 0 to 1."""
    if one == other:
        return 1.0
    common = len(words_of_one & words_of_other)
    if not common:
        return 0.0
    return 0.9 * common / (len(words_of_one) + len(words_of_other) - common)
