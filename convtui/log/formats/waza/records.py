"""What a run of a waza task says, as records.

The user's messages are the persona's turns; everything between two of them is one turn of the
provider, whose shown text is its last message that is not empty. A responder's decisions are not in
these files one by one, so there are none in the records: only how it came out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.findings import finding_of
from convtui.log.formats.json_objects import ForeignEvent, JsonObject, arguments_of
from convtui.records.codec import Speaker
from convtui.records.models import (
    LlmFailed,
    LlmPartial,
    LlmResponse,
    Record,
    SessionEnded,
    SessionStarted,
    ToolCalled,
    ToolReturned,
    TurnCommitted,
    TurnStarted,
    Warned,
)
from convtui.text.boundary import near_empty, word_count

_USER: Final = ("user.message",)
_SAID: Final = ("assistant.message", "Turn")
_DELTA: Final = ("assistant.message_delta",)
_CALLED: Final = ("tool.execution_start", "ToolExecutionStart")
_RETURNED: Final = ("tool.execution_complete", "ToolExecutionComplete")
_ERROR: Final = ("session.error",)
_OF_PROVIDER: Final = (*_SAID, *_DELTA, *_CALLED, *_RETURNED, *_ERROR)
_MAX_DURATION: Final = 1e12
_OUTCOMES: Final = {
    "stopped": "stopped",
    "abstained": "abstained",
    "cap_exhausted": "cap_exhausted",
    "error": "failed",
    "completed": "completed",
}


class WazaReader:
    """The records of one run, in order, and how it ended.

    A value of the wrong kind is a finding, and taken to be absent.
    """

    def __init__(self, run: JsonObject, path: Path) -> None:
        doubts = run.doubts = [] if run.doubts is None else run.doubts
        self._path = path
        self.records: list[Record] = []
        self.termination: dict[str, Any] = {}
        self.seconds = 0.0
        """How long it took; 0 where that is not known."""
        self._run = run
        self._events = [event for event in run.objects("transcript") if _has_kind(event, doubts)]
        self._tools = {event.text("tool_call_id"): event for event in run.objects("tool_events")}
        self._number = 0
        self._open = False
        """Whether the provider's turn is open; the fields below are its own."""
        self._rounds: list[str] = []
        self._pieces = ""
        self._failed = False
        self._spoken = 0
        """Messages of the provider, in all turns."""
        self._error = run.text("error_msg")
        self._final = run.text("final_output")
        self._tell(doubts)

    # --- telling

    def _tell(self, doubts: list[FileError]) -> None:
        prompt = self._run.text("prompt")
        first = next(
            (kind for event in self._events if (kind := _kind(event)) in (*_USER, *_OF_PROVIDER)),
            None,
        )
        if prompt is not None and first not in _USER:
            self._user(prompt)
        for event in self._events:
            self._event(event)
        if first is None:
            self._without_transcript()
        self._close(last=True)
        self.termination = self._ending()
        body = self.records
        speaker: Speaker = next(
            (record.speaker for record in body if isinstance(record, TurnStarted)), "persona"
        )
        committed = [record for record in body if isinstance(record, TurnCommitted)]
        took = self._run.number("duration_ms")
        if took is not None and not 0 <= took < _MAX_DURATION:
            doubts.append(self._run.wrong("duration_ms", f"{took:g} is no duration"))
            took = None
        self.seconds = (took or 0.0) / 1000
        self.records = [
            SessionStarted(session=1, session_type="default", first_speaker=speaker),
            *body,
            *(Warned(session=1, code="import", message=text) for text in self._doubts(committed)),
            *(
                finding_of(doubt, self._path, None, "bad_value").warned(session=1)
                for doubt in {str(doubt): doubt for doubt in doubts}.values()
            ),
            SessionEnded(
                session=1,
                session_type="default",
                termination=self.termination,
                turns=len(committed),
                duration=None if took is None else self.seconds,
            ),
        ]

    def _add(self, record: Record) -> None:
        self.records.append(record)

    @property
    def _at(self) -> dict[str, Any]:
        return {"session": 1, "turn": self._number, "side": "provider"}

    def _event(self, event: JsonObject) -> None:
        kind = _kind(event)
        if kind in _OF_PROVIDER and not self._open:
            self._number += 1
            self._open = True
            self._rounds, self._pieces, self._failed = [], "", False
            self._add(TurnStarted(**self._at, speaker="provider"))
        if kind in _USER:
            self._close(last=False)
            self._user(_words(event), **event.rest("type", "content", "message"))
        elif kind in _SAID:
            self._rounds.append(_words(event))
            self._spoken += 1
            self._pieces = ""
            more = event.rest("type", "content", "message")
            self._add(LlmResponse(**self._at, **self._round, raw=self._rounds[-1], **_more(more)))
        elif kind in _DELTA:
            text = _words(event)
            self._add(
                LlmPartial(**self._at, **self._next_round, offset=len(self._pieces), text=text)
            )
            self._pieces += text
        elif kind in _CALLED:
            self._called(event)
        elif kind in _RETURNED:
            self._returned(event)
        elif kind in _ERROR:
            self._failed = True
            message = event.text("message") or event.text("content") or "session.error"
            more = event.rest("type", "content", "message")
            self._add(LlmFailed(**self._at, error={"message": message}, **_more(more)))
        else:
            turn = {"turn": self._number} if self._open else {}
            data = event.rest("type") or None
            self._add(ForeignEvent(session=1, **turn, origin="waza", event=kind, data=data))

    @property
    def _round(self) -> dict[str, Any]:
        return {"round": len(self._rounds)} if len(self._rounds) > 1 else {}

    @property
    def _next_round(self) -> dict[str, Any]:
        return {"round": len(self._rounds) + 1} if self._rounds else {}

    def _user(self, text: str, **more: Any) -> None:
        self._number += 1
        at: dict[str, Any] = {"session": 1, "turn": self._number, "side": "persona"}
        self._add(TurnStarted(**at, speaker="persona"))
        self._add(
            TurnCommitted(
                **at,
                speaker="persona",
                text=text,
                words=word_count(text),
                empty=near_empty(text) or None,
                metadata={key: value for key, value in more.items() if value is not None} or None,
            )
        )

    def _called(self, event: JsonObject) -> None:
        call = event.text("tool_call_id") or ""
        known = self._tools.get(call) if call else None
        arguments = event.data.get("arguments")
        if arguments is None and known is not None:
            arguments = known.data.get("args")
        more = event.rest("type", "tool_call_id", "tool_name", "arguments")
        self._add(
            ToolCalled(
                **self._at,
                **self._round,
                id=call,
                name=self._name(event, call),
                **arguments_of(arguments),
                **_more(more),
            )
        )

    def _returned(self, event: JsonObject) -> None:
        call = event.text("tool_call_id") or ""
        known = self._tools.get(call) if call else None
        result, ok = _result(event.data.get("tool_result")), event.flag("success")
        if known is not None:
            result = _result(known.data.get("result")) if result is None else result
            ok = known.flag("success") if ok is None else ok
        more = event.rest("type", "tool_call_id", "tool_name", "tool_result", "success")
        self._add(
            ToolReturned(
                **self._at,
                **self._round,
                id=call,
                name=self._name(event, call),
                ok=ok is not False,
                result=result,
                duration=None,
                **_more(more),
            )
        )

    def _name(self, event: JsonObject, call: str) -> str:
        """The tool's name: what says that a tool is done does not have it."""
        name = event.text("tool_name")
        if name is None and call:
            for record in reversed(self.records):
                if isinstance(record, ToolCalled) and record.id == call:
                    return record.name
            known = self._tools.get(call)
            name = known.text("tool_name") if known is not None else None
        return name or "unknown"

    def _without_transcript(self) -> None:
        """Only the last words and the tools are known."""
        tools = sorted(
            self._run.objects("tool_events"),
            key=lambda event: (event.whole("turn") or 0, event.whole("sequence") or 0),
        )
        if self._final is None and not tools:
            return
        self._number += 1
        self._open = True
        self._add(TurnStarted(**self._at, speaker="provider"))
        known = ("tool_call_id", "tool_name", "args", "result", "success")
        for event in tools:
            call, name = event.text("tool_call_id") or "", event.text("tool_name") or "unknown"
            args = arguments_of(event.data.get("args"))
            more = _more(event.rest(*known))
            self._add(ToolCalled(**self._at, id=call, name=name, **args, **more))
            result = _result(event.data.get("result"))
            if result is not None or event.flag("success") is not None:
                ok = event.flag("success") is not False
                self._add(
                    ToolReturned(
                        **self._at, id=call, name=name, ok=ok, result=result, duration=None
                    )
                )

    def _close(self, *, last: bool) -> None:
        """The provider's turn is over: what it said was said, if it said anything."""
        if not self._open:
            return
        self._open = False
        text = next((text for text in reversed(self._rounds) if text), None)
        if last and text is None and self._final:
            text = self._final
        elif last and self._pieces:
            # Nothing came after these pieces: the reply was cut off.
            message = self._error or "the reply breaks off here"
            self._add(LlmFailed(**self._at, error={"message": message}, partial=self._pieces))
            return
        elif text is None and self._pieces:
            text = self._pieces
        elif last and text is None and (self._failed or self._error):
            if not self._failed:
                self._add(LlmFailed(**self._at, error={"message": self._error}))
            return
        self._add(
            TurnCommitted(
                **self._at,
                speaker="provider",
                text=text or "",
                words=word_count(text or ""),
                empty=near_empty(text or "") or None,
            )
        )

    def _doubts(self, committed: list[TurnCommitted]) -> list[str]:
        """What of the run is not in the file, or is there in two ways."""
        said: list[str] = []
        responder = self._run.inner("responder")
        sent = (responder.whole("followups_sent") if responder is not None else None) or 0
        shown = sum(record.speaker == "persona" for record in committed) - 1
        if sent > max(shown, 0):
            said.append(
                f"{sent} follow-ups were sent and {max(shown, 0)} of them are in the transcript;"
                " what the others were is not in the file"
            )
        last = next((r for r in reversed(committed) if r.speaker == "provider"), None)
        if last is not None and self._final and self._spoken and last.text != self._final:
            said.append("final_output is not the last message of the transcript")
        return said

    # --- the end

    def _ending(self) -> dict[str, Any]:
        status = self._run.text("status")
        found: dict[str, Any] = {"by": "harness", "at_turn": self._number}
        responder = self._run.inner("responder")
        if responder is not None:
            return {**found, **_came_out(responder, self._error)}
        if self._error or status == "error":
            reason = self._error or "the run ended with an error; the file does not say which"
            return {**found, "kind": "failed", "reason": reason}
        detail: dict[str, Any] = {"recorded": False}
        if status is not None:
            detail["status"] = status
        reason = f"status {status}; " if status is not None else ""
        reason += "the file does not say why it ended"
        return {**found, "kind": "completed", "reason": reason, "detail": detail}


