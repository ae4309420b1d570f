"""The inspector's tabs: builds the document of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from convtui.log.detail import TurnDetail
from convtui.log.tool_uses import waiting_uses
from convtui.transcript.fold import OPEN, Flag, Turn
from convtui.tui.drawing.word_diff import diff_spans
from convtui.tui.widgets.inspector.decisions import decisions, responder
from convtui.tui.widgets.inspector.drift import with_drift
from convtui.tui.widgets.inspector.requests import messages_of, part_lines, pretty, request
from convtui.tui.widgets.inspector.stages import (
    UNKNOWN,
    Context,
    match_position,
    message_of,
    stages,
)
from convtui.tui.widgets.inspector.tools import tools
from convtui.tui.widgets.inspector.usage import usage
from convtui.tui.widgets.text_pane import Document
from convtui.tui.widgets.transcript.note_marks import with_note
from convtui.tui.widgets.transcript.outline import seconds

TABS: Final = ("Stages", "Raw", "Diff", "Request", "Wire", "Tools", "Output", "Usage", "Meta")
DECISION, RESPONDER = "Decision", "Responder"
DECIDING: Final = (*TABS, DECISION, RESPONDER)
"""The tabs of a conversation with a responder."""


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
        DECISION: bool(detail.decided),
        RESPONDER: any(call.side == "responder" for call in detail.calls)
        or bool(context.responder_detail),
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
        return doc.head("so far", f"{len(partial):,} characters").text(partial)
    _add_earlier_rounds(doc, detail)
    _add_interim(doc, detail)
    reasoning = response.get("reasoning") if response else None
    if reasoning:
        doc.head("reasoning", "separate from the reply")
        doc.text(str(reasoning), "reasoning").blank()
    edited = any(r.get("type") == "debug.edited" and r.get("field") == "raw" for r in detail.debug)
    what = "the draft" if detail.draft else "the answer" if detail.decided else "raw reply"
    refusal = ", refusal" if response and response.get("refused") else ""
    doc.head(what, f"{len(raw):,} characters{refusal}{', edited' if edited else ''}")
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
        size = f"{len(part.text):,} characters"
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
        doc.head(f"round {record.get('round') or 1}", f"{len(text):,} characters")
        if reasoning:
            doc.line(("reasoning", "muted"), (" separate from the reply", "muted"), indent=3)
            doc.text(str(reasoning), "reasoning", indent=5)
        part_lines(doc.text(text, indent=3), record, indent=3).blank()


def _diff(detail: TurnDetail, turn: Turn, context: Context) -> Document:
    raw, shown = detail.raw, detail.shown
    if raw is None:
        return Document().nothing("No raw reply to compare with.")
    if shown is None:
        return Document().nothing("The reply has not been processed yet.")
    if raw == shown:
        return Document().nothing("The shown text is the raw reply, unchanged.")
    doc = Document().head("draft -> sent" if detail.draft else "raw -> shown", "")
    doc.line(("[-removed-]", "error"), ("  ", "text"), ("{+added+}", "ok")).blank()
    return doc.spans(diff_spans(raw, shown))


def _wire(detail: TurnDetail, turn: Turn, context: Context) -> Document:
    exchanges = [exchange.as_dict() for exchange in detail.wire] or context.wire
    if not exchanges:
        message = "No HTTP exchange of this turn was kept"
        return Document().nothing(
            f"{message} (the last 50 and all failures are; --wire all keeps everything)."
        )
    doc = Document()
    for exchange in exchanges:
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
            headers = exchange.get(f"{part}_headers") or {}
            pairs = headers.items() if isinstance(headers, Mapping) else headers
            for pair in pairs:
                name, value = (*pair, "")[:2] if isinstance(pair, (list, tuple)) else (pair, "")
                doc.line((f"{name}: ", "muted"), (str(value), "text"), indent=2)
            body = exchange.get(f"{part}_body")
            if body not in (None, ""):
                doc.text(_body(body), indent=2)
    return doc


def _body(body: Any) -> str:
    if isinstance(body, str) and len(body) < 1_000_000 and body[:1] in ("{", "["):
        try:
            return pretty(json.loads(body))
        except (ValueError, RecursionError):
            return body
    return pretty(body)


def _output(detail: TurnDetail, turn: Turn, context: Context) -> Document:
    if not detail.outputs and not detail.warnings:
        return Document().nothing("The provider printed, logged and warned nothing in this turn.")
    doc = Document()
    for record in detail.warnings:
        doc.line(("! warning ", "warning bold"), (str(record.get("message", "")), "text"))
    for record in detail.outputs:
        stream = str(record.get("stream", ""))
        at = record.get("t")
        doc.head(stream, f"at {at:.2f} s" if isinstance(at, (int, float)) else "")
        doc.text(
            str(record.get("text", "")).rstrip("\n"), "error" if stream == "stderr" else "text"
        )
        if record.get("dropped"):
            doc.line((f"… {record['dropped']:,} more characters not kept", "warning"))
    return doc


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
        doc.head("metadata").text(pretty(metadata))
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
    RESPONDER: responder,
}
