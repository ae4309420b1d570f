"""Drift on the screen: answers that differ from those on record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from convtui.transcript.fold import COMMITTED, Flag, Transcript, Turn
from convtui.tui.drawing.word_diff import diff_spans, legend_spans
from convtui.tui.widgets.text_pane import Document

DRIFTED: Final = "warning:drift"
"""The code of a turn whose provider's answer differs from the record."""
_DRIFT_LABELS: Final = {
    "tools": "other tools are called",
    "error": "replaying it failed",
}


def drift_notes(transcript: Transcript) -> list[str]:
    """Notes for the status line on drift after a replay into the provider, or from a recording."""
    # Warnings of a replay concern answers, those of a recorded provider its requests.
    count = sum(
        record.get("code") == "drift" and "asked" in (record.get("detail") or {})
        for record in transcript.warnings
    )
    times = f"{count} time{'s' * (count != 1)}"
    request_drift = [f"~ drift: {times} the request differed from the record"] if count else []
    notes: list[str] = []
    for record in transcript.lifecycle:
        if record.get("type") == "provider.restored" and record.get("mode") == "replayed":
            drifted, answers = len(_drift(record)), record.get("answers")
            total = f" of {answers}" if isinstance(answers, int) else ""
            notes = [f"~ {drifted}{total} drifted" if drifted else "no drift"]
    return [*request_drift, *notes]


def replaying(transcript: Transcript) -> str:
    """The progress of a replay into a provider; empty if there is none."""
    counts = transcript.counts
    before_first_turn = "provider.restored" not in counts and "turn.started" not in counts
    if not before_first_turn or "llm.request" not in counts or transcript.hold is not None:
        return ""
    change = transcript.header.get("change")
    if isinstance(change, dict) and change.get("kind") == "compress":
        return ""
    answers = sum(
        turn.speaker == "provider" and turn.status == COMMITTED and bool(turn.flags & Flag.SEEDED)
        for turn in transcript.turns
    )
    return f"replaying the history, call {counts['llm.request']} for {answers} answers"


def drift_of(transcript: Transcript, turn: Turn) -> Mapping[str, Any] | None:
    """The drift of a turn's answer as `{what, recorded, replayed}`; None without drift."""
    if DRIFTED not in turn.codes:
        return None
    for record in transcript.lifecycle:
        if record.get("type") == "provider.restored":
            for entry in _drift(record):
                if (entry.get("session"), entry.get("turn")) == (turn.session, turn.number):
                    return entry
    return None


def with_drift(doc: Document, drift: Mapping[str, Any] | None) -> Document:
    """A document of the inspector, with a word diff of the two answers above it."""
    if drift is None:
        return doc
    result = Document()
    label = _DRIFT_LABELS.get(str(drift.get("what")), "the provider's answer differs")
    result.line(("~ drift", "warning bold"), (f": {label}", "warning"))
    result.line(*legend_spans("on record", "replayed"))
    result.spans(diff_spans(str(drift.get("recorded", "")), str(drift.get("replayed", ""))))
    result.blank().pieces += doc.pieces
    return result


def _drift(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entries = record.get("drift")
    return [item for item in entries if isinstance(item, dict)] if isinstance(entries, list) else []
