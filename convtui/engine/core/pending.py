"""A reply that an earlier log received and did not commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

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
    """The record of the reply: `{log, seq}`."""
    messages: tuple[Message, ...] = ()
    """The tool messages of the turn before the reply."""
    hold: bool = False
    side: Side = "persona"
    """The side of the call: a responder's decision is not yet an utterance."""
    forced: dict[str, Any] | None = None
    """The `user.decided` of a human that replaced the responder's decision."""
    edits: tuple[tuple[str, str], ...] = ()
    """Edits of the raw reply, before and after each."""
    human: bool = False
    """Whether a human wrote it, whose turn it was."""
    draft: Literal["sent", "edited", "replaced"] | None = None
    """What the human did with the draft that the side had made, if there was one."""
    supplied: bool = False
    """Whether it was written by hand in the place of a reply that did not come."""
    tools: dict[str, Any] | None = None
    """Where the provider's reply called tools: how far they got, as `ToolMemory.open_round()`
    tells it."""
