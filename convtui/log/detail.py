"""Everything that a log records about one turn, read when it is needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convtui.log.recordfile import RecordFile
from convtui.log.requests import rebuild
from convtui.log.wire import Exchange
from convtui.records.codec import RecordDict
from convtui.records.interim import Interim
from convtui.records.values import as_list, as_text
from convtui.transcript.fold import Transcript, Turn


@dataclass(slots=True)
class Call:
    """One call to a model, or to a provider's code, and its outcome."""

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
    """Whether it was cancelled by hand; `partial` is the text received until then."""


_RAW_EDIT: Final = ("debug.edited", "raw")


@dataclass(slots=True)
class StageRun:
    """The records of one run of the stages after a reply: of one attempt and revision."""

    attempt: int
    revision: int
    signals: RecordDict | None = None
    processed: RecordDict | None = None
    discarded: RecordDict | None = None
    committed: RecordDict | None = None


@dataclass(slots=True)
class TurnDetail:
    """All records of one turn, grouped by type."""

    session: int
    number: int
    speaker: str
    records: list[RecordDict]
    calls: list[Call] = field(default_factory=list)
    stage_runs: list[StageRun] = field(default_factory=list)
    tools: list[tuple[RecordDict, RecordDict | None]] = field(default_factory=list)
    outputs: list[RecordDict] = field(default_factory=list)
    debug: list[RecordDict] = field(default_factory=list)
    decisions: list[RecordDict] = field(default_factory=list)
    warnings: list[RecordDict] = field(default_factory=list)
    wire: list[Exchange] = field(default_factory=list)
    """HTTP exchanges of its calls, as far as they were kept."""
    log: Path | None = None
    """The log that has the records, when it is a parent of the one that is read."""
    missing: str = ""
    """Why there are no records; empty when there are."""
    parent: TurnDetail | None = None
    """The turn with the same address in the parent log, when both logs have decisions on it."""
    parent_missing: str = ""
    """Why the parent log cannot be read; empty when it can."""

    @property
    def response(self) -> RecordDict | None:
        """The last complete reply."""
        return self.last("llm.response")

    def last(self, *types: str) -> RecordDict | None:
        """The last record of some types; None without any."""
        return next((r for r in reversed(self.records) if r.get("type") in types), None)

    @property
    def raw(self) -> str | None:
        """The raw reply that counts: the last one, with edits applied.

        For a responder it is the answer that it decided on, not the text of its model.
        """
        return rounds_of(self.records)[1]

    def raw_of(self, run: StageRun) -> str:
        """The raw reply that a run of the stages began with, as it had been edited until then."""
        first = run.signals or run.processed or run.discarded or run.committed
        before = self.records if first is None else self.records[: self.records.index(first)]
        raw = rounds_of(before)[1]
        if raw is not None:
            return raw
        # A script's line is on record where it was edited, or said as it was.
        edits = (r for r in self.records if (r.get("type"), r.get("field")) == _RAW_EDIT)
        return as_text(next(edits, {}).get("before")) or self.raw or self.shown or ""

    @property
    def interim(self) -> list[Interim]:
        """Text beside tool calls in the last attempt, with edits applied."""
        return rounds_of(self.records)[0]

    @property
    def all_raw(self) -> str | None:
        """The raw replies of all rounds, separated by empty lines."""
        return all_rounds(*rounds_of(self.records))

    @property
    def shown(self) -> str | None:
        """The text as committed or discarded; before either, as processed."""
        record = self.last(
            "turn.committed", "turn.discarded", "turn.inactive", "response.processed"
        )
        return None if record is None else record.get("text")

    @property
    def decided(self) -> list[RecordDict]:
        """The decisions of a responder, including those forced by hand, in order."""
        return [record for record in self.decisions if record.get("type") == "user.decided"]

    @property
    def draft(self) -> str:
        """What a human did with a draft: `sent`, `edited` or `replaced`; empty without a draft."""
        said = self.last("turn.committed", "human.wrote")
        return "" if said is None else str(said.get("draft") or "")

    def call_of(self, record: RecordDict) -> Call | None:
        """The call that a decision was made in."""
        seq = record.get("call")
        return next((call for call in self.calls if call.seq == seq), None)

    @property
    def matches(self) -> list[dict[str, Any]]:
        """The signals of the last extraction."""
        return as_list((self.last("signals.extracted") or {}).get("matches"))

    @property
    def metadata(self) -> dict[str, Any]:
        """The turn's metadata, from the last record that has any."""
        for record in reversed(self.records):
            metadata = record.get("metadata")
            kinds = ("turn.committed", "response.processed", "llm.response")
            if metadata and isinstance(metadata, dict) and record.get("type") in kinds:
                return dict(metadata)
        return {}


def _number(record: RecordDict, key: str, default: int = 1) -> int:
    """An integer field of a record; `default` when it is missing or damaged."""
    value = record.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def sort_records(
    session: int, number: int, speaker: str, records: Iterable[RecordDict]
) -> TurnDetail:
    """Groups a turn's records, which come in log order, into a `TurnDetail`."""
    detail = TurnDetail(session, number, speaker, list(records))
    calls: dict[int, Call] = {}
    open_tools: dict[str, int] = {}
    for record in detail.records:
        kind = str(record.get("type"))
        if kind.startswith("llm."):
            _add_to_calls(detail, calls, record)
        elif kind.startswith("tool."):
            _add_to_tools(detail, open_tools, record)
        elif kind in _STAGE_TYPES:
            _add_to_stage_runs(detail, record)
        elif kind == "provider.output":
            detail.outputs.append(record)
        elif kind == "warning":
            detail.warnings.append(record)
        elif kind in ("user.decided", "user.ended"):
            detail.decisions.append(record)
        elif kind.startswith(("debug.", "turn.cancelled", "turn.skip")):
            detail.debug.append(record)
            if kind == "turn.cancelled":
                _cancel(detail.calls, record)
    return detail


