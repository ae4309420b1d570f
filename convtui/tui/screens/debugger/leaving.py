"""Leaving the debugger; a live conversation is ended first."""

from __future__ import annotations

from collections.abc import Callable

from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.dialogs.questions import Choose


class Leaving:
    """Ends the run when it is live, with the user's word, and goes back."""

    def __init__(
        self,
        context: DebuggerContext,
        *,
        asks: Callable[[], bool],
        leave: Callable[[bool], None],
    ) -> None:
        """`asks`: whether the user wants to be asked. `leave` goes back; it is told whether the
        run had ended of its own accord."""
        self._context = context
        self._conversation = context.conversation
        self._asks = asks
        self._leave = leave

    async def leave(self) -> None:
        """Leaves; asks while a run is live."""
        ended = self._conversation.over
        run = self._conversation.run
        if run is not None and not ended:
            if self._asks() and not await self._confirmed():
                return
            self._conversation.busy_with = "closing the log"
            self._context.repaint()
            await run.close()
        self._leave(ended)

    async def _confirmed(self) -> bool:
        answer = await self._context.ask(
            Choose(
                "The conversation is still going on",
                [("end", "End it and save"), ("stay", "Stay")],
                "What was said is in the log; it can go on later with --resume.",
            )
        )
        return answer == "end"
