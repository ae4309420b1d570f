"""What the rows of a rath session say, as records.

A user row is a turn of the persona; all assistant and tool_result rows up to the next one are one
turn of the provider, each assistant row a round of it. What was said is the last assistant row's
text. Requests are not in these files (nor is the agent's prompt), so there are none in the records.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.findings import Finding, finding_of
from convtui.log.formats.json_objects import ForeignEvent, JsonObject, parse_json
from convtui.log.formats.rath.rows import Row
from convtui.log.formats.record_builder import NO_REASON, RecordBuilder
from convtui.records.codec import Speaker
from convtui.records.models import LlmResponse, Record

SYSTEM: Final = "system"
"""The event that keeps a system row."""
_NO_TRAILER: Final = (
    "the file has no trailer: the session crashed, was abandoned, or was still going"
)


@dataclass(slots=True)
class Ending:
    """What a whole file says about its end."""

    closed: bool = False
    """Whether there is a trailer."""
    truncated: bool = False
    """Whether the extras say that all tool rounds were used up."""
    seconds: float | None = None
    """From the header's time to the trailer's."""
    usage: dict[str, Any] = field(default_factory=dict)
    """What the trailer says that the session used: `prompt_tokens`, `completion_tokens`."""


class RathReader:
    """Turns the rows of one file into records, one after the other.

    A row whose payload is of the wrong shape is a finding, and is kept as it is. When anything but
    the end happened is not in the file.
    """

    def __init__(self, ending: Ending) -> None:
        self.termination: dict[str, Any] | None = None
        self._ending = ending
        self._builder = RecordBuilder("rath", session_first=True)
        self._system: list[ForeignEvent] = []
        """System rows from before anybody spoke."""
        self._line = 0
        """Of the row that is being read."""
        self._chunks = 0
        self._next_index = 0
        self._unread = self._lost = 0
        """Lines that may have been chunks: since the last chunk, and in the whole file."""
        self._after_gap = False
        """Whether a line that may have been a chunk stands just before this one."""
        self._trailers = 0
        self._replies = 0
        self._text = ""
        """The last reply of the provider's open turn."""
        self._calling = True
        """Whether a reply is still to come: the last assistant row, if any, called tools."""

    # --- the stream

    def read(self, row: Row, path: Path) -> list[tuple[float, Record]]:
        """The records of the next row of a file."""
        self._line = row.line
        if row.type == "chunk":
            self._index(row)
            try:
                _CHUNKS[row.kind](self, row)
            except FileError as error:
                self._builder.finding(finding_of(error, path, row.line, "bad_value"))
                self._builder.keep(row.kind, row.fields.data)
        elif row.type == "trailer":
            self._trailer(row)
        elif row.type == "unknown":
            self._unread += row.fields.data.get("record_type") != "header"
            event = str(row.fields.data.get("record_type") or "unknown")[:40]
            self._builder.keep(event, row.fields.data)
        return self._builder.take()

    def finding(self, finding: Finding) -> list[tuple[float, Record]]:
        """Something in the file that could not be read."""
        self._unread += finding.code in ("bad_line", "torn_line")
        self._builder.finding(finding)
        return self._builder.take()

    def end(self) -> list[tuple[float, Record]]:
        """There are no more rows."""
        builder, ending = self._builder, self._ending
        self._begin("persona")
        unfinished = builder.replying and self._calling
        truncated = ending.closed and (ending.truncated or unfinished)
        if builder.replying and (ending.closed or not unfinished):
            self._commit_reply(truncated=truncated)
        if not ending.closed:
            builder.warn("no_end", _NO_TRAILER)
        self.termination = self._termination(truncated)
        builder.advance(ending.seconds or 0.0)
        usage = {"provider": {"calls": self._replies, **ending.usage}} if ending.usage else None
        builder.end_session(self.termination, duration=ending.seconds, usage=usage)
        return builder.take()

    def _termination(self, truncated: bool) -> dict[str, Any]:
        """How it ended, as far as the file says."""
        termination: dict[str, Any] = {
            "kind": "completed", "by": "harness", "at_turn": self._builder.turn,
        }  # fmt: skip
        detail: dict[str, Any] = {"recorded": False}
        if not self._ending.closed:
            return {**termination, "kind": "interrupted", "reason": _NO_TRAILER, "detail": detail}
        if truncated:
            reason = "all tool rounds were used up before the last reply"
            if self._ending.truncated:
                return {**termination, "reason": reason, "detail": {"truncated": True}}
            reason += "; the file does not say so, but its last tool round has no reply"
            return {**termination, "reason": reason, "detail": {**detail, "truncated": True}}
        return {**termination, "reason": f"the session was closed; {NO_REASON}", "detail": detail}

    def _warn(self, code: str, message: str) -> None:
        """Notes something about the row that is being read."""
        self._builder.warn(code, f"line {self._line}: {message}", self._line)

    # --- what the loader of rath does not look at

    def _index(self, row: Row) -> None:
        given = row.fields.data.get("index")
        index = given if type(given) is int and given >= 0 else None
        expected = (self._next_index, self._next_index + self._unread)
        self._lost += self._unread
        self._after_gap = self._unread > 0
        self._unread = 0
        if index is None or not expected[0] <= index <= expected[1]:
            self._warn(
                "chunk_index",
                f"the chunk's index is {str(given)[:40]} where {self._next_index} was expected",
            )
        self._next_index = (self._next_index if index is None else index) + 1
        self._chunks += 1
        if self._trailers:
            self._warn("after_trailer", "a chunk stands after the trailer")

    def _trailer(self, row: Row) -> None:
        self._trailers += 1
        if self._trailers > 1:
            self._warn("two_trailers", f"trailer number {self._trailers}")
        count = JsonObject(row.fields.data, row.fields.where, []).whole("final_chunk_count")
        lost = self._lost + self._unread
        if count is None or not self._chunks <= count <= self._chunks + lost:
            counted = "no chunks" if count is None else f"{count} chunks"
            self._warn("chunk_count", f"the trailer counts {counted}, there are {self._chunks}")

    # --- turns

    def _begin(self, first: Speaker) -> None:
        """The session begins, unless it has begun."""
        if not self._builder.in_session:
            self._builder.begin_session(first, opening=self._system)

    def _start_turn(self, speaker: Speaker) -> None:
        self._begin(speaker)
        self._builder.start_turn(speaker)

    def _open_reply(self) -> None:
        """A turn of the provider is open from here on."""
        if not self._builder.replying:
            self._start_turn("provider")
            self._text, self._calling = "", True

    def _commit_reply(self, *, truncated: bool) -> None:
        """The provider's turn is over, and its last reply was said."""
        self._builder.commit(self._text, truncated=truncated or None)

    # --- chunks

    def _on_system(self, row: Row) -> None:
        data = {"content": _content(row.payload), **_rest(row, "content")}
        if self._builder.in_session:
            self._builder.keep(SYSTEM, data)
        else:
            self._system.append(ForeignEvent(session=1, origin="rath", event=SYSTEM, data=data))

    def _on_user(self, row: Row) -> None:
        if self._builder.replying:
            self._commit_reply(truncated=self._calling)
        text = _content(row.payload)
        self._start_turn("persona")
        self._builder.commit(text, **_source(_rest(row, "content")))

    def _on_assistant(self, row: Row) -> None:
        payload = row.payload
        content, calls = payload.text("content"), list(payload.objects("tool_calls"))
        named = [(call, *_function_of(call)) for call in calls]
        self._open_reply()
        unanswered = self._builder.unanswered
        if unanswered and not self._after_gap:
            names = ", ".join(repr(id_[:40]) for id_ in list(unanswered)[:5])
            self._warn("no_result", f"calls without a result: {names}")
        elif not self._calling and not self._after_gap:
            self._warn("asked_again", "a reply follows one that called no tools")
        self._builder.next_round()
        self._replies += 1
        self._text, self._calling = content or "", bool(calls)
        self._builder.add(
            LlmResponse(
                **self._builder.round_envelope,
                raw=self._text,
                tool_calls=[call.data for call in calls] or None,
                **_source(_rest(row, "content", "tool_calls")),
            )
        )
        for call, function, name in named:
            self._builder.call(call.text("id") or "", name, function.data.get("arguments"))

    def _on_result(self, row: Row) -> None:
        payload = row.payload
        id_, name = payload.text("tool_call_id") or "", payload.text("name")
        content = payload.text("content")
        self._open_reply()
        result, exact = _result(content)
        more = _rest(row, "tool_call_id", "name", "content")
        if not exact:
            more["content"] = content
        self._calling = True
        self._builder.answer(
            id_,
            name,
            result,
            _error_kind(result),
            address=f"line {row.line}",
            line=row.line,
            **_source(more),
        )


