"""Whether a side speaks as if it were the other one: signs, and how many of them it takes.

One phrase seldom tells: simulated users thank for being contacted, apologise, ask to have things
confirmed and say whom they are here to help. So each phrase has a weight, and a text is only
noticed where independent ones come together. What is quoted or reported is nobody's own word, and
whoever speaks of a need of its own needs more signs against it.
"""

from __future__ import annotations

import re
from typing import Final

from convtui.text_checks.reading import Noticed, Reading, has_one
from convtui.text_checks.role_signs import PERSONA_SIGNS, Sign
from convtui.text_checks.role_signs_languages import SIGNS as OTHER_LANGUAGES

_ENOUGH: Final = 2
"""Weight that makes a text noticed."""
_WITH_A_NEED: Final = 3
"""The same where the speaker tells of a need or a trouble of its own."""
_STAYS: Final = 1
"""The same, without a need, for a side that was out of its role a moment ago."""

_SIGNS: Final = (*PERSONA_SIGNS, *OTHER_LANGUAGES)
_PARTS: Final = (
    *("here", "feel", "would you", "ed your ", "assist", "with ", "ere", "safe", "have ", "know"),
    *("you're", "through", "what", "well", "ask", "your ", "for ", "you", " to ", "ich"),
    *("by ", "ow ", "com", "our", "est", "ls ", " ge", "je ", "cha", "ing", " si", " la", "lay"),
    *("us ", "nes", "an ", "lli", "se", "ce", "te", ""),
)
"""Pieces of needles: most texts have few of them, and no needle of the others."""


def _groups() -> tuple[tuple[str, tuple[tuple[str, int], ...]], ...]:
    """The needles by the first of the parts that they have, with the numbers of their signs."""
    groups: dict[str, list[tuple[str, int]]] = {part: [] for part in _PARTS}
    for number, sign in enumerate(_SIGNS):
        for needle in sign.needles:
            part = next(part for part in _PARTS if part in needle)
            groups[part].append((needle, number))
    return tuple((part, tuple(group)) for part, group in groups.items())


_GROUPS: Final = _groups()
_NEED: Final = re.compile(
    r"\bi(?:'d like| would like| (?:just |really |still |only )*(?:want|need))\b"
    r"(?! (?:to (?:pause|make sure|ask you|check|understand|help you|acknowledge|be (?:clear|"
    r"honest|"
    r"direct|upfront|transparent)|gently|step|let you|encourage|point out|say|stop|break|respond)|"
    r"you to))"
    r"|\bi(?:'ve been| have been| feel| felt|'m feeling| am feeling| can't (?:sleep|stop|find|log|"
    r"take|do this|believe|reach|access|cope)| lost| forgot| booked| ordered| paid| was charged|"
    r" don't know (?:what|how|if|who|why|where)|'m (?:just |so |really |still |not )*(?:sure|"
    r"scared|"
    r"tired|frustrated|lonely|struggling|exhausted|confused|overwhelmed|stressed|anxious|upset|"
    r"looking for|trying to (?:find|get|book|change|cancel))| guess\b| never got)\b"
    r"|\bi(?:'m| am) (?:still )?worried (?:about (?:my|the|him|her|it)|that i|i)\b"
    r"|\bhelp me\b"
    r"|\bmy (?:booking|order|reservation|ticket|flight|refund|account|card|trip|ferry|crossing|"
    r"subscription|package|son|daughter|kid|kids|child|husband|wife|mom|mum|mother|dad|father|boss|"
    r"job|work|therapist|friend|friends|boyfriend|girlfriend|ex|life|head|anxiety|family|roommate|"
    r"brother|sister)\b"
)
"""What only somebody says who has a need or a trouble."""

