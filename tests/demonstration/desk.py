"""A ferry company's help desk. Its model is a table here, so that everyone sees the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convtui import Provider

ANSWERS = {
    "cancelled": "I am sorry about that. Which crossing was it, and on which day?",
    "the 09:15": "Don't say goodbye to your money yet: a cancelled crossing is refunded in full. "
    "Shall I start that for you?",
    "yes": "Done. The money is with you within five days. Is there anything else?",
    "bicycle": "Bicycles travel free, and you can say goodbye to the queue: they board first.",
    "thanks": "You are welcome. Goodbye!",
}


class Desk(Provider):
    """Says goodbye when it is done; that ends the conversation."""

    stateful = False
    termination_signals: Sequence[str] = ["goodbye"]

    async def generate_response(self, messages: Sequence[dict[str, Any]]) -> str:
        """The answer to the first word of the table that was said."""
        said = str(messages[-1]["content"]).lower()
        return next((answer for word, answer in ANSWERS.items() if word in said), "Pardon?")
