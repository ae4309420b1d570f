"""Numbers of things, for people."""

from __future__ import annotations

from typing import Final

_VERBS: Final = {"are": "is", "were": "was", "have": "has"}


def counted(count: int, one: str, many: str = "") -> str:
    """`1 turn`, `2 turns`, `1,000 branches`; `many` is the plural where it is not `one` and s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def counted_phrase(count: int, phrase: str) -> str:
    """A phrase that is written for many: `2 turns were left out`, `1 turn was left out`.

    Its noun is the first word that ends in s; a verb right behind it agrees.
    """
    if count != 1:
        return f"{count:,} {phrase}"
    words = phrase.split(" ")
    noun = next((index for index, word in enumerate(words) if word.endswith("s")), None)
    if noun is not None:
        word = words[noun]
        words[noun] = f"{word[:-3]}y" if word.endswith("ies") else word[:-1]
        words[noun + 1 : noun + 2] = [_VERBS.get(verb, verb) for verb in words[noun + 1 : noun + 2]]
    return f"1 {' '.join(words)}"
