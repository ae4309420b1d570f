"""Tells what an engine warns of outside of turns, where no turn's mark can say it."""

from __future__ import annotations

from typing import Final

from convtui.text.boundary import visible_line
from convtui.tui.screens.debugger.context import DebuggerContext

_TOLD_ELSEWHERE: Final = frozenset({"cannot_restore", "drift"})
"""By the hold that asks what to do; on the turns, and in the inspector."""


class EngineWarnings:
    """Shows each of a live conversation's warnings once."""

    def __init__(self, context: DebuggerContext) -> None:
        self._context = context
        self._conversation = context.conversation
        self._transcript: object = None
        self._seen = 0
        self._died: object = None

    def show(self) -> None:
        """Tells the warnings that have come since the last call."""
        if self._conversation.run is None:
            return
        self._show_death()
        transcript = self._conversation.transcript
        if transcript is not self._transcript:
            self._transcript, self._seen = transcript, 0
        fresh = transcript.warnings[self._seen :]
        self._seen += len(fresh)
        for warning in fresh:
            if warning.get("turn") is None and warning.get("code") not in _TOLD_ELSEWHERE:
                self._context.notify(visible_line(str(warning.get("message", "")), 300), "warning")

    def _show_death(self) -> None:
        """Says where one goes on whose worker has died under the debugger."""
        run = self._conversation.run
        if run is None or not run.goes_on_alone or not self._conversation.dead:
            return
        if self._died is not run.handle:
            self._died = run.handle
            key = self._context.keymap.shown("app.quit")
            self._context.notify(f"The batch runs it again: {key} goes back there.", "warning")