_MINE: Final = (
    r"(?:my|our) (?:\w+ )?(?:booking|order|reservation|refund|ticket|flight|ferry|crossing|package|"
    r"subscription|card|luggage|bag|invoice|bill|delivery|parcel)"
)
_ASKING: Final = re.compile(
    rf"(?P<thing>\b{_MINE}\b)"
    r"|(?P<wish>\bi(?:'d like| would like| want| need) (?:to (?:cancel|change|return|book|rebook|"
    r"get|know (?:why|when|where)|speak to|talk to)|a refund|my money|help with my|a new|somebody|"
    r"someone)\b)"
    r"|(?P<plea>\b(?:can|could|would|will) you (?:please )?(?:help me|tell me (?:why|when|where|"
    r"what|"
    r"how)|check (?:on )?my|refund|cancel my|change my)\b(?! understand))"
    r"|(?P<trouble>\bi (?:was charged|never (?:got|received)|haven't (?:got|received|heard)|still "
    r"haven't|lost my|forgot my|can't (?:log in|find my|access my|sleep|stop)|"
    r"don't know what to do)"
    r"|\bi(?:'ve been| have been) (?:feeling|so|really|waiting)\b|\bi feel (?:so|really|like)\b|"
    r"\bi(?:'m| am) (?:so |really |very )(?:tired|frustrated|upset|lonely|scared|angry|"
    r"overwhelmed)\b)"
)
_SHORT: Final = 500
"""Characters of a provider's text that may be a user's whole message."""
_TO_THE_USER: Final = re.compile(
    r"\byour?\b|\byou(?:'re|'ve|'d|'ll)\b|\bdear\b|\bsincerely\b|\bregards\b|\bsubject:"
)
_ASKS_OF_YOU: Final = re.compile(r"\b(?:can|could|would|will) you\b|\bthank you\b|\bare you\b")
_NEEDLES_OF_ASKING: Final = (" my ", "my ", "i want", "i need", "i'd like", "i would like", "you ",
                             "i've been", "i feel", "i'm ", "i was")  # fmt: skip
_NEEDLES_OF_KINDS: Final = (
    ("my ", "our "),
    ("i want", "i need", "i'd like", "i would like"),
    ("can you ", "could you ", "would you ", "will you "),
    ("i was", "i never", "i haven't", "i still", "i lost", "i forgot", "i can't", "i don't",
     "i've", "i have", "i feel", "i'm", "i am"),
)  # fmt: skip
"""Of each kind in `_ASKING`, pieces one of which stands in every text that has it."""


def persona_as_assistant(reading: Reading, *, was_out: bool) -> Noticed | None:
    """The heaviest sign that the simulated user speaks as an assistant, a service, a counsellor.

    `was_out`: it was out of its role in its last turns.
    """
    kinds: dict[str, tuple[int, str, int, int]] = {}
    small = reading.lowered
    for number in sorted(_signs_in(small)):
        sign = _SIGNS[number]
        known = kinds.get(sign.kind)
        if known is not None and known[0] >= sign.weight:
            continue
        span = _first(sign, reading)
        if span is not None:
            kinds[sign.kind] = (sign.weight, sign.rule, *span)
    if not kinds:
        return None
    weight = sum(sign[0] for sign in kinds.values())
    heaviest = max(sign[0] for sign in kinds.values())
    if heaviest < _WITH_A_NEED:
        if _NEED.search(reading.lowered) is not None:
            enough = _WITH_A_NEED
        else:
            enough = _STAYS if was_out else _ENOUGH
        if weight < enough:
            return None
    _, rule, start, end = min(
        (sign for sign in kinds.values() if sign[0] == heaviest), key=lambda sign: sign[2]
    )
    return reading.entry("role", rule, start, end)


def _signs_in(small: str) -> set[int]:
    """The numbers of the signs of which a needle stands in a text."""
    return {
        number
        for part, group in _GROUPS
        if part in small
        for needle, number in group
        if needle in small
    }


def _first(sign: Sign, reading: Reading) -> tuple[int, int] | None:
    """The first match of a sign in the speaker's own words."""
    for match in sign.pattern.finditer(reading.lowered):
        if not reading.is_cited(match.start()):
            return match.span()
    return None


def provider_as_user(reading: Reading) -> Noticed | None:
    """Two signs that the provider asks for help of its own, from its first sentence on.

    Only for short texts that do nothing but ask: providers write letters and examples in a
    user's name, after words of their own.
    """
    small = reading.lowered
    if len(small) > _SHORT or not has_one(small, _NEEDLES_OF_ASKING):
        return None
    if sum(has_one(small, needles) for needles in _NEEDLES_OF_KINDS) < 2:
        return None
    kinds: dict[str, re.Match[str]] = {}
    for match in _ASKING.finditer(small):
        if not reading.is_cited(match.start()):
            kinds.setdefault(str(match.lastgroup), match)
    if len(kinds) < 2:
        return None
    first = min(kinds.values(), key=lambda match: match.start())
    if "." in small[: first.start()] or "\n" in small[: first.start()].strip():
        return None
    if _TO_THE_USER.search(_ASKS_OF_YOU.sub(" ", small)) is not None:
        return None
    return reading.entry("role", "asks-as-user", *first.span())
