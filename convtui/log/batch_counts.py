"""How far a batch is, as lists of runs show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from convtui.text.counts import counted


@dataclass(slots=True, frozen=True)
class BatchCounts:
    """How far a batch is."""

    cells: int
    runs: int
    """Of each cell."""
    conversations: int
    """Runs of cells; attempts at one are one."""
    states: Mapping[str, int]
    """Conversations by the state of their last attempt: waiting, running, held, ended, crashed."""
    endings: Mapping[str, int]
    """Those that have ended, by kind of their termination in the last attempt."""
    bad: int
    """Those that `convtui run` would leave with exit code 3, also in the last attempt."""
    attempts: int = 0
    """Attempts beyond the first ones."""

    @property
    def ended(self) -> int:
        return self.states.get("ended", 0)

    @property
    def size_words(self) -> str:
        """`batch of 120`."""
        return f"batch of {self.conversations:,}"

    @property
    def words(self) -> str:
        """`118 ended, 3 went wrong, 2 held`."""
        parts = [f"{self.ended:,} ended"] if self.ended < self.conversations else []
        parts.append(f"{self.bad:,} went wrong" if self.bad else "none went wrong")
        counts = ((name, self.states.get(name, 0)) for name in ("held", "crashed"))
        parts += [f"{count:,} {name}" for name, count in counts if count]
        if self.attempts:
            parts.append(counted(self.attempts, "more attempt"))
        return ", ".join(parts)
