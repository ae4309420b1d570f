"""Two sides that only say goodbye to each other."""

from __future__ import annotations

import re
from typing import Final

from convtui.text_checks.reading import Noticed, Reading, has_one, words

FROM: Final = 3
"""Farewells in a row, of both sides, from which each is noticed."""
_LONGEST: Final = 400
"""Characters of a text that may still be nothing but a farewell."""
_OWN_WORDS: Final = 0.2
"""Part of the words that may be others: names, the thing that is thanked for."""

_FILLING: Final = 12
"""Words of a sentence between farewells: "I will.", "It was nice to talk to you."."""
_SENTENCES: Final = re.compile(r"[.!…;\n]+")
_DIGIT: Final = re.compile(r"\d")
_OWN_MATTER: Final = re.compile(
    r"\bi(?:'m| am)? (?:feel(?!ing? free)|felt|can't|cannot|don't know)\b"
)

_PARTING: Final = re.compile(
    r"\b(?:(?:good)?bye(?: ?-?bye)?|farewell|take care|see (?:you|ya)|good night|cheers|"
    r"talk (?:to you )?(?:soon|later)|until next time|so long|all the best|best wishes|ciao|"
    r"safe (?:travels?|trip|journey)|enjoy (?:your|the|it)|have (?:a|an) (?:\w+ ){0,3}"
    r"(?:day|evening|night|trip|weekend|time|one|journey|rest|week|morning|afternoon|flight|stay)|"
    r"thanks?|thank you|you(?:'re| are) (?:\w+ )?welcome|my pleasure|you too|anytime|any time|"
    r"likewise|same to you|happy to help|glad (?:i|to)|tschüss|auf wiedersehen|danke|dank|gern|"
    r"bis (?:bald|dann|später|morgen)|alles gute|gleichfalls|ebenfalls|mach's gut|"
    r"(?:schönen?|guten?|angenehmen?) (?:tag|abend|nacht|woche|wochenende|reise|fahrt|feierabend)|"
    r"gracias|adiós|hasta|de nada|igualmente|chao|buen(?:a|os|as)? (?:días?|tardes?|noches?|viaje)|"
    r"merci|au revoir|bonne|bon (?:voyage|week-end|weekend|courage)|à (?:bientôt|plus)|"
    r"je vous en prie|de rien|également|grazie|arrivederci|buona (?:giornata|serata))(?!\w)"
)
_NEEDLES: Final = (
    *("thank", "bye", "welcome", "have a", "glad ", "take care", "see y", "enjoy ", "talk "),
    *("farewell", "good night", "cheers", "until next", "so long", "all the best", "best wishes"),
    *("ciao", "safe ", "my pleasure", "you too", "anytime", "any time", "likewise", "same to you"),
    *("happy to help", "tschüss", "wiedersehen", "dank", "gern", "bis ", "alles gute", "mach's"),
    *("gleichfalls", "ebenfalls", "schöne", "gute", "angenehme", "gracias", "adiós", "hasta"),
    *("de nada", "igualmente", "chao", "buen", "merci", "au revoir", "bon", "à ", "en prie"),
    *("de rien", "également", "grazie", "arrivederci", "buona"),
)
"""One of these stands in every text that has `_PARTING`: most texts have none."""
_WORDS: Final = frozenset(
    {
        *("thank", "thanks", "you", "so", "much", "very", "again", "bye", "goodbye", "byebye"),
        *("good", "take", "care", "have", "a", "an", "nice", "great", "lovely", "wonderful"),
        *("pleasant", "fantastic", "amazing", "day", "evening", "night", "weekend", "trip", "one"),
        *("time", "week", "morning", "afternoon", "rest", "of", "your", "youre", "are", "welcome"),
        *("most", "my", "pleasure", "too", "see", "ya", "soon", "later", "talk", "to", "and"),
        *("now", "for", "the", "help", "all", "best", "wishes", "safe", "travels", "travel"),
        *("journey", "course", "no", "problem", "it", "was", "glad", "happy", "could", "can", "i"),
        *("im", "enjoy", "be", "well", "here", "anytime", "any", "if", "need", "anything", "else"),
        *("feel", "free", "reach", "out", "dont", "hesitate", "cheers", "farewell", "until"),
        *("next", "appreciate", "everything", "same", "likewise", "then", "with", "that", "ill"),
        *("vielen", "dank", "danke", "schön", "sehr", "ihnen", "dir", "euch", "auch", "einen"),
        *("eine", "ein", "schönen", "schöne", "schönes", "guten", "gute", "tag", "abend", "nacht"),
        *("woche", "wochenende", "reise", "fahrt", "noch", "gern", "gerne", "geschehen", "bis"),
        *("bald", "dann", "später", "alles", "machs", "gut", "auf", "wiedersehen", "tschüss"),
        *("ebenfalls", "gleichfalls", "ihre", "hilfe", "für", "die", "und", "wünsche", "ich"),
        *("merci", "beaucoup", "bonne", "bon", "journée", "soirée", "nuit", "week", "end", "à"),
        *("bientôt", "au", "revoir", "je", "vous", "en", "prie", "aussi", "également", "pour"),
        *("votre", "aide", "voyage", "de", "rien", "et", "plus", "tard", "souhaite", "une", "un"),
        *("gracias", "muchas", "adiós", "hasta", "luego", "pronto", "mañana", "nada", "igualmente"),
        *("que", "tenga", "buen", "buena", "día", "noche", "tarde", "viaje", "chao", "usted"),
        *("también", "por", "su", "ayuda", "y", "le", "te", "deseo"),
        *("in", "touch", "luck", "stay", "support", "assistance", "kind", "words", "talking"),
        *("chatting", "us", "on", "at", "wish", "hope", "ok", "okay", "alright", "oh", "that's"),
        *("thats", "is", "really", "truly", "kindness", "patience", "understanding", "friend"),
        *("dear", "forward", "looking", "always", "more", "questions", "further", "me", "let"),
        *("know", "will", "do", "bless", "god", "many", "also", "from", "this", "conversation"),
        *("been", "its", "great", "assist", "able", "just", "peaceful", "gentle", "yourself"),
        *("tschüss", "auf", "wiedersehen", "danke", "vielen", "dank", "gern", "gerne", "bitte"),
        *("schönen", "tag", "noch", "gracias", "adiós", "hasta", "luego", "pronto", "de", "nada"),
        *("merci", "beaucoup", "au", "revoir", "bonne", "journée", "rien", "grazie", "ciao"),
        *("arrivederci", "prego", "flight", "crossing", "sailing", "stay", "meeting", "happily"),
    }
)


