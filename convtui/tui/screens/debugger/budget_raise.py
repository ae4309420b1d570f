"""Raises an exhausted budget."""

from __future__ import annotations

from convtui.records.codec import RecordDict
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.debugger.hold_reply import HoldReply
from convtui.tui.screens.dialogs.questions import Ask
from convtui.tui.sources.budget import Crossed, last_crossed, parse_limit


class BudgetRaise:
    """Asks for a new limit when a hold offers to raise the budget."""

    def __init__(self, context: DebuggerContext, reply: HoldReply) -> None:
        self._conversation = context.conversation
        self._reply = reply

    async def answer(self, choice: str, hold: RecordDict) -> bool:
        """Answers the choice to raise the budget; False for any other choice."""
        if choice != "raise" or hold.get("reason") != "budget":
            return False
        await self._raise(hold)
        return True

    def _crossed(self) -> Crossed | None:
        hold = self._conversation.hold
        if hold is None or hold.get("reason") != "budget":
            return None
        return last_crossed(self._conversation.transcript)

    async def _raise(self, hold: RecordDict) -> None:
        crossed = self._crossed()
        if crossed is None:
            await self._reply.release("raise")
            return

        def ask(wrote: str | None) -> Ask:
            return Ask(
                f"new budget: {crossed.title}",
                value=crossed.doubled(),
                hint=f"{crossed.summary()}; the new limit must be above that.",
                check=lambda text: self._reply.gone(hold) or parse_limit(text, crossed)[1],
                wrote=wrote,
            )

        await self._reply.answer_with_text(
            hold, ask, lambda text: ("raise", {"limit": parse_limit(text, crossed)[0]})
        )
