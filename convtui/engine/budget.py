"""The budget of a conversation: tokens and cost, looked at after every completion, fired once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from convtui.engine.table import Table
from convtui.events import BudgetCrossed, HoldReason, Termination
from convtui.scenario import Budget


class BudgetGuard:
    """Notices the completion that crosses the budget; `out` is the ending that follows."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.out: Termination | None = None
        self._fired: bool | None = None
        """None until it was looked at whether an earlier log of the conversation had crossed it."""

    def check(self) -> tuple[HoldReason | None, str]:
        """Whether the reply that has just come crosses the budget, and what to do then."""
        budget = self._table.scenario.budget
        if self._fired or (budget.tokens is None and budget.cost is None):
            return None, ""
        transcript = self._table.journal.transcript
        before = list((transcript.seed.get("counters") or {}).get("usage", {}).values())
        tokens, cost = used_before(before)
        if self._fired is None:
            self._fired = exceeded(budget, tokens, cost)
            if self._fired:
                return None, ""
        tokens += sum(total.tokens or 0 for total in transcript.totals.values())
        cost += sum(total.cost or 0.0 for total in transcript.totals.values())
        if budget.tokens is not None and tokens > budget.tokens:
            detail = f"{tokens:,} tokens, the budget is {budget.tokens:,}"
            crossed: dict[str, Any] = {"what": "tokens", "limit": budget.tokens, "used": tokens}
        elif budget.cost is not None and cost > budget.cost:
            detail = f"${cost:.4f}, the budget is ${budget.cost:.4f}"
            crossed = {"what": "cost", "limit": budget.cost, "used": cost}
        else:
            return None, ""
        self._fired = True
        self._table.journal.emit_here(BudgetCrossed, **crossed)
        if budget.on_exceeded == "pause" and (
            self._table.gate.watched or self._table.gate.on_pause != "continue"
        ):
            return "budget", detail
        if budget.on_exceeded == "stop":
            self.end(detail)
        return None, ""

    def end(self, detail: str) -> None:
        """The turn in progress is the last."""
        self.out = Termination(
            kind="budget", by="harness", reason=detail, at_turn=self._table.number
        )


def used_before(usage: Iterable[Mapping[str, Any]]) -> tuple[int, float]:
    """Tokens and cost that each side's `usage` names, together."""
    sides = list(usage)
    tokens = sum(side.get("prompt_tokens") or 0 for side in sides) + sum(
        side.get("completion_tokens") or 0 for side in sides
    )
    return tokens, sum(side.get("cost") or 0.0 for side in sides)


def exceeded(budget: Budget, tokens: int, cost: float) -> bool:
    """Whether so much is over a budget."""
    over_tokens = budget.tokens is not None and tokens > budget.tokens
    return over_tokens or (budget.cost is not None and cost > budget.cost)
