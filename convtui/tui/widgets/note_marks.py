"""Marks and notes of a person on a turn: a row in the transcript, lines in the inspector."""

from __future__ import annotations

from typing import Final

from convtui.log.notes import TurnNote
from convtui.text import visible_line
from convtui.tui.palette import Span
from convtui.tui.widgets.text_pane import Doc

MARK: Final = "◆"
NOTE: Final = "¶"
_SHOWN: Final = 400


def noted_spans(note: TurnNote) -> list[Span]:
    """Mark and note on one line, each with glyph and word; empty where there is neither."""
    spans: list[Span] = []
    if note.mark:
        spans.append((f"{MARK} marked", "human bold"))
    if note.note:
        if spans:
            spans.append((" · ", "border"))
        words = visible_line(" ".join(note.note[: _SHOWN * 4].split()), _SHOWN)
        spans += [(f"{NOTE} note: ", "human bold"), (words, "human")]
    return spans


def is_noted(note: TurnNote) -> bool:
    """Whether there is a mark or a note, so that the turn has a row for it."""
    return note.mark or bool(note.note)


def note_rows(note: TurnNote | None) -> list[list[Span]]:
    """The row below a turn's text: one, or none."""
    return [noted_spans(note)] if note is not None and is_noted(note) else []


def note_sign(note: TurnNote | None) -> Span | None:
    """The sign beside a turn that has no other one."""
    if note is None or not is_noted(note):
        return None
    return (MARK if note.mark else NOTE), "human"


def with_note(doc: Doc, note: TurnNote | None) -> Doc:
    """A document of the inspector with the whole note above it."""
    if note is None or not is_noted(note):
        return doc
    found = Doc()
    if note.mark:
        found.line((f"{MARK} marked", "human bold"))
    if note.note:
        found.line((f"{NOTE} note", "human bold")).text(note.note, "human", indent=2)
    found.blank().pieces += doc.pieces
    return found
