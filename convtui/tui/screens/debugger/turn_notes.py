"""The marks, notes and corrections beside the log that is shown."""

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
from convtui.tui.widgets.transcript.note_marks import added_words, has_row


class TurnNotes:
    """Reads and writes them, in threads, one write at a time."""

    def __init__(self, context: DebuggerContext) -> None:
        self._context = context
        self._conversation = context.conversation
        self._notes: Notes | None = None
        self._inherited: Mapping[Address, tuple[Inherited, ...]] = {}
        """What was marked and noted in the logs that this one goes back to."""
        self._path: Path | None = None
        self._asked = self._taken = 0
        """Count the readings: how many began, and which of them is shown."""
        self._writing = asyncio.Lock()
        self._rows_for: tuple[Any, ...] = ()
        """What `rows()` last answered for."""

    # --- reading

    @property
    def known(self) -> bool:
        """Whether they have been read."""
        return self._notes is not None

    def on(self, turn: Turn) -> TurnNote | None:
        """What was marked, noted and corrected on a turn; None while that is being read."""
        path = self._conversation.source.path
        if path is None:
            return None
        if self._path != path:
            self._path, self._notes, self._inherited = path, None, {}
            self._context.spawn(self.read(path))
        if self._notes is None:
            return None
        return self._whole(self._notes, (turn.session, turn.number))

    def correction(self, turn: Turn) -> TurnNote | None:
        """What was corrected on a turn; None also while that is being read."""
        note = self.on(turn)
        return note if note is not None and note.corrects else None

    def flags(self, turn: Turn) -> int:
        """A turn's flags as they were corrected."""
        notes = self._notes
        if notes is None or not len(notes):
            return int(turn.flags)
        return corrected_flags(turn, notes.on(turn.session, turn.number))

    def everything(self) -> dict[Address, TurnNote]:
        """Everything noted, here or where the turns come from, by address, in order."""
        notes = self._notes
        if notes is None:
            return {}
        addresses = sorted({**notes.all(), **self._inherited})
        return {address: self._whole(notes, address) for address in addresses}

    def _whole(self, notes: Notes, address: Address) -> TurnNote:
        """A turn's notes with those that it brought along."""
        note, inherited = notes.on(*address), self._inherited.get(address)
        return replace(note, inherited=inherited) if inherited else note

    async def read(self, path: Path) -> None:
        """Reads those of a log; another program may have written some."""
        self._path = path
        self._asked = asked = self._asked + 1
        notes, inherited = await asyncio.to_thread(lambda: (Notes(path), inherited_notes(path)))
        if self._path != path or self._taken > asked:
            # Others were read later: what was written since stands in those.
            return
        self._taken = asked
        self._notes, self._inherited = notes, inherited
        for session, number in {**notes.all(), **inherited}:
            turn = self._conversation.transcript.find(session, number)
            if turn is not None:
                self._conversation.source.changed.add(turn.index)
        if self._context.mounted():
            self._context.repaint()

    # --- rows of the transcript

    def rows(self) -> frozenset[int] | None:
        """The turns that have a row for their marks and notes; None where they are as before."""
        notes, transcript = self._notes, self._conversation.transcript
        now = (notes, transcript, len(transcript.turns), self._added())
        if now == self._rows_for:
            return None
        self._rows_for = now
        rows: set[int] = set()
        for address, note in self.everything().items():
            turn = transcript.find(*address)
            if turn is not None and has_row(note, turn):
                rows.add(turn.index)
        return frozenset(rows)

    def _added(self) -> frozenset[Address]:
        """The turns with flags added by hand that have no other row to tell them in: this may
        change with the turn."""
        added: set[Address] = set()
        for address, note in self._notes.all().items() if self._notes is not None else ():
            turn = self._conversation.transcript.find(*address) if note.flags else None
            if turn is not None and added_words(note, turn):
                added.add(address)
        return frozenset(added)

    # --- writing

    async def to_change(self, verb: str) -> Notes | None:
        """The notes of the log that is shown; told when there is no log yet."""
        path = self._conversation.source.path
        if path is None:
            self._context.notify(f"Nothing can be {verb} before there is a log.", "warning")
            return None
        if self._notes is None or self._path != path:
            await self.read(path)
        return self._notes

    async def write(self, turn: Turn, change: Callable[[], str], *, problem: str) -> bool:
        """Changes the notes in a thread. Tells what `change` returns, or `problem` and why; whether
        it was written."""
        async with self._writing:
            try:
                done = await asyncio.to_thread(change)
            except FileError as error:
                self._context.notify(f"{problem}: {error}.", "error")
                return False
        self._rows_for = ()
        self._conversation.source.changed.add(turn.index)
        self._context.repaint()
        self._context.notify(done)
        return True
