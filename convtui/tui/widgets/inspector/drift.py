"""Answers that are different now than on record, on the screen: counted, named, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from convtui.transcript.fold import Flag, Transcript, Turn
from convtui.tui.drawing.word_diff import diff_spans
from convtui.tui.widgets.text_pane import Document

DRIFTED: Final = "warning:drift"
"""The code of a turn whose provider answered otherwise than the record says."""
_WORDS: Final = {
    "tools": "other tools are called now",
    "error": "asking for it again failed",
}


def drift_notes(transcript: Transcript) -> list[str]:
    """What the status line says of a conversation that was replayed into its provider, or whose
    provider is a record that was asked otherwise than it had been."""
    # Warnings of a replay into a provider tell of answers, those of a record of what it was asked.
    asked = sum(
        record.get("code") == "drift" and "asked" in (record.get("detail") or {})
        for record in transcript.warnings
    )
    times = f"{asked} time{'s' * (asked != 1)}"
    otherwise = [f"~ drift: the record was asked otherwise {times}"] if asked else []
    notes: list[str] = []
    for record in transcript.lifecycle:
        if record.get("type") == "provider.restored" and record.get("mode") == "replayed":
            count, answers = len(_drift(record)), record.get("answers")
            of = f" of {answers}" if isinstance(answers, int) else ""
            notes = [f"~ {count}{of} drifted" if count else "no drift"]
    return [*otherwise, *notes]


def replaying(transcript: Transcript) -> str:
    """How far the replay into a provider has come; empty while there is none."""
    counts = transcript.counts
    begun = "provider.restored" not in counts and "turn.started" not in counts
    if not begun or "llm.request" not in counts or transcript.hold is not None:
        return ""
    change = transcript.header.get("change")
    if isinstance(change, dict) and change.get("kind") == "compress":
        return ""
    of = sum(
        turn.speaker == "provider" and bool(turn.flags & Flag.SEEDED) for turn in transcript.turns
    )
    return f"replaying what was said, call {counts['llm.request']} for {of} answers"


def drift_of(transcript: Transcript, turn: Turn) -> Mapping[str, Any] | None:
    """How the answer of a turn has drifted: `{what, recorded, replayed}`; None when it has not."""
    if DRIFTED not in turn.codes:
        return None
    for record in transcript.lifecycle:
        if record.get("type") == "provider.restored":
            for each in _drift(record):
                if (each.get("session"), each.get("turn")) == (turn.session, turn.number):
                    return each
    return None


def with_drift(doc: Document, drift: Mapping[str, Any] | None) -> Document:
    """A document of the inspector with the two answers, as a word diff, above it."""
    if drift is None:
        return doc
    found = Document()
    words = _WORDS.get(str(drift.get("what")), "the provider answers otherwise now")
    found.line(("~ drift", "warning bold"), (f": {words}", "warning"))
    found.line(("[-on record-]", "error"), ("  ", "text"), ("{+replayed+}", "ok"))
    found.spans(diff_spans(str(drift.get("recorded", "")), str(drift.get("replayed", ""))))
    found.blank().pieces += doc.pieces
    return found


def _drift(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = record.get("drift")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
