"""Texts that should have ended the conversation, written so that nobody heard it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from convtui.text_checks.reading import Noticed, Reading

_ESCAPED: Final = r"&(?:amp;){0,3}(?:%s);?|\\u00%s|%%%s"
_OPEN: Final = (
    "(?:" + _ESCAPED % ("lt|#0*60|#x0*3c", "3c", "3c")
    + "|" + _ESCAPED % ("lsqb|lbrack|#0*91|#x0*5b", "5b", "5b")
    + r"|[<\[{(«‹〈《【⟨|])"
)  # fmt: skip
_CLOSE: Final = (
    "(?:" + _ESCAPED % ("gt|#0*62|#x0*3e", "3e", "3e")
    + "|" + _ESCAPED % ("rsqb|rbrack|#0*93|#x0*5d", "5d", "5d")
    + r"|[>\]})»›〉》】⟩|])"
)  # fmt: skip
_INSIDE: Final = r"[\s*_`~\\/.!:;\-\u200b\u200c\u200d\ufeff]{0,6}"
_BETWEEN: Final = r"[\s_\-.\u200b\u200c\u200d]{0,4}"
_MORE: Final = (
    r"(?:[\s_\-]{1,3}(?:of|the|this|our|conversation|chat|session|dialogue|dialog|here)){0,3}"
)
_HASHES: Final = r"(?:\\?[#*=~_\-]|&#0*35;)"
_LINE_END: Final = re.compile(r"[\s*_`.!]{0,6}(?=\n|$)")
_FULL_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_HAS_FULL_WIDTH: Final = re.compile("[\uff01-\uff5e]")


class Sentinels:
    """Finds near misses of the sentinels in force; exact ones end the session."""

    def __init__(self, sentinels: Iterable[str]) -> None:
        self._exact = tuple(dict.fromkeys(s.lower() for s in sentinels if s.strip()))
        self._looks = tuple(
            look for sentinel in self._exact if (look := _Look.of(sentinel)) is not None
        )

    def near(self, reading: Reading) -> Noticed | None:
        """The first near miss of a sentinel in a text."""
        if not self._looks:
            return None
        small = reading.lowered
        if not small.isascii() and _HAS_FULL_WIDTH.search(small):
            small = small.translate(_FULL_WIDTH)
        for look in self._looks:
            if look.needle not in small:
                continue
            for start, end in look.spans(small, reading.text):
                if not self._is_heard(reading.lowered, start, end):
                    return reading.entry("sentinel", "near-sentinel", start, end)
        return None

    def _is_heard(self, small: str, start: int, end: int) -> bool:
        """Whether the exact sentinel is there, perhaps inside of something longer."""
        return any(
            small.find(sentinel, max(0, start - len(sentinel) + 1), end + len(sentinel) - 1) >= 0
            for sentinel in self._exact
        )


_SHOUTED: Final = frozenset({"stop", "quit", "done", "exit", "no"})
"""Words that people write in capitals, meaning them."""


class _Look:
    """The variants of one sentinel: escaped, decorated, in other brackets."""

    __slots__ = ("_alone", "_bare", "_bracketed", "_hashed", "_last", "needle")

    def __init__(self, words: list[str], sentinel: str) -> None:
        core = _BETWEEN.join(map(re.escape, words))
        self.needle = words[0]
        more = _MORE if len(words) == 1 else ""
        self._bracketed = re.compile(
            rf"\\?{_OPEN}{{1,3}}{_INSIDE}{core}{more}{_INSIDE}{_CLOSE}{{1,3}}"
            rf"|\\?{_OPEN}{{1,3}}{_INSIDE}{core}(?=\s*$)"
        )
        self._alone = re.compile(
            rf"(?:^|(?<=\n))[ \t]*(?:(?:{_HASHES}|`){{1,6}}[ \t]*{core}{more}[ \t]*"
            rf"(?:{_HASHES}|`){{1,6}}|{_HASHES}{{2,6}}[ \t]*{core}{more})(?=[ \t]*(?:\n|$))"
        )
        self._last = re.compile(
            rf"(?<=[.!?…)\"”\n\t ])(?<![\w,;:-] )[*_`]{{0,3}}{core}[*_`]{{0,3}}[ \t.]*\Z"
        )
        own = next((mark for mark in "#*=~" if mark in sentinel), None)
        self._hashed = None
        if own is not None:
            mark = rf"(?:\\?{re.escape(own)}|&#0*{ord(own)};|&num;|%{ord(own):x})"
            self._hashed = re.compile(
                rf"(?:{mark}[ \t-]?){{1,8}}[ \t]*{core}[ \t]*(?:[ \t-]?{mark}){{1,8}}"
                rf"|(?:{mark}[ \t]?){{2,8}}[ \t]*{core}(?=\s*$)"
                rf"|(?<!\w){core}(?:[ \t]?{mark}){{2,8}}"
            )
        self._bare = re.compile(rf"(?<![\w-]){core}(?![\w-])") if len(words) > 2 else None

    @staticmethod
    @lru_cache(maxsize=64)
    def of(sentinel: str) -> _Look | None:
        """The variants of a sentinel in lower case; None for one without words."""
        words = re.findall(r"[^\W_]+", sentinel)
        if not words or not any(word.isalpha() and len(word) > 1 for word in words):
            return None
        return _Look(words, sentinel)

    def spans(self, small: str, text: str) -> Iterable[tuple[int, int]]:
        """The matches in a text, which is given in lower case and as it is."""
        for match in self._bracketed.finditer(small):
            # Other brackets than these stand in everybody's sentences, too.
            if small[match.start()] in "<&%\\" or _LINE_END.match(small, match.end()):
                yield match.span()
        for match in self._alone.finditer(small):
            yield match.span()
        last = self._last.search(small)
        if last is not None:
            word = text[last.start() : last.end()]
            if word[0] in "*_`" or (word.isupper() and self.needle not in _SHOUTED):
                yield last.span()
        if self._hashed is not None:
            for match in self._hashed.finditer(small):
                yield match.span()
        if self._bare is not None:
            for match in self._bare.finditer(small):
                start, end = match.span()
                line = small.rfind("\n", 0, start) + 1
                alone = not small[line:start].strip(" \t*_`-") and _LINE_END.match(small, end)
                if alone or text[start:end].isupper():
                    yield start, end
