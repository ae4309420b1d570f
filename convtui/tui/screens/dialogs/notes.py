"""The dialog that lists the marks and notes of a log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from convtui.log.notes import Address, TurnNote
from convtui.text.boundary import one_line, visible_line
from convtui.transcript.corrections import corrected_words
from convtui.transcript.fold import Transcript
from convtui.tui.drawing.glyphs import MARK, NOTE
from convtui.tui.screens.dialogs.box import DialogBox
from convtui.tui.widgets.transcript.note_marks import inherited_labels

_MAX_ROWS = 2_000
_WIDEST = 96


class NotesScreen(ModalScreen[Address | None]):
    """Lists marks, notes and corrections; the result is the turn to go to."""

    DEFAULT_CSS = """
    NotesScreen { align: center middle; background: $background 60%; }
    NotesScreen OptionList, NotesScreen OptionList:focus {
                             height: auto; max-height: 100%; border: none;
                             background: $surface; padding: 0; }
    NotesScreen .said { width: 1fr; height: auto; color: $text-muted; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,M", "dismiss(None)", "close"),
        Binding("j", "down", "down", show=False),
        Binding("k", "up", "up", show=False),
    ]

    def __init__(
        self,
        notes: Mapping[Address, TurnNote],
        transcript: Transcript,
        at: Address | None = None,
        *,
        keys: str = "",
    ) -> None:
        """`at` is the selected turn; `keys` says how to create marks and notes."""
        super().__init__()
        self._notes = dict(list(notes.items())[:_MAX_ROWS])
        self._left_out = len(notes) - len(self._notes)
        self._transcript = transcript
        self._at = at
        self._keys = keys

    def compose(self) -> ComposeResult:
        rows = [self._row(*item) for item in self._notes.items()]
        with DialogBox("marks and notes", "enter go there  esc close" if rows else "esc close"):
            if rows:
                yield OptionList(*(Option(row) for row in rows))
            else:
                yield Static(Content(self._nothing), classes="said")
            if self._left_out:
                yield Static(Content(f"… {self._left_out:,} more are not listed"), classes="said")

    @property
    def _nothing(self) -> str:
        return f"No marks or notes yet. {self._keys}".rstrip()

    def _row(self, address: Address, note: TurnNote) -> Content:
        turn = self._transcript.find(*address)
        parts: list[tuple[str, str]] = [(f"{address[0]}:{address[1]:<4} ", "$text-muted")]
        if note.mark:
            parts.append((f"{MARK} marked  ", "bold $text-accent"))
        if note.note:
            parts.append((f"{NOTE} note: {visible_line(one_line(note.note, 200))}  ", "bold"))
        for inherited in note.inherited:
            parts += [(f"{label}  ", "$text-accent") for label in inherited_labels(inherited, 200)]
        corrected = ", ".join(corrected_words(note))
        if corrected:
            parts.append((f"* {corrected}  ", "$text-warning"))
        text = visible_line(one_line(turn.text, 120)) if turn is not None else "no such turn"
        speaker = f"{turn.speaker}: " if turn is not None else ""
        parts.append((f"{speaker}{text}", "$text-muted"))
        return Content.assemble(*parts)

    def on_mount(self) -> None:
        """Selects the current turn, or the next one that is listed."""
        rows = (self._row(*item).plain for item in self._notes.items())
        texts = rows if self._notes else (self._nothing,)
        self.query_one(DialogBox).hold(texts, widest=_WIDEST)
        listed = self.query(OptionList)
        if not listed:
            return
        following = [
            index
            for index, address in enumerate(self._notes)
            if self._at is None or address >= self._at
        ]
        listed.first().highlighted = following[0] if following else len(self._notes) - 1
        listed.first().focus()

    def action_down(self) -> None:
        for listed in self.query(OptionList):
            listed.action_cursor_down()

    def action_up(self) -> None:
        for listed in self.query(OptionList):
            listed.action_cursor_up()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(list(self._notes)[event.option_index])
