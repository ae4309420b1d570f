"""Labels before what is said: of the other side, of both sides in one text, of the speaker."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from convtui.text_checks.reading import Noticed, Reading

_LABEL: Final = re.compile(
    r"[ \t]{0,8}[*_#\[( ]{0,6}"
    r"(?:(?P<provider>assistant|assistent(?:in)?|assistante|asistente|ai assistant"
    r"|virtual assistant|support agent|agent|chatbot|bot|ai"
    r"|provider|support)"
    r"|(?P<persona>user|(?:be)?nutzer(?:in)?|utilisateur|utilisatrice|usuari[oa]|human"
    r"|simulated user|persona)"
    r"|(?P<named>customer|cliente?|patient(?:in)?|kunde|kundin))"
    r"[*_\]) ]{0,6}[:：]"
)
_TOKEN: Final = re.compile(
    r"<\|(?:im_start\|>|start_header_id\|>)?\s{0,4}(?:(?P<provider>assistant)|(?P<persona>user))\b"
)
_LABEL_CHARACTERS: Final = 48
_LINES: Final = 1_000
_SAID_WORDS: Final = 3
"""`Customer: Maya Lee` heads a summary as often as a line that somebody says."""
_AMBIGUOUS: Final = frozenset({"support", "ai", "agent", "bot", "provider", "human"})
_EXPLAINED: Final = frozenset({"support", "ai", "provider"})
"""Labels that are the first words of explanations, too."""
_TAG: Final = re.compile(
    r"\s{0,8}[\[<(](?:(?P<provider>assistant|chatbot)|(?P<persona>user))[\])>]"
)
_SENTENCE_ENDS: Final = tuple(".!?…\"'”)")
_INTRODUCED: Final = re.compile(
    r":\s*$|\b(?:examples?|transcript|log|script|dialog(?:ue)?|role-?play|excerpt|copied|pasted|"
    r"sample|format|template|scenario|screenshot)\b"
)
_INTRODUCTION: Final = 300
"""Characters before a script in which it may be introduced."""
_FORM: Final = re.compile(r"^[ \t*_-]{0,6}[^\W\d_][\w ]{0,24}[*_]{0,2}:", re.MULTILINE)
_NAME: Final = re.compile(r"[^\W\d_][\w.'-]*(?: [^\W\d_][\w.'-]*){0,3}")
_SHORTEST: Final = 2
"""Letters of a name that is looked for."""
_NO_NAMES: Final = frozenset(
    {"user", "unknown", "unknown user", "persona", "provider", "human", "demo"}
)
_BEFORE: Final = r"\s{0,8}(?:[-–—] )?[*_#>\[(<\"“]{0,4}[ \t]?"
_LIST: Final = re.compile(r"[^\n]*[,;] ?[^\W\d_]\w{0,20}:")
_AFTER: Final = (
    r"(?: ?\([^()\n]{1,40}\)| (?:says|said|replies|writes|responds|answers)"
    r"|'s (?:next )?(?:reply|response|message|answer|turn|line))?[ \t]?[*_\])>\"”]{0,4}[ \t]?[:：]"
)


class Labels:
    """Finds script labels; knows the names of both sides."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = {
            side: pattern
            for side, name in names.items()
            if (pattern := _name_pattern(side, name)) is not None
        }

    def role(self, speaker: str, reading: Reading) -> Noticed | None:
        """Finds a text that begins with the other side's label, or is written for both sides."""
        small = reading.lowered
        if ":" not in small and "：" not in small and "<|" not in small:
            return None
        first: dict[str, tuple[int, int]] = {}
        for side, start, end in self._labelled(small):
            if side in first:
                continue
            first[side] = (start, end)
            at_the_start = not small[:start].strip()
            if side != speaker and at_the_start:
                return reading.entry("role", "other-label", start, end)
            if len(first) == 2:
                other = first["provider" if speaker == "persona" else "persona"]
                begins = min(span[0] for span in first.values())
                if _is_introduced(small, begins):
                    return None
                return reading.entry("role", "both-sides", *other)
        other_side = "provider" if speaker == "persona" else "persona"
        if other_side in first and _runs_on(small, *first[other_side]):
            return reading.entry("role", "both-sides", *first[other_side])
        return None

    def own(self, speaker: str, reading: Reading) -> Noticed | None:
        """Finds a label or name at the very beginning that only a script would have."""
        small = reading.lowered
        for side, pattern in self._names.items():
            match = pattern.match(small)
            if match is None or not small[match.end() :].strip():
                continue
            # `Maya: 1 adult, Tom: 1 child` is a list of people.
            if _LIST.match(small, match.end()) is None:
                rule = "own-name" if side == speaker else "other-name"
                start = match.end() - len(match[0].lstrip())
                return reading.entry("label", rule, start, match.end())
        tag = _TAG.match(small)
        if tag is not None and str(tag.lastgroup) == speaker and small[tag.end() :].strip():
            return reading.entry("label", "own-label", *tag.span())
        if ":" not in small[:_LABEL_CHARACTERS] and "：" not in small[:_LABEL_CHARACTERS]:
            return None
        match = _LABEL.match(small, len(small) - len(small.lstrip()))
        if match is None or (match["provider"] is not None) != (speaker == "provider"):
            return None
        rest = small[match.end() :]
        if not rest.strip():
            return None
        if match["named"] or match["provider"] in _AMBIGUOUS or match["persona"] in _AMBIGUOUS:
            line = rest.partition("\n")[0]
            if len(line.split()) < _SAID_WORDS or _FORM.search(rest) is not None:
                return None
        return reading.entry("label", "own-label", *match.span())

    def _labelled(self, small: str) -> Iterator[tuple[str, int, int]]:
        """The labelled lines in order: the side, and the span of its label."""
        if "<|" in small:
            for match in _TOKEN.finditer(small):
                yield str(match.lastgroup), *match.span()
        sign = ":" if ":" in small else "："
        at = small.find(sign)
        for _ in range(_LINES):
            if at < 0:
                return
            start = small.rfind("\n", max(0, at - _LABEL_CHARACTERS), at) + 1
            label = _LABEL.match(small, start) if start or at < _LABEL_CHARACTERS else None
            if label is not None and label.end() == at + 1 and _says(label, small):
                side = "provider" if label["provider"] else "persona"
                yield side, start, at + 1
            at = small.find(sign, at + 1)


