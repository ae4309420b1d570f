"""What the events of an oharness run say, as records.

A turn there is one reply of the model, here it is the provider's; the user's messages between them
are turns of the persona. Events that are nothing in our words are kept as they are. A log of ours
that was exported says in `user.log` events what oharness has no event for; they are taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from pydantic import ValidationError

from convtui.errors import FileError
from convtui.events import (
    LlmFailed,
    LlmRequest,
    LlmResponse,
    LlmRetry,
    Record,
    ResponseProcessed,
    SessionEnded,
    SessionStarted,
    Speaker,
    ToolCalled,
    ToolReturned,
    TurnCommitted,
    TurnDiscarded,
    TurnStarted,
    UserDecided,
    UserEnded,
    Warned,
)
from convtui.log.formats.foreign import Fields, Foreign, arguments_of
from convtui.log.formats.oharness_blocks import (
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
from convtui.log.formats.oharness_endings import ending_in, shape_of
from convtui.log.formats.oharness_events import NAMESPACE, Event
from convtui.log.requests import RequestChain
from convtui.records import ENVELOPE
from convtui.text import Redactor, near_empty, secret_values, word_count

Opening: TypeAlias = list[tuple[Speaker, str]]
_NOTHING: Final[dict[str, Any]] = {}


def opening_of(request: Fields) -> Opening:
    """What was said before the first reply, as the first request has it."""
    found: Opening = []
    for message in request.objects("messages"):
        role, blocks = message.text("role"), blocks_of(message)
        texts = [block for block in blocks if block.text("type") == "text"]
        if role in ("user", "assistant") and texts:
            found.append(("persona" if role == "user" else "provider", text_of(texts)))
    return found


class Teller:
    """Turns the events of one run into records, one after the other.

    `opening` is what was said before the first event tells of anything. Raises `FileError` for a
    payload of the wrong shape.
    """

    def __init__(self, created: datetime, opening: Opening) -> None:
        self._created = created
        self._opening = opening
        self.termination: dict[str, Any] | None = None
        self._out: list[Record] = []
        self._count = 1
        """Records so far, the header included: the `seq` of the next one."""
        self._t = 0.0
        self._next_seq = 0
        self._session = 0
        self._session_type = "default"
        self._in_session = False
        self._turn = 0
        self._attempt = 1
        self._committed = 0
        self._open = False
        """Whether a turn of the provider is open; what follows is about that turn."""
        self._round = 0
        self._waiting = False
        """Whether a request has no answer yet."""
        self._texts: list[str] = []
        self._failed = False
        self._asked_at: float | None = None
        self._call: int | None = None
        self._notes: dict[str, Fields] = {}
        """What our own events say about the next turn of a speaker."""
        self._held: list[tuple[str, Fields]] = []
        """Decisions and replies of the simulated user's own model, for the persona's next turn."""
        self._by_user = False
        self._over = False
        # What is digested is what is written: a writer takes secrets out as well.
        self._chain = RequestChain(Redactor(secret_values()).data)

    # --- the stream

    def tell(self, event: Event) -> list[tuple[float, Record]]:
        """The records of the next event."""
        if event.at is not None:
            self._t = max(self._t, (event.at - self._created).total_seconds())
        if event.seq != self._next_seq:
            self._warn(
                "seq_gap",
                f"line {event.line}: seq is {event.seq} where {self._next_seq} was expected",
            )
        self._next_seq = event.seq + 1
        handler = _HANDLERS.get(event.kind)
        if self._over or handler is None:
            self._keep(event)
        else:
            handler(self, event)
        return self._flush()

    def torn(self) -> list[tuple[float, Record]]:
        """The last line of the file is torn."""
        self._warn("torn_line", "the last line of the file is torn; it is left out")
        return self._flush()

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

    def _add(self, record: Record) -> int:
        self._out.append(record)
        self._count += 1
        return self._count - 1

    def _warn(self, code: str, message: str) -> None:
        where = {"session": self._session} if self._in_session else {}
        self._add(Warned(**where, code=code, message=message))

    def _keep(self, event: Event) -> None:
        """An event that is nothing in our words."""
        where: dict[str, Any] = {"session": self._session} if self._in_session else {}
        if self._open:
            where["turn"] = self._turn
        data = event.fields.data.get("payload")
        self._add(
            Foreign(**where, origin="oharness", event=event.kind, data=data, source=event.source)
        )

    # --- sessions and turns

    def _begin(self, **told: Any) -> None:
        """A session begins, unless one is open."""
        if self._in_session:
            return
        self._session += 1
        self._in_session = True
        self._turn = self._committed = 0
        self._attempt = 1
        self._session_type = told.get("session_type") or "default"
        first = told.get("first_speaker") or "persona"
        max_turns = told.get("max_turns")
        self._add(
            SessionStarted(
                session=self._session,
                session_type=self._session_type,
                first_speaker=first,
                max_turns=max_turns,
            )
        )
        if told:
            # Our own export says what was said; nothing has to be found in the requests.
            self._opening = []

    def _finish(self, termination: dict[str, Any] | None) -> None:
        self._leave()
        if self._held:
            self._start("persona")
        self._add(
            SessionEnded(
                session=self._session,
                session_type=self._session_type,
                termination=termination,
                turns=self._committed,
            )
        )
        self._in_session = False

    @property
    def _at(self) -> dict[str, Any]:
        at: dict[str, Any] = {"session": self._session, "turn": self._turn, "side": "provider"}
        if self._attempt > 1:
            at["attempt"] = self._attempt
        return at

    def _start(self, speaker: Speaker, **more: Any) -> dict[str, Any]:
        """A turn of a speaker begins; its envelope."""
        self._begin()
        self._turn += 1
        at = {**self._at, "side": speaker}
        self._add(TurnStarted(**at, speaker=speaker, **more))
        if speaker == "persona":
            self._before(at)
        return at

    def _before(self, at: dict[str, Any]) -> None:
        """What led to this turn of the persona belongs to it."""
        held, self._held = self._held, []
        for name, note in held:
            kind: type[Record] = UserDecided if name == "decision" else LlmResponse
            where = {"session": at["session"], "turn": at["turn"]}
            side = note.data.get("side", "responder")
            fields = {**note.rest("namespace", *ENVELOPE), **where, "side": side}
            try:
                record = kind.model_validate(fields)
            except ValidationError as error:
                wrong = error.errors(include_url=False)[0]
                key = ".".join(map(str, wrong["loc"]))
                raise FileError(f"{note.where}: {key}: {wrong['msg'].lower()}") from None
            self._add(record)

    def _say(self, at: dict[str, Any], text: str, **more: Any) -> None:
        speaker: Speaker = "provider" if at["side"] == "provider" else "persona"
        more.setdefault("empty", near_empty(text) or None)
        self._add(TurnCommitted(**at, speaker=speaker, text=text, words=word_count(text), **more))
        self._committed += 1
        self._attempt = 1

    def _persona(self, text: str, **more: Any) -> None:
        marks = self._marks("persona")
        at = self._start("persona", human=marks.get("human"))
        self._say(at, text, **more, **marks)

    def _marks(self, speaker: Speaker) -> dict[str, Any]:
        """What our own event said about the turn that is to be committed now."""
        note = self._notes.pop(speaker, None)
        if note is None:
            return {}
        found = {name: note.flag(name) for name in ("human", "edited", "truncated")}
        return {name: value for name, value in found.items() if value is not None}

    def _reply(self, source: dict[str, Any] | None = None) -> None:
        """A turn of the provider is open from here on; what was said before it is told first."""
        if self._open:
            return
        self._begin()
        opening, self._opening = self._opening, []
        if self._turn == 0:
            for speaker, text in opening:
                self._say(self._start(speaker), text)
        self._start("provider", source=source)
        self._open = True
        self._round, self._waiting, self._texts, self._failed = 0, False, [], False
        self._call = None

    def _leave(self) -> None:
        """A turn that nobody finished stays without being said."""
        if self._open and not self._failed:
            self._add(
                Warned(
                    session=self._session,
                    turn=self._turn,
                    code="no_finish",
                    message=f"turn {self._session}:{self._turn} was never finished in the file",
                )
            )
        if self._open:
            self._attempt = 1
        self._open = False

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

    # --- what our own export says beside

    def _on_log(self, event: Event) -> None:
        payload = event.payload
        space = payload.text("namespace") or ""
        handler = _NOTES.get(space.removeprefix(NAMESPACE)) if space.startswith(NAMESPACE) else None
        if handler is None:
            self._keep(event)
        else:
            handler(self, payload)

    def _note_session(self, note: Fields) -> None:
        if self._in_session:
            self._finish(None)
        first = note.text("first_speaker") or "persona"
        if first not in ("persona", "provider"):
            raise note.wrong("first_speaker", "must be persona or provider")
        told = {"session_type": note.text("session_type") or "default", "first_speaker": first}
        self._begin(**told, max_turns=note.whole("max_turns"))

    def _note_session_ended(self, note: Fields) -> None:
        if self._in_session:
            ending = note.inner("termination")
            self._finish(ending.data if ending is not None else None)

    def _note_ended(self, note: Fields) -> None:
        ending = note.inner("termination")
        if ending is not None:
            self.termination = ending.data

    def _note_turn(self, note: Fields) -> None:
        speaker = note.text("speaker")
        if speaker not in ("persona", "provider"):
            raise note.wrong("speaker", "must be persona or provider")
        side: Speaker = "provider" if speaker == "provider" else "persona"
        self._notes[side] = note
        if note.flag("discarded"):
            self._discarded(side, note)
        elif note.flag("said"):
            self._persona(note.text("text") or "")

    def _discarded(self, speaker: Speaker, note: Fields) -> None:
        self._notes.pop(speaker)
        if speaker == "provider":
            self._reply()
            at = self._at
        else:
            at = self._start("persona")
        outcome = note.text("outcome") or "end"
        if outcome not in ("end", "retry", "skip"):
            raise note.wrong("outcome", "must be end, retry or skip")
        signals = [found.data for found in note.objects("signals")]
        made: Literal["end", "retry", "skip"] = (
            "end" if outcome == "end" else "retry" if outcome == "retry" else "skip"
        )
        text = note.text("text") or ""
        self._add(
            TurnDiscarded(
                **at,
                speaker=speaker,
                text=text,
                raw=note.text("raw") or text,
                signals=signals,
                hook=note.text("hook") or "not recorded",
                outcome=made,
                human=note.flag("human"),
            )
        )
        self._open = False
        self._attempt = self._attempt + 1 if made == "retry" else 1

    def _note_decision(self, note: Fields) -> None:
        self._begin()
        self._held.append(("decision", note))

    def _note_reply(self, note: Fields) -> None:
        self._begin()
        self._held.append(("reply", note))


def _error(payload: Fields) -> dict[str, Any]:
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
_NOTES: Final[dict[str, Callable[[Teller, Fields], None]]] = {
    "session": Teller._note_session,
    "session.ended": Teller._note_session_ended,
    "ended": Teller._note_ended,
    "turn": Teller._note_turn,
    "decision": Teller._note_decision,
    "reply": Teller._note_reply,
}
