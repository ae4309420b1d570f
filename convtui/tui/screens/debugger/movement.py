"""Moves through the transcript, and selects how its texts are shown."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.handlers import Handler
from convtui.tui.widgets.transcript.transcript_view import Mode, TranscriptView

MODES: dict[Mode, str] = {
    "shown": "Showing the text as it was said.",
    "raw": "Showing the raw replies, before post-processing.",
    "diff": "Showing the difference between raw and shown.",
}


class Movement:
    """Selects turns, and switches between shown text, raw text and their difference."""

    def __init__(
        self, context: DebuggerContext, view: TranscriptView, at: tuple[int, int] | None = None
    ) -> None:
        """`at` is the session and turn to start at."""
        self._context = context
        self._conversation = context.conversation
        self._view = view
        self._at = at

    def handlers(self) -> Iterator[Handler]:
        enabled = self._has_turns
        yield Handler("move.up", partial(self._view.move, -1), enabled)
        yield Handler("move.down", partial(self._view.move, 1), enabled)
        yield Handler("move.first", partial(self._view.go_to, 0), enabled)
        yield Handler("move.last", self._go_to_last, enabled)
        yield Handler("move.next_event", partial(self._go_to_event, 1), enabled)
        yield Handler("move.previous_event", partial(self._go_to_event, -1), enabled)
        yield Handler("view.follow", self._toggle_follow, enabled)
        yield Handler("view.cycle", self._cycle, enabled)

    def _has_turns(self) -> bool:
        return self._conversation.has_turns

    async def jump(self, index: int) -> None:
        """Selects a turn; a recording's cursor moves along if it is before that turn."""
        replay = self._conversation.replay
        if replay is not None and replay.position is not None and index > replay.position:
            await replay.go_to(index)
        self._view.go_to(index)

    def go_to_start(self) -> None:
        """Goes to the turn to start at, as soon as it has been read."""
        if self._at is None:
            return
        turn = self._conversation.transcript.find(*self._at)
        replay = self._conversation.replay
        if turn is not None:
            self._at = None
            self._view.go_to(turn.index)
        elif replay is not None and not replay.loading:
            session, number = self._at
            self._context.notify(f"There is no turn {session}:{number} in this log.", "warning")
            self._at = None

    async def _go_to_last(self) -> None:
        await self.jump(len(self._conversation.transcript.turns) - 1)

    async def _go_to_event(self, direction: int) -> None:
        index = self._view.find_interesting(direction)
        if index is not None:
            await self.jump(index)
        else:
            which = "later" if direction > 0 else "earlier"
            self._context.notify(f"No {which} event of interest.")

    def _toggle_follow(self) -> None:
        self._view.follow = not self._view.follow
        self._context.repaint()

    def _cycle(self) -> None:
        modes = list(MODES)
        self._view.mode = modes[(modes.index(self._view.mode) + 1) % len(modes)]
        self._context.notify(MODES[self._view.mode])
        self._context.repaint()
