"""Injects a fault into the next call."""

from __future__ import annotations

from collections.abc import Iterator

from convtui.errors import CommandRefused
from convtui.protocol import FAULTS, Commands
from convtui.scenario.simulators.registry import kind_of
from convtui.text.boundary import visible_line
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.screens.handlers import Handler
from convtui.tui.widgets.status import simulator_of

_DISARM = "(disarm)"
_NAMES = {"error_text": "error text"}


class FaultInjection:
    """Asks for a fault and arms it in the engine."""

    def __init__(self, context: DebuggerContext) -> None:
        self._context = context
        self._conversation = context.conversation

    def handlers(self) -> Iterator[Handler]:
        yield Handler("run.inject", self._inject, lambda: self._conversation.going, moves=True)

    async def _inject(self) -> None:
        handle = self._conversation.handle
        if handle is None:
            return
        side: str | None = "provider"
        kind = kind_of(simulator_of(self._conversation.scenario))
        other = kind.asks if kind is not None else None
        if other is not None:
            sides = [("provider", "The provider's"), (other, f"The {other}'s")]
            side = await self._context.ask(Choose("Whose next call fails?", sides))
        if side is None:
            return
        answers = [(name, f"{_NAMES.get(name, name)}: {what}") for name, what in FAULTS.items()]
        armed = handle.armed.get(side)
        if armed is not None:
            answers.append((_DISARM, f"none: disarm {_NAMES.get(armed['fault'], armed['fault'])}"))
        fault = await self._context.ask(Choose(f"Fault in the {side}'s next call", answers))
        if fault is None:
            return
        try:
            await handle.command(
                Commands.INJECT, side=side, fault=None if fault == _DISARM else fault
            )
        except CommandRefused as refused:
            self._context.notify(f"No fault injected: {refused}.", "warning")
        self._context.repaint()

    def status(self) -> list[str]:
        """The armed faults, for the status line."""
        handle = self._conversation.handle
        if handle is None or handle.over:
            return []
        return [
            f"next {visible_line(side, 20)} call: {_NAMES.get(item['fault'], item['fault'])}"
            for side, item in handle.armed.items()
        ]
