"""How a conversation or a session ended, in words: the kinds of a log are for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from convtui.text.boundary import visible_line


def kind_words(kind: object) -> str:
    """`early termination` for `early_termination`."""
    return visible_line(str(kind), 40).replace("_", " ")


def ending_sentence(termination: Mapping[str, Any] | None, *, nothing: str) -> str:
    """`ended early by provider at turn 4: <reason>`; `nothing` without a termination.

    A limit of the scenario is nobody's doing: it is not said by whom.
    """
    if not termination:
        return nothing
    phrase = ending_phrase(str(termination.get("kind") or ""), str(termination.get("by") or ""))
    return phrase + _where_and_why(termination)


_USER: Final = ("simulator", "responder")


def _where_and_why(termination: Mapping[str, Any]) -> str:
    at, text = termination.get("at_turn"), ""
    if at:
        # A simulated user ends a session in what would be the next turn, and has that number there.
        by_user = termination.get("by") in _USER and termination.get("kind") != "failed"
        text = f" {'after' if by_user else 'at'} turn {at}"
    return text + (f": {termination['reason']}" if termination.get("reason") else "")


_PHRASES: Final = {
    "early_termination": "ended early",
    "max_turns": "turn limit reached",
    "word_limit": "word limit reached",
    "cap_exhausted": "follow-ups used up",
    "budget": "budget used up",
}


_SHORT: Final = {
    "max_turns": "turn limit",
    "word_limit": "word limit",
    "cap_exhausted": "follow-up cap",
    "budget": "budget",
}


def short_ending(kind: str) -> str:
    """An ending where there is room for a word or two: `ended early`, `turn limit`."""
    return _SHORT.get(kind) or ending_phrase(kind)


def ending_phrase(kind: str, by: str = "") -> str:
    """An ending for a headline: `ended early by provider`, `turn limit reached`."""
    words = _PHRASES.get(kind) or kind_words(kind)
    return f"{words} by {visible_line(by, 40)}" if by and by != "harness" else words
