"""Leaves a batch, after ending it where it runs here."""

from __future__ import annotations

from collections.abc import Callable

from convtui.text.counts import counted
from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.screens.fleet.tally import Tally
from convtui.tui.screens.fleet.view import Controls, Fleet
from convtui.tui.screens.screen_context import ScreenContext


class FleetLeaving:
    """Ends a running batch, after asking, and goes back."""

    def __init__(
        self,
        context: ScreenContext,
        fleet: Fleet,
        tally: Tally,
        *,
        leave: Callable[[], None],
        repaint: Callable[[], None],
    ) -> None:
        self._context, self._fleet, self._tally = context, fleet, tally
        self._leave, self._repaint = leave, repaint

    @property
    def runs(self) -> bool:
        """Whether there is something to end."""
        return self._fleet.controls is not None and not self._fleet.over

    @property
    def does(self) -> str:
        """What leaving does, as a verb; empty where it just goes back."""
        if not self.runs:
            return ""
        return "ends them at once" if self._fleet.standing().ending else "asks whether to end all"

    def stays(self) -> bool:
        """Whether a running batch is only left on purpose; says so in a notice."""
        if self.runs:
            key = self._context.keymap.shown("app.quit")
            self._context.notify(f"The conversations go on: {key} ends them.")
        return self.runs

    async def leave(self) -> None:
        """Goes back; asks first where conversations run, and ends them."""
        if await self.end_all(leaving=True):
            self._leave()

    async def end_all(self, *, leaving: bool = False) -> bool:
        """Ends all conversations, after asking; whether they have ended."""
        controls = self._fleet.controls
        if controls is None or not self.runs:
            return True
        if self._fleet.standing().ending:
            controls.kill()
            return leaving
        if not await self._confirmed():
            return False
        self._context.spawn(self._stop(controls, leaving), group="ending")
        key = self._context.keymap.shown("app.quit")
        self._context.notify(f"Each conversation ends after its turn; {key} ends them at once.")
        self._repaint()
        return False

    async def _stop(self, controls: Controls, leaving: bool) -> None:
        await controls.stop()
        if leaving:
            self._leave()

    async def _confirmed(self) -> bool:
        tally = self._tally
        left = tally.total - tally.done
        text = f"{left:,} of {counted(tally.total, 'conversation')}"
        text += " is not over" if left == 1 else " are not over"
        waiting = tally.states["waiting"]
        text += f", {waiting:,} of them not begun. " if waiting else ". "
        answer = await self._context.ask(
            Choose(
                "The batch is not over",
                [("end", "End all after their turn"), ("stay", "Stay")],
                f"{text}The same command goes on with it later.",
                on_interrupt="end",
            )
        )
        return answer == "end"
