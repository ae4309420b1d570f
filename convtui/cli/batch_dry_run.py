"""`convtui batch --dry-run`: the cells, the calls that they need at most, what they may cost."""

from __future__ import annotations

from typing import Any, Final

from convtui.batch.cells import Cell
from convtui.batch.estimate import WORDS_PER_TURN, Estimate, Total, estimate, total_of
from convtui.cli.batch_plan import Planned
from convtui.cli.common import echo, print_json, table
from convtui.errors import listed
from convtui.text.counts import counted

_MOST_CELLS: Final = 200


def dry_run(made: Planned, *, as_json: bool) -> int:
    """Prints what a plan comes to; nothing is run. The exit code is 2 if a cell cannot run."""
    estimates = [None if cell.scenario is None else estimate(cell.scenario) for cell in made.cells]
    total = total_of(made.plan, made.cells, estimates)
    if as_json:
        print_json(_as_dict(made, estimates, total))
    else:
        _print(made, estimates, total)
    return 2 if any(cell.error for cell in made.cells) else 0


def _print(made: Planned, estimates: list[Estimate | None], total: Total) -> None:
    rows: list[list[str]] = [["cell", "persona", "provider", "turns", "calls", "cost"]]
    shown = list(zip(made.cells, estimates, strict=True))[:_MOST_CELLS]
    rows += [_row(cell, each) for cell, each in shown]
    table(rows)
    if len(made.cells) > len(shown):
        echo(f"and {len(made.cells) - len(shown):,} more cells; --json lists all")
    echo()
    plan = made.plan
    runs = f" x {counted(plan.runs, 'run')}" if plan.runs > 1 else ""
    of = f" ({counted(len(made.cells), 'cell')}{runs})" if total.conversations > 1 else ""
    echo(f"{counted(total.conversations, 'conversation')}{of}")
    if total.attempts > total.conversations:
        echo(f"at most {total.attempts:,} with further attempts")
    at_once = plan.concurrency
    how_many = "as many at once as the endpoint takes" if at_once == "auto" else (
        f"{min(at_once, total.conversations):,} at once"
    )  # fmt: skip
    echo(f"{how_many}; at most {total.turns:,} turns and {_calls(total)}")
    if total.calls or total.own_code:
        echo(_cost(total))
    echo("Calls made again after a failure and rounds of tools come on top.")


def _row(cell: Cell, each: Estimate | None) -> list[str]:
    if each is None:
        return [cell.name, cell.persona, cell.provider, "-", "-", "cannot run"]
    calls = f"{each.calls:,}" + ("+" if each.provider_calls is None else "")
    cost = "unknown" if each.cost is None else _dollars(each.cost)
    return [cell.name, cell.persona, cell.provider, f"{each.turns:,}", calls, cost]


def _calls(total: Total) -> str:
    calls = counted(total.calls, "model call")
    return f"{calls}, and those that the provider's own code makes" if total.own_code else calls


def _cost(total: Total) -> str:
    about = f"if every turn is used, with {WORDS_PER_TURN} words each"
    if total.cost is None:
        return f"What it costs is not known: there is no price for {listed(total.unpriced)}"
    text = f"about {_dollars(total.cost)} {about}"
    return text + (f", without {listed(total.unpriced)}" if total.unpriced else "")


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 0.01 or not amount else f"${amount:.4f}"


def _as_dict(made: Planned, estimates: list[Estimate | None], total: Total) -> dict[str, Any]:
    return {
        "name": made.plan.title,
        "conversations": total.conversations,
        "attempts_at_most": total.attempts,
        "turns_at_most": total.turns,
        "calls_at_most": total.calls,
        "calls_of_own_code": total.own_code,
        "cost_about": total.cost,
        "without_a_price": list(total.unpriced),
        "cells": [
            {
                "number": cell.number,
                "name": cell.name,
                "persona": cell.persona,
                "provider": cell.provider,
                "sessions": list(cell.sessions),
                "settings": dict(cell.settings),
                "runs": made.plan.runs,
                "error": cell.error,
                **(
                    {}
                    if each is None
                    else {
                        "turns_at_most": each.turns,
                        "provider_calls_at_most": each.provider_calls,
                        "persona_calls_at_most": each.persona_calls,
                        "cost_about": each.cost,
                    }
                ),
            }
            for cell, each in zip(made.cells, estimates, strict=True)
        ],
    }
