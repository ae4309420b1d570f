"""Marks and notes on a turn: a row in the transcript, lines in the inspector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convtui.text.boundary import visible_line
from convtui.transcript.corrections import FLAG_WORDS
from convtui.tui.drawing.glyphs import MARK, NOTE, NOTICED
from convtui.tui.widgets.text_pane import Document
from convtui.tui.widgets.transcript.marks import BADGES

if TYPE_CHECKING:
    from convtui.log.notes import Inherited, TurnNote
    from convtui.transcript.fold import Turn
    from convtui.tui.drawing.palette import Span

_MAX_CHARS: Final = 400
_ID: Final = 4
"""Characters of a run's id, enough to tell it from related runs."""


def noted_spans(note: TurnNote) -> list[Span]:
    """Mark and note on one line, each with glyph and word; empty without either."""
    spans: list[Span] = []
    if note.mark:
        spans.append((f"{MARK} marked", "human bold"))
    if note.note:
        if spans:
            spans.append((" · ", "border"))
        text = visible_line(" ".join(note.note[: _MAX_CHARS * 4].split()), _MAX_CHARS)
        spans += [(f"{NOTE} note: ", "human bold"), (text, "human")]
    for inherited in note.inherited:
        for text in inherited_labels(inherited):
            spans += [(" · ", "border")] if spans else []
            spans.append((text, "human"))
    return spans


def inherited_labels(inherited: Inherited, max_chars: int = _MAX_CHARS) -> list[str]:
    """A parent log's mark and note on a turn, such as `marked in 1f3a`."""
    run = visible_line(inherited.run, _ID * 4)[:_ID]
    labels = [f"{MARK} marked in {run}"] if inherited.mark else []
    if inherited.note:
        text = visible_line(" ".join(inherited.note[: max_chars * 4].split()), max_chars)
        labels.append(f"{NOTE} note in {run}: {text}")
    return labels


def is_noted(note: TurnNote) -> bool:
    """Whether the turn has a mark or a note."""
    return note.marked or note.noted


def added_flags(note: TurnNote, turn: Turn) -> list[str]:
    """Flags added by hand to a turn without badges to show them."""
    if not note.flags or int(turn.flags) & BADGES:
        return []
    return [f"{FLAG_WORDS.get(name, name)} by hand" for name, added in note.flags.items() if added]


def has_row(note: TurnNote, turn: Turn) -> bool:
    """Whether a turn has a row for marks, notes and corrections."""
    return is_noted(note) or bool(added_flags(note, turn))


def note_rows(note: TurnNote | None, turn: Turn) -> list[list[Span]]:
    """The row below a turn's text, if it has one."""
    if note is None or not has_row(note, turn):
        return []
    spans = noted_spans(note)
    for label in added_flags(note, turn):
        spans += [(" · ", "border")] if spans else []
        spans.append((label, "warning"))
    return [spans]


def note_sign(note: TurnNote | None) -> Span | None:
    """The glyph beside a turn that has no other."""
    if note is None or not is_noted(note):
        added = note is not None and any(note.flags.values())
        return (NOTICED, "warning") if added else None
    return (MARK if note.marked else NOTE), "human"


def with_note(doc: Document, note: TurnNote | None) -> Document:
    """A document of the inspector, with the whole note above it."""
    if note is None or not is_noted(note):
        return doc
    result = Document()
    if note.mark:
        result.line((f"{MARK} marked", "human bold"))
    if note.note:
        result.line((f"{NOTE} note", "human bold")).text(note.note, "human", indent=2)
    for inherited in note.inherited:
        run = visible_line(inherited.run, 40)
        if inherited.mark:
            result.line((f"{MARK} marked", "human bold"), (f" in the parent run {run}", "muted"))
        if inherited.note:
            origin = f" in the parent run {run}; change it there"
            result.line((f"{NOTE} note", "human bold"), (origin, "muted"))
            result.text(inherited.note, "human", indent=2)
    result.blank().pieces += doc.pieces
    return result
