"""A reply that was received before a conversation was gone on with, and not yet said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convtui.models.base import Message, Reply
from convtui.records.models import Side, Speaker


@dataclass(slots=True, frozen=True)
class Pending:
    """A raw reply that was received but not committed; it re-enters at `signals`."""

    speaker: Speaker
    number: int
    attempt: int
    reply: Reply
    source: dict[str, Any]
    """Where it stands: `{log, seq}`."""
    messages: tuple[Message, ...] = ()
    """The tool messages that led to it."""
    hold: bool = False
    side: Side = "persona"
    """Under which side it was received: a responder's decision is not yet what is said."""
    forced: dict[str, Any] | None = None
    """The `user.decided` that a human put in place of a responder's decision."""
    edits: tuple[tuple[str, str], ...] = ()
    """Edits of the raw reply, before and after each."""
    tools: dict[str, Any] | None = None
    """Where the provider's reply called tools: how far they got, as `ToolMemory.open_round()`
    tells it."""
