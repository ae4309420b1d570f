"""What a run of a waza task says, as records.

The user's messages are the persona's turns; everything between two of them is one turn of the
provider, whose shown text is its last message that is not empty. A responder's decisions are not in
these files one by one, so there are none in the records: only how it came out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.findings import finding_of
from convtui.log.formats.json_objects import JsonObject, arguments_of
from convtui.log.formats.record_builder import NO_REASON, RecordBuilder
from convtui.records.codec import Speaker
from convtui.records.models import LlmFailed, LlmPartial, LlmResponse, ToolCalled, ToolReturned
from convtui.records.values import drop_none

USER: Final = ("user.message",)
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

    A value of the wrong kind is a finding, and taken to be absent. When anything but the end
    happened is not in the file.
    """

    def __init__(self, run: JsonObject, path: Path) -> None:
        doubts = run.doubts = [] if run.doubts is None else run.doubts
        self._path = path
        self._run = run
        self._builder = RecordBuilder("waza", session_first=True)
        self._events = [event for event in run.objects("transcript") if _has_kind(event, doubts)]
        self._tools = {event.text("tool_call_id"): event for event in run.objects("tool_events")}
        self._names: dict[str, str] = {}
        """The tools that were called, by the ids of the calls."""
        self._replies: list[str] = []
        """What the provider wrote in its open turn."""
        self._pieces = ""
        """What it wrote since, piece by piece."""
        self._failed = False
        self._any_reply = False
        """Whether the provider wrote anything in any turn."""
        self._user_turns = 0
        self._last_text: str | None = None
        """What the provider said last."""
        self._error = run.text("error_msg")
        self._final = run.text("final_output")
        self._read(doubts)
        self.records = self._builder.take()

    # --- the run

    def _read(self, doubts: list[FileError]) -> None:
        builder = self._builder
        prompt = self._run.text("prompt")
        first = next(
            (kind for event in self._events if (kind := _kind(event)) in (*USER, *_OF_PROVIDER)),
            None,
        )
        if prompt is not None and first not in USER:
            self._user(prompt)
        for event in self._events:
            self._event(event)
        if first is None:
            self._without_transcript()
        self._close(last=True)
        if not builder.in_session:
            builder.begin_session("persona")
        self.termination = self._termination()
        took = self._run.number("duration_ms")
        if took is not None and not 0 <= took < _MAX_DURATION:
            doubts.append(self._run.wrong("duration_ms", f"{took:g} is no duration"))
            took = None
        for message in self._differences():
            builder.warn("import", message)
        for doubt in {str(doubt): doubt for doubt in doubts}.values():
            builder.finding(finding_of(doubt, self._path, None, "bad_value"))
        builder.advance((took or 0.0) / 1000)
        builder.end_session(
            self.termination,
            duration=None if took is None else took / 1000,
            usage=_usage_of(self._run),
        )

    def _event(self, event: JsonObject) -> None:
        builder, kind = self._builder, _kind(event)
        if kind in _OF_PROVIDER and not builder.replying:
            self._start_turn("provider")
        if kind in USER:
            self._close(last=False)
            self._user(_words(event), **event.rest("type", "content", "message"))
        elif kind in _SAID:
            self._replies.append(_words(event))
            self._any_reply = True
            self._pieces = ""
            builder.next_round()
            source = _source(event, "type", "content", "message")
            builder.add(LlmResponse(**builder.round_envelope, raw=self._replies[-1], **source))
        elif kind in _DELTA:
            text = _words(event)
            next_round = {"round": builder.round + 1} if builder.round else {}
            builder.add(
                LlmPartial(**builder.envelope, **next_round, offset=len(self._pieces), text=text)
            )
            self._pieces += text
        elif kind in _CALLED:
            self._called(event)
        elif kind in _RETURNED:
            self._returned(event)
        elif kind in _ERROR:
            self._failed = True
            message = event.text("message") or event.text("content") or "session.error"
            source = _source(event, "type", "content", "message")
            builder.add(LlmFailed(**builder.envelope, error={"message": message}, **source))
        else:
            builder.keep(kind, event.rest("type") or None)

    def _start_turn(self, speaker: Speaker) -> None:
        if not self._builder.in_session:
            self._builder.begin_session(speaker)
        self._builder.start_turn(speaker)
        if speaker == "provider":
            self._replies, self._pieces, self._failed = [], "", False

    def _user(self, text: str, **more: Any) -> None:
        self._start_turn("persona")
        self._user_turns += 1
        self._builder.commit(text, metadata=drop_none(more) or None)

    def _called(self, event: JsonObject) -> None:
        id_ = event.text("tool_call_id") or ""
        known = self._tools.get(id_) if id_ else None
        arguments = event.data.get("arguments")
        if arguments is None and known is not None:
            arguments = known.data.get("args")
        name = self._name(event, id_)
        self._builder.add(
            ToolCalled(
                **self._builder.round_envelope,
                id=id_,
                name=name,
                **arguments_of(arguments),
                **_source(event, "type", "tool_call_id", "tool_name", "arguments"),
            )
        )
        self._names[id_] = name

    def _returned(self, event: JsonObject) -> None:
        id_ = event.text("tool_call_id") or ""
        known = self._tools.get(id_) if id_ else None
        result, ok = _result(event.data.get("tool_result")), event.flag("success")
        if known is not None:
            result = _result(known.data.get("result")) if result is None else result
            ok = known.flag("success") if ok is None else ok
        self._builder.add(
            ToolReturned(
                **self._builder.round_envelope,
                id=id_,
                name=self._name(event, id_),
                ok=ok is not False,
                result=result,
                duration=None,
                **_source(event, "type", "tool_call_id", "tool_name", "tool_result", "success"),
            )
        )

    def _name(self, event: JsonObject, id_: str) -> str:
        """The tool's name: what says that a tool is done does not have it."""
        name = event.text("tool_name")
        if name is None and id_:
            if id_ in self._names:
                return self._names[id_]
            known = self._tools.get(id_)
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
        self._start_turn("provider")
        envelope = self._builder.envelope
        for event in tools:
            id_, name = event.text("tool_call_id") or "", event.text("tool_name") or "unknown"
            arguments = arguments_of(event.data.get("args"))
            source = _source(event, "tool_call_id", "tool_name", "args", "result", "success")
            self._builder.add(ToolCalled(**envelope, id=id_, name=name, **arguments, **source))
            result, success = _result(event.data.get("result")), event.flag("success")
            if result is not None or success is not None:
                ok = success is not False
                self._builder.add(
                    ToolReturned(**envelope, id=id_, name=name, ok=ok, result=result, duration=None)
                )

    def _close(self, *, last: bool) -> None:
        """The provider's turn is over: what it said was said, if it said anything."""
        builder = self._builder
        if not builder.replying:
            return
        text = next((text for text in reversed(self._replies) if text), None)
        if last and text is None and self._final:
            text = self._final
        elif last and self._pieces:
            # Nothing came after these pieces: the reply was cut off.
            self._fail(self._error or "the reply breaks off here", partial=self._pieces)
        elif text is None and self._pieces:
            text = self._pieces
        elif last and text is None and (self._failed or self._error):
            if not self._failed:
                self._fail(self._error)
            builder.close_turn()
        if builder.replying:
            self._last_text = text or ""
            builder.commit(self._last_text)

    def _fail(self, message: str | None, partial: str | None = None) -> None:
        """The provider's turn ends with an error."""
        builder = self._builder
        builder.add(LlmFailed(**builder.envelope, error={"message": message}, partial=partial))
        builder.close_turn()

    def _differences(self) -> Iterator[str]:
        """What of the run is not in the file, or is there in two ways."""
        responder = self._run.inner("responder")
        sent = (responder.whole("followups_sent") if responder is not None else None) or 0
        shown = max(self._user_turns - 1, 0)
        if sent > shown:
            yield (
                f"{sent} follow-ups were sent and {shown} of them are in the transcript;"
                " what the others were is not in the file"
            )
        if self._final and self._any_reply and self._last_text not in (None, self._final):
            yield "final_output is not the last message of the transcript"

    # --- the end

    def _termination(self) -> dict[str, Any]:
        status = self._run.text("status")
        termination: dict[str, Any] = {"by": "harness", "at_turn": self._builder.turn}
        responder = self._run.inner("responder")
        if responder is not None:
            return {**termination, **_outcome_of(responder, self._error)}
        if self._error or status == "error":
            reason = self._error or "the run ended with an error; the file does not say which"
            return {**termination, "kind": "failed", "reason": reason}
        detail: dict[str, Any] = {"recorded": False}
        if status is not None:
            detail["status"] = status
        reason = NO_REASON if status is None else f"status {status}; {NO_REASON}"
        return {**termination, "kind": "completed", "reason": reason, "detail": detail}


def _outcome_of(responder: JsonObject, error: str | None) -> dict[str, Any]:
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
    reasons = {
        "stopped": "the responder stopped, or a checkpoint did: the file does not tell them apart",
        "cap_exhausted": "all follow-ups were used up",
    }
    reason = reason or (error if kind == "failed" else None) or reasons.get(kind)
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


def _source(event: JsonObject, *known: str) -> dict[str, Any]:
    """What an event carries beside what is known, as one field of its record."""
    rest = drop_none(event.rest(*known))
    return {"source": rest} if rest else {}


def _usage_of(run: JsonObject) -> dict[str, dict[str, Any]] | None:
    """What a run used, by the digest of its session, which old files spell differently."""
    digest = run.inner("session_digest")
    if digest is None:
        return None
    inner = digest.inner("usage") or digest
    used = {
        "prompt_tokens": inner.whole("input_tokens") or digest.whole("tokens_in"),
        "completion_tokens": inner.whole("output_tokens") or digest.whole("tokens_out"),
    }
    known = drop_none(used)
    return {"provider": known} if known else None
