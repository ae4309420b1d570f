"""What the events of an oharness run say, as records.

A turn there is one reply of the model, here it is the provider's; the user's messages between them
are turns of the persona. Events that are nothing in our words are kept as they are. A log of ours
that was exported says in `user.log` events what oharness has no event for; they are taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.findings import Finding, finding_of
from convtui.log.formats.json_objects import JsonObject, arguments_of
from convtui.log.formats.oharness.blocks import (
    UNKNOWN,
    blocks_of,
    finish_reason,
    messages_in,
    other_blocks,
    params_in,
    reasoning_of,
    result_of,
    text_of,
    tool_calls_of,
    usage_in,
)
from convtui.log.formats.oharness.endings import ending_in, shape_of
from convtui.log.formats.oharness.events import Event
from convtui.log.formats.oharness.own_events import OwnEvents
from convtui.log.formats.oharness.turns import Opening, Turns
from convtui.log.formats.record_builder import RecordBuilder
from convtui.log.requests import RequestChain
from convtui.records.models import (
    LlmFailed,
    LlmRequest,
    LlmResponse,
    LlmRetry,
    Record,
    ResponseProcessed,
    ToolCalled,
    ToolReturned,
    UserEnded,
)
from convtui.secrets.redactor import Redactor


def opening_of(request: JsonObject) -> Opening:
    """What was said before the first reply, as the first request has it."""
    opening: Opening = []
    for message in request.objects("messages"):
        role, blocks = message.text("role"), blocks_of(message)
        texts = [block for block in blocks if block.text("type") == "text"]
        if role in ("user", "assistant") and texts:
            opening.append(("persona" if role == "user" else "provider", text_of(texts)))
    return opening


class OharnessReader:
    """Turns the events of one run into records, one after the other.

    An event whose payload is of the wrong shape is a finding, and is kept as it is.
    """

    def __init__(self, created: datetime, opening: Opening) -> None:
        self._created = created
        self._builder = RecordBuilder("oharness")
        self._turns = Turns(self._builder, opening)
        self._own_events = OwnEvents(self._turns)
        # What is digested is what is written: a writer takes secrets out as well.
        self._chain = RequestChain(Redactor.of_process().data)
        self._next_seq = 0
        self._unread = 0
        """Lines since the last event that may have been events."""
        self._ended_by_user = False
        self._over = False

    @property
    def termination(self) -> dict[str, Any] | None:
        """How the run ended, as far as the events that were read say."""
        return self._turns.termination

    # --- the stream

    def read(self, event: Event, path: Path) -> list[tuple[float, Record]]:
        """The records of the next event of a file."""
        if event.at is not None:
            self._builder.advance((event.at - self._created).total_seconds())
        self._check_seq(event)
        handler = _HANDLERS.get(event.kind)
        if self._over or handler is None:
            self._keep(event)
        else:
            try:
                handler(self, event)
            except FileError as error:
                self._note(finding_of(error, path, event.line, "bad_value"))
                self._keep(event)
        return self._builder.take()

    def finding(self, finding: Finding) -> list[tuple[float, Record]]:
        """Something in the file that could not be read."""
        self._unread += finding.code != "not_utf8"
        self._note(finding)
        return self._builder.take()

    def end(self) -> list[tuple[float, Record]]:
        """There are no more events."""
        if not self._over:
            self._turns.end()
            self._turns.warn(
                "no_end", "the file has no run.finished: the run crashed, or was still going"
            )
        return self._builder.take()

    def _check_seq(self, event: Event) -> None:
        expected = (self._next_seq, self._next_seq + self._unread)
        self._unread = 0
        if event.seq is None:
            self._next_seq += 1
            return
        if not expected[0] <= event.seq <= expected[1]:
            self._warn("seq_gap", event, f"seq is {event.seq} where {expected[0]} was expected")
        self._next_seq = event.seq + 1

    def _warn(self, code: str, event: Event, message: str) -> None:
        self._turns.warn(code, f"line {event.line}: {message}", event.line)

    def _note(self, finding: Finding) -> None:
        self._turns.warn(finding.code, finding.placed, finding.line)

    def _keep(self, event: Event) -> None:
        """An event that is nothing in our words."""
        data = event.fields.data.get("payload")
        self._builder.keep(event.kind, data, source=event.source)

    # --- runs and turns

    def _on_meta(self, event: Event) -> None:
        if event.seq:
            self._keep(event)

    def _on_run_started(self, event: Event) -> None:
        if event.payload.data:
            self._keep(event)

    def _on_run_finished(self, event: Event) -> None:
        turns, builder = self._turns, self._builder
        shape, doubt = shape_of(event.payload)
        if doubt:
            turns.warn("import", doubt)
        if turns.termination is None:
            turns.termination = ending_in(
                shape, at_turn=builder.turn, ended_by_user=self._ended_by_user
            )
        if builder.session == 0:
            turns.begin()
        if builder.in_session:
            turns.finish(turns.termination)
        self._over = True

    def _on_turn_started(self, event: Event) -> None:
        index = event.payload.whole("turn_index")
        self._turns.abandon()
        self._turns.open_reply({**event.source, "turn_index": index})

    def _on_turn_finished(self, event: Event) -> None:
        turns, builder = self._turns, self._builder
        turns.open_reply()
        reply, payload = turns.reply, event.payload
        stop, usage = payload.inner("stop_reason"), payload.inner("usage")
        payload.whole("tool_calls")
        text = turns.noted_text()
        marks = turns.marks("provider")
        if reply.texts:
            if text is not None and text != reply.texts[-1]:
                builder.add(
                    ResponseProcessed(
                        **builder.envelope, text=text, changed=True, hook="not recorded"
                    )
                )
            text = reply.texts[-1] if text is None else text
        elif text is None and reply.failed:
            turns.drop()
            return
        elif text is None:
            self._warn("no_reply", event, "the file does not have this turn's reply")
            marks["empty"] = None
            finish, _ = finish_reason(stop)
            marks["metadata"] = {"stop_reason": finish, "usage": usage_in(usage)}
        if text == "" and stop is not None and stop.text("kind") == "tool_use":
            marks["empty"] = None
        builder.commit(text or "", **marks)

    # --- the model

    def _on_request(self, event: Event) -> None:
        turns, builder, payload = self._turns, self._builder, event.payload
        turns.open_reply()
        request = payload.inner("request")
        if request is None:
            raise payload.wrong("request", "is missing")
        builder.next_round()
        turns.reply.waiting = True
        turns.reply.asked_at = builder.seconds if event.at is not None else None
        seq = builder.add(
            LlmRequest(
                **builder.round_envelope,
                params=params_in(request),
                source=event.source,
                **self._chain.add(messages_in(request)),
                **_more(payload.rest("request")),
            )
        )
        turns.reply.call = seq
        self._chain.placed(seq)

    @property
    def _call(self) -> dict[str, Any]:
        """The envelope of what belongs to the last request."""
        return {**self._builder.round_envelope, "call": self._turns.reply.call}

    def _answered(self) -> None:
        """What the last request came to: without one it makes a round of its own."""
        reply = self._turns.reply
        if not reply.waiting:
            self._builder.next_round()
            reply.call = None
        reply.waiting = False

    def _on_response(self, event: Event) -> None:
        self._turns.open_reply()
        reply, payload = self._turns.reply, event.payload
        response = payload.inner("response")
        if response is None:
            raise payload.wrong("response", "is missing")
        if payload.flag("not_recorded"):
            return  # the text is that of the turn, and of no reply
        blocks = blocks_of(response)
        self._answered()
        reply.failed = False
        text = text_of(blocks)
        reply.texts.append(text)
        finish, stop = finish_reason(response.inner("stop_reason"))
        usage = usage_in(response.inner("usage"), payload.items(UNKNOWN))
        took = None
        if reply.call is not None and reply.asked_at is not None and event.at is not None:
            took = round(self._builder.seconds - reply.asked_at, 6)
        more = {
            **response.rest("id", "model", "content", "stop_reason", "usage"),
            **payload.rest("response", UNKNOWN),
        }
        self._builder.add(
            LlmResponse(
                **self._call,
                raw=text,
                reasoning=reasoning_of(blocks),
                tool_calls=tool_calls_of(blocks) or None,
                finish_reason=finish,
                usage=usage,
                response_id=response.text("id") or None,
                model=response.text("model") or None,
                duration=took,
                stop_reason=stop,
                blocks=other_blocks(blocks) or None,
                source=event.source,
                **_more(more),
            )
        )

    def _on_retry(self, event: Event) -> None:
        self._turns.open_reply()
        payload = event.payload
        self._builder.add(
            LlmRetry(
                **self._call,
                n=payload.whole("attempt") or 1,
                # Theirs does not say how long it waited.
                delay=payload.number("delay") or 0.0,
                error=_error(payload),
                source=event.source,
            )
        )

    def _on_failed(self, event: Event) -> None:
        self._turns.open_reply()
        self._answered()
        self._turns.reply.failed = True
        payload = event.payload
        self._builder.add(
            LlmFailed(
                **self._call,
                error=_error(payload),
                partial=payload.text("partial"),
                source=event.source,
                **_more(payload.rest("reason", "partial")),
            )
        )

    # --- tools

    def _on_tool_started(self, event: Event) -> None:
        self._turns.open_reply()
        payload = event.payload
        self._builder.add(
            ToolCalled(
                **self._call,
                id=payload.text("tool_use_id") or "",
                name=payload.text("tool_name") or "unknown",
                **arguments_of(payload.data.get("input")),
                source=event.source,
                **_more(payload.rest("tool_use_id", "tool_name", "input")),
            )
        )

    def _on_tool_returned(self, event: Event) -> None:
        self._turns.open_reply()
        payload = event.payload
        ok = event.kind == "tool.call.finished"
        result = result_of(payload.data.get("output")) if ok else payload.text("reason")
        value = payload.data.get("value")
        known = ("tool_use_id", "tool_name", "output", "reason", "value", "error_kind")
        self._builder.add(
            ToolReturned(
                **self._call,
                id=payload.text("tool_use_id") or "",
                name=payload.text("tool_name") or "unknown",
                ok=ok,
                result=result if value is None else value,
                error_kind=payload.text("error_kind"),
                source=event.source,
                **_more(payload.rest(*known)),
            )
        )

    # --- the simulated user

    def _on_message(self, event: Event) -> None:
        payload = event.payload
        text = payload.text("text")
        if text is None:
            raise payload.wrong("text", "is missing")
        self._turns.close_reply()
        self._turns.say(
            text,
            simulator=payload.text("simulator"),
            source=event.source,
            **_more(payload.rest("simulator", "text")),
        )

    def _on_user_ended(self, event: Event) -> None:
        payload = event.payload
        self._turns.abandon()
        self._ended_by_user = True
        self._turns.start_persona()
        self._builder.add(
            UserEnded(
                **self._builder.envelope,
                simulator=payload.text("simulator") or "unknown",
                reason=payload.text("reason") or "",
                dropped_text=payload.text("dropped_text"),
                sentinel=payload.text("sentinel"),
                source=event.source,
                **_more(payload.rest("simulator", "reason", "dropped_text", "sentinel")),
            )
        )

    # --- what anybody logs

    def _on_log(self, event: Event) -> None:
        if not self._own_events.take(event):
            self._keep(event)


def _error(payload: JsonObject) -> dict[str, Any]:
    return {"message": payload.text("reason") or "no reason is recorded"}


def _more(rest: dict[str, Any]) -> dict[str, Any]:
    """Fields of a payload that are not known, as one field of its record."""
    return {"more": rest} if rest else {}


_HANDLERS: Final[dict[str, Callable[[OharnessReader, Event], None]]] = {
    "meta": OharnessReader._on_meta,
    "run.started": OharnessReader._on_run_started,
    "run.finished": OharnessReader._on_run_finished,
    "turn.started": OharnessReader._on_turn_started,
    "turn.finished": OharnessReader._on_turn_finished,
    "llm.request": OharnessReader._on_request,
    "llm.response": OharnessReader._on_response,
    "llm.retry": OharnessReader._on_retry,
    "llm.failed": OharnessReader._on_failed,
    "tool.call.started": OharnessReader._on_tool_started,
    "tool.call.finished": OharnessReader._on_tool_returned,
    "tool.call.failed": OharnessReader._on_tool_returned,
    "user.simulated.message": OharnessReader._on_message,
    "user.simulated.ended": OharnessReader._on_user_ended,
    "user.log": OharnessReader._on_log,
}
