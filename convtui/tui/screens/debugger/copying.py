"""Copies turns, the transcript and model calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

from convtui.errors import LogError
from convtui.text.counts import counted
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.handlers import Handler
from convtui.tui.widgets.inspector.inspector import Inspector
from convtui.tui.widgets.inspector.repro import repro
from convtui.tui.widgets.transcript.transcript_view import TranscriptView


class Copying:
    """Puts texts into the clipboard."""

    def __init__(
        self,
        context: DebuggerContext,
        view: TranscriptView,
        inspector: Inspector,
        clipboard: Callable[[str], None],
    ) -> None:
        self._context = context
        self._view = view
        self._inspector = inspector
        self._clipboard = clipboard

    def handlers(self) -> Iterator[Handler]:
        enabled = self._has_turns
        yield Handler("copy.turn", self._copy_turn, enabled)
        yield Handler("copy.transcript", self._copy_transcript, enabled)
        yield Handler("copy.python", partial(self._copy_repro, "python"), enabled)
        yield Handler("copy.curl", partial(self._copy_repro, "curl"), enabled)

    def _has_turns(self) -> bool:
        return self._context.conversation.has_turns

    def _copy_turn(self) -> None:
        """Copies the selected turn, or the inspector's tab while that has the focus."""
        turn = self._context.selected()
        if self._inspector.has_focus_within:
            self._copy(self._inspector.copy_text(), f"the {self._inspector.tab} tab")
        elif turn is not None:
            self._copy(self._view.copy_text(), f"turn {turn.address}")

    def _copy_transcript(self) -> None:
        self._copy(self._view.copy_transcript(), "the transcript")

    async def _copy_repro(self, kind: Literal["python", "curl"]) -> None:
        """Copies the last model call of the selected turn as runnable code."""
        turn = self._context.selected()
        if turn is None:
            return
        source = self._context.conversation.source
        try:
            detail = await source.detail(turn)
            if not detail.calls:
                self._context.notify("Nothing copied: this turn called no model.", "warning")
                return
            request = detail.calls[-1].request
            messages = await source.messages(request, detail.log)
        except (LogError, ValueError, OSError, IndexError) as error:
            self._context.notify(f"Nothing copied: {error}.", "warning")
            return
        what = "a Python script" if kind == "python" else "a curl command"
        self._copy(repro(kind, request, messages), what)

    def _copy(self, text: str, what: str) -> None:
        self._clipboard(text)
        self._context.notify(f"Copied {what} ({counted(len(text), 'character')}).")
