"""The provider interface: what a provider may define, and the defaults."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from convtui.models.base import Delta, Message, ModelClients, Reply
from convtui.providers.calling import needs_no_thread
from convtui.text_checks.reasoning import is_inside, reasoning_spans

Speaker = Literal["persona", "provider"]


@dataclass(slots=True, frozen=True)
class SignalMatch:
    """A declared signal found in a raw reply.

    `signal` is the declared spelling, `matched` the text as it stands in the reply and
    `start`/`end` its span there, in characters.
    """

    signal: str
    matched: str
    start: int
    end: int
    round: int | None = None
    """The tool round whose text it is in; None for the last, which is the reply."""
    inside: str = field(default="", compare=False)
    """`reasoning` for a match inside the reasoning; empty otherwise."""
    counts: bool = field(default=True, compare=False)
    """Whether it has an effect: a match in a persona's reasoning ends nothing."""

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> SignalMatch:
        """A match from its entry in a log."""
        return cls(
            str(recorded.get("signal", "")),
            str(recorded.get("matched", "")),
            int(recorded.get("start") or 0),
            int(recorded.get("end") or 0),
            None if recorded.get("round") is None else int(recorded["round"]),
            str(recorded.get("inside") or ""),
            recorded.get("counts") is not False,
        )

    def as_dict(self) -> dict[str, Any]:
        """The match as its entry in a log."""
        data: dict[str, Any] = {
            "signal": self.signal,
            "matched": self.matched,
            "start": self.start,
            "end": self.end,
        }
        if self.round is not None:
            data["round"] = self.round
        if self.inside:
            data["inside"] = self.inside
        if not self.counts:
            data["counts"] = False
        return data


@lru_cache(maxsize=256)
def _pattern(signal: str) -> re.Pattern[str]:
    return re.compile(re.escape(signal), re.IGNORECASE)


def match_signals(raw: str, signals: Sequence[str]) -> list[SignalMatch]:
    """Every occurrence of every declared signal in `raw`, by position, then by declaration.

    Matching is case-insensitive and spans are exact in `raw`, also where a case mapping changes
    the length of the text (the pattern is matched against `raw` itself, never against a
    lower-cased copy). Different signals may overlap; one signal does not overlap itself. This is
    the only place where signals are matched.
    """
    matches: list[tuple[int, int, SignalMatch]] = []
    for order, signal in enumerate(signals):
        if not signal:
            continue
        for match in _pattern(signal).finditer(raw):
            matches.append(
                (
                    match.start(),
                    order,
                    SignalMatch(signal, match.group(), match.start(), match.end()),
                )
            )
    matches.sort(key=lambda item: item[:2])
    return [item[2] for item in matches]


def thought_signals(text: str, signal: str) -> list[SignalMatch]:
    """The matches of a signal inside the reasoning of a text; they have no effect."""
    thought = reasoning_spans(text)
    return [
        replace(match, inside="reasoning", counts=False)
        for match in (match_signals(text, [signal]) if thought else ())
        if is_inside(thought, match.start, match.end)
    ]


@dataclass(slots=True, frozen=True)
class HistoryTurn:
    """A committed turn as a provider or a simulator may see it."""

    session: int
    turn: int
    speaker: Speaker
    text: str
    messages: tuple[Message, ...] = ()
    """The tool messages that led to it (assistant calls and tool results), in order."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    reply: str | None = None
    """The text of the last round alone, if `text` also includes text beside tool calls."""


@dataclass(slots=True, frozen=True)
class Request:
    """One request to a provider.

    `messages` is the whole chat as the provider's model sees it: the system prompt first when
    there is one, the persona as `user`, the provider as `assistant`.
    """

    messages: list[Message]
    session: int
    session_type: str
    turn: int
    history: Sequence[HistoryTurn] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    tools: Sequence[Mapping[str, Any]] = ()
    """JSON schemas of the tools that may be called, in the form of chat APIs."""

    @property
    def last_text(self) -> str:
        """The text of the message to answer; empty if there is none."""
        content = self.messages[-1].get("content") if self.messages else ""
        return content if isinstance(content, str) else ""


@dataclass(slots=True)
class RestoreState:
    """The argument of `restore()`: a copy of the conversation so far."""

    sessions: list[str]
    """The prepared session types, in order."""
    session: int
    """The session to continue, counted from 1."""
    histories: dict[int, list[HistoryTurn]]
    """Committed turns by session."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Metadata of the provider's last turn."""
    conversation_id: str | None = None
    warm: list[Message] = field(default_factory=list)
    """The messages of a warm template, which precede the history of every session."""


class Provider:
    """Base class of providers. Every member is optional except one of the two ways to answer.

    Override `generate_response` (simple) or `respond` (streaming, usage, tool calls). The methods
    here are the defaults; `convtui.scenario.provider_hooks` has a row for each. Hooks work on
    the provider's own replies: `extract_signals` and `post_process_response` both get the raw
    text, once each, in that order.
    """

    name: str = ""
    system_prompt: str = ""
    tools: Sequence[Any] = ()
    stateful: bool | None = None
    """Whether it keeps state between calls that `restore()` would have to bring back. None means
    unknown, which is reported before the first continuation."""
    termination_signals: Sequence[str] = ()
    """Strings in the provider's raw reply that end the session."""
    first_speaker: Speaker | None = None
    """Read after every `enter_session`; None leaves it to the scenario."""
    opens_itself: bool = False
    """Whether it produces the opening even if the scenario has a `first_message`, which it was
    given and handles itself."""
    takes_messages: bool = True
    """Whether it reads the messages of a request; otherwise only the turns."""
    params: Mapping[str, Any] = {}
    models: ModelClients | None = None
    """Set before `setup()`: makes model clients that share convtui's capture and settings."""

    async def setup(self) -> None:
        """Called exactly once, by the runner, before anything else."""

    async def cleanup(self) -> None:
        """Called once at the end, also after a failure."""

    @needs_no_thread
    def prepare_sessions(self, session_types: list[str]) -> list[str]:
        """The sessions to hold. May reorder `session_types` or put a mandatory one first."""
        return session_types

    async def enter_session(self, session_type: str) -> None:
        """Called before every session, also the first."""

    async def finish_and_reset_session(self, next_session_type: str) -> None:
        """Called between two sessions: never before the first, never after the last."""

    async def generate_response(self, messages: list[Message]) -> str | Reply:
        """The reply to the chat so far. The simple way to answer."""
        raise NotImplementedError(
            f"{type(self).__name__} defines neither generate_response(messages) nor"
            " respond(request)"
        )

    async def respond(self, request: Request) -> AsyncIterator[Delta]:
        """The reply as a stream of deltas. By default: `generate_response` in one piece, or in
        those that it yields."""
        from convtui.providers.call_shape import read_call_shape
        from convtui.providers.streams import answer

        shape = read_call_shape(self.generate_response, names_decide=False)
        positional, named = shape.bind(request.last_text, request.messages)
        async with contextlib.aclosing(answer(self.generate_response, *positional, **named)) as own:
            async for delta in own:
                yield delta

    def extract_signals(self, raw: str) -> list[SignalMatch]:
        """The signals in a raw reply. By default: every declared one, case-insensitively."""
        return match_signals(raw, self.termination_signals)

    def post_process_response(self, text: str) -> str:
        """The text to commit, given the raw reply."""
        return text

    def should_discard_response(self, signals: list[SignalMatch]) -> bool:
        """Whether a reply with these signals is dropped instead of committed."""
        return False
