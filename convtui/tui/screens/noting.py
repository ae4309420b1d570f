"""Marks and notes on turns: set, shown and listed, on a running conversation and on a saved one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from convtui.corrections import corrected_flags
from convtui.errors import FileError
from convtui.log.notes import Address, Notes, TurnNote
from convtui.records import RecordDict
from convtui.transcript import Turn
from convtui.tui.screens.correcting import Correcting
from convtui.tui.screens.dialogs import Ask, Edit
from convtui.tui.screens.notes import NotesScreen
from convtui.tui.widgets.note_marks import added_words, has_row


class Noting(Correcting):
    """Writes marks and notes beside the log, in threads, one at a time."""

    _noting: asyncio.Lock | None = None
    _noted_for: tuple[Any, ...] = ()
    """What the rows of the transcript were last made of."""

    def show_noted(self) -> None:
        """Makes room in the transcript for the rows of marks and notes."""
        notes, transcript = self._by_hand, self.transcript
        # Whatever is written goes through this screen, which resets the last one.
        now = (notes, transcript, len(transcript.turns), self._added())
        if now == self._noted_for:
            return
        self._noted_for = now
        rows: set[int] = set()
        for address, note in self._all_notes().items():
            turn = transcript.find(*address)
            if turn is not None and has_row(note, turn):
                rows.add(turn.index)
        self.view.set_noted(frozenset(rows))

    def _added(self) -> frozenset[Address]:
        """The turns with flags added by hand that have no other row to tell them in: this may
        change with the turn."""
        added: set[Address] = set()
        for address, note in self._by_hand.all().items() if self._by_hand is not None else ():
            turn = self.transcript.find(*address) if note.flags else None
            if turn is not None and added_words(note, turn):
                added.add(address)
        return frozenset(added)

    def _all_notes(self) -> dict[Address, TurnNote]:
        """Everything noted, here or where the turns come from, by address, in order."""
        notes = self._by_hand
        if notes is None:
            return {}
        places = sorted({**notes.all(), **self._inherited})
        return {address: self._whole_note(notes, address) for address in places}

    def flags_by_hand(self, turn: Turn) -> int:
        """A turn's flags as they were corrected."""
        notes = self._by_hand
        if notes is None or not len(notes):
            return int(turn.flags)
        return corrected_flags(turn, notes.on(turn.session, turn.number))

    async def do_turn_mark(self) -> None:
        """Marks the selected turn, or takes its mark away."""

        def write(notes: Notes, turn: Turn) -> str:
            marked = not notes.on(turn.session, turn.number).mark
            notes.mark(turn.session, turn.number, marked)
            return f"Turn {turn.address} {'marked' if marked else 'is no longer marked'}."

        await self._write(write)

    async def do_turn_note(self) -> None:
        """Asks for a note on the selected turn; an empty one takes it away."""
        turn, notes = self.selected, await self._notes_to_change()
        if turn is None or notes is None:
            return
        before = notes.on(turn.session, turn.number).note
        title = f"Note on turn {turn.address}"
        text: str | None = None
        while True:
            text = await self._note_text(title, before, text)
            if text is None or text.strip() == before:
                return
            kept = text.strip()

            def write(notes: Notes, turn: Turn, kept: str = kept) -> str:
                notes.note(turn.session, turn.number, kept)
                return f"Noted on turn {turn.address}." if kept else "The note is gone."

            # What could not be written is not lost: it can be tried again.
            if await self._write(write, turn):
                return

    async def _note_text(self, title: str, before: str, wrote: str | None) -> str | None:
        if "\n" in before:
            draft = ("note", "the note", before)
            edited = await self.app.push_screen_wait(
                Edit(title, [draft], wrote={"note": wrote} if wrote is not None else None)
            )
            return edited["note"] if edited else None
        hint = "Kept beside the log. Empty takes the note away."
        return await self.app.push_screen_wait(Ask(title, value=before, hint=hint, wrote=wrote))

    async def do_turn_notes(self) -> None:
        """Lists the marks and notes, as they are beside the log now, and goes to one."""
        path = self.source.path
        if path is not None:
            # Another program may have written some.
            self._notes_path = path
            await self._read_notes(path)
        turn = self.selected
        mark, note = self.keymap.shown("turn.mark"), self.keymap.shown("turn.note")
        address = await self.app.push_screen_wait(
            NotesScreen(
                self._all_notes(),
                self.transcript,
                (turn.session, turn.number) if turn is not None else None,
                keys=f"{mark} marks the selected turn, {note} writes a note on it.",
            )
        )
        if address is None:
            return
        found = self.transcript.find(*address)
        if found is None:
            self.tell(f"There is no turn {address[0]}:{address[1]} in this log.", "warning")
        else:
            await self.jump(found.index)

    async def jump(self, index: int) -> None:
        """Selects a turn, wherever a recording stands."""
        raise NotImplementedError

    async def _notes_to_change(self) -> Notes | None:
        """The notes of the log that is shown; told when there is no log yet."""
        path = self.source.path
        if path is None:
            self.tell("Nothing can be noted before there is a log.", "warning")
            return None
        if self._by_hand is None or self._notes_path != path:
            self._notes_path = path
            await self._read_notes(path)
        return self._by_hand

    async def _write(self, change: Callable[[Notes, Turn], str], turn: Turn | None = None) -> bool:
        """Changes the notes in a thread; a failure is told, as is what was done. Whether it was."""
        turn = turn or self.selected
        notes = await self._notes_to_change()
        if turn is None or notes is None:
            return False
        if self._noting is None:
            self._noting = asyncio.Lock()
        async with self._noting:
            try:
                said = await asyncio.to_thread(change, notes, turn)
            except FileError as error:
                self.tell(f"Not kept: {error}.", "error")
                return False
        self._noted_for = ()
        self.source.changed.add(turn.index)
        self.repaint()
        self.tell(said)
        return True


class ByHand:
    """Answers filter atoms about marks, notes and corrections from what the screen knows."""

    ANSWERS = frozenset({"mark", "note", "role", "repeat", "fault"})
    """The atoms that need nothing else beyond the fold."""

    def __init__(self, of: Callable[[Turn], TurnNote | None]) -> None:
        self._of = of

    def raw(self, turn: Turn) -> str | None:
        """Nothing is read from the log."""
        return None

    def records(self, turn: Turn) -> list[RecordDict]:
        """Nothing is read from the log."""
        return []

    def marked(self, turn: Turn) -> bool:
        """Whether the turn is marked."""
        note = self._of(turn)
        return note is not None and note.marked

    def noted(self, turn: Turn) -> bool:
        """Whether there is a note on the turn."""
        note = self._of(turn)
        return note is not None and note.noted

    def correction(self, turn: Turn) -> TurnNote | None:
        """What was corrected on the turn by hand."""
        note = self._of(turn)
        return note if note is not None and note.corrects else None
