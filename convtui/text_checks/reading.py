"""A shown text as the rules look at it: a bounded part, in lower case, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

Noticed = dict[str, Any]
"""`{flag, rule, matched?, start?, end?, ago?, count?}`; `start` and `end` are places in the shown
text, `ago` is how many of its own turns ago the side said it (from 1), `count` how many turns in a
row."""

LOOKED_AT: Final = 16_000
"""Characters of a text that are looked at."""
COMPARED: Final = 4_000
"""Characters of a text that are compared with others."""
_MATCHED: Final = 120

_AROUND: Final = ".,;:!?¡¿…'\"“”‘’«»()[]{}<>*_`~#-–—/\\|。，！？、"
_FOREIGN: Final = tuple(char for char in _AROUND if not char.isascii())
_SPACED: Final = bytes(32 if chr(code) in _AROUND else code for code in range(128)) + bytes(128)
"""For texts in ASCII: spaces in the place of what stands around words."""
_QUOTES: Final = "\"'`“‘«„"
_SENTENCE: Final = 160
"""Characters before a phrase in which its sentence is looked for."""
# Another person's words, or hypothetical ones: "they ask how can I help you", "as if I'm ...".
_REPORTED: Final = re.compile(
    r"\b(?:says|said|saying|asks|asked|asking|tells|told|telling|replie[sd]|answer(?:s|ed)|wrote|"
    r"writes|writing|texted|texting|emailed|heard|hearing|goes|mentioned|reads|"
    r"(?:they|you|people|everyone|everybody|someone|somebody|bots?|agents?|chatbots?|it|he|she|who|"
    r"always|don't|didn't|doesn't|never)"
    r" (?:\w+ ){0,2}(?:say|ask|tell|text|write|reply|answer|hear|think|thinks|thought|believe|"
    r"assume|"
    r"suspect|claim|know)|"
    r"have to (?:say|answer|ask|write|repeat)|i (?:say|answer|repeat|type)|pretend(?:ing)?|"
    r"imagine|as if|as though|what if|wondering|instead of|sick of|tired of|"
    r"sagte?n?|fragt(?:e|en)?|schreibt|schrieb|als ob|il dit|demande|comme si|dice|pregunta|"
    r"all the|(?:stuff|things|lines?|phrases?|thing|script|messages?|e-?mails?|letter|voicemail|"
    r"crap|bullshit|nonsense) like|be like|was like|were like|all like)\b"
)
_SUPPOSED: Final = re.compile(r"\b(?:if|whether|like|though|wish|call(?:ed|s)? me)\s*$")
_CITED: Final = re.compile(
    r"\b(?:message|e-?mail|letter|text|chat|reply|response|script|voicemail|note|form|page|app|"
    r"website|site|sign|screen|quote)\b[^.!?\n]{0,40}:[^:]*$"
)


class Reading:
    """One text of one side, with what the rules share about it."""

    __slots__ = ("_distinct", "_words", "farewell", "lowered", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.farewell: bool | None = None
        """Whether it is nothing but a farewell, once somebody has asked."""
        self.lowered = lowered(text)
        self._words: list[str] | None = None
        self._distinct: frozenset[str] | None = None

    @property
    def words(self) -> list[str]:
        """The words of the part that is compared, in order."""
        if self._words is None:
            self._words = words(self.lowered[:COMPARED])
        return self._words

    @property
    def distinct(self) -> frozenset[str]:
        if self._distinct is None:
            self._distinct = frozenset(self.words)
        return self._distinct

    def entry(self, flag: str, rule: str, start: int, end: int) -> Noticed:
        """A finding about a span of the text."""
        matched = self.text[start:end][:_MATCHED]
        return {"flag": flag, "rule": rule, "matched": matched, "start": start, "end": end}

    def is_cited(self, start: int) -> bool:
        """Whether the words at `start` are quoted or reported, not the speaker's own."""
        if start > 0 and self.lowered[start - 1] in _QUOTES:
            return True
        before = self.before(start)
        if _in_quotation(before):
            return True
        return bool(before) and (
            _REPORTED.search(before) is not None
            or _SUPPOSED.search(before) is not None
            or _CITED.search(before) is not None
        )

    def before(self, start: int) -> str:
        """The sentence around a position, up to it."""
        part = self.lowered[max(0, start - _SENTENCE) : start]
        cut = max(part.rfind(sign) for sign in ".!?\n;")
        return part[cut + 1 :]


def _in_quotation(before: str) -> bool:
    """Whether a quotation mark is open at the end of `before`."""
    if before.count('"') % 2:
        return True
    return before.count("“") > before.count("”") or before.count("«") > before.count("»")


def lowered(text: str) -> str:
    """The checked part in lower case, character for character, with plain apostrophes."""
    part = text[:LOOKED_AT]
    small = part.lower()
    if len(small) != len(part):
        # Some capitals have two small letters; spans must stay those of the text.
        small = "".join(low if len(low := char.lower()) == 1 else char for char in part)
    return small.replace("’", "'") if "’" in small else small


def has_one(text: str, needles: Iterable[str]) -> bool:
    """Whether one of the needles stands in a text."""
    # A plain loop: `any()` over a call for each of them takes twice as long.
    for needle in needles:  # noqa: SIM110
        if needle in text:
            return True
    return False


def words(small: str) -> list[str]:
    """The words of a text in lower case, without punctuation around them."""
    if not small.isascii():
        for char in _FOREIGN:
            if char in small:
                small = small.replace(char, " ")
    if small.isascii():
        # As bytes, which are replaced without a look-up for every character.
        return small.encode().translate(_SPACED, b"'").decode().split()
    small = small.replace("'", "").replace("-", " ")
    return [word for piece in small.split() if (word := piece.strip(_AROUND))]
