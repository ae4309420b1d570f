"""Characters beyond U+FFFF that endpoints cut in two: each half is a surrogate of its own."""

from __future__ import annotations

_HIGH = ("\ud800", "\udbff")


def joined_pairs(text: str) -> str:
    """`text` with every surrogate pair as the character it stands for; lone halves stay."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text


class PairJoiner:
    """Joins pieces of text, and characters whose halves came in two pieces."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._half = ""

    def add(self, text: str) -> None:
        text, self._half = self._half + text, ""
        if _HIGH[0] <= text[-1:] <= _HIGH[1]:
            text, self._half = text[:-1], text[-1]
        self._pieces.append(joined_pairs(text))

    @property
    def text(self) -> str:
        """The text so far, without half a character at its end."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    @property
    def whole(self) -> str:
        """The whole text, once nothing more comes."""
        return self.text + self._half
