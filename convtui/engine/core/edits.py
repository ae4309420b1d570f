"""What was edited by hand in the turn in progress, and what of that can be taken back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from convtui.engine.core.gate import REDO, UNDO, Choice
from convtui.engine.core.journal import Journal
from convtui.records.models import DebugEdited, DebugOverrode

_NAMES = {"raw": "the raw reply", "text": "what is said", "decision": "the decision",
          "discard": "the discard", "ending": "the ending"}  # fmt: skip
_OVERRIDES = ("discard", "ending")


@dataclass(slots=True, frozen=True)
class Edit:
    """One edit, or an override (`field` is `discard` or `ending` then)."""

    seq: int
    """Of its record."""
    field: str
    before: Any
    after: Any
    stage: str
    """The stage at which it was made."""
    name: str
    """What was edited, in words."""
    shown: str | None = None
    """The edited text that this edit of the raw reply made void: undone, that stands again."""

    @property
    def what(self) -> str:
        """What it is, in words."""
        return f"{'override' if self.field in _OVERRIDES else 'edit'} of {self.name}"

    @property
    def undone(self) -> str:
        """What to say once it was taken back."""
        return f"undone: the {self.what}"

    @property
    def redone(self) -> str:
        """What to say once it was made again."""
        return f"redone: the {self.what}"


class Edits:
    """The edits of one attempt at a turn; every step back is a record of its own."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._made: list[Edit] = []
        self._undone: list[Edit] = []
        self._fixed = 0
        """Edits that are in force and cannot be taken back: a model has read them."""

    def fresh(self) -> Edits:
        """Those of another attempt: nothing is edited."""
        return Edits(self._journal)

    def seal(self) -> None:
        """What was edited has been said, sent or run: it is past taking back."""
        self._fixed += sum(edit.field not in _OVERRIDES for edit in self._made)
        self._made.clear()
        self._undone.clear()

    @property
    def edited(self) -> bool:
        """Whether an edit is in force."""
        return self._left > 0

    @property
    def last(self) -> Edit | None:
        """The edit that would be taken back."""
        return self._made[-1] if self._made else None

    @property
    def next(self) -> Edit | None:
        """The edit that would be made again."""
        return self._undone[-1] if self._undone else None

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What a hold offers beside its own choices."""
        last, following = self.last, self.next
        return (
            *(() if last is None else (Choice(UNDO.id, f"undo the {last.what}"),)),
            *(() if following is None else (Choice(REDO.id, f"redo the {following.what}"),)),
        )

    @property
    def text_stands(self) -> bool:
        """Whether the shown text is one that was written by hand."""
        return self.last is not None and self.last.field == "text"

    def note(
        self,
        field: str,
        before: Any,
        after: Any,
        stage: str,
        *,
        name: str = "",
        shown: str | None = None,
        final: bool = False,
    ) -> None:
        """Records an edit; one that is `final` cannot be taken back."""
        seq = self._emit(field, before, after)
        self._undone.clear()
        if final:
            self._fixed += 1
        else:
            name = name or _NAMES.get(field, field)
            self._made.append(Edit(seq, field, before, after, stage, name, shown))

    def undo(self) -> Edit:
        """Takes the last edit back."""
        edit = self._made.pop()
        self._emit(edit.field, edit.after, edit.before, undoes=edit.seq, left=self._left)
        self._undone.append(edit)
        return edit

    def redo(self) -> Edit:
        """Makes the edit that was taken back last again."""
        edit = self._undone.pop()
        seq = self._emit(edit.field, edit.before, edit.after, redoes=edit.seq)
        self._made.append(replace(edit, seq=seq))
        return self._made[-1]

    def stands_again(self, before: str, after: str) -> None:
        """Records that a text which had been edited stands again."""
        text = next((edit for edit in reversed(self._made) if edit.field == "text"), None)
        self._emit("text", before, after, redoes=text.seq if text is not None else None)

    def forget_undone(self) -> None:
        """What was taken back cannot be made again."""
        self._undone.clear()

    @property
    def _left(self) -> int:
        return self._fixed + sum(edit.field not in _OVERRIDES for edit in self._made)

    def _emit(self, field: str, before: Any, after: Any, **more: Any) -> int:
        if field in _OVERRIDES:
            return self._journal.emit_here(
                DebugOverrode,
                what=field, before=before, after=after, undoes=more.get("undoes"),
            )  # fmt: skip
        return self._journal.emit_here(DebugEdited, field=field, before=before, after=after, **more)
