"""Everything that a log says about one turn: read when somebody looks at it, not before."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convtui.log.recordfile import RecordFile
from convtui.log.requests import rebuild
from convtui.log.wire import Exchange
from convtui.records.codec import RecordDict
from convtui.records.interim import Interim
from convtui.records.values import as_list
from convtui.transcript.fold import Transcript, Turn


@dataclass(slots=True)
class Call:
    """One call to a model (or to a provider's code) and what came back."""

    seq: int
    side: str
    attempt: int
    round: int
    request: RecordDict
    response: RecordDict | None = None
    failed: RecordDict | None = None
    retries: list[RecordDict] = field(default_factory=list)
    partial: str = ""
    cancelled: bool = False
    """Whether it was cancelled by hand; `partial` is what had arrived."""


@dataclass(slots=True)
class StageRun:
    """One way through the stages after a reply: a new one for every attempt and revision."""

    attempt: int
    revision: int
    signals: RecordDict | None = None
    processed: RecordDict | None = None
    discarded: RecordDict | None = None
    committed: RecordDict | None = None


@dataclass(slots=True)
class TurnDetail:
    """All records of one turn, sorted by what they are."""

    session: int
    number: int
    speaker: str
    records: list[RecordDict]
    calls: list[Call] = field(default_factory=list)
    takes: list[StageRun] = field(default_factory=list)
    tools: list[tuple[RecordDict, RecordDict | None]] = field(default_factory=list)
    outputs: list[RecordDict] = field(default_factory=list)
    debug: list[RecordDict] = field(default_factory=list)
    decisions: list[RecordDict] = field(default_factory=list)
    warnings: list[RecordDict] = field(default_factory=list)
    wire: list[Exchange] = field(default_factory=list)
    """HTTP exchanges of its calls, where they were kept."""
    log: Path | None = None
    """The log that the records stand in, when it is a parent of the one that is looked at."""
    missing: str = ""
    """Why there are no records of it."""
    parent: TurnDetail | None = None
    """The turn of the same number in the log that this one continues, where something was decided
    in both."""
    parent_missing: str = ""
    """Why the parent log cannot be looked at."""

    @property
    def response(self) -> RecordDict | None:
        """The last complete reply."""
        for record in reversed(self.records):
            if record.get("type") == "llm.response":
                return record
        return None

    @property
    def raw(self) -> str | None:
        """The raw reply that counts: the last one, with edits of it applied.

        Of a responder's decision it is the answer: its model's own words are not said.
        """
        return rounds_of(self.records)[1]

    @property
    def interim(self) -> list[Interim]:
        """What was written beside tool calls in the last attempt, with edits applied."""
        return rounds_of(self.records)[0]

    @property
    def all_raw(self) -> str | None:
        """The raw replies of all rounds, an empty line between them."""
        return all_rounds(*rounds_of(self.records))

    @property
    def shown(self) -> str | None:
        """The text that was said or dropped; the processed one before that is decided."""
        for record in reversed(self.records):
            if record.get("type") in _SHOWN:
                return record.get("text")
        return None

    @property
    def decided(self) -> list[RecordDict]:
        """Every decision of a responder and those forced by hand, in order."""
        return [record for record in self.decisions if record.get("type") == "user.decided"]

    @property
    def draft(self) -> str:
        """What a human did with the draft made for the turn: sent, edited, replaced; or nothing."""
        for record in reversed(self.records):
            if record.get("type") == "turn.committed":
                return str(record.get("draft") or "")
        return ""

    def call_of(self, record: RecordDict) -> Call | None:
        """The call that a decision came of."""
        number = record.get("call")
        return next((call for call in self.calls if call.seq == number), None)

    @property
    def matches(self) -> list[dict[str, Any]]:
        """The signals of the last extraction."""
        for record in reversed(self.records):
            if record.get("type") == "signals.extracted":
                return as_list(record.get("matches"))
        return []

    @property
    def metadata(self) -> dict[str, Any]:
        """Metadata of the turn, as committed or processed."""
        for record in reversed(self.records):
            metadata = record.get("metadata")
            kinds = ("turn.committed", "response.processed", "llm.response")
            if metadata and isinstance(metadata, dict) and record.get("type") in kinds:
                return dict(metadata)
        return {}


def _number(record: RecordDict, key: str, otherwise: int = 1) -> int:
    """A whole number of a record; `otherwise` where it has none, or a log is damaged there."""
    value = record.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def sort_records(
    session: int, number: int, speaker: str, records: Iterable[RecordDict]
) -> TurnDetail:
    """A turn's records, given in log order, sorted into a `TurnDetail`."""
    detail = TurnDetail(session, number, speaker, list(records))
    calls: dict[int, Call] = {}
    open_tools: dict[str, int] = {}
    for record in detail.records:
        kind = record.get("type")
        attempt = _number(record, "attempt")
        call = calls.get(_number(record, "call", -1))
        if kind == "llm.request":
            call = Call(
                _number(record, "seq", 0),
                str(record.get("side", "")),
                attempt,
                _number(record, "round"),
                record,
            )
            calls[call.seq] = call
            detail.calls.append(call)
        elif kind == "llm.partial" and call is not None:
            call.partial = call.partial[: _number(record, "offset", 0)] + str(
                record.get("text", "")
            )
        elif kind == "llm.response" and call is not None:
            call.response = record
        elif kind == "llm.failed" and call is not None:
            call.failed = record
        elif kind == "llm.retry" and call is not None:
            call.retries.append(record)
        elif isinstance(kind, str) and kind in _TAKE_FIELDS:
            take = _take(detail, attempt, _number(record, "revision"))
            setattr(take, _TAKE_FIELDS[kind], record)
        elif kind == "tool.called":
            open_tools[str(record.get("id"))] = len(detail.tools)
            detail.tools.append((record, None))
        elif kind == "tool.returned":
            index = open_tools.pop(str(record.get("id")), None)
            if index is None:
                detail.tools.append((record, record))
            else:
                detail.tools[index] = (detail.tools[index][0], record)
        elif kind == "provider.output":
            detail.outputs.append(record)
        elif kind == "warning":
            detail.warnings.append(record)
        elif kind in ("user.decided", "user.ended"):
            detail.decisions.append(record)
        elif isinstance(kind, str) and kind.startswith(("debug.", "turn.cancelled", "turn.skip")):
            detail.debug.append(record)
            if kind == "turn.cancelled":
                _cancel(detail.calls, record)
    return detail


def _cancel(calls: Sequence[Call], record: RecordDict) -> None:
    """The call in flight, the last one without an end, is the one that was cancelled."""
    if calls and calls[-1].response is None and calls[-1].failed is None:
        calls[-1].cancelled = True
        calls[-1].partial = str(record.get("partial") or calls[-1].partial)


_SHOWN = ("turn.committed", "turn.discarded", "turn.inactive", "response.processed")
_TAKE_FIELDS = {
    "signals.extracted": "signals",
    "response.processed": "processed",
    "turn.discarded": "discarded",
    "turn.committed": "committed",
}


def _take(detail: TurnDetail, attempt: int, revision: int) -> StageRun:
    for take in reversed(detail.takes):
        if take.attempt == attempt and take.revision == revision:
            return take
    take = StageRun(attempt, revision)
    detail.takes.append(take)
    return take


_RAW_KINDS = re.compile(rb'"(?:turn\.started|llm\.response|user\.decided|debug\.edited)"')
"""The types of the records that `rounds_of()` looks at, as they stand in a line."""


def rounds_of(records: Iterable[RecordDict]) -> tuple[list[Interim], str | None]:
    """The raw replies of a turn's last attempt: those beside tool calls, and the one that counts.

    The latter is None where there is none.
    """
    interim: list[Interim] = []
    raw: str | None = None
    number = 0
    calls_tools = False
    for record in records:
        kind = record.get("type")
        if kind == "turn.started":
            interim, raw, number, calls_tools = [], None, 0, False
        elif kind == "llm.response" and record.get("side") != "responder":
            if calls_tools and isinstance(raw, str) and raw.strip():
                interim.append(Interim(number, raw))
            raw = record.get("raw")
            number = _number(record, "round", number + 1)
            calls_tools = bool(record.get("tool_calls"))
        elif kind == "user.decided" and record.get("kind") == "reply":
            arguments = record.get("arguments")
            answer = arguments.get("answer") if isinstance(arguments, dict) else None
            raw = answer if isinstance(answer, str) else raw
        elif kind == "debug.edited" and record.get("field") == "raw":
            raw = record.get("after")
    return interim, raw


def all_rounds(interim: Iterable[Interim], raw: str | None) -> str | None:
    """All that a model wrote in a turn, an empty line between its rounds; None for nothing."""
    texts = [part.text for part in interim]
    if raw is None and not texts:
        return None
    return "\n\n".join([*texts, raw or ""]) if texts else raw


def read_raw(file: RecordFile, turn: Turn) -> str | None:
    """All raw replies of a turn that was not seeded, the rest of its records left alone."""
    return all_rounds(
        *rounds_of(
            record
            for record in file.range(turn.first, turn.last, _RAW_KINDS)
            if record.get("turn") == turn.number and record.get("session", 1) == turn.session
        )
    )


def read_turn(file: RecordFile, turn: Turn) -> TurnDetail:
    """Everything the log says about a turn. Empty for a turn that was seeded."""
    if turn.first < 0:
        return TurnDetail(turn.session, turn.number, turn.speaker, [])
    records = [
        record
        for record in file.range(turn.first, turn.last)
        if record.get("turn") == turn.number and record.get("session", 1) == turn.session
    ]
    return sort_records(turn.session, turn.number, turn.speaker, records)


def request_messages(file: RecordFile, request: RecordDict) -> list[Any]:
    """The exact messages of an `llm.request`. Raises ValueError when its chain is broken."""
    return rebuild(request, file.by_seq)


def fold_until(records: Sequence[RecordDict], keep: Callable[[RecordDict], bool]) -> Turn | None:
    """The summary of a turn as it stood after the records that `keep` says yes to."""
    part = Transcript()
    turn: Turn | None = None
    for record in records:
        if not keep(record):
            break
        turn = part.apply(record) or turn
    return turn
