"""Marks and notes of a person on a turn: a row in the transcript, lines in the inspector."""

from __future__ import annotations

from typing import Final

from convtui.log.notes import Inherited, TurnNote
from convtui.text.boundary import visible_line
from convtui.transcript.corrections import FLAG_WORDS
from convtui.transcript.fold import Turn
from convtui.tui.drawing.palette import Span
from convtui.tui.widgets.text_pane import Document
from convtui.tui.widgets.transcript.marks import BADGES

MARK: Final = "◆"
NOTE: Final = "¶"
_SHOWN: Final = 400
_ID: Final = 4
"""Characters of a run's id that tell it from its relatives."""


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
    for each in note.inherited:
        for words in inherited_words(each):
            spans += [(" · ", "border")] if spans else []
            spans.append((words, "human"))
    return spans


def inherited_words(inherited: Inherited, most: int = _SHOWN) -> list[str]:
    """What a log that this one goes back to says of a turn: `◆ marked in 1f3a`."""
    run = visible_line(inherited.run, _ID * 4)[:_ID]
    words = [f"{MARK} marked in {run}"] if inherited.mark else []
    if inherited.note:
        text = visible_line(" ".join(inherited.note[: most * 4].split()), most)
        words.append(f"{NOTE} note in {run}: {text}")
    return words


def is_noted(note: TurnNote) -> bool:
    """Whether there is a mark or a note, so that the turn has a row for it."""
    return note.marked or note.noted


def added_words(note: TurnNote, turn: Turn) -> list[str]:
    """The flags that were added by hand to a turn that has no row of badges to tell them in."""
    if not note.flags or int(turn.flags) & BADGES:
        return []
    return [f"{FLAG_WORDS.get(name, name)} by hand" for name, added in note.flags.items() if added]


def has_row(note: TurnNote, turn: Turn) -> bool:
    """Whether a turn has a row for what a person said of it."""
    return is_noted(note) or bool(added_words(note, turn))


def note_rows(note: TurnNote | None, turn: Turn) -> list[list[Span]]:
    """The row below a turn's text: one, or none."""
    if note is None or not has_row(note, turn):
        return []
    spans = noted_spans(note)
    for words in added_words(note, turn):
        spans += [(" · ", "border")] if spans else []
        spans.append((words, "warning"))
    return [spans]


def note_sign(note: TurnNote | None) -> Span | None:
    """The sign beside a turn that has no other one."""
    if note is None or not is_noted(note):
        added = note is not None and any(note.flags.values())
        return ("!", "warning") if added else None
    return (MARK if note.marked else NOTE), "human"


def with_note(doc: Document, note: TurnNote | None) -> Document:
    """A document of the inspector with the whole note above it."""
    if note is None or not is_noted(note):
        return doc
    found = Document()
    if note.mark:
        found.line((f"{MARK} marked", "human bold"))
    if note.note:
        found.line((f"{NOTE} note", "human bold")).text(note.note, "human", indent=2)
    for each in note.inherited:
        run = visible_line(each.run, 40)
        if each.mark:
            found.line(
                (f"{MARK} marked", "human bold"), (f" in the run it comes from, {run}", "muted")
            )
        if each.note:
            where = f" in the run it comes from, {run}; change it there"
            found.line((f"{NOTE} note", "human bold"), (where, "muted"))
            found.text(each.note, "human", indent=2)
    found.blank().pieces += doc.pieces
    return found
