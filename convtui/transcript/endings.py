"""How sessions end, in words."""

from __future__ import annotations

from typing import Final

from convtui.text.boundary import visible_line

_WORDS: Final = {
    "early_termination": "ended early",
    "max_turns": "turn limit reached",
    "word_limit": "word limit reached",
    "cap_exhausted": "follow-ups used up",
    "budget": "budget used up",
}


def ending_words(kind: str, by: str = "") -> str:
    """An ending as a phrase, such as `ended early by provider` or `turn limit reached`."""
    words = _WORDS.get(kind) or visible_line(kind, 40).replace("_", " ")
    # The harness only carries out what limits say.
    return f"{words} by {visible_line(by, 40)}" if by and by != "harness" else words
