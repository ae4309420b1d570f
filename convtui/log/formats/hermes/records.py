"""What the messages of a hermes session say, as records.

A user message is a turn of the persona; all assistant and tool messages up to the next one are one
turn of the provider, each assistant message a round of it, until one calls no tools. Messages that
are in the history no more (rewound, compacted) make turns of their own. Requests are not in these
files, so there are none in the records.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from convtui.log.formats.findings import Finding
from convtui.log.formats.hermes.messages import Message, failure_of, result_of
from convtui.log.formats.json_objects import ForeignEvent, arguments_of
from convtui.records.codec import Speaker
from convtui.records.models import (
    ContextCompressed,
    LlmResponse,
    Record,
    ResponseProcessed,
    SessionEnded,
    SessionStarted,
    ToolCalled,
    ToolReturned,
    TurnCommitted,
    TurnInactive,
    TurnSkipped,
    TurnStarted,
    Warned,
)
from convtui.text.boundary import near_empty, word_count

ORIGIN: Final = "hermes"
_NO_REPLY: Final = "no reply after the calls of its tools is on record"


@dataclass(slots=True)
class Ending:
    """How a session ended, and what it used, as far as the file says."""

    termination: dict[str, Any]
    seconds: float | None = None
    """From the session's beginning to its end."""
    usage: dict[str, dict[str, Any]] | None = None


