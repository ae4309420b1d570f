"""What can be noticed about a shown text for nothing: no model is asked.

Each flag comes with the rule that raised it:

* `role`: a side speaks as if it were the other one;
* `label`: a text begins with a name or a label, as in a script;
* `sentinel`: the simulated user meant to end the conversation, and was not heard;
* `repeat`: a side says what it has said before in the session;
* `echo`: a side says what the other one said just before;
* `farewell`: both sides only say goodbye, turn after turn;
* `leak`: reasoning reached the shown text.

These are guesses from the outside of a text, and a person may correct them. They cost
microseconds, look at a bounded part of any text and never raise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FLAG_RULES: Final[Mapping[str, Mapping[str, str]]] = {
    "role": {
        "offers-help": "the user offers its help, as an assistant does",
        "is-an-ai": "the user says that it is an AI",
        "leaves-the-part": "the user says that it plays a part, or leaves it",
        "counsels": "the user cares for the other side, as a counsellor does",
        "thanks-for-contact": "the user thanks for being contacted, as support does",
        "asks-for-account": "the user asks for the other side's account or booking details",
        "acts-for-service": "the user speaks for the service, or says what it has done for one",
        "asks-as-user": "the provider asks for help with a trouble of its own",
        "other-label": "the text begins with the other side's label",
        "both-sides": "the text writes lines of both sides",
    },
    "label": {
        "own-name": "the text begins with the speaker's own name, as in a script",
        "other-name": "the text begins with the other side's name, as in a script",
        "own-label": "the text begins with the speaker's own label, as in a script",
    },
    "sentinel": {
        "near-sentinel": "a sentinel stands in the text in a form that ends nothing",
    },
    "repeat": {
        "same-words": "the same side said the same words before in this session",
        "nearly-same-words": "the same side said nearly the same words before in this session",
        "same-short-line": "the same side said the same short line a moment ago",
    },
    "echo": {
        "same-as-other": "the other side said the same words just before",
        "nearly-same-as-other": "the other side said nearly the same words just before",
        "part-of-other": "the whole text is a piece of what the other side said just before",
    },
    "farewell": {
        "only-goodbyes": "both sides have only said goodbye or thanks for three turns or more",
    },
    "leak": {
        "reasoning-tag": "a reasoning tag stands in the shown text",
        "reasoning-words": "the shown text begins with reasoning that is marked without tags",
    },
}
"""Every rule in one clause, by the flag that it raises."""

RULES: Final[Mapping[str, str]] = {
    rule: clause for rules in FLAG_RULES.values() for rule, clause in rules.items()
}
"""Every rule in one clause."""
