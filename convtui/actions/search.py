"""Finds actions by what is typed of their sentences."""

from __future__ import annotations

import re
from typing import NamedTuple

_AT_WORD, _INSIDE, _SCATTERED = 3, 2, 1


class Match(NamedTuple):
    """How well a text fits a query, and the offsets of the matched letters."""

    score: int
    offsets: frozenset[int]
    scattered: bool = False
    """Whether a word matched by its letters only, which is often an accident."""


def match(query: str, text: str) -> Match | None:
    """Matches every word of `query` in `text`; None if one is not there.

    A word counts most at the start of a word, less inside of one, least if only its letters occur
    in order, the first of them at the start of a word.
    """
    score = 0
    scattered = False
    offsets: set[int] = set()
    lower = text.lower()
    for word in query.lower().split():
        found = _word(word, lower)
        if found is None:
            return None
        score += found.score
        scattered = scattered or found.scattered
        offsets |= found.offsets
    return Match(score, frozenset(offsets), scattered)


def _word(word: str, text: str) -> Match | None:
    at_word = re.search(rf"(?<!\w){re.escape(word)}", text)
    if at_word is not None:
        return Match(_AT_WORD, frozenset(range(*at_word.span())))
    start = text.find(word)
    if start >= 0:
        return Match(_INSIDE, frozenset(range(start, start + len(word))))
    for first in re.finditer(rf"(?<!\w){re.escape(word[0])}", text):
        offsets = _letters(word, text, first.start())
        if offsets is not None:
            return Match(_SCATTERED, offsets, scattered=True)
    return None


def _letters(word: str, text: str, start: int) -> frozenset[int] | None:
    """The offsets of the letters of `word` in order, the first at `start`."""
    offsets = [start]
    for letter in word[1:]:
        offset = text.find(letter, offsets[-1] + 1)
        if offset < 0:
            return None
        offsets.append(offset)
    return frozenset(offsets)