class Teller:
    """Turns the messages of one session into records, one after the other.

    `began` is when the session did, in seconds since the epoch; None where nobody knows. `rows_in`
    is how many messages a summary at the very beginning stands for.
    """

    def __init__(
        self, session_type: str, first: Speaker, began: float | None = None, rows_in: int = 0
    ) -> None:
        self._type = session_type
        self._first: Speaker = first
        self._began = began
        self._rows = rows_in
        self._line: int | None = None
        """Of the message that is being told, where that has a line of its own."""
        self._t = 0.0
        self._out: list[Record] = []
        self._turn = 0
        self._committed = 0
        self._last: Message | None = None
        """The last assistant message of the turn of the provider that is open."""
        self._round = 0
        self._replies = self._nameless = 0
        self._waiting: dict[str, str] = {}
        """The calls that have no result yet, by id, and their names."""

    # --- the stream

    def begin(self, kept: dict[str, Any]) -> Iterator[tuple[float, Record]]:
        """The session begins; `kept` are a system prompt and the like, by the name of an event."""
        self._add(SessionStarted(session=1, session_type=self._type, first_speaker=self._first))
        for event, data in kept.items():
            self._keep(event, data)
        return self._flush()

    def tell(self, message: Message) -> Iterator[tuple[float, Record]]:
        """The records of the next message."""
        if message.at is not None and self._began is not None:
            self._t = max(self._t, message.at - self._began)
        self._line = message.line
        for problem in message.problems:
            self._warn("message", problem)
        if message.is_summary and message.active:
            self._summary(message)
        if message.role == "user":
            self._on_user(message)
        elif message.role == "assistant":
            self._on_assistant(message)
        elif message.role in ("tool", "function"):
            self._on_tool(message)
        else:
            self._on_other(message)
        self._rows += 1
        return self._flush()

    def damaged(self, finding: Finding) -> Iterator[tuple[float, Record]]:
        """Something that could not be read."""
        where = {"turn": self._turn} if self._last is not None else {}
        self._add(finding.warned(session=1, **where))
        return self._flush()

    def end(self, ending: Ending) -> Iterator[tuple[float, Record]]:
        """There are no more messages."""
        self._line = None
        last = self._last
        if last is not None and (not last.active or not last.calls or last.text.strip()):
            self._close()
        elif last is not None:
            self._processed(self._at, last)
        if not self._turn:
            self._warn("no_messages", "nothing that was said is on record")
        termination = {**ending.termination, "at_turn": self._turn}
        if ending.seconds is not None:
            self._t = max(self._t, ending.seconds)
        usage = dict(ending.usage or {})
        if self._replies:
            # A reply is a call at least, also where nobody has counted.
            usage["provider"] = {"calls": self._replies, **usage.get("provider", {})}
        self._add(
            SessionEnded(
                session=1,
                session_type=self._type,
                termination=termination,
                turns=self._committed,
                duration=ending.seconds,
                usage=usage or None,
            )
        )
        ending.termination = termination
        return self._flush()

    def _flush(self) -> Iterator[tuple[float, Record]]:
        out, self._out = self._out, []
        return iter([(self._t, record) for record in out])

    def _add(self, record: Record) -> None:
        self._out.append(record)

    def _warn(self, code: str, message: str) -> None:
        where = {"turn": self._turn} if self._last is not None else {}
        self._add(Warned(session=1, **where, code=code, message=message, line=self._line))

    def _keep(self, event: str, data: Any) -> None:
        where = {"turn": self._turn} if self._last is not None else {}
        self._add(ForeignEvent(session=1, **where, origin=ORIGIN, event=event, data=data))

    # --- turns

    def _start(self, speaker: Speaker) -> dict[str, Any]:
        self._turn += 1
        at: dict[str, Any] = {"session": 1, "turn": self._turn, "side": speaker}
        self._add(TurnStarted(**at, speaker=speaker))
        return at

    @property
    def _at(self) -> dict[str, Any]:
        at: dict[str, Any] = {"session": 1, "turn": self._turn, "side": "provider"}
        return {**at, "round": self._round} if self._round > 1 else at

    def _summary(self, message: Message) -> None:
        """What comes next stands for what was there before."""
        self._close()
        self._add(
            ContextCompressed(
                session=1, summary=message.text, upto=self._turn, rows_in=self._rows, rows_out=1
            )
        )

    def _on_user(self, message: Message) -> None:
        self._close()
        self._say(self._start("persona"), message, **_source(message))

    def _on_assistant(self, message: Message) -> None:
        last = self._last
        if last is not None and (last.active != message.active or not last.calls):
            # A reply after one that called no tools was said on its own.
            self._close()
        if self._last is None:
            self._start("provider")
            self._round = 0
        elif self._waiting:
            names = ", ".join(repr(name[:40]) for name in list(self._waiting.values())[:5])
            self._warn("no_result", f"{message.place}: calls without a result: {names}")
        self._last = message
        self._waiting = {}
        calls = [self._named(call) for call in message.calls]
        self._round += 1
        self._replies += 1
        self._add(
            LlmResponse(
                **self._at,
                raw=message.text if message.raw is None else message.raw,
                reasoning=message.reasoning,
                tool_calls=calls or None,
                finish_reason=message.finish,
                **_source(message),
            )
        )
        for call in calls:
            self._call(call)

    def _named(self, call: dict[str, Any]) -> dict[str, Any]:
        """A call with an id, by which its result is found."""
        if isinstance(call.get("id"), str) and call["id"]:
            return call
        self._nameless += 1
        return {**call, "id": f"call_{self._nameless}"}

    def _call(self, call: dict[str, Any]) -> None:
        function = call.get("function")
        inner = function if isinstance(function, dict) else call
        name, identity = inner.get("name"), call["id"]
        given = inner.get("arguments")
        arguments = arguments_of(given)
        if isinstance(given, str) and not given.strip():
            # No arguments: a call like that is as good as one with `{}`.
            arguments["arguments"] = {}
        called = name if isinstance(name, str) and name else "unknown"
        self._waiting[identity] = called
        self._add(ToolCalled(**self._at, id=identity, name=called, **arguments))

    def _on_tool(self, message: Message) -> None:
        if self._last is not None and self._last.active != message.active:
            self._close()
        if self._last is None:
            self._start("provider")
            self._round = 1
            self._last = Message("assistant", "", message.place, calls=[{}], active=message.active)
            self._waiting = {}
        identity = message.call_id or self._next(message.name)
        called = self._waiting.pop(identity, None)
        if called is None:
            self._warn(
                "unknown_call",
                f"{message.place}: a result of {message.call_id[:40]!r}, which was not called",
            )
        result, exact = result_of(message.text) if message.content is None else (None, False)
        source = _source(message)
        if message.content is not None:
            result = message.content
        elif not exact:
            source = {"source": {**source.get("source", {}), "content": message.text}}
        kind = failure_of(result)
        self._add(
            ToolReturned(
                **self._at,
                id=identity,
                name=message.name or called or "unknown",
                ok=kind is None,
                result=result,
                error_kind=kind,
                duration=None,
                **source,
            )
        )

    def _next(self, name: str) -> str:
        """The call that a result without an id is of: the first of its name, or the first."""
        fits = (id_ for id_, called in self._waiting.items() if called == name)
        return next(fits, next(iter(self._waiting), ""))

    def _on_other(self, message: Message) -> None:
        known = ("system", "developer", "session_meta")
        if message.role not in known and not message.problems:
            self._warn("role", f"{message.place}: the role {message.role[:40]!r} is not known")
        content = message.text if message.content is None else message.content
        data = {"content": content, **_source(message).get("source", {})}
        if not message.active:
            data["inactive"] = message.why_inactive
        if message.role not in known:
            data["role"] = message.role
        self._keep(message.role if message.role in known else "message", data)

    def _close(self) -> None:
        """The turn of the provider that is open, if one is, is over."""
        last = self._last
        if last is None:
            return
        at: dict[str, Any] = {"session": 1, "turn": self._turn, "side": "provider"}
        if not last.active:
            self._say(at, last)
        elif last.calls and not last.text.strip():
            self._processed(at, last)
            self._add(TurnSkipped(**at, reason=_NO_REPLY))
        else:
            if last.calls:
                self._warn("no_reply", _NO_REPLY)
            self._say(at, last)
        self._last = None

    def _processed(self, at: dict[str, Any], message: Message) -> None:
        """That the text is not all that the model has written."""
        if message.raw is not None and message.raw != message.text:
            self._add(ResponseProcessed(**at, text=message.text, changed=True, hook=ORIGIN))

    def _say(self, at: dict[str, Any], message: Message, **more: Any) -> None:
        """What was said, or was said once."""
        text = message.text
        self._processed(at, message)
        if not message.active:
            why = message.why_inactive
            self._add(TurnInactive(**at, speaker=at["side"], text=text, reason=why, **more))
            return
        self._committed += 1
        self._add(
            TurnCommitted(
                **at,
                speaker=at["side"],
                text=text,
                words=word_count(text),
                empty=near_empty(text) or None,
                **more,
            )
        )


def _source(message: Message) -> dict[str, Any]:
    """What a file says beside what has a place in our records."""
    found = {"id": message.id, "content": message.content, **message.more}
    kept = {name: value for name, value in found.items() if value is not None}
    return {"source": kept} if kept else {}
