"""Answers the current hold, if it is still the same one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from convtui.errors import CommandRefused
from convtui.records.codec import RecordDict
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.dialogs.questions import Ask
from convtui.tui.widgets.holdbar import choices_of
from convtui.tui.widgets.transcript.transcript_view import TranscriptView


class HoldReply:
    """What all controllers that answer holds share."""

    def __init__(self, context: DebuggerContext, view: TranscriptView) -> None:
        self._context = context
        self._conversation = context.conversation
        self._view = view

    def offers(self, *choices: str) -> str | None:
        """The first of `choices` that the hold offers."""
        offered = {identity for identity, _ in choices_of(self._conversation.hold)}
        return next((choice for choice in choices if choice in offered), None)

    def label(self, choice: str | None) -> str | None:
        """What the hold calls a choice; None if it does not offer it."""
        return dict(choices_of(self._conversation.hold)).get(choice) if choice else None

    async def release(self, choice: str, edits: Mapping[str, Any] | None = None) -> bool:
        """Answers the hold and shows a refusal; False if it was refused."""
        handle = self._conversation.handle
        if handle is None or self._context.blocked():
            return False
        try:
            await handle.release(choice, dict(edits or {}))
        except CommandRefused as refused:
            self._context.show_refusal(refused)
            return False
        self.look_ahead()
        return True

    def look_ahead(self) -> None:
        """Shows what comes next, wherever the developer has been reading: it was asked for."""
        self._view.follow = True

    def gone(self, hold: RecordDict) -> str | None:
        """Why a hold can no longer be answered, for a dialog that is open; None while it can."""
        if self._is_current(hold):
            return None
        return "the conversation has moved on: this can only be copied now"

    def still(self, hold: RecordDict) -> bool:
        """Whether the hold is still there; shows a notice if not."""
        if self._is_current(hold):
            return True
        self._context.notify("The conversation has moved on: nothing was changed.", "warning")
        return False

    def _is_current(self, hold: RecordDict) -> bool:
        current = self._conversation.hold
        return current is not None and current.get("hold") == hold.get("hold")

    async def answer_with_text(
        self,
        hold: RecordDict,
        ask: Callable[[str | None], Ask],
        answer: Callable[[str], tuple[str, dict[str, object]]],
    ) -> str | None:
        """Asks for a line and answers the hold with it; returns the line once it is accepted.

        A line that is refused is offered for editing again.
        """
        text: str | None = None
        while (text := await self._context.ask(ask(text))) is not None:
            if self.still(hold) and await self.release(*answer(text)):
                return text
        return None

    def notify_nothing_held(self) -> None:
        """Says which key pauses."""
        key = self._context.keymap.shown("run.toggle")
        self._context.notify(f"Nothing is held: {key} pauses.")

    def notify_not_offered(self, what: str) -> None:
        """Says what the hold offers instead."""
        labels = ", ".join(label for _, label in choices_of(self._conversation.hold))
        self._context.notify(f"{what} is not possible here; this hold offers: {labels}.", "warning")
