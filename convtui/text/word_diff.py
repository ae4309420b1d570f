"""Word diffs of two texts, bounded for huge ones."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Final, Literal

Op = Literal["=", "-", "+"]
_WORDS: Final = re.compile(r"\s+|\w+|[^\w\s]")
_LINES: Final = re.compile(r"[^\n]*\n|[^\n]+")
_MOST: Final = 1_500
"""Pieces of each text that are compared at most: the comparison is quadratic at worst."""


def word_diff(before: str, after: str) -> list[tuple[Op, str]]:
    """The pieces to keep, remove and add to turn `before` into `after`.

    Kept and removed pieces joined give `before`, kept and added ones `after`. Texts with more than
    some thousand differing words are compared by lines, longer ones as a whole.
    """
    if before == after:
        return [("=", before)] if before else []
    if max(len(before), len(after)) > 400_000:
        start = _common(before, after)
        return _trimmed(before, after, start)
    for pattern in (_WORDS, _LINES):
        old, new = pattern.findall(before), pattern.findall(after)
        head = 0
        while head < min(len(old), len(new)) and old[head] == new[head]:
            head += 1
        tail = 0
        while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
            tail += 1
        middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
        if max(len(middle_old), len(middle_new)) <= _MOST:
            changes: list[tuple[Op, str]] = [("=", "".join(old[:head]))]
            changes += _compare(middle_old, middle_new)
            changes.append(("=", "".join(old[len(old) - tail :])))
            return _merged(changes)
    return _trimmed(before, after, _common(before, after))


def _common(before: str, after: str) -> int:
    """How many characters both begin with."""
    low, high = 0, min(len(before), len(after))
    while low < high:
        middle = (low + high + 1) // 2
        if before[low:middle] == after[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _trimmed(before: str, after: str, start: int) -> list[tuple[Op, str]]:
    return _merged([("=", before[:start]), ("-", before[start:]), ("+", after[start:])])


def _compare(old: list[str], new: list[str]) -> list[tuple[Op, str]]:
    changes: list[tuple[Op, str]] = []
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            changes.append(("=", "".join(old[i1:i2])))
        else:
            changes += [("-", "".join(old[i1:i2])), ("+", "".join(new[j1:j2]))]
    return changes


def _merged(pieces: list[tuple[Op, str]]) -> list[tuple[Op, str]]:
    merged: list[tuple[Op, str]] = []
    for op, text in pieces:
        if not text:
            continue
        if merged and merged[-1][0] == op:
            merged[-1] = (op, merged[-1][1] + text)
        else:
            merged.append((op, text))
    return merged
