"""The provider's side: what a provider may define, and what convtui does where it does not."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import re
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from convtui.errors import ThreadExit
from convtui.models.base import Delta, Message, ModelClients, Reply
from convtui.text.causes import describe_one
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
    """The tool round whose text it stands in; None for the last, which is the reply."""
    inside: str = field(default="", compare=False)
    """`reasoning` for one that was only thought."""
    counts: bool = field(default=True, compare=False)
    """Whether anything follows from it: what a persona only thought ends nothing."""

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> SignalMatch:
        """The match that a log tells of."""
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
        """The match as it is written into the log."""
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
    found: list[tuple[int, int, SignalMatch]] = []
    for order, signal in enumerate(signals):
        if not signal:
            continue
        for match in _pattern(signal).finditer(raw):
            found.append(
                (
                    match.start(),
                    order,
                    SignalMatch(signal, match.group(), match.start(), match.end()),
                )
            )
    found.sort(key=lambda item: item[:2])
    return [item[2] for item in found]


def thought_signals(text: str, signal: str) -> list[SignalMatch]:
    """Where a signal stands inside the reasoning of a text: matches that count for nothing."""
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
    """What the last round said, where `text` also holds what was said beside tool calls."""


@dataclass(slots=True, frozen=True)
class Request:
    """One question to a provider.

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
        """The text of the message that is to be answered; empty where nothing was said."""
        content = self.messages[-1].get("content") if self.messages else ""
        return content if isinstance(content, str) else ""


@dataclass(slots=True)
class RestoreState:
    """What `restore()` is given: the conversation so far, by value."""

    sessions: list[str]
    """The prepared session types, in order."""
    session: int
    """The session that goes on, from 1."""
    histories: dict[int, list[HistoryTurn]]
    """Committed turns by session."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Metadata of the provider's last turn."""
    conversation_id: str | None = None
    warm: list[Message] = field(default_factory=list)
    """What stands before every session's history: the messages of a warm template."""


class Provider:
    """Base class of providers; every part is optional but one of the two ways to answer.

    Override `generate_response` (simple) or `respond` (streaming, usage, tool calls). What is here
    is what holds without a hook; `convtui.scenario.provider_hooks` has a row for each. Hooks work
    on the provider's own replies: `extract_signals` and `post_process_response` both get the raw
    text, once each, in that order.
    """

    name: str = ""
    system_prompt: str = ""
    tools: Sequence[Any] = ()
    stateful: bool | None = None
    """Whether it keeps anything between calls that `restore()` would have to bring back.
    None is "unknown", and is said so before the first continuation."""
    termination_signals: Sequence[str] = ()
    """Strings in the provider's raw reply that end the session."""
    first_speaker: Speaker | None = None
    """Read after every `enter_session`; None leaves it to the scenario."""
    opens_itself: bool = False
    """Whether it is asked for its first words even where the scenario has a `first_message`: it
    was given that message and knows what to do with it."""
    takes_messages: bool = True
    """Whether it answers to the messages of a request; otherwise to the turns alone."""
    params: Mapping[str, Any] = {}
    models: ModelClients | None = None
    """Set before `setup()`: makes model clients that share convtui's capture and settings."""

    async def setup(self) -> None:
        """Called exactly once, by the runner, before anything else."""

    async def cleanup(self) -> None:
        """Called once at the end, also after a failure."""

    def prepare_sessions(self, session_types: list[str]) -> list[str]:
        """The sessions to hold: may reorder the request or put a mandatory one before it."""
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
        """The reply as a stream of deltas. By default: `generate_response` in one piece."""
        from convtui.providers.call_shape import read_call_shape
        from convtui.providers.replies import read_reply

        shape = read_call_shape(self.generate_response, names_decide=False)
        positional, named = shape.bind(request.last_text, request.messages)
        yield read_reply(await call(self.generate_response, *positional, **named))

    def extract_signals(self, raw: str) -> list[SignalMatch]:
        """The signals in a raw reply. By default: every declared one, case-insensitively."""
        return match_signals(raw, self.termination_signals)

    def post_process_response(self, text: str) -> str:
        """The text that is said, made from the raw reply."""
        return text

    def should_discard_response(self, signals: list[SignalMatch]) -> bool:
        """Whether a reply that holds `signals` is dropped instead of said."""
        return False


async def call(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
    """Calls provider code, `async def` or plain.

    Plain functions run in a thread of their own, so that one that blocks stops nothing but its own
    conversation; the thread is left behind when the call is cancelled.
    """
    if inspect.iscoroutinefunction(function):
        return await function(*arguments, **named)
    result = await in_thread(function, *arguments, **named)
    return await result if inspect.isawaitable(result) else result


async def in_thread(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
    """Runs a function in a new daemon thread, with this task's context variables."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(value: Any, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(value)
        else:
            done.set_exception(error)

    def run() -> None:
        value: Any = None
        error: BaseException | None = None
        try:
            value = context.run(function, *arguments, **named)
        except (SystemExit, KeyboardInterrupt, StopIteration, GeneratorExit) as failure:
            # None of these may travel through a future: they would end the loop, or confuse it.
            error = ThreadExit(failure, describe_one(failure))
        except BaseException as failure:  # noqa: BLE001 - handed to the caller, whatever it is
            error = failure
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, name="convtui-provider", daemon=True).start()
    return await done
