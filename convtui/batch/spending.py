"""What a batch has used so far, and whether that is a reason to start no more conversations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from convtui.batch.plan_parts import BatchBudget, StopAfter
from convtui.log.run_summary import number


@dataclass(slots=True)
class Used:
    """Of one conversation, or of all."""

    tokens: float = 0
    cost: float = 0.0
    """US dollars."""
    turns: float = 0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Used:
        """What a row says; what is unknown counts as nothing."""
        return cls(*(number(row.get(name)) or 0 for name in ("tokens", "cost", "turns")))

    def add(self, other: Used, sign: int = 1) -> None:
        self.tokens += sign * other.tokens
        self.cost += sign * other.cost
        self.turns += sign * other.turns


@dataclass(slots=True)
class Spending:
    """Adds up what conversations use, also those that count no more: they were paid for.

    `logs` are identified by their names: each counts once, by the last that was said of it.
    """

    budget: BatchBudget
    stop_after: StopAfter | None
    total: Used = field(default_factory=Used)
    failed: int = 0
    """Conversations that have failed since the batch was started or resumed."""
    last_failure: str = ""
    _of: dict[str, Used] = field(default_factory=dict)

    def update(self, log: str, used: Used) -> None:
        """Takes in what one log has used so far."""
        before = self._of.get(log)
        if before is not None:
            self.total.add(before, -1)
        self._of[log] = used
        self.total.add(used)

    def count_failure(self, reason: str) -> None:
        self.failed += 1
        self.last_failure = reason

    def too_many(self, held: int) -> bool:
        """Whether `stop_after` is reached with those that are `held` because of errors.

        Unlike `reason_to_stop()` that may change: somebody may mend them.
        """
        return self.stop_after is not None and self.failed + held >= self.stop_after.failed

    @property
    def exceeded(self) -> str | None:
        """Which limit of the budget is used up, in words; None while there is something left."""
        limits = self.budget
        if limits.tokens is not None and self.total.tokens >= limits.tokens:
            return (
                f"the budget of {limits.tokens:,} tokens is used up ({self.total.tokens:,.0f} used)"
            )
        if limits.cost is not None and self.total.cost >= limits.cost:
            return f"the budget of ${limits.cost:,.2f} is used up (${self.total.cost:,.2f} used)"
        return None

    def reason_to_stop(self) -> str | None:
        """Why no conversation may be started any more; None while some may."""
        if self.stop_after is not None and self.failed >= self.stop_after.failed:
            count = self.failed
            what = "conversation has" if count == 1 else "conversations have"
            return f"{count} {what} failed (stop_after); the last one: {self.last_failure}"
        return self.exceeded if self.budget.on_exceeded == "stop" else None
