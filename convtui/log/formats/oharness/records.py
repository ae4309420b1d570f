"""What the events of an oharness run say, as records.

A turn there is one reply of the model, here it is the provider's; the user's messages between them
are turns of the persona. Events that are nothing in our words are kept as they are. A log of ours
that was exported says in `user.log` events what oharness has no event for; they are taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.findings import Finding, finding_of
from convtui.log.formats.json_objects import ForeignEvent, JsonObject, arguments_of
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
from convtui.log.formats.oharness.turns import Opening
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

_NOTHING: Final[dict[str, Any]] = {}


def opening_of(request: JsonObject) -> Opening:
    """What was said before the first reply, as the first request has it."""
    found: Opening = []
    for message in request.objects("messages"):
        role, blocks = message.text("role"), blocks_of(message)
        texts = [block for block in blocks if block.text("type") == "text"]
        if role in ("user", "assistant") and texts:
            found.append(("persona" if role == "user" else "provider", text_of(texts)))
    return found


class Teller(OwnEvents):
    """Turns the events of one run into records, one after the other.

    An event whose payload is of the wrong shape is a finding, and is kept as it is.
    """

    # --- the stream

    def tell(self, event: Event, path: Path) -> list[tuple[float, Record]]:
        """The records of the next event of a file."""
        self._line = event.line
        if event.at is not None:
            self._t = max(self._t, (event.at - self._created).total_seconds())
        expected = (self._next_seq, self._next_seq + self._unread)
        self._unread = 0
        if event.seq is None:
            self._next_seq += 1
        elif not expected[0] <= event.seq <= expected[1]:
            self._warn(
                "seq_gap",
                f"line {event.line}: seq is {event.seq} where {self._next_seq} was expected",
            )
        if event.seq is not None:
            self._next_seq = event.seq + 1
        handler = _HANDLERS.get(event.kind)
        if self._over or handler is None:
            self._keep(event)
        else:
            try:
                handler(self, event)
            except FileError as error:
                self._found(finding_of(error, path, event.line, "bad_value"))
                self._keep(event)
        return self._flush()

    def finding(self, finding: Finding) -> list[tuple[float, Record]]:
        """Something in the file that could not be read."""
        self._unread += finding.code != "not_utf8"
        self._found(finding)
        return self._flush()

    def _found(self, finding: Finding) -> None:
        where = {"session": self._session} if self._in_session else {}
        self._add(finding.warned(**where))

    def end(self) -> list[tuple[float, Record]]:
        """There are no more events."""
        if not self._over:
            self._begin()
            self._leave()
            if self._held:
                self._start("persona")
            self._warn(
                "no_end", "the file has no run.finished: the run crashed, or was still going"
            )
        return self._flush()

    def _flush(self) -> list[tuple[float, Record]]:
        out, self._out = self._out, []
        return [(self._t, record) for record in out]

    def _keep(self, event: Event) -> None:
        """An event that is nothing in our words."""
        where: dict[str, Any] = {"session": self._session} if self._in_session else {}
        if self._open:
            where["turn"] = self._turn
        data = event.fields.data.get("payload")
        self._add(
            ForeignEvent(
                **where, origin="oharness", event=event.kind, data=data, source=event.source
            )
        )

    # --- runs and turns

    def _on_meta(self, event: Event) -> None:
        if event.seq:
            self._keep(event)

    def _on_run_started(self, event: Event) -> None:
        if event.payload.data:
            self._keep(event)

    def _on_run_finished(self, event: Event) -> None:
        shape, doubt = shape_of(event.payload)
        if doubt:
            self._warn("import", doubt)
        if self.termination is None:
            self.termination = ending_in(shape, at_turn=self._turn, ended_by_user=self._by_user)
        if self._session == 0:
            self._begin()
        if self._in_session:
            self._finish(self.termination)
        self._over = True

    def _on_turn_started(self, event: Event) -> None:
        index = event.payload.whole("turn_index")
        self._leave()
        self._reply({**event.source, "turn_index": index})

    def _on_turn_finished(self, event: Event) -> None:
        self._reply()
        payload = event.payload
        stop, usage = payload.inner("stop_reason"), payload.inner("usage")
        payload.whole("tool_calls")
        note = self._notes.get("provider")
        text = note.text("text") if note is not None else None
        marks = self._marks("provider")
        if self._texts:
            if text is not None and text != self._texts[-1]:
                self._add(
                    ResponseProcessed(**self._at, text=text, changed=True, hook="not recorded")
                )
            text = self._texts[-1] if text is None else text
        elif text is None and self._failed:
            self._open = False
            self._attempt = 1
            return
        elif text is None:
            self._warn("no_reply", f"line {event.line}: the file does not have this turn's reply")
            marks["empty"] = None
            finish, _ = finish_reason(stop)
            marks["metadata"] = {"stop_reason": finish, "usage": usage_in(usage)}
        if text == "" and stop is not None and stop.text("kind") == "tool_use":
            marks["empty"] = None
        self._say(self._at, text or "", **marks)
        self._open = False

    # --- the model

    def _on_request(self, event: Event) -> None:
        self._reply()
        request = event.payload.inner("request")
        if request is None:
            raise event.payload.wrong("request", "is missing")
        self._round += 1
        self._waiting = True
        self._asked_at = self._t if event.at is not None else None
        made = self._chain.add(messages_in(request))
        more = event.payload.rest("request")
        self._call = self._add(
            LlmRequest(
                **self._at, **self._rounds, params=params_in(request), source=event.source,
                **made, **_kept(more),
            )
        )  # fmt: skip
        self._chain.placed(self._call)

    @property
    def _rounds(self) -> dict[str, Any]:
        return {"round": self._round} if self._round > 1 else {}

    @property
    def _of_call(self) -> dict[str, Any]:
        return {**self._at, **self._rounds, "call": self._call}

    def _answered(self) -> None:
        if not self._waiting:
            self._round += 1
            self._call = None
        self._waiting = False

    def _on_response(self, event: Event) -> None:
        self._reply()
        payload = event.payload
        response = payload.inner("response")
        if response is None:
            raise payload.wrong("response", "is missing")
        if payload.flag("not_recorded"):
            return  # the text is that of the turn, and of no reply
        blocks = blocks_of(response)
        self._answered()
        self._failed = False
        self._texts.append(text_of(blocks))
        finish, stop = finish_reason(response.inner("stop_reason"))
        usage = usage_in(response.inner("usage"), payload.items(UNKNOWN))
        took = None
        if self._call is not None and self._asked_at is not None and event.at is not None:
            took = round(self._t - self._asked_at, 6)
        more = {
            **response.rest("id", "model", "content", "stop_reason", "usage"),
            **payload.rest("response", UNKNOWN),
        }
        self._add(
            LlmResponse(
                **self._of_call,
                raw=self._texts[-1],
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
                **_kept(more),
            )
        )

    def _on_retry(self, event: Event) -> None:
        self._reply()
        payload = event.payload
        self._add(
            LlmRetry(
                **self._of_call,
                n=payload.whole("attempt") or 1,
                # Theirs does not say how long it waited.
                delay=payload.number("delay") or 0.0,
                error=_error(payload),
                source=event.source,
            )
        )

    def _on_failed(self, event: Event) -> None:
        self._reply()
        self._answered()
        self._failed = True
        payload = event.payload
        self._add(
            LlmFailed(
                **self._of_call,
                error=_error(payload),
                partial=payload.text("partial"),
                source=event.source,
                **_kept(payload.rest("reason", "partial")),
            )
        )

    # --- tools

    def _on_tool_started(self, event: Event) -> None:
        self._reply()
        payload = event.payload
        self._add(
            ToolCalled(
                **self._of_call,
                id=payload.text("tool_use_id") or "",
                name=payload.text("tool_name") or "unknown",
                **arguments_of(payload.data.get("input")),
                source=event.source,
                **_kept(payload.rest("tool_use_id", "tool_name", "input")),
            )
        )

    def _on_tool_returned(self, event: Event) -> None:
        self._reply()
        payload = event.payload
        ok = event.kind == "tool.call.finished"
        result = result_of(payload.data.get("output")) if ok else payload.text("reason")
        value = payload.data.get("value")
        known = ("tool_use_id", "tool_name", "output", "reason", "value", "error_kind")
        self._add(
            ToolReturned(
                **self._of_call,
                id=payload.text("tool_use_id") or "",
                name=payload.text("tool_name") or "unknown",
                ok=ok,
                result=result if value is None else value,
                error_kind=payload.text("error_kind"),
                source=event.source,
                **_kept(payload.rest(*known)),
            )
        )

    # --- the simulated user

    def _on_message(self, event: Event) -> None:
        payload = event.payload
        text = payload.text("text")
        if text is None:
            raise payload.wrong("text", "is missing")
        if self._open and self._texts:
            # It was answered, so it was said.
            self._say(self._at, self._texts[-1], **self._marks("provider"))
            self._open = False
        self._leave()
        self._opening = []
        more = _kept(payload.rest("simulator", "text"))
        self._persona(text, simulator=payload.text("simulator"), source=event.source, **more)

    def _on_user_ended(self, event: Event) -> None:
        payload = event.payload
        self._leave()
        self._by_user = True
        at = self._start("persona")
        self._add(
            UserEnded(
                **at,
                simulator=payload.text("simulator") or "unknown",
                reason=payload.text("reason") or "",
                dropped_text=payload.text("dropped_text"),
                sentinel=payload.text("sentinel"),
                source=event.source,
                **_kept(payload.rest("simulator", "reason", "dropped_text", "sentinel")),
            )
        )

    # --- what anybody logs

    def _on_log(self, event: Event) -> None:
        if not self._own(event):
            self._keep(event)


def _error(payload: JsonObject) -> dict[str, Any]:
    return {"message": payload.text("reason") or "no reason is recorded"}


def _kept(rest: dict[str, Any]) -> dict[str, Any]:
    """Fields of a payload that are not known, as one field of its record."""
    return {"more": rest} if rest else _NOTHING


_HANDLERS: Final[dict[str, Callable[[Teller, Event], None]]] = {
    "meta": Teller._on_meta,
    "run.started": Teller._on_run_started,
    "run.finished": Teller._on_run_finished,
    "turn.started": Teller._on_turn_started,
    "turn.finished": Teller._on_turn_finished,
    "llm.request": Teller._on_request,
    "llm.response": Teller._on_response,
    "llm.retry": Teller._on_retry,
    "llm.failed": Teller._on_failed,
    "tool.call.started": Teller._on_tool_started,
    "tool.call.finished": Teller._on_tool_returned,
    "tool.call.failed": Teller._on_tool_returned,
    "user.simulated.message": Teller._on_message,
    "user.simulated.ended": Teller._on_user_ended,
    "user.log": Teller._on_log,
}
