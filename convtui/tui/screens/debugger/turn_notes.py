"""The marks, notes and corrections of the shown log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from convtui.errors import FileError
from convtui.log.inherited import inherited_notes
from convtui.log.notes import Address, Inherited, Notes, TurnNote
from convtui.transcript.corrections import corrected_flags
from convtui.transcript.fold import Turn
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.widgets.transcript.note_marks import added_flags, has_row


class TurnNotes:
    """Reads and writes them in threads, one write at a time."""

    def __init__(self, context: DebuggerContext) -> None:
        self._context = context
        self._conversation = context.conversation
        self._notes: Notes | None = None
        self._inherited: Mapping[Address, tuple[Inherited, ...]] = {}
        """Marks and notes in the parent logs."""
        self._path: Path | None = None
        self._reads_started = self._read_shown = 0
        """The number of reads that have started, and the number of the one that is shown."""
        self._writing = asyncio.Lock()
        self._rows_for: tuple[Any, ...] = ()
        """The state at the last call of `rows()`."""

    # --- reading

    @property
    def known(self) -> bool:
        """Whether they have been read."""
        return self._notes is not None

    def on(self, turn: Turn) -> TurnNote | None:
        """Marks, notes and corrections of a turn; None while they are being read."""
        path = self._conversation.source.path
        if path is None:
            return None
        if self._path != path:
            self._path, self._notes, self._inherited = path, None, {}
            self._context.spawn(self.read(path))
        if self._notes is None:
            return None
        return self._with_inherited(self._notes, (turn.session, turn.number))

    def correction(self, turn: Turn) -> TurnNote | None:
        """The corrections of a turn, if any are known."""
        note = self.on(turn)
        return note if note is not None and note.corrects else None

    def flags(self, turn: Turn) -> int:
        """A turn's flags as corrected."""
        notes = self._notes
        if notes is None or not len(notes):
            return int(turn.flags)
        return corrected_flags(turn, notes.on(turn.session, turn.number))

    def everything(self) -> dict[Address, TurnNote]:
        """All notes with inherited ones, by address, in order."""
        notes = self._notes
        if notes is None:
            return {}
        addresses = sorted({**notes.all(), **self._inherited})
        return {address: self._with_inherited(notes, address) for address in addresses}

    def _with_inherited(self, notes: Notes, address: Address) -> TurnNote:
        note, inherited = notes.on(*address), self._inherited.get(address)
        return replace(note, inherited=inherited) if inherited else note

    async def read(self, path: Path) -> None:
        """Reads the notes of a log again; another program may have changed them."""
        self._path = path
        self._reads_started = number = self._reads_started + 1
        notes, inherited = await asyncio.to_thread(lambda: (Notes(path), inherited_notes(path)))
        if self._path != path or self._read_shown > number:
            # A later read has already finished.
            return
        self._read_shown = number
        self._notes, self._inherited = notes, inherited
        for session, turn_number in {**notes.all(), **inherited}:
            turn = self._conversation.transcript.find(session, turn_number)
            if turn is not None:
                self._conversation.source.changed.add(turn.index)
        if self._context.mounted():
            self._context.repaint()

    # --- rows of the transcript

    def rows(self) -> frozenset[int] | None:
        """The turns that have a row for marks and notes; None if unchanged since the last call."""
        notes, transcript = self._notes, self._conversation.transcript
        state = (notes, transcript, len(transcript.turns), self._added())
        if state == self._rows_for:
            return None
        self._rows_for = state
        rows: set[int] = set()
        for address, note in self.everything().items():
            turn = transcript.find(*address)
            if turn is not None and has_row(note, turn):
                rows.add(turn.index)
        return frozenset(rows)

    def _added(self) -> frozenset[Address]:
        """The turns with added flags that only this row shows; may change with the turn."""
        added: set[Address] = set()
        for address, note in self._notes.all().items() if self._notes is not None else ():
            turn = self._conversation.transcript.find(*address) if note.flags else None
            if turn is not None and added_flags(note, turn):
                added.add(address)
        return frozenset(added)

    # --- writing

    async def open_for_change(self, verb: str) -> Notes | None:
        """The notes of the shown log, for changing; None, with a notice, before there is a log."""
        path = self._conversation.source.path
        if path is None:
            self._context.notify(f"Nothing can be {verb} before there is a log.", "warning")
            return None
        if self._notes is None or self._path != path:
            await self.read(path)
        return self._notes

    async def write(self, turn: Turn, change: Callable[[], str], *, problem: str) -> bool:
        """Runs `change` in a thread and shows its message; False if it could not be written.

        `problem` introduces the reason in the notice.
        """
        async with self._writing:
            try:
                message = await asyncio.to_thread(change)
            except FileError as error:
                self._context.notify(f"{problem}: {error}.", "error")
                return False
        self._rows_for = ()
        self._conversation.source.changed.add(turn.index)
        self._context.repaint()
        self._context.notify(message)
        return True
