"""What a model said beside its tool calls, before the reply that ended its turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Interim(NamedTuple):
    """The text of a round that called tools; `round` counts from 1."""

    round: int
    text: str


def last_round(turn: Mapping[str, Any]) -> str:
    """What a committed turn said in its last round, as record or seeded turn; the rest stands in
    its tool messages."""
    reply = turn.get("reply")
    return str(turn.get("text", "")) if reply is None else str(reply)


def interim_in(messages: Iterable[Mapping[str, Any]]) -> tuple[Interim, ...]:
    """The texts in the tool messages of a turn: chat messages, an `assistant` one a round."""
    texts: list[Interim] = []
    number = 0
    for message in messages:
        if message.get("role") == "assistant":
            number += 1
            content = message.get("content")
            if isinstance(content, str) and content.strip():
                texts.append(Interim(number, content))
    return tuple(texts)
