"""Takes secrets out of text that comes in pieces: what is let out never ends in half a secret."""

from __future__ import annotations

from typing import Final

from convtui.secrets.redactor import Redactor, replaced
from convtui.secrets.shapes import NAME_SIGNS, OPEN_END, PRIVATE_KEY, PRIVATE_KEY_ENDS

_LOOK_BACK: Final = 512
"""Characters before the end in which a telling name may stand."""
_WORD: Final = "".join(map(chr, range(0x21, 0x7F)))
_MOST: Final = 8192
"""Characters that are held back at the most, where no known secret is longer."""


class StreamRedactor:
    """Redacts text that comes in pieces; complete once `rest()` was called.

    An end that may be the beginning of a secret is held back: the last word, what follows a telling
    name, as much as a known secret's beginning. In the end the pieces are what the redactor would
    have made of the whole.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""
        self._swallows = False
        """Whether the last piece ended within a word that was taken out: what goes on with it is
        of it."""

    @property
    def held(self) -> int:
        return len(self._held)

    def feed(self, text: str) -> str:
        """Adds text; returns what may go out now."""
        if self._swallows:
            text = self._after_word(text)
        if not text:
            return ""
        self._held += text
        end = self._safe_end()
        if not end:
            return ""
        out, self._held = self._held[:end], self._held[end:]
        return self._redactor.text(out)

    def rest(self) -> str:
        """The text held back; a secret that has only begun is redacted as far as it came."""
        out, self._held, self._swallows = self._held, "", False
        return self._redactor.cut_text(out) if out else ""

    def _after_word(self, text: str) -> str:
        for index, char in enumerate(text):
            if not "!" <= char <= "~" or char in "\"'<>,;":
                self._swallows = False
                return text[index:]
        return ""

    def _safe_end(self) -> int:
        held = self._held
        size = len(held)
        word = len(held.rstrip(_WORD))
        end = min(word, self._redactor.begins_at(held, 1))
        # Where all of it is one word, there is no earlier end to look for.
        if end:
            end = self._end_before_secrets(end, word)
        most = max(_MOST, self._redactor.longest)
        return end if size - end <= most else self._forced_end(size)

    def _end_before_secrets(self, end: int, word: int) -> int:
        """The last place up to `end` that no secret, begun or whole, reaches over.

        The last word begins at `word`.
        """
        held = self._held
        size = len(held)
        tail = held[max(0, word - _LOOK_BACK) :]
        lowered = tail.lower()
        if any(sign in lowered for sign in NAME_SIGNS):
            begins = OPEN_END.search(tail)
            if begins is not None:
                end = min(end, size - len(tail) + begins.start())
        key = held.rfind(PRIVATE_KEY)
        if key >= 0 and PRIVATE_KEY_ENDS.search(held, key) is None:
            end = min(end, key)
        # A secret that is whole may reach over the end.
        if end < size:
            for first, last in reversed(self._redactor.spans(held, whole=True)):
                if first < end < last:
                    end = first
        return end

    def _forced_end(self, size: int) -> int:
        """When too much is held back: redacts the secret so far, and what follows of it."""
        held = self._held
        spans = self._redactor.spans(held)
        if spans and spans[-1][1] == size:
            self._held = replaced(held, spans)
            self._swallows = True
            return len(self._held)
        return size - self._redactor.longest
