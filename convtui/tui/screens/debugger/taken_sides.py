"""The sides that a human speaks for."""

from __future__ import annotations

from convtui.scenario.simulators.registry import HUMAN
from convtui.tui.screens.debugger.context import ShownConversation
from convtui.tui.widgets import status


class TakenSides:
    """What the engine reports, and what it was asked for and has not reported yet."""

    def __init__(self, conversation: ShownConversation) -> None:
        self._conversation = conversation
        self._reported: frozenset[str] = frozenset()
        self._asked_for: set[str] = set()

    def ask_for(self, side: str) -> None:
        """Counts a side as taken until the engine reports or refuses it."""
        self._asked_for.add(side)

    def refused(self, side: str) -> None:
        self._asked_for.discard(side)

    @property
    def sides(self) -> list[str]:
        """The sides, in the order of the alphabet."""
        run, transcript = self._conversation.run, self._conversation.transcript
        if run is None or self._conversation.over:
            return []
        if transcript.records:
            self._reported = frozenset(transcript.taken_over)
        elif status.simulator_of(run.spec.scenario) == HUMAN:
            self._reported |= {"persona"}
        self._asked_for -= self._reported
        now = {self._conversation.speaks_for} - {""}
        return sorted(self._reported | self._asked_for | now)
