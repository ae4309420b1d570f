"""Answering the hold that the engine waits at, when it is still the same one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from convtui.errors import CommandRefused
from convtui.records.codec import RecordDict
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.dialogs.questions import Ask
from convtui.tui.widgets.holdbar import choices_of


class HoldReply:
    """What every controller needs that answers holds."""

    def __init__(self, context: DebuggerContext) -> None:
        self._context = context
        self._conversation = context.conversation

    def offers(self, *choices: str) -> str | None:
        """The first of `choices` that the hold offers."""
        offered = {identity for identity, _ in choices_of(self._conversation.hold)}
        return next((choice for choice in choices if choice in offered), None)

    async def release(self, choice: str, edits: Mapping[str, Any] | None = None) -> bool:
        """Answers the hold; a refusal is told. Whether it was taken."""
        handle = self._conversation.handle
        if handle is None or self._context.blocked():
            return False
        try:
            await handle.release(choice, dict(edits or {}))
        except CommandRefused as refused:
            self._context.refused(refused)
            return False
        return True

    def gone(self, hold: RecordDict) -> str | None:
        """Why a hold cannot be answered any more, for the dialog in which somebody is writing."""
        if self._is_there(hold):
            return None
        return "it went on meanwhile: nothing can be changed here any more, only copied"

    def still(self, hold: RecordDict) -> bool:
        """Whether it is still held there; tells when it is not."""
        if self._is_there(hold):
            return True
        self._context.notify("It went on meanwhile: nothing was changed.", "warning")
        return False

    def _is_there(self, hold: RecordDict) -> bool:
        now = self._conversation.hold
        return now is not None and now.get("hold") == hold.get("hold")

    async def answered(
        self,
        hold: RecordDict,
        ask: Callable[[str | None], Ask],
        answer: Callable[[str], tuple[str, dict[str, object]]],
    ) -> str | None:
        """Asks for a line and answers the hold with it; the line, once it was taken.

        A line that was not taken is asked for again, as it was written.
        """
        text: str | None = None
        while (text := await self._context.ask(ask(text))) is not None:
            if self.still(hold) and await self.release(*answer(text)):
                return text
        return None

    def nothing_held(self) -> None:
        """What to press first."""
        pauses = self._context.keymap.shown("run.toggle")
        self._context.notify(f"Nothing is held: {pauses} pauses.")
