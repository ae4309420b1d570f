"""What the parts of a turn share: for the whole conversation, and for one attempt."""

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
    """The scenario, the log, the holds and the calls: the same for all turns."""

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
    """From 1; a retry after a discard continues the count in the next turn."""
    edits: Edits
    """Edits made by hand in this attempt."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of its calls, which override the side's own."""
    empties: int = 0
    """Retries because of empty replies in this turn."""
    reconsider: Callable[[str], Awaitable[Contribution | GivenUp]] | None = None
    """Holds at stage `response` again, as it was before the edit; takes the message to show."""

    def next(self, params: Mapping[str, Any]) -> Attempt:
        """The next attempt at the same turn."""
        return Attempt(
            self.session,
            self.speaker,
            self.turn,
            self.count + 1,
            self.edits.fresh(),
            params,
            self.empties,
        )
