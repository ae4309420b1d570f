"""Classes written for VERA-MH's `LLMInterface`, as providers, unchanged."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, cast

from convtui.models.base import Delta
from convtui.providers.base import Provider, Request, SignalMatch, match_signals
from convtui.providers.call_shape import CallShape, read_call_shape
from convtui.providers.calling import call
from convtui.providers.replies import lifted, read_reply
from convtui.providers.vera import interface
from convtui.providers.vera.hooks import OURS

SIGNALS: Final = ("custom_termination_signals", "bespoke_termination_signals")
"""The attributes that declare signals: VERA-MH's current name and the older one."""
_METADATA: Final = ("response_metadata", "_last_response_metadata", "last_response_metadata")
"""The attributes that hold the metadata of the last reply, the least reliable first."""


def base_of(cls: type) -> type | None:
    """The `LLMInterface` that a class is derived from: VERA-MH's own, or the one offered here."""
    for base in cls.__mro__[1:]:
        if base is interface.LLMInterface:
            return base
        if base.__name__ == "LLMInterface" and base.__module__.endswith("llm_interface"):
            return base
    return None


class VeraProvider(Provider):
    """Adapts an object with VERA-MH's interface, and calls its hooks where VERA-MH does.

    A history becomes turn dictionaries, numbered without gaps, or the last message as text,
    depending on the signature of `generate_response` (`shape`); the opening comes from
    `start_conversation()`. `finish_and_reset_session` is called before every session, also the
    first, if the class has no `enter_session`; otherwise never. The object's metadata of its last
    reply go into the usual fields of the records.

    An object that gets only the last message has to remember the others: it counts as stateful
    unless its class says otherwise.

    `opening_prompt` is the prompt of a persona that speaks first; None if its opening is fixed.
    """

    opens_itself = True
    takes_messages = False

    def __init__(self, client: Any, *, opening_prompt: str | None = None) -> None:
        self.client = client
        self.name = str(getattr(client, "name", "") or type(client).__name__)
        self._opening_prompt = opening_prompt
        self._raws: dict[int, str] = {}
        """Raw replies of the current session by turn number."""
        self._reply_metadata: dict[str, Any] = {}
        """The metadata returned with the last reply itself."""
        self.shape = _shape_of(client)
        stateful = getattr(type(client), "stateful", None)
        self.stateful = stateful if isinstance(stateful, bool) else self.shape.only_text or None
        if callable(getattr(type(client), "restore", None)):
            self.restore = client.restore

    @property
    def system_prompt(self) -> str:
        """The object's own prompt."""
        return str(self._own("system_prompt") or "")

    @system_prompt.setter
    def system_prompt(self, text: str) -> None:
        setter = self._own("set_system_prompt")
        if callable(setter):
            setter(text)

    @property
    def model(self) -> str | None:
        for name in ("model_name", "model"):
            value = self._own(name)
            if isinstance(value, str):
                return value
        return None

    @property
    def termination_signals(self) -> list[str]:  # type: ignore[override]
        """The declared signals. Raises `TypeError` unless they are a list of strings."""
        name = signals_name(type(self.client))
        declared = self._own(name, [])
        if isinstance(declared, str) or not isinstance(declared, Sequence):
            hint = ": is `@property` missing?" if callable(declared) else ""
            raise TypeError(f"{name} is a {type(declared).__name__}, not a list{hint}")
        return list(declared)

    @property
    def first_speaker(self) -> Any:  # type: ignore[override]
        """The value of the role that its `first_speaker` gives."""
        speaker = self._own("first_speaker")
        return getattr(speaker, "value", speaker)

    @property
    def last_response_metadata(self) -> dict[str, Any]:
        """The object's current metadata of its last reply, with its conversation id."""
        metadata: dict[str, Any] = {}
        for name in _METADATA:
            # A getter may copy, which SDK objects may refuse.
            with contextlib.suppress(Exception):
                value = self._own(name)
                value = value() if callable(value) else value
                metadata.update(value if isinstance(value, Mapping) else {})
        if not metadata:
            with contextlib.suppress(Exception):
                getter = self._own("get_last_response_metadata")
                metadata.update(getter() if callable(getter) else {})
        metadata.update(self._reply_metadata)
        identity = self._own("conversation_id")
        if identity and not metadata.get("conversation_id"):
            metadata["conversation_id"] = identity
        return metadata

    def hook_owner(self, hook: str) -> Literal["yours", "default"]:
        """Whether the class defines a hook, given our name of it or VERA-MH's."""
        return hook_owner(type(self.client), OURS.get(hook, hook))

    def _own(self, name: str, default: Any = None) -> Any:
        """An attribute of the object or its class, not of a model that it delegates to."""
        if name in getattr(self.client, "__dict__", ()) or hasattr(type(self.client), name):
            return getattr(self.client, name)
        return default

    async def _call(self, name: str, *arguments: Any) -> Any:
        function = self._own(name)
        return await call(function, *arguments) if callable(function) else None

    # --- the lifecycle

    async def setup(self) -> None:
        await self._call("setup")

    async def cleanup(self) -> None:
        await self._call("cleanup")

    def prepare_sessions(self, session_types: list[str]) -> list[str]:
        """Calls its `prepare_sessions()`, with its own `_session_type` if none was requested."""
        if session_types == ["default"]:
            session_types = [str(self._own("_session_type") or "default")]
        prepare = self._own("prepare_sessions")
        return cast("list[str]", prepare(session_types)) if callable(prepare) else session_types

    async def enter_session(self, session_type: str) -> None:
        """Calls its `enter_session()`, or `finish_and_reset_session()`, the older name."""
        self._raws.clear()
        entering = self.hook_owner("enter_session") == "yours"
        await self._call("enter_session" if entering else "finish_and_reset_session", session_type)

    async def finish_and_reset_session(self, next_session_type: str) -> None:
        """Does nothing: such classes are notified when a session begins."""

    # --- a reply

    async def respond(self, request: Request) -> AsyncIterator[Delta]:
        """The reply, in one piece."""
        self._reply_metadata = {}
        delta = read_reply(await self._reply(request))
        self._raws[request.turn] = delta.text
        self._reply_metadata = dict(delta.metadata or {})
        self._take_conversation_id()
        yield lifted(replace(delta, metadata=self.last_response_metadata))

    async def _reply(self, request: Request) -> Any:
        start = self._own("start_conversation")
        if not request.history and start is not None:
            theirs = self.hook_owner("start_conversation") == "yours"
            if theirs or not self.shape.takes_text:
                return await call(start)
        if not request.history and self.shape.takes_text:
            # VERA-MH 1.0 has no `start_conversation`: the opening answers the start prompt.
            fixed = self._own("first_message")
            if isinstance(fixed, str):
                return fixed, {"static_first_message": True}
        heard = [turn.text for turn in request.history if turn.speaker == "persona"]
        text = heard[-1] if heard else self._start_prompt()
        positional, named = self.shape.bind(text, self._turns(request) or None)
        return await call(self._own("generate_response"), *positional, **named)

    def _start_prompt(self) -> str:
        prompt = self._own("start_prompt")
        return prompt if isinstance(prompt, str) and prompt else interface.DEFAULT_START_PROMPT

    def _take_conversation_id(self) -> None:
        identity = self.last_response_metadata.get("conversation_id")
        if identity and identity != self._own("conversation_id"):
            with contextlib.suppress(AttributeError):
                self.client.conversation_id = identity

    def _turns(self, request: Request) -> list[dict[str, Any]]:
        turns: list[dict[str, Any]] = []
        for number, turn in enumerate(request.history, 1):
            logging = dict(turn.metadata)
            if turn.speaker == "provider":
                logging["raw_response"] = self._raws.get(turn.turn, turn.text)
            turns.append(
                {
                    "turn": number,
                    "speaker": turn.speaker,
                    "input": turns[-1]["response"] if turns else self._first_input(turn.speaker),
                    "response": turn.text,
                    "early_termination": False,
                    "logging": logging,
                }
            )
        return turns

    def _first_input(self, speaker: str) -> str | None:
        if speaker == "persona":
            return self._opening_prompt
        getter = self._own("get_first_turn_input_message")
        return _text(getter()) if callable(getter) else None

    # --- hooks

    def extract_signals(self, raw: str) -> list[SignalMatch]:
        """The signals that its `_extract_signals()` names, with every match of each."""
        extract = self._own("_extract_signals")
        declared = self.termination_signals
        if not callable(extract):
            return match_signals(raw, declared)
        extracted = extract(raw)
        if not isinstance(extracted, (list, tuple)):
            return cast("list[SignalMatch]", extracted)  # the caller reports the wrong type
        matches: list[Any] = []
        for item in dict.fromkeys(extracted):
            if not isinstance(item, str):
                matches.append(item)
                continue
            signal = next((d for d in declared if d.casefold() == item.casefold()), item)
            matches += match_signals(raw, [signal]) or [SignalMatch(signal, "", 0, 0)]
        return sorted(matches, key=lambda m: m.start if isinstance(m, SignalMatch) else 0)

    def post_process_response(self, text: str) -> str:
        process = self._own("_post_process_response")
        return cast(str, process(text)) if callable(process) else text

    def should_discard_response(self, signals: list[SignalMatch]) -> bool:
        """Calls its `_should_discard_response()` with each signal once, as declared."""
        judge = self._own("_should_discard_response")
        if not callable(judge):
            return False
        names = dict.fromkeys(match.signal for match in signals)
        order = {signal: index for index, signal in enumerate(self.termination_signals)}
        return cast(bool, judge(sorted(names, key=lambda name: order.get(name, len(order)))))