def _came_out(responder: JsonObject, error: str | None) -> dict[str, Any]:
    """The ending that a responder's summary tells."""
    outcome = responder.text("outcome")
    sent = responder.whole("followups_sent")
    kind = _OUTCOMES.get(outcome or "")
    reason = responder.text("reason")
    detail: dict[str, Any] = {"followups_sent": sent} if sent is not None else {}
    if kind is None:
        text = f"the responder's outcome is {outcome}" if outcome else "no outcome is recorded"
        return {
            "kind": "failed" if error else "completed",
            "reason": reason or error or text,
            "detail": {**detail, "outcome": outcome, "recorded": False},
        }
    if kind == "failed":
        detail["category"] = "responder"
    said = {
        "stopped": "the responder stopped, or a checkpoint did: the file does not tell them apart",
        "cap_exhausted": "all follow-ups were used up",
    }
    reason = reason or (error if kind == "failed" else None) or said.get(kind)
    return {
        "kind": kind,
        "by": "responder",
        "reason": reason or f"the responder's outcome is {outcome}",
        **({"detail": detail} if detail else {}),
    }


def _kind(event: JsonObject) -> str:
    return event.text("type") or ""


def _has_kind(event: JsonObject, doubts: list[FileError]) -> bool:
    """Whether an event says what it is; where it does not, that is a doubt."""
    if not event.data.get("type"):
        doubts.append(event.wrong("type", "is missing; the event is left out"))
        return False
    return event.text("type") is not None


def _words(event: JsonObject) -> str:
    content = event.text("content")
    return content if content is not None else event.text("message") or ""


def _result(value: Any) -> Any:
    return value["content"] if isinstance(value, dict) and set(value) == {"content"} else value


def _more(rest: dict[str, Any]) -> dict[str, Any]:
    """What an event carries beside what is known, as one field of its record."""
    rest = {key: value for key, value in rest.items() if value is not None}
    return {"source": rest} if rest else {}
