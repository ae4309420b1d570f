"""What the messages of a chat say, as records.

A user message is a turn of the persona; all assistant and tool messages up to the next one are one
turn of the provider, each assistant message a round of it, until one calls no tools. Messages that
are in the history no more (rewound, compacted) make turns of their own. Requests are not in these
files, so there are none in the records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from convtui.log.formats.chat.messages import Message, failure_of, result_of
from convtui.log.formats.findings import Finding
from convtui.log.formats.record_builder import RecordBuilder
from convtui.records.codec import Speaker
from convtui.records.models import (
    ContextCompressed,
    LlmResponse,
    Record,
    ResponseProcessed,
    TurnInactive,
    TurnSkipped,
)
from convtui.records.values import as_text, drop_none

_NO_REPLY: Final = "no reply after the calls of its tools is on record"


@dataclass(slots=True)
class Ending:
    """How a session ended, and what it used, as far as the file says."""

    termination: dict[str, Any]
    seconds: float | None = None
    """From the session's beginning to its end."""
    usage: dict[str, dict[str, Any]] | None = None


class MessageReader:
    """Turns the messages of one session into records, one after the other.

    `origin` is the name of the format: events that are none of ours stand under it.
    `began` is when the session did, in seconds since the epoch; None where nobody knows.
    `messages_before` is how many messages a summary at the very beginning stands for.
    """

    def __init__(
        self,
        origin: str,
        session_type: str,
        first: Speaker,
        began: float | None = None,
        messages_before: int = 0,
    ) -> None:
        self._origin = origin
        self._type = session_type
        self._first: Speaker = first
        self._began = began
        self._messages = messages_before
        self._builder = RecordBuilder(origin)
        self._line: int | None = None
        """Of the message that is being read, where that has a line of its own."""
        self._last: Message | None = None
        """The last assistant message of the turn of the provider that is open."""
        self._replies = self._nameless = 0

    # --- the stream

    def begin(self, kept: dict[str, Any]) -> list[tuple[float, Record]]:
        """The session begins; `kept` are a system prompt and the like, by the name of an event."""
        self._builder.begin_session(self._first, self._type)
        for event, data in kept.items():
            self._builder.keep(event, data)
        return self._builder.take()

    def read(self, message: Message) -> list[tuple[float, Record]]:
        """The records of the next message."""
        last = self._last
        if last is not None and not last.calls and message.role not in ("tool", "function"):
            # Its turn was over when it was said, not when somebody spoke again.
            self._close()
        if message.at is not None and self._began is not None:
            self._builder.advance(message.at - self._began)
        self._line = message.line
        for problem in message.problems:
            self._warn("message", problem)
        if message.event:
            if message.summary:
                self._summary(message)
            self._builder.keep(message.event, message.content)
            return self._builder.take()
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
        self._messages += 1
        return self._builder.take()

    def finding(self, finding: Finding) -> list[tuple[float, Record]]:
        """Something that could not be read."""
        self._builder.finding(finding)
        return self._builder.take()

    def end(self, ending: Ending) -> list[tuple[float, Record]]:
        """There are no more messages."""
        builder, last = self._builder, self._last
        self._line = None
        if last is not None and (not last.active or not last.calls or last.text.strip()):
            self._close()
        elif last is not None:
            self._processed(builder.round_envelope, last)
        if ending.seconds is not None:
            builder.advance(ending.seconds)
        if not builder.turn:
            self._warn("no_messages", "nothing that was said is on record")
        ending.termination = {**ending.termination, "at_turn": builder.turn}
        usage = dict(ending.usage or {})
        if self._replies:
            # A reply is a call at least, also where nobody has counted.
            usage["provider"] = {"calls": self._replies, **usage.get("provider", {})}
        builder.end_session(ending.termination, duration=ending.seconds, usage=usage or None)
        return builder.take()

    def _warn(self, code: str, message: str) -> None:
        """Notes something about the message that is being read."""
        self._builder.warn(code, message, self._line)

    # --- turns

    def _summary(self, message: Message) -> None:
        """What comes next stands for what was there before."""
        self._close()
        self._builder.add(
            ContextCompressed(
                session=1,
                summary=message.text,
                upto=self._builder.turn,
                rows_in=self._messages,
                rows_out=1,
            )
        )

    def _on_user(self, message: Message) -> None:
        self._close()
        self._builder.start_turn("persona")
        self._commit(message, **_source(message))

    def _on_assistant(self, message: Message) -> None:
        builder, last = self._builder, self._last
        if last is not None and (last.active != message.active or not last.calls):
            # A reply after one that called no tools was said on its own.
            self._close()
        if self._last is None:
            builder.start_turn("provider")
        elif builder.unanswered and not self._last.settled:
            names = ", ".join(repr(name[:40]) for name in list(builder.unanswered.values())[:5])
            self._warn("no_result", f"{message.address}: calls without a result: {names}")
        self._last = message
        calls = [self._named(call) for call in message.calls]
        builder.next_round()
        self._replies += 1
        builder.add(
            LlmResponse(
                **builder.round_envelope,
                raw=message.text if message.raw is None else message.raw,
                reasoning=message.reasoning,
                tool_calls=calls or None,
                finish_reason=message.finish,
                usage=message.usage,
                model=message.model,
                duration=message.duration,
                response_id=message.response_id,
                **_source(message),
            )
        )
        for call in calls:
            function = call.get("function")
            named = function if isinstance(function, dict) else call
            name = as_text(named.get("name")) or "unknown"
            builder.call(call["id"], name, named.get("arguments"))

    def _named(self, call: dict[str, Any]) -> dict[str, Any]:
        """A call with an id, by which its result is found."""
        if isinstance(call.get("id"), str) and call["id"]:
            return call
        self._nameless += 1
        return {**call, "id": f"call_{self._nameless}"}

    def _on_tool(self, message: Message) -> None:
        builder = self._builder
        if self._last is not None and self._last.active != message.active:
            self._close()
        if self._last is None:
            builder.start_turn("provider")
            builder.next_round()
            self._last = Message(
                "assistant", "", message.address, calls=[{}], active=message.active
            )
        result, exact = result_of(message.text) if message.content is None else (None, False)
        source = _source(message)
        if message.content is not None:
            result = message.content
        elif not exact:
            source = {"source": {**source.get("source", {}), "content": message.text}}
        builder.answer(
            message.call_id or self._called(message.name),
            message.name,
            result,
            "error" if message.failed else failure_of(result),
            address=message.address,
            line=message.line,
            **source,
        )

    def _called(self, name: str) -> str:
        """The call that a result without an id is of: the first of its name, or the first."""
        unanswered = self._builder.unanswered
        same_name = (id_ for id_, called in unanswered.items() if called == name)
        return next(same_name, next(iter(unanswered), ""))

    def _on_other(self, message: Message) -> None:
        known = ("system", "developer", "session_meta")
        if message.role not in known and not message.problems:
            self._warn("role", f"{message.address}: the role {message.role[:40]!r} is not known")
        content = message.text if message.content is None else message.content
        data = {"content": content, **_source(message).get("source", {})}
        if not message.active:
            data["inactive"] = message.why_inactive
        if message.role not in known:
            data["role"] = message.role
        self._builder.keep(message.role if message.role in known else "message", data)

    def _close(self) -> None:
        """The turn of the provider that is open, if one is, is over."""
        last, self._last = self._last, None
        if last is None:
            return
        envelope = self._builder.envelope
        if last.active and last.calls and not last.text.strip():
            self._processed(envelope, last)
            self._builder.add(TurnSkipped(**envelope, reason=_NO_REPLY))
        else:
            if last.active and last.calls:
                self._warn("no_reply", _NO_REPLY)
            self._commit(last)
        self._builder.close_turn()

    def _processed(self, envelope: dict[str, Any], message: Message) -> None:
        """That the text is not all that the model has written."""
        if message.raw is not None and message.raw != message.text:
            self._builder.add(
                ResponseProcessed(**envelope, text=message.text, changed=True, hook=self._origin)
            )

    def _commit(self, message: Message, **more: Any) -> None:
        """The message was said, or was said once."""
        envelope, text = self._builder.envelope, message.text
        self._processed(envelope, message)
        if message.active:
            self._builder.commit(text, **more)
            return
        self._builder.add(
            TurnInactive(
                **envelope,
                speaker=envelope["side"],
                text=text,
                reason=message.why_inactive,
                **more,
            )
        )


def _source(message: Message) -> dict[str, Any]:
    """What a file says beside what has a place in our records."""
    source = drop_none({"id": message.id, "content": message.content, **message.more})
    return {"source": source} if source else {}