def _shape_of(client: Any) -> CallShape:
    """How an object's `generate_response` is called; may follow the definitions it overrides."""
    cls, base = type(client), base_of(type(client))
    answer = getattr(client, "generate_response", None)
    inherited = base is not None and getattr(cls, "generate_response", 0) is getattr(
        base, "generate_response", None
    )
    if not callable(answer) or inherited:
        return CallShape(unusable="is missing")
    overridden = [
        vars(ancestor)["generate_response"]
        for ancestor in cls.__mro__[1:]
        if "generate_response" in vars(ancestor) and ancestor is not interface.LLMInterface
    ]
    bound = [f.__get__(client, cls) if hasattr(f, "__get__") else f for f in overridden]
    return read_call_shape(answer, inherited=bound)


def signals_name(cls: type) -> str:
    """The name under which a class declares its signals."""
    return next((name for name in SIGNALS if _defined(cls, name)), SIGNALS[-1])


def hook_owner(cls: type, hook: str) -> Literal["yours", "default"]:
    """Whether a class defines a hook itself, or has it from its `LLMInterface` (or not at all)."""
    names = SIGNALS if hook in SIGNALS else (hook,)
    return "yours" if any(_defined(cls, name) for name in names) else "default"


def _defined(cls: type, name: str) -> bool:
    base = base_of(cls)
    theirs = inspect.getattr_static(cls, name, None)
    ours = inspect.getattr_static(base, name, None) if base is not None else None
    return theirs is not None and theirs is not ours


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
