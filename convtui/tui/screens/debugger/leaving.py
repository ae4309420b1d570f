"""Leaves the debugger, after ending a live conversation."""

from __future__ import annotations

from collections.abc import Callable

from convtui.text.boundary import visible_line
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.dialogs.questions import Choose


class Leaving:
    """Ends a live run, after asking, and goes back."""

    def __init__(
        self,
        context: DebuggerContext,
        *,
        asks: Callable[[], bool],
        leave: Callable[[bool], None],
    ) -> None:
        """`asks` says whether to ask first.

        `leave` goes back; its argument says whether the run had already ended.
        """
        self._context = context
        self._conversation = context.conversation
        self._asks = asks
        self._leave = leave
        self._closing = False

    @property
    def does(self) -> str:
        """What leaving does to a live conversation, as a verb; empty if there is none."""
        if not self._ends:
            return ""
        return "asks whether to end the conversation" if self._asks() else "ends and saves it"

    @property
    def _ends(self) -> bool:
        """Whether leaving ends a conversation: not one that goes on without its screen."""
        run = self._conversation.run
        return self._conversation.going and run is not None and not run.goes_on_alone

    def stays(self) -> bool:
        """Whether a live conversation is only left on purpose; says so in a notice."""
        going = self._ends
        if going:
            key = self._context.keymap.shown("app.quit")
            stands = "is held here" if self._conversation.hold is not None else "goes on"
            self._context.notify(f"The conversation {stands}: {key} leaves it.")
        return going

    async def leave(self) -> None:
        ended = self._conversation.over
        run = self._conversation.run
        moves = run is not None and run.goes_on_alone and bool(self._conversation.busy_with)
        if self._closing or moves:
            # What goes on in another engine must be known to whoever is to end it.
            self._context.blocked()
            return
        if run is not None and self._ends:
            if self._asks() and not await self._confirmed():
                return
            self._closing = True
            self._conversation.busy_with = "closing the log"
            self._context.repaint()
            await run.close()
        self._leave(ended)

    def _go_on(self) -> str:
        identity = str(self._conversation.transcript.header.get("id") or "last")
        return f"convtui debug --resume {visible_line(identity, 40)[:6]}"

    async def _confirmed(self) -> bool:
        answer = await self._context.ask(
            Choose(
                "The conversation is not over",
                [("end", "End it and save"), ("stay", "Stay")],
                f"It is in the log: {self._go_on()} goes on with it.",
                on_interrupt="end",
            )
        )
        return answer == "end"
