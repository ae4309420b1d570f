"""What the rows of a rath session say, as records.

A user row is a turn of the persona; all assistant and tool_result rows up to the next one are one
turn of the provider, each assistant row a round of it. What was said is the last assistant row's
text. Requests are not in these files (nor is the agent's prompt), so there are none in the records.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.findings import Finding, finding_of
from convtui.log.formats.json_objects import ForeignEvent, JsonObject, arguments_of, parse_json
from convtui.log.formats.rath.rows import Row
from convtui.records.codec import Speaker
from convtui.records.models import (
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


class Teller:
    """Turns the rows of one file into records, one after the other.

    A row whose payload is of the wrong shape is a finding, and is kept as it is.
    """

    def __init__(self, ending: Ending) -> None:
        self.termination: dict[str, Any] | None = None
        self._ending = ending
        self._out: list[Record] = []
        self._started = False
        self._system: list[ForeignEvent] = []
        """System rows from before anybody spoke."""
        self._line = 0
        """Of the row that is being told."""
        self._chunks = 0
        self._next_index = 0
        self._unread = self._lost = 0
        """Lines that may have been chunks: since the last chunk, and in the whole file."""
        self._after_gap = False
        """Whether a line that may have been a chunk stands just before this one."""
        self._trailers = 0
        self._turn = 0
        self._committed = 0
        self._open = False
        """Whether a turn of the provider is open; the fields below are its own."""
        self._round = 0
        self._text = ""
        self._calling = True
        """Whether a reply is still to come: the last assistant row, if any, called tools."""
        self._waiting: dict[str, str] = {}
        """The calls that have no result yet, by id, and their names."""

    # --- the stream

    def tell(self, row: Row, path: Path) -> list[tuple[float, Record]]:
        """The records of the next row of a file."""
        self._line = row.line
        if row.type == "chunk":
            self._index(row)
            try:
                _CHUNKS[row.kind](self, row)
            except FileError as error:
                self._found(finding_of(error, path, row.line, "bad_value"))
                self._keep(row, row.kind)
        elif row.type == "trailer":
            self._trailer(row)
        elif row.type == "unknown":
            self._unread += row.fields.data.get("record_type") != "header"
            self._keep(row, str(row.fields.data.get("record_type") or "unknown")[:40])
        return self._flush()

    def finding(self, finding: Finding) -> list[tuple[float, Record]]:
        """Something in the file that could not be read."""
        self._unread += finding.code in ("bad_line", "torn_line")
        self._found(finding)
        return self._flush()

    def _found(self, finding: Finding) -> None:
        where = {"turn": self._turn} if self._open else {}
        self._add(finding.warned(session=1, **where))

    def _keep(self, row: Row, event: str) -> None:
        """A row that is nothing in our words."""
        where = {"turn": self._turn} if self._open else {}
        self._add(
            ForeignEvent(session=1, **where, origin="rath", event=event, data=row.fields.data)
        )

    def end(self) -> list[tuple[float, Record]]:
        """There are no more rows."""
        self._begin("persona")
        ending = self._ending
        unfinished = self._open and self._calling
        truncated = ending.closed and (ending.truncated or unfinished)
        if self._open and (ending.closed or not unfinished):
            self._say(truncated=truncated)
        if not ending.closed:
            self._warn("no_end", _NO_TRAILER)
        self.termination = self._how(truncated)
        told = self._flush()
        over = SessionEnded(
            session=1,
            session_type="default",
            termination=self.termination,
            turns=self._committed,
            duration=ending.seconds,
        )
        return [*told, (ending.seconds or 0.0, over)]

    def _how(self, truncated: bool) -> dict[str, Any]:
        """How it ended, as far as the file says."""
        found: dict[str, Any] = {"kind": "completed", "by": "harness", "at_turn": self._turn}
        detail: dict[str, Any] = {"recorded": False}
        if not self._ending.closed:
            return {**found, "kind": "interrupted", "reason": _NO_TRAILER, "detail": detail}
        if truncated:
            reason = "all tool rounds were used up before the last reply"
            if self._ending.truncated:
                return {**found, "reason": reason, "detail": {"truncated": True}}
            reason += "; the file does not say so, but its last tool round has no reply"
            return {**found, "reason": reason, "detail": {**detail, "truncated": True}}
        reason = "the session was closed; the file does not say why it ended"
        return {**found, "reason": reason, "detail": detail}

    def _flush(self) -> list[tuple[float, Record]]:
        # When anything but the end happened is not in the file.
        if not self._started:
            return []
        out, self._out = self._out, []
        return [(0.0, record) for record in out]

    def _add(self, record: Record) -> None:
        self._out.append(record)

    def _warn(self, code: str, message: str) -> None:
        where = {"turn": self._turn} if self._open else {}
        line = self._line if message.startswith("line ") else None
        self._add(Warned(session=1, **where, code=code, message=message, line=line))

    # --- what the loader of rath does not look at

    def _index(self, row: Row) -> None:
        given = row.fields.data.get("index")
        whole = given if type(given) is int and given >= 0 else None
        expected = (self._next_index, self._next_index + self._unread)
        self._lost += self._unread
        self._after_gap = self._unread > 0
        self._unread = 0
        if whole is None or not expected[0] <= whole <= expected[1]:
            self._warn(
                "chunk_index",
                f"line {row.line}: the chunk's index is {str(given)[:40]} where"
                f" {self._next_index} was expected",
            )
        self._next_index = (self._next_index if whole is None else whole) + 1
        self._chunks += 1
        if self._trailers:
            self._warn("after_trailer", f"line {row.line}: a chunk stands after the trailer")

    def _trailer(self, row: Row) -> None:
        self._trailers += 1
        if self._trailers > 1:
            self._warn("two_trailers", f"line {row.line}: trailer number {self._trailers}")
        count = JsonObject(row.fields.data, row.fields.where, []).whole("final_chunk_count")
        lost = self._lost + self._unread
        if count is None or not self._chunks <= count <= self._chunks + lost:
            said = "no chunks" if count is None else f"{count} chunks"
            self._warn(
                "chunk_count",
                f"line {row.line}: the trailer counts {said}, there are {self._chunks}",
            )

    # --- turns

    def _begin(self, first: Speaker) -> None:
        """The session begins, unless it has begun."""
        if self._started:
            return
        self._started = True
        # What was noticed before anybody spoke comes after the session's beginning.
        noticed, self._out = self._out, []
        self._add(SessionStarted(session=1, session_type="default", first_speaker=first))
        self._out += [*self._system, *noticed]
        self._system = []

    def _start(self, speaker: Speaker) -> dict[str, Any]:
        self._begin(speaker)
        self._turn += 1
        at: dict[str, Any] = {"session": 1, "turn": self._turn, "side": speaker}
        self._add(TurnStarted(**at, speaker=speaker))
        return at

    @property
    def _at(self) -> dict[str, Any]:
        at: dict[str, Any] = {"session": 1, "turn": self._turn, "side": "provider"}
        return {**at, "round": self._round} if self._round > 1 else at

    def _reply(self) -> None:
        """A turn of the provider is open from here on."""
        if not self._open:
            self._start("provider")
            self._open = True
            self._round, self._text, self._calling, self._waiting = 0, "", True, {}

    def _say(self, *, truncated: bool) -> None:
        """The provider's turn is over, and what it said last was said."""
        self._open = False
        self._commit(
            {"session": 1, "turn": self._turn, "side": "provider"},
            self._text,
            truncated=truncated or None,
        )

    def _commit(self, at: dict[str, Any], text: str, **more: Any) -> None:
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
        self._committed += 1

    # --- chunks

    def _on_system(self, row: Row) -> None:
        where = {"turn": self._turn} if self._open else {}
        data = {"content": _content(row.payload), **_rest(row, "content")}
        kept = ForeignEvent(session=1, **where, origin="rath", event=SYSTEM, data=data)
        if self._started:
            self._add(kept)
        else:
            self._system.append(kept)

    def _on_user(self, row: Row) -> None:
        if self._open:
            self._say(truncated=self._calling)
        text = _content(row.payload)
        self._commit(self._start("persona"), text, **_kept(_rest(row, "content")))

    def _on_assistant(self, row: Row) -> None:
        payload = row.payload
        content, calls = payload.text("content"), list(payload.objects("tool_calls"))
        for call in calls:
            _check_call(call)
        self._reply()
        self._round += 1
        if self._waiting and not self._after_gap:
            names = ", ".join(repr(call[:40]) for call in list(self._waiting)[:5])
            self._warn("no_result", f"line {row.line}: calls without a result: {names}")
        elif not self._calling and not self._after_gap:
            self._warn("asked_again", f"line {row.line}: a reply follows one that called no tools")
        self._waiting = {}
        self._text, self._calling = content or "", bool(calls)
        self._add(
            LlmResponse(
                **self._at,
                raw=self._text,
                tool_calls=[call.data for call in calls] or None,
                **_kept(_rest(row, "content", "tool_calls")),
            )
        )
        for call in calls:
            self._call(call)

    def _call(self, call: JsonObject) -> None:
        function, name = _check_call(call)
        id_ = call.text("id") or ""
        given = function.data.get("arguments")
        arguments = arguments_of(given)
        if isinstance(given, str) and not given.strip():
            # No arguments: a call like that is as good as one with `{}`.
            arguments["arguments"] = {}
        self._waiting[id_] = name
        self._add(ToolCalled(**self._at, id=id_, name=name, **arguments))

    def _on_result(self, row: Row) -> None:
        payload = row.payload
        id_, name = payload.text("tool_call_id") or "", payload.text("name")
        content = payload.text("content")
        self._reply()
        called = self._waiting.pop(id_, None)
        if called is None:
            self._warn(
                "unknown_call", f"line {row.line}: a result of {id_[:40]!r}, which was not called"
            )
        result, exact = _result(content)
        kind = _error_kind(result)
        more = _rest(row, "tool_call_id", "name", "content")
        if not exact:
            more["content"] = content
        self._calling = True
        self._add(
            ToolReturned(
                **self._at,
                id=id_,
                name=name or called or "unknown",
                ok=kind is None,
                result=result,
                error_kind=kind,
                duration=None,
                **_kept(more),
            )
        )


def _check_call(call: JsonObject) -> tuple[JsonObject, str]:
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
    found = row.fields.rest("record_type", "index", "kind", "payload")
    return {**found, **row.payload.rest(*known)}


def _kept(more: dict[str, Any]) -> dict[str, Any]:
    return {"source": more} if more else {}


_CHUNKS: Final[dict[str, Callable[[Teller, Row], None]]] = {
    "system": Teller._on_system,
    "user": Teller._on_user,
    "assistant": Teller._on_assistant,
    "tool_result": Teller._on_result,
}
