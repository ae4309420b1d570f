"""Sets and lists marks and notes on turns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.debugger.turn_notes import TurnNotes
from convtui.tui.screens.dialogs.notes import NotesScreen
from convtui.tui.screens.dialogs.questions import Ask, Edit
from convtui.tui.screens.handlers import Handler


class Notes:
    """Marks the selected turn, writes a note on it, lists all marks and notes."""

    def __init__(
        self, context: DebuggerContext, notes: TurnNotes, jump: Callable[[int], Awaitable[None]]
    ) -> None:
        self._context = context
        self._notes = notes
        self._jump = jump

    def handlers(self) -> Iterator[Handler]:
        yield Handler("turn.mark", self._mark)
        yield Handler("turn.note", self._note)
        yield Handler("turn.notes", self._list)

    async def _mark(self) -> None:
        """Marks the selected turn, or removes its mark."""
        turn, notes = self._context.selected(), await self._notes.open_for_change("noted")
        if turn is None or notes is None:
            return

        def change() -> str:
            marked = not notes.on(turn.session, turn.number).mark
            notes.mark(turn.session, turn.number, marked)
            return f"Turn {turn.address} {'marked' if marked else 'is no longer marked'}."

        await self._notes.write(turn, change, problem="Not saved")

    async def _note(self) -> None:
        """Asks for a note on the selected turn; an empty one removes it."""
        turn, notes = self._context.selected(), await self._notes.open_for_change("noted")
        if turn is None or notes is None:
            return
        before = notes.on(turn.session, turn.number).note
        title = f"Note on turn {turn.address}"
        text: str | None = None
        while True:
            text = await self._ask_text(title, before, text)
            if text is None or text.strip() == before:
                return
            kept = text.strip()

            def change(kept: str = kept) -> str:
                notes.note(turn.session, turn.number, kept)
                return f"Note saved on turn {turn.address}." if kept else "Note removed."

            # Keep a note that could not be written, so that it can be tried again.
            if await self._notes.write(turn, change, problem="Not saved"):
                return

    async def _ask_text(self, title: str, before: str, wrote: str | None) -> str | None:
        if "\n" in before:
            draft = ("note", "the note", before)
            edited = await self._context.ask(
                Edit(title, [draft], wrote={"note": wrote} if wrote is not None else None)
            )
            return edited["note"] if edited else None
        hint = "Stored beside the log. Leave it empty to remove the note."
        return await self._context.ask(Ask(title, value=before, hint=hint, wrote=wrote))

    async def _list(self) -> None:
        """Lists the marks and notes as stored now, and goes to the chosen turn."""
        conversation, keymap = self._context.conversation, self._context.keymap
        path = conversation.source.path
        if path is not None:
            await self._notes.read(path)
        turn = self._context.selected()
        mark, note = keymap.shown("turn.mark"), keymap.shown("turn.note")
        address = await self._context.ask(
            NotesScreen(
                self._notes.everything(),
                conversation.transcript,
                (turn.session, turn.number) if turn is not None else None,
                keys=f"{mark} marks the selected turn, {note} writes a note on it.",
            )
        )
        if address is None:
            return
        chosen = conversation.transcript.find(*address)
        if chosen is None:
            self._context.notify(
                f"There is no turn {address[0]}:{address[1]} in this log.", "warning"
            )
        else:
            await self._jump(chosen.index)
