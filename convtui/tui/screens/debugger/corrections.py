"""Corrects a turn by hand: its flags, and whose fault it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from convtui.log.notes import Notes, TurnNote
from convtui.transcript.corrections import (
    CORRECTABLE,
    FAULT_LABELS,
    FLAG_WORDS,
    NOBODY,
    corrected_faults,
    corrected_flags,
)
from convtui.transcript.fold import Turn
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.debugger.turn_notes import TurnNotes
from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.screens.handlers import Handler


class Corrections:
    """Asks what to correct and stores it beside the log."""

    def __init__(self, context: DebuggerContext, notes: TurnNotes) -> None:
        self._context = context
        self._notes = notes

    def handlers(self) -> Iterator[Handler]:
        yield Handler("turn.correct", self._correct)

    async def _correct(self) -> None:
        turn = self._context.selected()
        notes = await self._notes.open_for_change("corrected") if turn is not None else None
        if turn is None or notes is None:
            return
        note = notes.on(turn.session, turn.number)
        answer = await self._context.ask(
            Choose(
                f"Correct turn {turn.address}", _answers(turn, note), _current_faults(turn, note)
            )
        )
        if answer is not None:
            await self._notes.write(turn, _change(notes, turn, answer), problem="Not corrected")


def _change(notes: Notes, turn: Turn, answer: str) -> Callable[[], str]:
    """The function that writes a correction and returns its notice."""
    what, _, value = answer.partition(":")

    def correct_fault() -> str:
        notes.correct_fault(turn.session, turn.number, value)
        return f"Fault: {value or 'as the rules say'}."

    def correct_flag() -> str:
        own = bool(int(turn.flags) & CORRECTABLE[what])
        wanted = value == "true"
        # What the log says itself is not a correction.
        notes.correct_flag(turn.session, turn.number, what, None if wanted == own else wanted)
        return f"{FLAG_WORDS[what].capitalize()} {'added' if wanted else 'removed'} by hand."

    return correct_fault if what == "fault" else correct_flag


def _answers(turn: Turn, note: TurnNote) -> list[tuple[str, str]]:
    """The possible corrections as (`flag:true`, `flag:false` or `fault:LABEL`, label)."""
    flags = corrected_flags(turn, note)
    choices = [
        (f"{name}:false", f"Remove: {label}")
        if flags & CORRECTABLE[name]
        else (f"{name}:true", f"Add: {label}")
        for name, label in FLAG_WORDS.items()
    ]
    for label in FAULT_LABELS:
        if label != note.fault:
            whose = "nobody's fault" if label == NOBODY else f"the fault of the {label}"
            choices.append((f"fault:{label}", f"Label it {whose}"))
    if note.fault:
        choices.append(("fault:", "Leave the fault to the rules"))
    return choices


def _current_faults(turn: Turn, note: TurnNote) -> str:
    faults = corrected_faults(turn, note)
    if not faults:
        return "Currently nobody's fault."
    return "\n".join(f"{fault.side}, by rule {fault.rule}: {fault.why}" for fault in faults)
