"""Updates the transcript and the outline from the conversation."""

from __future__ import annotations

from collections.abc import Callable

from convtui.tui.drawing.frames import UNFRAMED
from convtui.tui.screens.debugger.break_marks import BreakMarks
from convtui.tui.screens.debugger.context import ShownConversation
from convtui.tui.screens.debugger.turn_notes import TurnNotes
from convtui.tui.widgets.takeover import TakeOverInput
from convtui.tui.widgets.transcript.outline import Outline
from convtui.tui.widgets.transcript.transcript_view import TranscriptView

_HOLD_ROOM = 5
"""Lines of most holds: the bar in its frame, and the badge of the turn."""
_SLACK = 2
"""Lines by which the bars of two holds often differ: stepping from one to the other moves none."""


class TranscriptFeed:
    """Draws new and changed turns, and hides those after a recording's cursor."""

    def __init__(
        self,
        conversation: ShownConversation,
        view: TranscriptView,
        outline: Outline,
        notes: TurnNotes,
        breaks: BreakMarks,
        *,
        box: TakeOverInput,
        empty: Callable[[], str],
    ) -> None:
        """`box` opens below the turns when a human speaks; `empty` says why there are none."""
        self._conversation = conversation
        self._view = view
        self._outline = outline
        self._notes = notes
        self._breaks = breaks
        self._box = box
        self._empty = empty
        self._noted: frozenset[int] = frozenset()
        self._transcript: object = None
        self._hold: object = None
        self._room: tuple[int, int] | None = None
        """The least and the most empty lines below the turns."""
        self._limit: tuple[object, ...] = (None, None)

    def hold_changed(self) -> bool:
        """Whether the hold is another one than at the last call."""
        hold = (self._conversation.hold or {}).get("hold")
        before, self._hold = self._hold, hold
        return hold != before

    def _keep_place(self) -> None:
        """Keeps room below the turns for the hold bar, so that no line moves when it opens."""
        conversation, view = self._conversation, self._view
        if not conversation.source.live:
            return
        below = conversation.hold is not None or self._box.has_class("-shown")
        room = _HOLD_ROOM - 2 * view.screen.has_class(UNFRAMED)
        least, most = (0, 0) if conversation.over else (0, _SLACK) if below else (room, room)
        if (least, most) == self._room:
            return
        self._room = (least, most)
        if not least:
            view.end_room = 0
        view.most_room = max(view.most_room, most)
        # Only once the bar has taken or made room, or the lines would move to make some themselves.
        view.call_after_refresh(view.keep_room, least, most)

    def draw(self) -> None:
        if not self._conversation.has_turns:
            self._view.show_empty(self._empty())
        self._keep_place()
        source, view, outline = self._conversation.source, self._view, self._outline
        replay = self._conversation.replay
        # While turns come by the thousand, only those are measured that are looked at.
        loading = replay is not None and replay.loading
        if view.measures_all == loading:
            view.measures_all = not loading
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
