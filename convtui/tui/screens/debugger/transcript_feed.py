"""Updates the transcript and the outline from the conversation."""

from __future__ import annotations

from convtui.tui.screens.debugger.break_marks import BreakMarks
from convtui.tui.screens.debugger.context import ShownConversation
from convtui.tui.screens.debugger.turn_notes import TurnNotes
from convtui.tui.widgets.transcript.outline import Outline
from convtui.tui.widgets.transcript.transcript_view import TranscriptView


class TranscriptFeed:
    """Draws new and changed turns, and hides those after a recording's cursor."""

    def __init__(
        self,
        conversation: ShownConversation,
        view: TranscriptView,
        outline: Outline,
        notes: TurnNotes,
        breaks: BreakMarks,
    ) -> None:
        self._conversation = conversation
        self._view = view
        self._outline = outline
        self._notes = notes
        self._breaks = breaks
        self._noted: frozenset[int] = frozenset()
        self._transcript: object = None
        self._hold: object = None
        self._limit: tuple[object, ...] = (None, None)

    def hold_changed(self) -> bool:
        """Whether the hold is another one than at the last call."""
        hold = (self._conversation.hold or {}).get("hold")
        before, self._hold = self._hold, hold
        return hold != before

    def draw(self) -> None:
        source, view, outline = self._conversation.source, self._view, self._outline
        marked = self._breaks.refresh()
        if self._transcript is not source.transcript:
            self._transcript = source.transcript
            source.changed.clear()
            view.set_transcript(source.transcript)
            outline.set_transcript(source.transcript)
        else:
            changed = set(source.changed)
            source.changed.clear()
            view.refresh_turns(changed)
            outline.refresh_turns(changed)
        noted = self._notes.rows()
        if noted is not None:
            self._noted = noted
        view.set_noted(self._noted | marked)
        limit = (source.limit, source.limit_turn)
        if limit != self._limit:
            self._limit = limit
            view.set_limit(*limit)
            outline.set_limit(*limit)
        outline.cursor = view.cursor
