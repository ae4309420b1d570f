"""What a side contributes to a turn, before the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from convtui.models.base import Message, Reply
from convtui.records.interim import Interim, interim_in
from convtui.simulators.base import Abstain, CapExhausted, EndConversation, Stop


@dataclass(slots=True)
class Utterance:
    """A text to be said, and what came with it."""

    raw: str
    human: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    then: EndConversation | None = None
    truncated: bool = False
    draft: Literal["sent", "edited", "replaced"] | None = None
    """What a human did with the draft that there was."""
    incomplete: str = ""
    """Why the reply did not come to its end."""
    finish_reason: str | None = None
    parts: tuple[str, ...] = ()
    """The types of what came beside the text."""

    @classmethod
    def of_reply(
        cls,
        reply: Reply,
        raw: str,
        *,
        messages: Sequence[Message] = (),
        truncated: bool = False,
        then: EndConversation | None = None,
        human: bool = False,
    ) -> Utterance:
        """A model's reply, its text perhaps edited to `raw`."""
        return cls(
            raw,
            human=human,
            metadata=dict(reply.metadata),
            messages=list(messages),
            then=then,
            truncated=truncated,
            incomplete=reply.incomplete,
            finish_reason=reply.finish_reason,
            parts=tuple(dict.fromkeys(str(part.get("type")) for part in reply.parts)),
        )

    @property
    def interim(self) -> tuple[Interim, ...]:
        """What was said beside the tool calls of earlier rounds."""
        return interim_in(self.messages)


UserEnding = EndConversation | Stop | Abstain | CapExhausted
Contribution = Utterance | UserEnding
"""What a side says, or that the simulated user is done."""
