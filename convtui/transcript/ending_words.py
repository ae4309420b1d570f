"""How a conversation or a session ended, in words: the kinds of a log are for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from convtui.text.boundary import visible_line


def kind_words(kind: object) -> str:
    """`early termination` for `early_termination`."""
    return visible_line(str(kind), 40).replace("_", " ")


LABELS: Final = {"early_termination": "ended early", "max_turns": "turn limit"}


def ending_label(kind: str) -> str:
    """An ending in a word or two, for lists and tables: `turn limit`."""
    return LABELS.get(kind) or kind_words(kind)


def ending_words(termination: Mapping[str, Any] | None, *, nothing: str) -> str:
    """`early termination by provider at turn 4: <reason>`; `nothing` without a termination.

    A limit of the scenario is nobody's doing: it is not said by whom.
    """
    if not termination:
        return nothing
    text = kind_words(termination.get("kind") or "")
    by = termination.get("by")
    if by and by != "harness":
        text += f" by {by}"
    if termination.get("at_turn"):
        text += f" at turn {termination['at_turn']}"
    if termination.get("reason"):
        text += f": {termination['reason']}"
    return text


_PHRASES: Final = {
    "early_termination": "ended early",
    "max_turns": "turn limit reached",
    "word_limit": "word limit reached",
    "cap_exhausted": "follow-ups used up",
    "budget": "budget used up",
}


def ending_phrase(kind: str, by: str = "") -> str:
    """An ending for a headline: `ended early by provider`, `turn limit reached`."""
    words = _PHRASES.get(kind) or kind_words(kind)
    return f"{words} by {visible_line(by, 40)}" if by and by != "harness" else words
