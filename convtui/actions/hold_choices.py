"""The action, and so the key, of every choice that a hold can offer.

Hold bar, footer, help, palette and handlers read this table. An action keeps its meaning in every
hold; Enter takes the first choice, whichever it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FIRST: Final = "hold.first"
_HAND_BACK: Final = "hand_back"

ANSWERS: Final[Mapping[str, tuple[str, ...]]] = {
    "hold.edit": ("edit", "supply", "reply"),
    "hold.ask_again": ("again", "simulate", "replay", "retry"),
    "hold.override": ("override", "keep"),
    "hold.deny": ("deny",),
    "hold.skip": ("skip",),
    "hold.wait": ("wait",),
    "hold.raise_budget": ("raise",),
    "hold.stop": ("stop",),
    "hold.abstain": ("abstain",),
    "hold.let_end": ("end", "fail"),
    "hold.undo": ("undo",),
    "hold.redo": ("redo",),
}
"""The actions that do nothing but answer a hold, with their choices.

An action takes the first of its choices that the hold offers.
"""
_OTHERS: Final[Mapping[str, str]] = {
    "go": "run.continue",
    "continue": "run.continue",
    "say": FIRST,
    "draft": "take_over.draft",
    _HAND_BACK: "take_over.toggle",
}
"""The actions of other choices; outside of holds they do the same."""
GOES_ON: Final = tuple(choice for choice, action in _OTHERS.items() if action == "run.continue")
"""The choices that `run.continue` takes."""


def action_of(choice: str, side: object = None) -> str | None:
    """The action that takes a choice, None for an unknown one; `side` is that of the hold."""
    if choice == _HAND_BACK and side == "provider":
        return "take_over.provider"
    return _ACTIONS.get(choice)


_ACTIONS: Final = {
    **{choice: action for action, choices in ANSWERS.items() for choice in choices},
    **_OTHERS,
}
