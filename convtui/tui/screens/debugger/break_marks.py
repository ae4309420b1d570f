"""Keeps the marks of breakpoints in step with the conversation."""

from __future__ import annotations

from convtui.transcript.fold import Turn
from convtui.tui.screens.debugger.context import ShownConversation
from convtui.tui.sources.break_marks import BreakMark, has_stopped, marks_of


class BreakMarks:
    """The marks of the shown conversation, by turn."""

    def __init__(self, conversation: ShownConversation) -> None:
        self._conversation = conversation
        self._marks: dict[int, BreakMark] = {}
        self._stops: set[int] = set()
        self._scanned = 0
        self._transcript: object = None

    def on(self, turn: Turn) -> BreakMark | None:
        """The mark of a turn, if it has one."""
        return self._marks.get(turn.index)

    def refresh(self) -> frozenset[int]:
        """The turns that have a mark; those whose mark is another one now are drawn again."""
        transcript, run = self._conversation.transcript, self._conversation.run
        if self._transcript is not transcript:
            self._transcript, self._marks = transcript, {}
            self._stops, self._scanned = set(), 0
        self._find_stops()
        marks = {index: BreakMark(stopped=True) for index in self._stops}
        marks |= marks_of(transcript, run.breakpoints if run is not None else ())
        for index in marks.keys() | self._marks.keys():
            if marks.get(index) != self._marks.get(index):
                self._conversation.source.changed.add(index)
        self._marks = marks
        return frozenset(marks)

    def _find_stops(self) -> None:
        """Looks at new turns; the last one may still change."""
        turns = self._conversation.transcript.turns
        for index in range(self._scanned, len(turns)):
            if has_stopped(turns[index]):
                self._stops.add(index)
        self._scanned = max(0, len(turns) - 1)
