"""How a turn comes out, and what a hold in it may be answered with in place of going on."""

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
    """A hook dropped the turn; `same_side` is asked again, or else the other side goes on."""

    same_side: bool


@dataclass(slots=True, frozen=True)
class Skipped:
    """The turn was given up by hand; the other side goes on."""


@dataclass(slots=True, frozen=True)
class Overruled:
    """The simulated user was done, which was overridden: it is asked for another turn."""


@dataclass(slots=True, frozen=True)
class Ended:
    """The session ends."""

    termination: Termination


@dataclass(slots=True, frozen=True)
class AskAgain:
    """Another attempt at the same turn; `edits` are those of the answer that asked for it."""

    edits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, Any]:
        """Parameters for that attempt, laid over the side's own."""
        params = self.edits.get("params")
        return dict(params) if isinstance(params, dict) else {}


@dataclass(slots=True, frozen=True)
class TakenBack:
    """An edit was undone that had changed what a reply means: its stage `response` is held again,
    with `message`."""

    message: str


TurnOutcome = Committed | Discarded | Skipped | Overruled | Ended
GivenUp = AskAgain | Skipped
"""The attempt comes to nothing: another one is made, or none."""