def _function_of(call: JsonObject) -> tuple[JsonObject, str]:
    """The function of a call and its name. Raises `FileError` where there is none."""
    function = call.inner("function")
    if function is None:
        raise call.wrong("function", "is missing")
    name = function.text("name")
    if not name:
        raise function.wrong("name", "is missing")
    call.text("id")
    return function, name


def _content(payload: JsonObject) -> str:
    content = payload.text("content")
    if content is None:
        raise payload.wrong("content", "is missing")
    return content


def _result(content: str | None) -> tuple[Any, bool]:
    """A result's value, and whether `content_of` makes the same text of it."""
    if content is None:
        return None, False
    try:
        value = parse_json(content.encode("utf-8", "surrogatepass"), "")
    except FileError:
        return content, False
    return value, value is not None and content_of(value) == content


def content_of(result: Any) -> str:
    """The text of a result's value, as rath writes it."""
    return json.dumps(result, ensure_ascii=False)


def _error_kind(result: Any) -> str | None:
    """The kind of an error body; `{"ok": false}` alone is what a tool returned that said no."""
    if isinstance(result, dict) and result.get("ok") is False:
        kind = result.get("error_kind")
        return kind if isinstance(kind, str) else None
    return None


def is_error_body(result: Any) -> bool:
    """Whether a result is what rath gives the model for a tool that failed."""
    return _error_kind(result) is not None


def _rest(row: Row, *known: str) -> dict[str, Any]:
    """Fields of a chunk and of its payload that are not known."""
    rest = row.fields.rest("record_type", "index", "kind", "payload")
    return {**rest, **row.payload.rest(*known)}


def _source(more: dict[str, Any]) -> dict[str, Any]:
    return {"source": more} if more else {}


_CHUNKS: Final[dict[str, Callable[[RathReader, Row], None]]] = {
    "system": RathReader._on_system,
    "user": RathReader._on_user,
    "assistant": RathReader._on_assistant,
    "tool_result": RathReader._on_result,
}
