"""Correcting by hand what the rules say of a turn: its flags, and whose fault it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from convtui.corrections import (
    CORRECTABLE,
    FAULT_LABELS,
    FLAG_WORDS,
    NOBODY,
    corrected_faults,
    corrected_flags,
)
from convtui.errors import FileError
from convtui.log.inherited import inherited_notes
from convtui.log.notes import Address, Inherited, Notes, TurnNote
from convtui.transcript import Turn
from convtui.tui.screens.base import DebuggerBase
from convtui.tui.screens.dialogs import Choose


class Correcting(DebuggerBase):
    """Reads and writes the corrections beside the log, in threads."""

    _by_hand: Notes | None = None
    _inherited: Mapping[Address, tuple[Inherited, ...]] = {}
    """What was marked and noted in the logs that this one goes back to."""
    _notes_path: Path | None = None
    _notes_asked = _notes_taken = 0
    """Count the readings of notes: how many began, and which of them is shown."""

    def correction_of(self, turn: Turn) -> TurnNote | None:
        """What was corrected on a turn; None also while that is being read."""
        note = self.note_of(turn)
        return note if note is not None and note.corrects else None

    def note_of(self, turn: Turn) -> TurnNote | None:
        """What was marked, noted and corrected on a turn; None while that is being read."""
        path = self.source.path
        if path is None:
            return None
        if self._notes_path != path:
            self._notes_path, self._by_hand, self._inherited = path, None, {}
            self.spawn(self._read_notes(path))
        if self._by_hand is None:
            return None
        return self._whole_note(self._by_hand, (turn.session, turn.number))

    def _whole_note(self, notes: Notes, address: Address) -> TurnNote:
        """A turn's notes with those that it brought along."""
        note, inherited = notes.on(*address), self._inherited.get(address)
        return replace(note, inherited=inherited) if inherited else note

    async def _read_notes(self, path: Path) -> None:
        self._notes_asked = asked = self._notes_asked + 1
        notes, inherited = await asyncio.to_thread(lambda: (Notes(path), inherited_notes(path)))
        if self._notes_path != path or self._notes_taken > asked:
            # Others were read later: what was written since stands in those.
            return
        self._notes_taken = asked
        self._by_hand, self._inherited = notes, inherited
        for session, number in {**notes.all(), **inherited}:
            turn = self.transcript.find(session, number)
            if turn is not None:
                self.source.changed.add(turn.index)
        if self.is_mounted:
            self.repaint()

    async def do_turn_correct(self) -> None:
        """Asks what is to be corrected on the selected turn and keeps it beside the log."""
        turn, path = self.selected, self.source.path
        if turn is None:
            return
        if path is None:
            self.tell("Nothing can be corrected before there is a log.", "warning")
            return
        if self._by_hand is None or self._notes_path != path:
            self._notes_path = path
            await self._read_notes(path)
        notes = self._by_hand
        if notes is None:
            return
        note = notes.on(turn.session, turn.number)
        answer = await self.app.push_screen_wait(
            Choose(f"Correct turn {turn.address}", _answers(turn, note), _as_it_stands(turn, note))
        )
        if answer is None:
            return
        what, _, value = answer.partition(":")
        write: Callable[[], None]
        if what == "fault":
            said = f"Whose fault it is: {value or 'as the rules say'}."

            def write() -> None:
                notes.correct_fault(turn.session, turn.number, value)
        else:
            own = bool(int(turn.flags) & CORRECTABLE[what])
            wanted = value == "true"
            said = f"{FLAG_WORDS[what].capitalize()} {'added' if wanted else 'taken away'} by hand."

            def write() -> None:
                # Back to what the log says is no correction.
                correction = None if wanted == own else wanted
                notes.correct_flag(turn.session, turn.number, what, correction)

        try:
            await asyncio.to_thread(write)
        except FileError as error:
            self.tell(f"Not corrected: {error}.", "error")
            return
        self.source.changed.add(turn.index)
        self.repaint()
        self.tell(said)


def _answers(turn: Turn, note: TurnNote) -> list[tuple[str, str]]:
    """What can be changed: `flag:true`, `flag:false` or `fault:LABEL`, and how it is called."""
    flags = corrected_flags(turn, note)
    found = [
        (f"{name}:false", f"Take away: {words}")
        if flags & CORRECTABLE[name]
        else (f"{name}:true", f"Add: {words}")
        for name, words in FLAG_WORDS.items()
    ]
    for label in FAULT_LABELS:
        if label != note.fault:
            words = "nobody's fault" if label == NOBODY else f"the fault of the {label}"
            found.append((f"fault:{label}", f"Label it {words}"))
    if note.fault:
        found.append(("fault:", "Fault as the rules say"))
    return found


def _as_it_stands(turn: Turn, note: TurnNote) -> str:
    faults = corrected_faults(turn, note)
    if not faults:
        return "As it stands, it is nobody's fault."
    return "\n".join(f"{each.side}, by rule {each.rule}: {each.why}" for each in faults)
