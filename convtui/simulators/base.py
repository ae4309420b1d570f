"""The user's side: one protocol for everything that speaks for a persona."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Self

from convtui.errors import ConversationError
from convtui.models.base import Delta, Message, ModelClients, Reply
from convtui.providers.base import HistoryTurn, SignalMatch, match_signals
from convtui.text_checks.reasoning import without_reasoning


@dataclass(slots=True, frozen=True)
class View:
    """What a user could see of the conversation: what both said, nothing else.

    No system prompt, no tool calls, no tool results, no reasoning.
    """

    turns: Sequence[HistoryTurn]
    session: int
    session_type: str
    task: str = ""
    turn: int = 1
    """The number of the turn that is about to be said, in its session."""
    start_prompt: str | None = None
    """Put to a model that has to speak first and has no provider message to answer."""

    def last_of(self, speaker: str) -> HistoryTurn | None:
        """The last turn of one speaker."""
        return next((turn for turn in reversed(self.turns) if turn.speaker == speaker), None)

    def count_of(self, speaker: str) -> int:
        """How many committed turns a speaker has in this view."""
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
    """What a responder chose: which tool it called, with which arguments, and whether validly.

    The fields are those of `user.decided`.
    """

    kind: Literal["reply", "stop", "abstain", "error"]
    tool: str | None = None
    arguments: dict[str, Any] | None = None
    raw_arguments: str | None = None
    valid: bool = True
    reason: str | None = None
    calls: tuple[dict[str, Any], ...] = ()
    """Every tool call, where it was not exactly one."""


@dataclass(slots=True, frozen=True)
class EndConversation:
    """The user is done. `dropped_text` is what stood around a sentinel, `sentinel` what matched."""

    reason: str
    dropped_text: str = ""
    sentinel: str = ""


@dataclass(slots=True, frozen=True)
class Say:
    """The user says `text`; with `then` it is done after that."""

    text: str
    then: EndConversation | None = None
    decision: Decision | None = None


@dataclass(slots=True, frozen=True)
class Stop:
    """A responder, or a human in its place, decided that the user has what it came for."""

    reason: str
    decision: Decision | None = None
    by: Literal["responder", "human"] = "responder"


@dataclass(slots=True, frozen=True)
class Abstain:
    """The user cannot go on from what it was told; the run counts as an error."""

    reason: str
    decision: Decision | None = None
    by: Literal["responder", "human"] = "responder"


@dataclass(slots=True, frozen=True)
class CapExhausted:
    """A responder has no follow-up left; `decision` is what it would have decided."""

    reason: str
    decision: Decision | None = None


@dataclass(slots=True, frozen=True)
class Undecided:
    """A responder made no decision that counts; `reason` is what is wrong."""

    reason: str
    decision: Decision | None = None


UserAction = Say | EndConversation | Stop | Abstain | CapExhausted | Undecided


@dataclass(slots=True)
class Asked:
    """What a simulator wants to put to a model, or what it says without one.

    Exactly one of `say` and `open` is used: `say` is final at once; `open()` makes one attempt at
    the model's answer to `messages`, which `interpret()` turns into an action when it is complete.
    """

    messages: list[Message] = field(default_factory=list)
    params: dict[str, object] = field(default_factory=dict)
    model: str | None = None
    tools: list[str] | None = None
    """Names of the tools that are offered."""
    say: UserAction | None = None
    open: Callable[[], AsyncIterator[Delta]] | None = None
    side: Literal["persona", "responder"] = "persona"
    """Under which side the call is recorded: a responder's decision is not yet what is said."""
    stands: Callable[[Reply], bool] | None = None
    """Whether what arrived before a call failed is enough: a decision stands then."""
    for_record: bool = False
    """Nothing is said of the answer, whatever it is."""


@dataclass(slots=True, frozen=True)
class Casting:
    """What a simulator is made with beside its persona."""

    models: ModelClients
    follow_up_prompts: Sequence[str] = ()
    """Said after what is written down; only kinds that say them get any."""
    global_signal: str = ""
    """What ends a session whoever says it."""
    speed: float = 1.0
    """How fast those speak that need no model; 0 is at once."""


class UserSimulator:
    """Speaks for a persona. Base class of all kinds.

    `ask()` prepares the next utterance (and is where a model is called, through a stream that the
    engine drives, times and records); `interpret()` says what the raw reply means. Both raise
    `UserSimulatorError`. A simulator keeps no cursor of its own: everything follows from the view,
    so that going back needs nothing from it. Like a provider it may declare signals and have
    hooks; `post_process_response` gives what is said of a raw reply.
    """

    name: str = ""
    kind: str = ""
    """What the persona's `simulator` says."""
    termination_signals: Sequence[str] = ()
    end_sentinel: str = ""
    """What its model writes when the persona is done; empty where it ends in another way."""
    overlay: Mapping[str, Any] = MappingProxyType({})
    """Parameters that a model is asked with in this attempt, laid over its own."""

    @classmethod
    def of(cls, persona: Any, casting: Casting) -> Self:
        """One that speaks for `persona`, which has the keys of its kind.

        Raises `UserSimulatorError` for one that cannot speak.
        """
        raise NotImplementedError

    async def setup(self) -> None:
        """Called once before the first session."""

    async def cleanup(self) -> None:
        """Called once at the end, also after a failure."""

    async def close(self) -> int | None:
        """Ends the session of its own that a simulator has with its model.

        Returns how many questions were asked in it; None where there was none.
        """
        return None

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Takes back what a log says of a session of its own. Raises `UserSimulatorError`."""

    def another_way(self, error: ConversationError) -> str | None:
        """Asked when a call failed: a sentence when asking again will be done differently."""
        return None

    def ask(self, view: View) -> Asked:
        """The next utterance: the opening when the view holds no persona turn."""
        raise NotImplementedError

    def interpret(self, reply: Reply, view: View) -> UserAction:
        """What a model's reply means: say it, end, stop or abstain."""
        return Say(reply.text)

    def extract_signals(self, raw: str) -> list[SignalMatch]:
        """The persona's own signals in its raw reply."""
        return match_signals(raw, self.termination_signals)

    def post_process_response(self, text: str) -> str:
        """What is said of a raw reply."""
        return text

    def should_discard_response(self, signals: list[SignalMatch]) -> bool:
        """Whether a reply with signals is dropped."""
        return False