def is_farewell(reading: Reading) -> bool:
    """Whether a text is nothing but a goodbye or thanks."""
    if reading.farewell is None:
        reading.farewell = _parts(reading.lowered)
    return reading.farewell


def _parts(text: str) -> bool:
    # The cheapest that rules most out comes first.
    if len(text) > _LONGEST or "?" in text or _DIGIT.search(text) is not None:
        return False
    if not has_one(text, _NEEDLES):
        return False
    if not all(map(_is_parting, _SENTENCES.split(text))):
        return False
    return _PARTING.search(text) is not None


def _is_parting(sentence: str) -> bool:
    spoken = [word for word in words(sentence) if word.isalnum() or any(map(str.isalnum, word))]
    others = len([word for word in spoken if word not in _WORDS])
    if others > max(1, _OWN_WORDS * len(spoken)):
        return False
    if _PARTING.search(sentence) is None:
        return others == 0 and len(spoken) <= _FILLING
    return _OWN_MATTER.search(sentence) is None


class Farewells:
    """Counts consecutive farewells in one session."""

    __slots__ = ("_count", "_sides")

    def __init__(self) -> None:
        self._count = 0
        self._sides: frozenset[str] = frozenset()

    def next(self, speaker: str, reading: Reading, *, remember: bool) -> Noticed | None:
        """The entry for the next turn if it is another farewell."""
        if not is_farewell(reading):
            if remember:
                self._count, self._sides = 0, frozenset()
            return None
        count, sides = self._count + 1, self._sides | {speaker}
        if remember:
            self._count, self._sides = count, sides
        if count < FROM or len(sides) < 2:
            return None
        return {"flag": "farewell", "rule": "only-goodbyes", "count": count}
