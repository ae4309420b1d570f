"""Saying again: what the side itself said before, and what the other side said just before."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import Final

from convtui.text_checks.farewells import is_farewell
from convtui.text_checks.reading import COMPARED, Noticed, Reading

_DIGIT: Final = re.compile("[0-9]")
ANSWERS: Final = frozenset(
    {
        *("yes", "no", "ok", "okay", "yeah", "yep", "nope", "sure", "right", "great", "good"),
        *("fine", "perfect", "correct", "alright", "all", "thanks", "thank", "you", "please"),
        *("hi", "hello", "hey", "that", "thats", "this", "it", "its", "is", "was", "s", "i", "im"),
        *("see", "got", "do", "go", "on", "ahead", "continue", "proceed", "confirm", "confirmed"),
        *("the", "a", "with", "for", "me", "so", "very", "much", "works", "sounds", "would", "be"),
        *(
            "definitely",
            "absolutely",
            "exactly",
            "indeed",
            "maybe",
            "not",
            "really",
            "dont",
            "know",
        ),
        *("lets", "let", "us", "id", "like", "to", "want", "need", "agree", "understand", "of"),
        *("course", "problem", "anytime", "youre", "welcome", "are", "booking", "cancellation"),
        *("change", "payment", "refund", "order", "reservation", "upgrade", "book", "cancel"),
        *("done", "nothing", "else", "today", "now", "true", "false", "next", "help", "your"),
    }
)
"""What answers are made of: people say them twice without repeating themselves."""
_AFFIRMING: Final = frozenset({"yes", "yeah", "yep"})
_FILLERS: Final = frozenset(
    {
        *("so", "very", "much", "again", "really", "just", "please", "now", "oh", "well", "ok"),
        *("okay", "then", "and", "a", "the", "all", "right", "uh", "um", "hey", "hi"),
        *("hello", "sorry", "actually", "still", "but", "once", "more", "you"),
    }
)
"""Words with or without which a short line is the same."""
_FAREWELLS: Final = frozenset({"bye", "goodbye", "byebye", "farewell", "tschüss", "adiós", "ciao"})
_TO_AND_FRO: Final = frozenset(
    {"i", "im", "ive", "id", "ill", "my", "me", "mine", "we", "our", "us",
     "you", "youre", "youve", "youd", "youll", "your", "yours"}
)  # fmt: skip
_DAYS: Final = frozenset(
    {*("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "today"),
     *("tomorrow", "morning", "afternoon", "evening", "january", "february", "march", "april"),
     *("may", "june", "july", "august", "september", "october", "november", "december"),
     *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "first"),
     *("second", "third", "not", "no", "yes", "never")}
)  # fmt: skip
"""Words of which another one makes another sentence."""
_SAME_WORDS: Final = 4
"""Words from which saying the same again counts, however long ago it was."""
_GIVEN: Final = 8
"""Different words up to which a line with a number is something that was asked for."""
_FORMULA: Final = 25
"""Words up to which a text may be a formula."""
_CLOSING: Final = re.compile(
    r"\banything else\b|\b(?:feel free|don't hesitate) to\b|\blet me know if\b|\byou(?:'re| are) "
    r"(?:very |most )?welcome\b|\b(?:happy|glad) to help\b"
)
_NEAR_WORDS: Final = 10
"""Different words from which nearly the same counts."""
_NEAR: Final = 0.86
_SHORT_LETTERS: Final = 8
"""Letters of the words that count from which a short line can be said again with others."""
_SHORT_AGO: Final = 3
_NO_NUMBERS: Final[frozenset[str]] = frozenset()
_RECENT: Final = 5
_REMEMBERED: Final = 512
_ECHOED: Final = 8
"""Words in a row, or different words, from which taking them over from the other side counts."""


class Said:
    """What one side said in one session: hashes of all its texts, words of the last few."""

    __slots__ = ("_count", "_hashes", "_recent", "_short")

    def __init__(self) -> None:
        self._count = 0
        self._hashes: dict[int, int] = {}
        self._recent: deque[tuple[int, frozenset[str], frozenset[str], str]] = deque(maxlen=_RECENT)
        self._short: deque[tuple[int, frozenset[str]]] = deque(maxlen=_RECENT)

    def again(self, reading: Reading, *, polite: bool, remember: bool) -> Noticed | None:
        """Whether the side has said this text before; the text is remembered for later ones.

        `polite`: the side is a service, which may repeat its formulas.
        """
        count = self._count + 1
        if remember:
            self._count = count
        words = reading.words
        if not words:
            return None
        # The length distinguishes texts that differ only after the compared part.
        size = len(reading.text)
        mark = hash((tuple(words), size if size > COMPARED else 0))
        before = self._hashes.get(mark)
        if remember:
            self._hashes.pop(mark, None)
            self._hashes[mark] = count
            if len(self._hashes) > _REMEMBERED:
                del self._hashes[next(iter(self._hashes))]
        distinct = reading.distinct
        if len(distinct) >= _NEAR_WORDS:
            near = self._near(distinct, reading, count, remember)
        else:
            near = self._short_line(distinct, reading, count, remember)
        ago = count - before if before is not None else near["ago"] if near is not None else 0
        if polite and ago and _is_formula(reading, ago):
            return None
        if before is None:
            return near
        if is_answer(distinct, reading):
            return None
        # A word or two may answer another question each time; questions and farewells do not.
        if (
            len(words) >= _SAME_WORDS
            or len(reading.lowered) >= _SAME_WORDS * 6
            or (ago == 1 and ("?" in reading.lowered or distinct & _FAREWELLS))
        ):
            return {"flag": "repeat", "rule": "same-words", "ago": ago}
        return None

    def _near(
        self, distinct: frozenset[str], reading: Reading, position: int, remember: bool
    ) -> Noticed | None:
        numbers = _numbers(distinct, reading.lowered)
        entry: Noticed | None = None
        for count, others, other_numbers, text in reversed(self._recent):
            # The same sentence about another number, day or name is not the same.
            if other_numbers == numbers and _alike(distinct, others):
                if _names_differ(distinct ^ others, reading.text, text):
                    continue
                entry = {"flag": "repeat", "rule": "nearly-same-words", "ago": position - count}
                break
        if remember:
            self._recent.append((position, distinct, numbers, reading.text[:COMPARED]))
        return entry

    def _short_line(
        self, distinct: frozenset[str], reading: Reading, position: int, remember: bool
    ) -> Noticed | None:
        """A short line that the same side said a moment ago, apart from filler words."""
        core = frozenset({"thanks" if word == "thank" else word for word in distinct}) - _FILLERS
        entry: Noticed | None = None
        tells = sum(map(len, core)) >= _SHORT_LETTERS or (core and core <= _FAREWELLS)
        if tells and not is_answer(distinct, reading) and not any(map(_DIGIT.search, core)):
            for count, other in reversed(self._short):
                if position - count > _SHORT_AGO:
                    break
                if other == core:
                    entry = {"flag": "repeat", "rule": "same-short-line", "ago": position - count}
                    break
        if remember:
            self._short.append((position, core))
        return entry


def echoed(reading: Reading, other: Reading) -> Noticed | None:
    """Whether a text is (nearly) what the other side said just before, and nothing of its own."""
    words, others = reading.words, other.words
    if not words or not others:
        return None
    distinct, other_distinct = reading.distinct, other.distinct
    if words == others:
        one_asks = reading.text.rstrip().endswith("?") != other.text.rstrip().endswith("?")
        if len(words) < 3 or is_answer(distinct, reading) or (one_asks and len(words) < 12):
            return None
        if distinct <= _POLITE or is_farewell(reading):
            return None
        return {"flag": "echo", "rule": "same-as-other"}
    if len(distinct) >= _NEAR_WORDS and _alike(distinct, other_distinct):
        different = distinct ^ other_distinct
        # With other pronouns it is an answer to the other side, not an echo.
        if (
            not different & _TO_AND_FRO
            and not different & _DAYS
            and not any(map(_DIGIT.search, different))
        ):
            return {"flag": "echo", "rule": "nearly-same-as-other"}
        return None
    if len(distinct) >= _ECHOED and len(words) < len(others) and _within(words, others):
        return {"flag": "echo", "rule": "part-of-other"}
    return None


_POLITE: Final = ANSWERS | _FAREWELLS | frozenset(
    {"have", "nice", "day", "evening", "weekend", "night", "take", "care", "lovely", "wonderful",
     "morning", "afternoon", "soon", "later", "meet", "how", "doing", "too", "and", "again", "trip",
     "glad", "happy", "pleasure", "my", "safe", "best", "wishes", "wish", "well"}
)  # fmt: skip


def is_answer(distinct: frozenset[str], reading: Reading) -> bool:
    """Whether a text is only an answer: yes, go on, 42, it is HT-2291."""
    if len(distinct) > _NEAR_WORDS:
        return False
    if distinct & _AFFIRMING and not distinct & _FAREWELLS:
        return True
    if len(distinct) <= _GIVEN and "?" not in reading.lowered and any(map(_DIGIT.search, distinct)):
        return True
    return distinct <= ANSWERS


def _is_formula(reading: Reading, ago: int) -> bool:
    """Whether a text is a formula that services use at the end of a conversation."""
    if is_farewell(reading):
        return True
    return (
        ago > 1 and len(reading.words) <= _FORMULA and _CLOSING.search(reading.lowered) is not None
    )


def _numbers(distinct: frozenset[str], small: str) -> frozenset[str]:
    if not _DIGIT.search(small, 0, COMPARED):
        return _NO_NUMBERS
    return frozenset([word for word in distinct if not word.isalpha() and _DIGIT.search(word)])


def _alike(distinct: frozenset[str], others: frozenset[str]) -> bool:
    size, other = len(distinct), len(others)
    if not _NEAR * size <= other <= size / _NEAR:
        return False
    common = len(distinct & others)
    return common >= _NEAR * (size + other - common)


def _names_differ(different: frozenset[str], text: str, other: str) -> bool:
    """Whether texts differ in a day, a number or a capitalised word inside a sentence."""
    if different & _DAYS:
        return True
    return any(
        re.search(rf"[\w,] {re.escape(word.capitalize())}\b", part)
        for word in different
        for part in (text[:COMPARED], other)
        if word.isalpha()
    )


def _within(words: Sequence[str], others: Sequence[str]) -> bool:
    return f" {' '.join(words)} " in f" {' '.join(others)} "
