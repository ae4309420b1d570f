"""The simulator interface: one protocol for everything that speaks for a persona."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Self

from convtui.errors import ConversationError
from convtui.models.base import Delta, Message, ModelClients, Reply
from convtui.providers.base import HistoryTurn, SignalMatch, match_signals
from convtui.text_checks.reasoning import without_reasoning


class View(NamedTuple):
    """What a user can see of the conversation: the texts of both sides.

    No system prompt, no tool calls, no tool results, no reasoning.
    """

    turns: Sequence[HistoryTurn]
    session: int
    session_type: str
    task: str = ""
    turn: int = 1
    """The number of the next turn in its session."""
    start_prompt: str | None = None
    """The prompt for a model that speaks first, with no provider message to answer."""
    counts: Mapping[str, int] | None = None
    """The number of turns by speaker, where it was counted already."""

    def last_of(self, speaker: str) -> HistoryTurn | None:
        return next((turn for turn in reversed(self.turns) if turn.speaker == speaker), None)

    def count_of(self, speaker: str) -> int:
        """The number of a speaker's committed turns in this view."""
        if self.counts is not None:
            return self.counts.get(speaker, 0)
        return sum(turn.speaker == speaker for turn in self.turns)


def user_visible(turn: HistoryTurn) -> HistoryTurn:
    """A turn as a simulated user may see it: without tool messages, metadata and the provider's
    reasoning."""
    text = without_reasoning(turn.text) if turn.speaker == "provider" else turn.text
    if not turn.messages and not turn.metadata and text is turn.text:
        return turn
    return HistoryTurn(turn.session, turn.turn, turn.speaker, text)


@dataclass(slots=True, frozen=True)
class Decision:
    """A responder's choice: the tool it called, the arguments, and whether the call was valid.

    The fields are those of `user.decided`.
    """

    kind: Literal["reply", "stop", "abstain", "error"]
    tool: str | None = None
    arguments: dict[str, Any] | None = None
    raw_arguments: str | None = None
    valid: bool = True
    reason: str | None = None
    calls: tuple[dict[str, Any], ...] = ()
    """Every tool call, if there was not exactly one."""


@dataclass(slots=True, frozen=True)
class EndConversation:
    """The user is done. `dropped_text` is the text around the sentinel, `sentinel` the match."""

    reason: str
    dropped_text: str = ""
    sentinel: str = ""


@dataclass(slots=True, frozen=True)
class Say:
    """The user says `text`, and with `then` is done after it."""

    text: str
    then: EndConversation | None = None
    decision: Decision | None = None


@dataclass(slots=True, frozen=True)
class Stop:
    """A responder, or a human in its place, decided that the user has reached its goal."""

    reason: str
    decision: Decision | None = None
    by: Literal["responder", "human"] = "responder"


@dataclass(slots=True, frozen=True)
class Abstain:
    """The user does not know how to go on; the run counts as an error."""

    reason: str
    decision: Decision | None = None
    by: Literal["responder", "human"] = "responder"


@dataclass(slots=True, frozen=True)
class CapExhausted:
    """A responder has no follow-up left; `decision` is its decision for the record."""

    reason: str
    decision: Decision | None = None


@dataclass(slots=True, frozen=True)
class Undecided:
    """A responder made no valid decision; `reason` says why."""

    reason: str
    decision: Decision | None = None


UserAction = Say | EndConversation | Stop | Abstain | CapExhausted | Undecided


@dataclass(slots=True)
class Asked:
    """A simulator's request to a model, or what it says without one.

    Exactly one of `say` and `open` is used: `say` is final at once; `open()` makes one attempt at
    the model's answer to `messages`, which `interpret()` turns into an action once it is complete.
    """

    messages: list[Message] = field(default_factory=list)
    params: dict[str, object] = field(default_factory=dict)
    model: str | None = None
    tools: list[str] | None = None
    """Names of the tools that are offered."""
    say: UserAction | None = None
    open: Callable[[], AsyncIterator[Delta]] | None = None
    side: Literal["persona", "responder"] = "persona"
    """The side of the recorded call: a responder's decision is not yet an utterance."""
    stands: Callable[[Reply], bool] | None = None
    """Whether the reply received before a call failed is enough: a decision then stands."""
    for_record: bool = False
    """The answer is only recorded, never said."""


@dataclass(slots=True, frozen=True)
class Casting:
    """What a simulator is made with, apart from its persona."""

    models: ModelClients
    follow_up_prompts: Sequence[str] = ()
    """Said after the script; only kinds that use them get any."""
    global_signal: str = ""
    """Ends a session, whichever side says it."""
    speed: float = 1.0
    """The pace of simulators without a model; 0 is without delay."""


class UserSimulator:
    """Speaks for a persona. Base class of all kinds.

    `ask()` prepares the next utterance (and is where a model is called, through a stream that the
    engine drives, times and records); `interpret()` turns the raw reply into an action. Both raise
    `UserSimulatorError`. A simulator keeps no cursor of its own: everything follows from the view,
    so that rewinding needs nothing from it. Like a provider it may declare signals and have
    hooks.
    """

    name: str = ""
    kind: str = ""
    """The persona's `simulator`."""
    termination_signals: Sequence[str] = ()
    end_sentinel: str = ""
    """The text with which its model ends; empty if it ends in another way."""
    overlay: Mapping[str, Any] = MappingProxyType({})
    """Parameters of this attempt, which override the model's own."""

    @classmethod
    def of(cls, persona: Any, casting: Casting) -> Self:
        """A simulator for `persona`, which has the keys of its kind.

        Raises `UserSimulatorError` if it lacks what it needs to speak.
        """
        raise NotImplementedError

    async def setup(self) -> None:
        """Called once before the first session."""

    async def cleanup(self) -> None:
        """Called once at the end, also after a failure."""

    async def close(self) -> int | None:
        """Ends the simulator's own session with its model.

        Returns the number of calls in it; None if there were none.
        """
        return None

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Restores its own session from a log. Raises `UserSimulatorError`."""

    def another_way(self, error: ConversationError) -> str | None:
        """After a failed call: a sentence if the next attempt will be made differently."""
        return None

    def ask(self, view: View) -> Asked:
        """The next utterance: the opening when the view holds no persona turn."""
        raise NotImplementedError

    def interpret(self, reply: Reply, view: View) -> UserAction:
        """The action that a model's reply stands for: say it, end, stop or abstain."""
        return Say(reply.text)

    def extract_signals(self, raw: str) -> list[SignalMatch]:
        """The persona's own signals in its raw reply."""
        return match_signals(raw, self.termination_signals)

    def post_process_response(self, text: str) -> str:
        """The text to commit, given the raw reply."""
        return text

    def should_discard_response(self, signals: list[SignalMatch]) -> bool:
        """Whether a reply with these signals is dropped."""
        return False
