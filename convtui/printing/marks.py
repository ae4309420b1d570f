"""What is written below a turn, by the records of its stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from convtui.printing.output import DIM, RED, YELLOW
from convtui.printing.wording import (
    budget_words,
    cut_words,
    decision_words,
    denied_words,
    error_text,
    parts_words,
    span,
)
from convtui.records.codec import RecordDict
from convtui.text.boundary import one_line
from convtui.text_checks.incomplete import REASONS, in_words, reason_of
from convtui.transcript.corrections import noticed_words

Mark = tuple[str, str]
"""A text and its colour."""
_AFTER_DISCARD: Final = {
    "end": "the session ends",
    "retry": "asked again",
    "skip": "skipped, the other side goes on",
}
_COMMITTED: Final = {
    "empty": "empty reply",
    "truncated": "truncated: the tool rounds were used up",
    "human": "spoken by a human",
    "edited": "edited by hand",
}
_WOULD: Final = {"end": "ended here", "discard": "been discarded"}


def response_marks(record: RecordDict) -> Iterator[Mark]:
    reason = reason_of(record)
    if reason:
        yield f"incomplete: {in_words(reason, record.get('finish_reason'))}", YELLOW
    for text in parts_words(record):
        yield text, DIM


def failure_marks(record: RecordDict) -> Iterator[Mark]:
    yield f"error: {error_text(record['error'])}", RED
    if record.get("partial"):
        yield f"incomplete: {REASONS['stream_died']}", YELLOW
    for frame in record["error"].get("frames") or []:
        yield "  " + str(frame).rstrip("\n"), DIM


def discard_marks(record: RecordDict, matches: Iterable[Mapping[str, Any]]) -> Iterator[Mark]:
    """`matches` are the signals found in the reply."""
    after = _AFTER_DISCARD.get(str(record.get("outcome")), str(record.get("outcome")))
    spans = ", ".join(map(span, record["signals"] or matches)) or "no signal"
    yield f"discarded: signal {spans} by {record['hook']}; {after}", RED
    yield from _error_text(record)
    if record.get("human"):
        yield _COMMITTED["human"], YELLOW


def commit_marks(record: RecordDict, matches: Sequence[Mapping[str, Any]]) -> Iterator[Mark]:
    """`matches` are the signals found in the reply."""
    if matches:
        counts = any(match.get("counts") is not False for match in matches)
        yield f"signal {', '.join(map(span, matches))}", YELLOW if counts else DIM
    yield from _error_text(record)
    if record.get("reasoning_cut"):
        yield cut_words(record["reasoning_cut"], str(record["speaker"])), DIM
    for name, text in _COMMITTED.items():
        if record.get(name):
            yield text, YELLOW
    for entry in record.get("flags") or ():
        yield one_line(noticed_words(entry), 200), YELLOW
    if record.get("would_have"):
        yield f"would have {_WOULD.get(record['would_have'], 'ended here')}", YELLOW


def _error_text(record: RecordDict) -> Iterator[Mark]:
    if record.get("error_text"):
        yield f"the reply is the text of an error: {record['error_text']}", RED


def _tool(record: RecordDict) -> Iterator[Mark]:
    arguments = record.get("arguments")
    shown = record.get("raw_arguments") if arguments is None else arguments
    yield f"tool {record['name']} {one_line(str(shown), 120)}", DIM


def _tool_result(record: RecordDict) -> Iterator[Mark]:
    result = one_line(str(record.get("result")), 120)
    if record["ok"]:
        yield f"tool {record['name']} returned {result}", DIM
    else:
        yield f"tool {record['name']} failed: {record.get('error_kind') or 'error'}: {result}", RED


def _decided(record: RecordDict) -> Iterator[Mark]:
    yield decision_words(record), RED if record["kind"] in ("abstain", "error") else DIM


def _cancelled(record: RecordDict) -> Iterator[Mark]:
    yield f"cancelled by hand {record.get('reason') or ''}".rstrip(), YELLOW


def _edited(record: RecordDict) -> Iterator[Mark]:
    done = "edit taken back" if record.get("undoes") is not None else "edited by hand"
    yield f"{record['field']} {done}", YELLOW


def _overrode(record: RecordDict) -> Iterator[Mark]:
    taken_back = record.get("undoes") is not None
    yield (
        f"{record['what']} {'override taken back' if taken_back else 'overridden by hand'}",
        YELLOW,
    )


def _injected(record: RecordDict) -> Iterator[Mark]:
    yield f"fault injected: {record['fault']}", YELLOW


def _budget(record: RecordDict) -> Iterator[Mark]:
    yield budget_words(record), YELLOW


def _denied(record: RecordDict) -> Iterator[Mark]:
    yield denied_words(record), YELLOW


MARKS: Final[Mapping[str, Callable[[RecordDict], Iterator[Mark]]]] = {
    "budget.crossed": _budget,
    "budget.raised": _budget,
    "debug.edited": _edited,
    "debug.injected": _injected,
    "debug.overrode": _overrode,
    "llm.response": response_marks,
    "tool.called": _tool,
    "tool.denied": _denied,
    "tool.returned": _tool_result,
    "turn.cancelled": _cancelled,
    "user.decided": _decided,
}
"""The records that do nothing but leave a mark."""
