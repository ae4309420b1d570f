"""Outcomes: of a turn, and of the stages and holds in it that end an attempt early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from convtui.records.models import Termination


@dataclass(slots=True, frozen=True)
class Committed:
    """The turn was said; the other side goes on."""


@dataclass(slots=True, frozen=True)
class Discarded:
    """A hook discarded the turn; `same_side` says that the same side is asked again."""

    same_side: bool


@dataclass(slots=True, frozen=True)
class Skipped:
    """Somebody skipped the turn; the other side goes on."""


@dataclass(slots=True, frozen=True)
class Overruled:
    """The simulated user ended the session and was overridden; it is asked for another turn."""


@dataclass(slots=True, frozen=True)
class Ended:
    """The session ends."""

    termination: Termination


@dataclass(slots=True, frozen=True)
class AskAgain:
    """The same turn is attempted again; `edits` came with the answer to the hold."""

    edits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, Any]:
        """Parameters of that attempt, which override the side's own."""
        params = self.edits.get("params")
        return dict(params) if isinstance(params, dict) else {}


@dataclass(slots=True, frozen=True)
class TakenBack:
    """An edit from stage `response` was undone; that stage is held again, showing `message`."""

    message: str


TurnOutcome = Committed | Discarded | Skipped | Overruled | Ended
GivenUp = AskAgain | Skipped
"""The attempt is abandoned, for another one or for good."""
