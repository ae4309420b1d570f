"""Marks and notes of the logs that a log goes back to."""

from __future__ import annotations

from pathlib import Path

from convtui.log.inherited import inherited_notes
from convtui.log.notes import Inherited, Notes, TurnNote
from convtui.tui.widgets.text_pane import Document
from convtui.tui.widgets.transcript.note_marks import (
    is_noted,
    note_rows,
    note_sign,
    noted_spans,
    with_note,
)
from tests.builders.logs import conversation, fold, session, turn
from tests.tui.harness.family import family


def test_a_branch_has_its_parents_words_on_what_they_share(tmp_path: Path) -> None:
    first, second, third = family(tmp_path)
    Notes(first).mark(1, 1, True)
    Notes(first).note(1, 1, "from the root")
    # Turn 1:2 of the root was rewound: that of the branch is another one.
    Notes(first).mark(1, 2, True)
    Notes(second).mark(1, 1, True)
    Notes(second).note(1, 3, "from b")
    Notes(second).correct_fault(1, 3, "provider")
    assert inherited_notes(first) == {}
    assert inherited_notes(second) == {(1, 1): (Inherited("root-run", True, "from the root"),)}
    assert inherited_notes(third) == {
        (1, 1): (Inherited("branch-b", True), Inherited("root-run", True, "from the root")),
        (1, 3): (Inherited("branch-b", False, "from b"),),
    }
    assert Notes(third).all() == {}, "nothing is written beside the branch"


def test_a_parent_that_is_gone_or_altered_says_nothing(tmp_path: Path) -> None:
    first, second, third = family(tmp_path)
    Notes(first).mark(1, 1, True)
    Notes(second).mark(1, 1, True)
    first.write_bytes(first.read_bytes().replace(b"maya", b"mara"))
    assert inherited_notes(third) == {(1, 1): (Inherited("branch-b", True),)}
    second.unlink()
    assert inherited_notes(third) == {}
    assert inherited_notes(tmp_path / "none.jsonl") == {}
    third.write_bytes(b"no json\n")
    assert inherited_notes(third) == {}


def test_they_are_drawn_with_where_they_come_from() -> None:
    note = TurnNote(inherited=(Inherited("1f3a9", True, "why\x1b[2J?"),))
    assert note.marked and note.noted and not note.mark and not note.note
    assert is_noted(note) and note_sign(note) == ("⚑", "human")
    one_turn = fold(conversation(session(1, "a", [turn(1, "persona", "Hello")]))).turns[0]
    assert len(note_rows(note, one_turn)) == 1
    text = "".join(text for text, _ in noted_spans(note))
    assert text.startswith("⚑ marked in 1f3a · ⁋ note in 1f3a: why") and "\x1b" not in text
    both = TurnNote(mark=True, inherited=note.inherited)
    assert "".join(text for text, _ in noted_spans(both)).startswith("⚑ marked · ⚑ marked in 1f3a")
    shown = str(with_note(Document(), note))
    assert "⚑ marked in the parent run 1f3a9" in shown
    assert "change it there" in shown
