"""Surrogates in text: characters that endpoints cut in two, and halves that no request can have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

REPLACED: Final = "lone_surrogates"
"""The code of the warning that something was replaced."""
_HIGH: Final = ("\ud800", "\udbff")


def joined_pairs(text: str) -> str:
    """`text` with every surrogate pair as the character it stands for; lone halves stay."""
    return _joined(text, "surrogatepass")


def replace_surrogates(value: Any) -> Any:
    """`value` with no lone surrogate in any of its strings, at any depth; each becomes U+FFFD.

    No UTF-8 has them, so a request with one cannot be written. Two that make a character together
    become that character. What needs no change is returned as it is, not copied.
    """
    if isinstance(value, str):
        return _joined(value, "replace")
    if isinstance(value, Mapping):
        items = {replace_surrogates(key): replace_surrogates(item) for key, item in value.items()}
        same = len(items) == len(value) and all(
            key is new and item is old
            for (key, item), (new, old) in zip(items.items(), value.items(), strict=True)
        )
        return value if same else items
    if isinstance(value, (list, tuple)):
        made = [replace_surrogates(item) for item in value]
        if all(new is old for new, old in zip(made, value, strict=True)):
            return value
        return made
    return value


def _joined(text: str, lone: str) -> str:
    """`text` with pairs joined; `lone` is the error handler for lone halves."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", lone)
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