def _add_to_calls(detail: TurnDetail, calls: dict[int, Call], record: RecordDict) -> None:
    kind = record["type"]
    if kind == "llm.request":
        call = Call(
            _number(record, "seq", 0),
            str(record.get("side", "")),
            _number(record, "attempt"),
            _number(record, "round"),
            record,
        )
        calls[call.seq] = call
        detail.calls.append(call)
        return
    known = calls.get(_number(record, "call", -1))
    if known is None:
        return
    if kind == "llm.partial":
        before = known.partial[: _number(record, "offset", 0)]
        known.partial = before + str(record.get("text", ""))
    elif kind == "llm.response":
        known.response = record
    elif kind == "llm.failed":
        known.failed = record
    elif kind == "llm.retry":
        known.retries.append(record)


def _add_to_tools(detail: TurnDetail, open_tools: dict[str, int], record: RecordDict) -> None:
    """Adds a call or a result; `open_tools` has the indexes of calls without a result, by id."""
    identity = str(record.get("id"))
    if record["type"] == "tool.called":
        open_tools[identity] = len(detail.tools)
        detail.tools.append((record, None))
    elif record["type"] == "tool.returned":
        index = open_tools.pop(identity, None)
        if index is None:
            detail.tools.append((record, record))
        else:
            detail.tools[index] = (detail.tools[index][0], record)


_STAGE_TYPES = ("signals.extracted", "response.processed", "turn.discarded", "turn.committed")


def _add_to_stage_runs(detail: TurnDetail, record: RecordDict) -> None:
    run = _stage_run(detail, _number(record, "attempt"), _number(record, "revision"))
    kind = record["type"]
    if kind == "signals.extracted":
        run.signals = record
    elif kind == "response.processed":
        run.processed = record
    elif kind == "turn.discarded":
        run.discarded = record
    else:
        run.committed = record


def _cancel(calls: Sequence[Call], record: RecordDict) -> None:
    """Marks the call in flight, which is the last one without an outcome, as cancelled."""
    if calls and calls[-1].response is None and calls[-1].failed is None:
        calls[-1].cancelled = True
        calls[-1].partial = str(record.get("partial") or calls[-1].partial)


def _stage_run(detail: TurnDetail, attempt: int, revision: int) -> StageRun:
    for run in reversed(detail.stage_runs):
        if run.attempt == attempt and run.revision == revision:
            return run
    run = StageRun(attempt, revision)
    detail.stage_runs.append(run)
    return run


RAW_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "turn.started": (),
    "llm.response": ("side", "raw", "round", "tool_calls"),
    "human.wrote": ("text",),
    "user.decided": ("kind", "arguments"),
    "debug.edited": ("field", "after"),
}
"""The types of records that `rounds_of()` reads, and what it reads of each."""
_RAW_KINDS = re.compile(f'"(?:{"|".join(map(re.escape, RAW_FIELDS))})"'.encode())


def rounds_of(records: Iterable[RecordDict]) -> tuple[list[Interim], str | None]:
    """The raw replies of a turn's last attempt.

    Those beside tool calls, and the one that counts, which is None when there is none.
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
        elif kind == "human.wrote" and raw is None:
            # With a draft, that is what the text is compared with.
            raw = record.get("text")
        elif kind == "debug.edited" and record.get("field") == "raw":
            raw = record.get("after")
    return interim, raw


def all_rounds(interim: Iterable[Interim], raw: str | None) -> str | None:
    """The replies of all rounds, separated by empty lines; None when there are none."""
    texts = [part.text for part in interim]
    if raw is None and not texts:
        return None
    return "\n\n".join([*texts, raw or ""]) if texts else raw


def read_raw(file: RecordFile, turn: Turn) -> str | None:
    """The raw replies of all rounds of a turn that was not seeded; other records stay unread."""
    return all_rounds(*rounds_of(_records_of(file, turn, _RAW_KINDS)))


def read_turn(file: RecordFile, turn: Turn) -> TurnDetail:
    """Everything that the log records about a turn; empty for a seeded turn."""
    records = _records_of(file, turn) if turn.first >= 0 else ()
    return sort_records(turn.session, turn.number, turn.speaker, records)


def _records_of(
    file: RecordFile, turn: Turn, only: re.Pattern[bytes] | None = None
) -> Iterator[RecordDict]:
    for record in file.range(turn.first, turn.last, only):
        if record.get("turn") == turn.number and record.get("session", 1) == turn.session:
            yield record


def request_messages(file: RecordFile, request: RecordDict) -> list[Any]:
    """All messages of an `llm.request`, in full. Raises ValueError when its chain is broken."""
    return rebuild(request, file.by_seq)


def fold_until(records: Sequence[RecordDict], keep: Callable[[RecordDict], bool]) -> Turn | None:
    """A turn as folded up to the first record that `keep` refuses; None without a turn."""
    part = Transcript()
    turn: Turn | None = None
    for record in records:
        if not keep(record):
            break
        turn = part.apply(record) or turn
    return turn
