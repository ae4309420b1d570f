"""The inspector's tabs: builds the document of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from convtui.log.tool_uses import waiting_uses
from convtui.text.counts import counted
from convtui.transcript.fold import OPEN, Flag, Turn
from convtui.tui.drawing.word_diff import diff_spans, legend_spans
from convtui.tui.widgets.inspector.context import DECIDING, DECISION, TABS, Context
from convtui.tui.widgets.inspector.decisions import decisions
from convtui.tui.widgets.inspector.drift import with_drift
from convtui.tui.widgets.inspector.json_tree import json_text, json_value, parsed
from convtui.tui.widgets.inspector.requests import messages_of, part_lines, pretty, request
from convtui.tui.widgets.inspector.stages import (
    UNKNOWN,
    match_position,
    message_of,
    stages,
)
from convtui.tui.widgets.inspector.tools import tools
from convtui.tui.widgets.inspector.usage import usage
from convtui.tui.widgets.text_pane import Document
from convtui.tui.widgets.transcript.calls import seconds
from convtui.tui.widgets.transcript.note_marks import with_note

if TYPE_CHECKING:
    from convtui.log.detail import TurnDetail

_EVENTS: Final = 1_000
"""Events of a stream that are read as JSON."""
_EVENT_CHARS: Final = 160
"""Characters of an event that are shown while it is folded."""
_PRINTED_LINES: Final = 200
"""Lines up to which each is looked at for JSON."""


def build(tab: str, detail: TurnDetail | None, turn: Turn, context: Context) -> Document:
    """The document of a tab; the first and the last one start with the notes on the turn."""
    doc = _build(tab, detail, turn, context)
    if tab in (TABS[0], "Diff"):
        doc = with_drift(doc, context.drift)
    return with_note(doc, context.noted) if tab in (TABS[0], TABS[-1]) else doc


def _build(tab: str, detail: TurnDetail | None, turn: Turn, context: Context) -> Document:
    if detail is None:
        return Document().nothing("Reading the records of this turn ...")
    if not detail.records:
        why = "The log has no records of this turn."
        if turn.flags & Flag.SEEDED:
            why = "This turn is older than this log; its records are in the parent log"
            why += f": {detail.missing}." if detail.missing else "."
        return Document().nothing(why)
    return _BUILDERS[tab](detail, turn, context)


def has_content(tab: str, detail: TurnDetail | None, context: Context) -> bool:
    """Whether a tab has something to show."""
    if detail is None or not detail.records:
        return False
    return {
        "Raw": detail.raw is not None or any(call.partial for call in detail.calls),
        "Diff": context.drift is not None
        or (detail.raw is not None and detail.shown is not None and detail.raw != detail.shown),
        "Request": bool(detail.calls),
        "Wire": bool(detail.wire or context.wire),
        "Tools": bool(detail.tools or waiting_uses((context.hold or {}).get("drafts") or ())),
        DECISION: bool(detail.decided or context.responder_detail)
        or any(call.side == "responder" for call in detail.calls),
        "Output": bool(detail.outputs or detail.warnings),
    }.get(tab, True)


__all__ = [
    "DECIDING",
    "TABS",
    "Context",
    "build",
    "has_content",
    "match_position",
    "messages_of",
    "pretty",
]


def _raw(detail: TurnDetail, turn: Turn, context: Context) -> Document:
    doc = Document()
    response = detail.response
    raw = detail.raw
    if raw is None:
        partial = next((call.partial for call in reversed(detail.calls) if call.partial), "")
        if not partial:
            partial = turn.text if turn.status == OPEN else ""
        if not partial:
            return doc.nothing("No reply received in this turn.")
        return doc.head("so far", counted(len(partial), "character")).text(partial)
    _add_earlier_rounds(doc, detail)
    _add_interim(doc, detail)
    reasoning = response.get("reasoning") if response else None
    if reasoning:
        doc.head("reasoning", "separate from the reply")
        doc.text(str(reasoning), "reasoning").blank()
    edited = any(r.get("type") == "debug.edited" and r.get("field") == "raw" for r in detail.debug)
    by_hand = response is None and detail.last("human.wrote") is not None
    what = "the draft" if detail.draft else "the answer" if detail.decided else "raw reply"
    what = "written by hand" if by_hand else what
    refusal = ", refusal" if response and response.get("refused") else ""
    doc.head(what, f"{counted(len(raw), 'character')}{refusal}{', edited' if edited else ''}")
    marks = [
        (int(match.get("start", 0)), int(match.get("end", 0)), "mark:signal")
        for match in detail.matches
        if match.get("round") is None
    ]
    return part_lines(doc.text(raw, marks=marks), response or {})


def _add_interim(doc: Document, detail: TurnDetail) -> None:
    """Texts beside tool calls, with the signals in them."""
    if not any(call.response is not None for call in detail.calls):
        return  # shown with the rounds of an imported file
    for part in detail.interim:
        size = counted(len(part.text), "character")
        doc.head(f"round {part.round}, beside a tool call", size)
        marks = [
            (int(match.get("start", 0)), int(match.get("end", 0)), "mark:signal")
            for match in detail.matches
            if match.get("round") == part.round
        ]
        doc.text(part.text, marks=marks).blank()


def _add_earlier_rounds(doc: Document, detail: TurnDetail) -> None:
    """Earlier replies without a request, which only imported files have.

    Those with a request are shown with it.
    """
    replies = [
        record
        for record in detail.records
        if record.get("type") == "llm.response" and record.get("call") is None
    ]
    for record in replies[:-1]:
        text, reasoning = str(record.get("raw") or ""), record.get("reasoning")
        if not text and not reasoning and not record.get("parts"):
            continue
        doc.head(f"round {record.get('round') or 1}", counted(len(text), "character"))
        if reasoning:
            doc.line(("reasoning", "muted"), (" separate from the reply", "muted"), indent=3)
            doc.text(str(reasoning), "reasoning", indent=5)
        part_lines(doc.text(text, indent=3), record, indent=3).blank()


def _diff(detail: TurnDetail, turn: Turn, context: Context) -> Document:
    raw, shown = detail.raw, detail.shown
    if raw is None:
        return Document().nothing("No raw reply to compare with.")
    if shown is None:
        later = " yet" if turn.status == OPEN else ""
        return Document().nothing(
            f"The reply {'has not been' if later else 'was not'} processed{later}."
        )
    if raw == shown:
        return Document().nothing("The shown text is the raw reply, unchanged.")
    doc = Document().head("draft -> sent" if detail.draft else "raw -> shown", "")
    doc.line(*legend_spans()).blank()
    return doc.spans(diff_spans(raw, shown))


def _wire(detail: TurnDetail, turn: Turn, context: Context) -> Document:
    exchanges = [exchange.as_dict() for exchange in detail.wire] or context.wire
    if not exchanges:
        message = "No HTTP exchange of this turn was kept"
        return Document().nothing(
            f"{message} (the last 50 and all failures are; --wire all keeps everything)."
        )
    doc = Document()
    for number, exchange in enumerate(exchanges, 1):
        _exchange(doc, number, exchange)
    return doc


def _exchange(doc: Document, number: int, exchange: Mapping[str, Any]) -> None:
    """One HTTP exchange: headers in one line until they are asked for, bodies as JSON."""
    status = exchange.get("status")
    failed = bool(exchange.get("error")) or (isinstance(status, int) and status >= 400)
    doc.head(f"{exchange.get('method', '?')} {status if status is not None else 'no response'}")
    doc.field("url", str(exchange.get("url", "")))
    took = exchange.get("duration")
    doc.field("duration", seconds(took) if isinstance(took, (int, float)) else UNKNOWN)
    if exchange.get("error"):
        doc.field("error", message_of(exchange["error"]), "error")
    if exchange.get("cut_off"):
        doc.field("cut off", "the response was abandoned or broke off", "warning")
    for part, role in (("request", "persona"), ("response", "error" if failed else "provider")):
        doc.blank().line((part, f"{role} bold"))
        key = f"wire {number}.{part}"
        _headers(doc, exchange.get(f"{part}_headers") or {}, key)
        body = exchange.get(f"{part}_body")
        if isinstance(body, str) and body.startswith("data:"):
            _events(doc, body, key)
        elif isinstance(body, str) and body:
            json_text(doc, body, key, indent=0 if parsed(body) is not None else 2)
        elif body not in (None, ""):
            json_value(doc, body, key)


def _events(doc: Document, body: str, key: str) -> None:
    """A stream of server-sent events: the JSON of each is on a line until it is unfolded."""
    lines = [line for line in body.split("\n") if line.strip()]

    def write(below: Document) -> None:
        for number, line in enumerate(lines[:_EVENTS]):
            event = line.removeprefix("data:").strip()
            found = parsed(event)
            if found is None:
                below.text(line, indent=4)
                continue
            json_value(below, found, f"{key} event {number}", indent=2)
            fold = below.pieces[-1].fold
            if fold is not None:
                more = "…" if len(event) > _EVENT_CHARS else ""
                fold.folded, fold.open = [(event[:_EVENT_CHARS] + more, "text")], False
        if len(lines) > _EVENTS:
            below.text("\n".join(lines[_EVENTS:]), indent=4)

    many = f"stream of {len(lines):,} event{'' if len(lines) == 1 else 's'}"
    doc.fold(f"{key} events", [(many, "muted")], [(many, "muted")], write, opened=True)


def _headers(doc: Document, headers: Any, key: str) -> None:
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    if not pairs:
        return

    def write(below: Document) -> None:
        for pair in pairs:
            name, value = (*pair, "")[:2] if isinstance(pair, (list, tuple)) else (pair, "")
            below.line((f"{name}: ", "muted"), (str(value), "text"), indent=4)
            below.pieces[-1].hang = 2

    count = counted(len(pairs), "header")
    doc.fold(f"{key} headers", [(count, "muted")], [(count, "muted")], write)


def _output(detail: TurnDetail, turn: Turn, context: Context) -> Document:
    if not detail.outputs and not detail.warnings:
        if turn.flags & Flag.OUTPUT:
            return Document().nothing(
                "What the provider printed in this turn is in the log before this branch:"
                " L lists the branches."
            )
        return Document().nothing("The provider printed, logged and warned nothing in this turn.")
    doc = Document()
    for record in detail.warnings:
        doc.line(("! warning ", "warning bold"), (str(record.get("message", "")), "text"))
    for record in detail.outputs:
        stream = str(record.get("stream", ""))
        at = record.get("t")
        doc.head(stream, f"at {at:.2f} s" if isinstance(at, (int, float)) else "")
        _printed(doc, record, "error" if stream == "stderr" else "text")
        if record.get("dropped"):
            doc.line((f"… {record['dropped']:,} more characters not kept", "warning"))
    return doc


def _printed(doc: Document, record: Mapping[str, Any], role: str) -> None:
    """What a provider printed, with JSON that is on lines of its own in colours."""
    text = str(record.get("text", "")).rstrip("\n")
    key = f"output {record.get('seq')}"
    if parsed(text) is not None or text.count("\n") > _PRINTED_LINES:
        json_text(doc, text, key, role="" if parsed(text) is not None else role)
        return
    for number, line in enumerate(text.split("\n")):
        found = parsed(line)
        if found is None:
            doc.text(line, role)
        else:
            json_value(doc, found, f"{key}.{number}")


def _meta(detail: TurnDetail, turn: Turn, context: Context) -> Document:
    doc = Document().head(f"turn {turn.address}")
    doc.field("speaker", turn.speaker)
    doc.field("status", turn.status)
    names = [str(flag.name).lower() for flag in Flag if int(turn.flags) & int(flag)]
    doc.field("flags", ", ".join(names) or "none")
    response = detail.response or {}
    doc.field("model", str(response.get("model") or UNKNOWN))
    doc.field("response id", str(response.get("response_id") or UNKNOWN))
    doc.field("conversation", context.conversation or UNKNOWN)
    doc.field("log", context.log_file or "not written to a file")
    for name, value, role in context.lineage:
        doc.field(name, value, role)
    numbers = [record["seq"] for record in detail.records if isinstance(record.get("seq"), int)]
    doc.field("records", f"{numbers[0]}-{numbers[-1]}" if numbers else UNKNOWN)
    metadata = detail.metadata
    if metadata:
        json_value(doc.head("metadata"), metadata, "metadata")
    return doc


_BUILDERS: Final[Mapping[str, Callable[[TurnDetail, Turn, Context], Document]]] = {
    "Stages": stages,
    "Raw": _raw,
    "Diff": _diff,
    "Request": request,
    "Wire": _wire,
    "Tools": tools,
    "Output": _output,
    "Usage": usage,
    "Meta": _meta,
    DECISION: decisions,
}
