"""The user's side: one protocol for everything that speaks for a persona."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from convtui.models.base import Delta, Message, Reply
from convtui.providers.base import HistoryTurn


@dataclass(slots=True, frozen=True)
class View:
    """What a user could see of the conversation: what both said, nothing else.

    No system prompt, no tool calls, no tool results, no reasoning.
    """

    turns: Sequence[HistoryTurn]
    session: int
    session_type: str
    task: str = ""
    start_prompt: str | None = None
    """Put to a model that has to speak first and has no provider message to answer."""

    def last_of(self, speaker: str) -> HistoryTurn | None:
        """The last turn of one speaker."""
        return next((turn for turn in reversed(self.turns) if turn.speaker == speaker), None)

    def count_of(self, speaker: str) -> int:
        """How many committed turns a speaker has in this view."""
        return sum(turn.speaker == speaker for turn in self.turns)


def user_visible(
    turns: Sequence[HistoryTurn],
    *,
    session: int,
    session_type: str,
    task: str = "",
    start_prompt: str | None = None,
) -> View:
    """The view a simulated user gets: tool messages and metadata are taken out of every turn."""
    return View(
        turns=[
            turn
            if not turn.messages and not turn.metadata
            else HistoryTurn(turn.session, turn.turn, turn.speaker, turn.text)
            for turn in turns
        ],
        session=session,
        session_type=session_type,
        task=task,
        start_prompt=start_prompt,
    )


@dataclass(slots=True, frozen=True)
class Say:
    """The user says `text`."""

    text: str
    dropped_text: str = ""


@dataclass(slots=True, frozen=True)
class EndConversation:
    """The user is done. `dropped_text` is what stood around a sentinel, `sentinel` what matched."""

    reason: str
    dropped_text: str = ""
    sentinel: str = ""


@dataclass(slots=True, frozen=True)
class Abstain:
    """The user cannot go on from what it was told; the run counts as an error."""

    reason: str


UserAction = Say | EndConversation | Abstain


@dataclass(slots=True)
class Asked:
    """What a simulator wants to put to a model, or what it says without one.

    Exactly one of `say` and `open` is used: `say` is final at once; `open()` makes one attempt at
    the model's answer to `messages`, which `interpret()` turns into an action when it is complete.
    """

    messages: list[Message] = field(default_factory=list)
    params: dict[str, object] = field(default_factory=dict)
    model: str | None = None
    say: UserAction | None = None
    open: Callable[[], AsyncIterator[Delta]] | None = None


class UserSimulator(Protocol):
    """Speaks for a persona.

    `ask()` prepares the next utterance (and is where a model is called, through a stream that the
    engine drives, times and records); `interpret()` says what the raw reply means. Both raise
    `UserSimulatorError`. A simulator keeps no cursor of its own: everything follows from the view,
    so that going back needs nothing from it.
    """

    name: str
    kind: str

    async def setup(self) -> None:
        """Called once before the first session."""
        ...

    async def cleanup(self) -> None:
        """Called once at the end, also after a failure."""
        ...

    def ask(self, view: View) -> Asked:
        """The next utterance: the opening when the view holds no persona turn."""
        ...

    def interpret(self, reply: Reply, view: View) -> UserAction:
        """What a model's reply means: say it, end, or abstain."""
        ...
