"""What can be noticed about a shown text for nothing: no model is asked.

Three flags, each with the rule that raised it:

* `role`: a side speaks as if it were the other one;
* `repeat`: a side says what it has said before in the session;
* `leak`: reasoning tags reached the shown text.

These are guesses from the outside of a text, and a person may correct them. They cost
microseconds, look at a bounded part of any text and never raise.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

Noticed = dict[str, Any]
"""`{flag, rule, matched?, start?, end?}`; `start` and `end` are places in the shown text. An entry
of `repeat` has `ago` instead: how many of its own turns ago the side said it, from 1."""

FLAGS: Final = ("role", "repeat", "leak")

RULES: Final[dict[str, str]] = {
    "offers-help": "the user offers its help, as an assistant does",
    "is-an-ai": "the user says that it is an AI",
    "thanks-for-contact": "the user thanks for being contacted, as support does",
    "asks-for-account": "the user asks for the other side's account or booking details",
    "acts-for-service": "the user speaks for the service, or says what it has done for the account",
    "other-label": "the text begins with the other side's label",
    "both-sides": "the text writes lines of both sides",
    "same-words": "the same side said the same words before in this session",
    "nearly-same-words": "the same side said nearly the same words before in this session",
    "reasoning-tag": "a reasoning tag stands in the shown text",
}
"""Every rule in one clause."""

LOOKED_AT: Final = 16_000
"""Characters of a text that are looked at."""
_COMPARED = 4_000
_MATCHED = 120

# A phrase is looked for only where one of its needles stands, which a plain search tells at once.
_PHRASES: Final = tuple(
    (needles, rule, re.compile(pattern))
    for needles, rule, pattern in (
        (
            ("how can i ", "how may i ", "how could i ", "how might i "),
            "offers-help",
            r"how (?:can|may|could|might) i (?:help|assist|support) you"
            r"(?: today| further| now| with (?:that|this|your)\b[^.?!\n]{0,60})?\s*[?.!…]",
        ),
        (("what can i ",), "offers-help", r"what can i (?:help you with|do for you)\b"),
        (
            ("anything else ",),
            "offers-help",
            r"anything else (?:that )?i (?:can|could|may) (?:help|assist|do for) you\b"
            r"|anything else (?:that )?i (?:can|could|may) (?:help|assist)(?: with)?\s*[?.!]"
            r"|anything else you(?:'d| would)? (?:need|like) (?:help|assistance) with\b",
        ),
        (
            ("here to help", "here to assist", "here to support you"),
            "offers-help",
            r"\bi(?:'m| am) (?:always |just )?here to (?:help|assist|support) you\b"
            r"|\bi(?:'m| am) (?:always |just )?here to (?:help|assist)\s*[.!]",
        ),
        (
            ("happy to help you", "happy to assist you"),
            "offers-help",
            r"\bi(?:'d| would) be (?:more than )?happy to (?:help|assist) you\b"
            r"|\bi(?:'m| am) happy to (?:help|assist) you\b",
        ),
        (
            ("if you have any ",),
            "offers-help",
            r"\b(?:let me know|feel free to (?:ask|reach out)) if you have any "
            r"(?:other |further |more )?questions\b",
        ),
        (
            ("as an ai", "i'm an ai", "i am an ai", "just an ai", "only an ai"),
            "is-an-ai",
            r"\bas an ai(?: (?:language )?model| assistant| chatbot)?,? (?:i|my)\b"
            r"|(?<!if )(?<!that )(?<!think )\bi(?:'m| am) (?:just |only )?an ai"
            r"(?: (?:language )?model| assistant| chatbot)?\b",
        ),
        (
            ("language model", "virtual assistant"),
            "is-an-ai",
            r"\b(?:i(?:'m| am)|as) (?:just |only )?a (?:large )?language model\b"
            r"|\bi(?:'m| am) (?:just |only )?(?:a|your) virtual assistant\b",
        ),
        (
            ("for reaching out", "for contacting "),
            "thanks-for-contact",
            r"\bthank(?:s| you) (?:so much |very much )?"
            r"for (?:reaching out\b(?! back)|contacting (?:us|our|customer|support)\b)",
        ),
        (
            ("provide your ", "confirm your ", "share your ", "me your ", "me with your "),
            "asks-for-account",
            r"\b(?:could|can|would|will) you (?:please |kindly )?"
            r"(?:provide|confirm|share|give me|tell me)(?: me with)? your "
            r"(?:booking|order|account|reservation|user|customer|ticket|policy|membership) "
            r"(?:number|id|name|reference|code|details)\b",
        ),
        (
            ("apologize for ", "apologise for "),
            "acts-for-service",
            r"\bwe (?:sincerely |deeply )?apologi[sz]e for (?:the|any)\b",
        ),
        (
            ("ed your ",),
            "acts-for-service",
            r"\bi(?:'ve| have) (?:now |just |successfully |already )?"
            r"(?:processed|issued|initiated|cancell?ed|rebooked|refunded|updated) your "
            r"(?:refund|order|booking|reservation|account|request|ticket|flight|payment)\b",
        ),
    )
)

_LABEL: Final = re.compile(
    r"[ \t]{0,8}[*_#\[( ]{0,6}"
    r"(?:(?P<provider>assistant|ai assistant|virtual assistant|support agent|agent|chatbot|bot|ai"
    r"|provider|support)"
    r"|(?P<persona>user|human|simulated user|persona)"
    r"|(?P<named>customer|client|patient))"
    r"[*_\]) ]{0,6}[:：]"
)
_TOKEN: Final = re.compile(
    r"<\|(?:im_start\|>|start_header_id\|>)?\s{0,4}(?:(?P<provider>assistant)|(?P<persona>user))\b"
)
_LABEL_CHARACTERS: Final = 48
_LINES: Final = 1_000
# `Customer: Maya Lee` heads a summary as often as a line that somebody says.
_SAID_WORDS = 3

_LEAK_NEEDLES: Final = ("think", "thought", "reason", "scratchpad", "monolog", "<|channel|>")
_LEAK: Final = re.compile(
    r"</?(?:seed:)?(?:think|thinking|thoughts?|reasoning|scratchpad|(?:inner|internal)_monologue)"
    r"(?:\s[^<>]{0,80})?>"
    r"|◁/?(?:think|thinking)▷"
    r"|\[/?think\]"
    r"|<\|/?(?:think|(?:begin|end)_of_thought)\|>"
    r"|<\|channel\|>\s{0,4}(?:analysis|commentary)\b"
)

_AROUND: Final = ".,;:!?…'\"“”‘’«»()[]{}<>*_`~#-–—/\\|。，！？、"
_FOREIGN: Final = tuple(char for char in _AROUND if not char.isascii())
_SPACED: Final = {ord(char): " " for char in _AROUND if char.isascii()} | {ord("'"): None}
_DIGIT: Final = re.compile("[0-9]")
# What people say twice in a row without repeating themselves.
_ROUTINE: Final = frozenset(
    {
        *("yes", "no", "ok", "okay", "yeah", "yep", "nope", "sure", "right", "great", "good"),
        *("fine", "perfect", "correct", "alright", "thanks", "thank", "you", "please", "bye"),
        *("goodbye", "hi", "hello", "hey", "that", "it", "is", "s", "i", "see", "got", "do"),
        *("go", "on", "ahead", "continue"),
    }
)
_SAME_WORDS = 4
"""Words from which saying the same again counts, however long ago it was."""
_NEAR_WORDS = 10
"""Different words from which nearly the same counts."""
_NEAR = 0.86
_NO_NUMBERS: Final[frozenset[str]] = frozenset()
_RECENT = 5
_REMEMBERED = 512
_SIDES = 8


def notice_role(speaker: str, text: str) -> Noticed | None:
    """The first sign that `speaker` ("persona" or "provider") talks as the other side."""
    return _role(speaker, text, _lowered(text))


def notice_leak(text: str) -> Noticed | None:
    """The first reasoning tag in a shown text."""
    return _leak(text, _lowered(text))


class Noticer:
    """Notices things about shown texts, one conversation at a time, in the order of its turns."""

    def __init__(self) -> None:
        self._said: dict[tuple[int, str], _Said] = {}

    def notice(
        self, session: int, speaker: str, text: str, *, remember: bool = True
    ) -> list[Noticed]:
        """What is to be noticed about the next text of a side.

        It is remembered for those after it, unless it is not said yet (`remember`).
        """
        lowered = _lowered(text)
        repeat = self._repeat(session, speaker, text, lowered, remember=remember)
        found = (_role(speaker, text, lowered), repeat)
        leak = _leak(text, lowered)
        return [each for each in (*found, leak) if each is not None]

    def restore(self, turns: Iterable[tuple[int, str, str]]) -> None:
        """Remembers earlier turns, `(session, speaker, shown text)`, of a conversation that goes
        on. Nothing is noticed about them."""
        for session, speaker, text in turns:
            self._repeat(session, speaker, text, _lowered(text))

    def _repeat(
        self, session: int, speaker: str, text: str, lowered: str, *, remember: bool = True
    ) -> Noticed | None:
        key = (session, speaker)
        said = self._said.get(key)
        if said is None:
            said = self._said[key] = _Said()
            if len(self._said) > _SIDES:
                del self._said[next(iter(self._said))]
        return said.again(len(text), lowered, remember=remember)


class _Said:
    """What one side has said in one session: hashes of all of it, the words of the last few."""

    __slots__ = ("_count", "_hashes", "_recent")

    def __init__(self) -> None:
        self._count = 0
        self._hashes: dict[int, int] = {}
        self._recent: deque[tuple[int, frozenset[str], frozenset[str]]] = deque(maxlen=_RECENT)

    def again(self, length: int, lowered: str, *, remember: bool) -> Noticed | None:
        count = self._count + 1
        if remember:
            self._count = count
        words = _words(lowered[:_COMPARED])
        if not words:
            return None
        # The length tells texts apart that differ only after what is compared.
        mark = hash((tuple(words), length if length > _COMPARED else 0))
        before = self._hashes.get(mark)
        if remember:
            self._hashes.pop(mark, None)
            self._hashes[mark] = count
            if len(self._hashes) > _REMEMBERED:
                del self._hashes[next(iter(self._hashes))]
        near = self._near(words, lowered, count, remember)
        if before is not None:
            ago = count - before
            long_enough = len(words) >= _SAME_WORDS or len(lowered) >= _SAME_WORDS * 6
            if long_enough or (ago == 1 and not _ROUTINE.issuperset(words)):
                return {"flag": "repeat", "rule": "same-words", "ago": ago}
            return None
        return near

    def _near(self, words: list[str], lowered: str, place: int, remember: bool) -> Noticed | None:
        distinct = frozenset(words)
        if len(distinct) < _NEAR_WORDS:
            return None
        # The same sentence about another day or another number is not the same.
        numbers = _NO_NUMBERS
        if _DIGIT.search(lowered, 0, _COMPARED):
            numbers = frozenset([word for word in distinct if _DIGIT.search(word)])
        found: Noticed | None = None
        size = len(distinct)
        least, most = _NEAR * size, size / _NEAR
        for count, others, other_numbers in reversed(self._recent):
            other = len(others)
            if not least <= other <= most or other_numbers != numbers:
                continue
            common = len(distinct & others)
            if common >= _NEAR * (size + other - common):
                ago = place - count
                found = {"flag": "repeat", "rule": "nearly-same-words", "ago": ago}
                break
        if remember:
            self._recent.append((place, distinct, numbers))
        return found


def _words(lowered: str) -> list[str]:
    if not lowered.isascii():
        for char in _FOREIGN:
            if char in lowered:
                lowered = lowered.replace(char, " ")
    if lowered.isascii():
        # Only here a translation is quick: it looks every other character up in the table.
        return lowered.translate(_SPACED).split()
    lowered = lowered.replace("'", "").replace("-", " ")
    return [word for each in lowered.split() if (word := each.strip(_AROUND))]


def _lowered(text: str) -> str:
    """The part that is looked at, in lower case, character for character; plain apostrophes."""
    part = text[:LOOKED_AT]
    lowered = part.lower()
    if len(lowered) != len(part):
        # Some capitals have two small letters; spans must stay those of the text.
        lowered = "".join(low if len(low := char.lower()) == 1 else char for char in part)
    return lowered.replace("’", "'") if "’" in lowered else lowered


def _role(speaker: str, text: str, lowered: str) -> Noticed | None:
    if ":" in lowered or "：" in lowered or "<|" in lowered:
        found = _labels(speaker, text, lowered)
        if found is not None:
            return found
    if speaker != "persona":
        return None
    for needles, rule, pattern in _PHRASES:
        for needle in needles:
            if needle in lowered:
                for match in pattern.finditer(lowered):
                    if not _quoted(lowered, match.start()):
                        return _entry("role", rule, text, *match.span())
                break
    return None


def _labels(speaker: str, text: str, lowered: str) -> Noticed | None:
    first: dict[str, tuple[int, int]] = {}
    for side, start, end in _labelled(lowered):
        if side not in first:
            first[side] = (start, end)
            if side != speaker and not lowered[:start].strip():
                return _entry("role", "other-label", text, start, end)
            if len(first) == 2:
                other = first["provider" if speaker == "persona" else "persona"]
                return _entry("role", "both-sides", text, *other)
    return None


def _labelled(lowered: str) -> Iterator[tuple[str, int, int]]:
    """Where somebody's lines begin, in order: the side and the span of its label."""
    if "<|" in lowered:
        for match in _TOKEN.finditer(lowered):
            yield str(match.lastgroup), *match.span()
    sign = ":" if ":" in lowered else "："
    at = lowered.find(sign)
    for _ in range(_LINES):
        if at < 0:
            return
        start = lowered.rfind("\n", max(0, at - _LABEL_CHARACTERS), at) + 1
        found = _LABEL.match(lowered, start) if start or at < _LABEL_CHARACTERS else None
        if found is not None and found.end() == at + 1 and _says(found, lowered):
            side = "provider" if found["provider"] else "persona"
            yield side, start, at + 1
        at = lowered.find(sign, at + 1)


def _says(label: re.Match[str], lowered: str) -> bool:
    if not label["named"] and label["provider"] != "support":
        return True
    line = lowered[label.end() : label.end() + 200].partition("\n")[0]
    return len(line.split()) >= _SAID_WORDS


def _leak(text: str, lowered: str) -> Noticed | None:
    for needle in _LEAK_NEEDLES:
        if needle in lowered:
            break
    else:
        return None
    for match in _LEAK.finditer(lowered):
        if not _quoted(lowered, match.start()):
            return _entry("leak", "reasoning-tag", text, *match.span())
    return None


def _quoted(lowered: str, start: int) -> bool:
    """Whether a quotation begins right there: somebody else's words."""
    return start > 0 and lowered[start - 1] in "\"'`“‘«„"


def _entry(flag: str, rule: str, text: str, start: int, end: int) -> Noticed:
    matched = text[start:end][:_MATCHED]
    return {"flag": flag, "rule": rule, "matched": matched, "start": start, "end": end}