def _says(label: re.Match[str], small: str) -> bool:
    if not label["named"] and label["provider"] != "support":
        return True
    line = small[label.end() : label.end() + 200].partition("\n")[0]
    return len(line.split()) >= _SAID_WORDS


def _runs_on(small: str, start: int, end: int) -> bool:
    """Whether a text continues with a line of the other side."""
    before = small[:start]
    if not before.rstrip(" \t").endswith("\n") or before.rstrip()[-1:] not in _SENTENCE_ENDS:
        return False
    label = small[start:end].strip("*_#[]() \t:：")
    line = small[end : end + 200].partition("\n")[0]
    if label in _EXPLAINED or len(line.strip("*_ ").split()) < _SAID_WORDS:
        return False
    return not _is_introduced(small, start) and _FORM.search(before) is None


def _is_introduced(small: str, start: int) -> bool:
    """Whether a script is only shown: announced as one, or inside a code block."""
    before = small[max(0, start - _INTRODUCTION) : start]
    return _INTRODUCED.search(before) is not None or small[:start].count("```") % 2 == 1


def _name_pattern(side: str, name: str) -> re.Pattern[str] | None:
    """A pattern for a name as a label; None for what is no personal name."""
    name = " ".join(name.rpartition("/")[2].split())
    small = name.lower()
    if small in _NO_NAMES or _NAME.fullmatch(small) is None or len(small) < _SHORTEST:
        return None
    if side == "provider" and name.isalpha() and name.islower():
        return None  # a function's, which may well be called `answer`
    first = small.split()[0]
    names = [name for name in dict.fromkeys((small, first)) if len(name) >= _SHORTEST]
    known = "|".join(map(re.escape, names))
    return re.compile(
        rf"{_BEFORE}(?:{known}){_AFTER}[*_]{{0,3}}|\s{{0,8}}(?:{known})>\s"
        rf"|\s{{0,8}}(?:\[(?:{known})\]|<(?:{known})>|\((?:{known})\)|【(?:{known})】)"
        rf"|\s{{0,8}}\*\*(?:{known})\*\*[ \t]*(?:\n|[-–—])"
    )
