"""The orders that runs can be listed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from convtui.errors import UsageError, did_you_mean
from convtui.log.run_summary import RunSummary

ORDERS: Final[Mapping[str, Callable[[RunSummary], Any]]] = {
    "when": lambda run: run.when,
    "written": lambda run: run.modified,
    "name": lambda run: run.name,
    "persona": lambda run: run.persona.casefold(),
    "provider": lambda run: run.provider.casefold(),
    "ending": lambda run: run.state,
    "turns": lambda run: run.turns,
    "sessions": lambda run: run.sessions,
    "discarded": lambda run: run.discarded,
    "duration": lambda run: run.duration,
    "tokens": lambda run: run.tokens,
    "cost": lambda run: run.cost,
    "latency": lambda run: run.latency,
    "size": lambda run: run.size,
}
"""What runs can be sorted by, least first."""
NEWEST: Final = "-when"
"""The usual order: by when a run began, which is what lists show."""


def parse_order(text: str) -> tuple[str, bool]:
    """An order as it is written, `tokens` or `-tokens`: its name and whether it goes down.

    Raises `UsageError`.
    """
    name = text.removeprefix("-")
    if name not in ORDERS:
        hint = did_you_mean(name, ORDERS) or f"; known are {', '.join(ORDERS)}"
        raise UsageError(f"cannot sort by {text!r}{hint}")
    return name, text.startswith("-")


def sort_runs(runs: Sequence[RunSummary], order: str) -> list[RunSummary]:
    """Runs in an order; runs without the value come last, whatever the direction.

    Raises `UsageError` for an unknown order.
    """
    name, down = parse_order(order)
    value = ORDERS[name]
    valued = [(value(run), run) for run in runs]
    known = [pair for pair in valued if pair[0] is not None]
    known.sort(key=itemgetter(0), reverse=down)
    return [run for _, run in known] + [run for known_value, run in valued if known_value is None]
