"""What the parts of a turn work with: the conversation's, and one attempt's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from convtui.engine.calls.calls import Caller
from convtui.engine.core.edits import Edits
from convtui.engine.core.journal import Journal
from convtui.engine.core.state import SessionState
from convtui.engine.turn.holds import Holds
from convtui.engine.turn.outcomes import GivenUp
from convtui.engine.turn.utterance import Contribution
from convtui.records.models import Speaker, Warned
from convtui.scenario.scenario import Scenario


@dataclass(slots=True, frozen=True)
class TurnContext:
    """What every part of a turn needs, of all turns alike: rules, records, waits and calls."""

    scenario: Scenario
    journal: Journal
    holds: Holds
    caller: Caller

    @property
    def number(self) -> int:
        """The number of the turn in progress."""
        return self.journal.current.turn or 0

    def warn(self, code: str, message: str) -> None:
        """Records a warning on the turn in progress."""
        self.journal.emit_here(Warned, code=code, message=message)


@dataclass(slots=True)
class Attempt:
    """One attempt at a turn."""

    session: SessionState
    speaker: Speaker
    turn: int
    count: int
    """From 1; a discard that is asked again counts on in the turn that follows."""
    edits: Edits
    """What was edited by hand in it."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Parameters with which it is asked for, laid over the side's own."""
    empties: int = 0
    """How often an empty reply was asked for again in this turn."""
    reconsider: Callable[[str], Awaitable[Contribution | GivenUp]] | None = None
    """Holds at stage `response` again, with what was there before it was edited; given what to
    say of it."""

    def next(self, params: Mapping[str, Any]) -> Attempt:
        """The attempt that follows."""
        return Attempt(
            self.session,
            self.speaker,
            self.turn,
            self.count + 1,
            self.edits.fresh(),
            params,
            self.empties,
        )
