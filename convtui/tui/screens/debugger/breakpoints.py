"""Sets, clears and lists breakpoints."""

from __future__ import annotations

from collections.abc import Iterator

from convtui.errors import CommandRefused
from convtui.text.counts import counted
from convtui.transcript.fold import OPEN, Turn
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.handlers import Handler


class Breakpoints:
    """The breakpoints of a live conversation."""

    def __init__(self, context: DebuggerContext) -> None:
        self._context = context
        self._conversation = context.conversation

    def handlers(self) -> Iterator[Handler]:
        yield Handler("break.here", self._toggle_here, self._can_break)
        yield Handler("break.list", self._list, self._can_break)

    def _can_break(self) -> bool:
        return self._conversation.going and self._context.selected() is not None

    def status(self) -> list[str]:
        """The number of enabled breakpoints, for the status line."""
        run = self._conversation.run
        if run is None or not run.breakpoints:
            return []
        count = sum(item.enabled for item in run.breakpoints)
        return [counted(count, "breakpoint")]

    def _expression(self, turn: Turn) -> str:
        transcript = self._conversation.transcript
        session = transcript.session(turn.session)
        name = session.session_type if session is not None else ""
        plain = name and all(char.isalnum() or char in "_-" for char in name)
        if len(transcript.prepared) > 1 and plain:
            return f"~turn = {turn.number} & ~session {name}"
        return f"~turn = {turn.number}"

    async def _toggle_here(self) -> None:
        """Sets one here, removes it, or switches it on again if it is off."""
        run, turn = self._conversation.run, self._context.selected()
        if run is None or turn is None:
            self._context.notify("Breakpoints need a live conversation.")
            return
        expression = self._expression(turn)
        known = next((item for item in run.breakpoints if item.expression == expression), None)
        try:
            if known is None:
                await run.add_breakpoint(expression)
                self._context.notify(f"Breakpoint set: {expression}{self._when(turn)}")
            elif known.enabled:
                await run.remove_breakpoint(known)
                self._context.notify(f"Breakpoint removed: {known.text}")
            else:
                await run.enable_breakpoint(known, True)
                self._context.notify(f"Breakpoint on again: {known.text}{self._when(turn)}")
        except CommandRefused as refused:
            self._context.show_refusal(refused)
        self._context.repaint()

    def _when(self, turn: Turn) -> str:
        """When a breakpoint on a turn that is over can stop."""
        if turn.status == OPEN:
            return ""
        keymap = self._context.keymap
        return (
            f". This turn is over: it stops when the conversation comes by again"
            f" ({keymap.shown('branch.rewind')} goes back;"
            f" {keymap.shown('break.list')} lists and edits it)"
        )

    def _list(self) -> None:
        from convtui.tui.screens.dialogs.breakpoints import BreakpointsScreen

        run = self._conversation.run
        if run is None:
            self._context.notify("Breakpoints need a live conversation.")
        else:
            self._context.open(BreakpointsScreen(run))
