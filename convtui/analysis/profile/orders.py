"""The sort orders of a profile's tools and runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from convtui.analysis.profile.profile import RunProfile, ToolStats

ORDERS: Final = {
    "": "tools most called first, runs as listed",
    "rate": "highest error rate first",
    "calls": "most calls first",
    "slow": "slowest first",
    "name": "by name",
}


def sorted_tools(tools: Sequence[ToolStats], order: str) -> list[ToolStats]:
    """The tools in one of `ORDERS`; in the order given for any other."""
    if order == "rate":
        return sorted(tools, key=lambda tool: _descending(tool.tally.error_rate))
    if order == "slow":
        return sorted(tools, key=lambda tool: _descending(_seconds(tool)))
    if order == "name":
        return sorted(tools, key=lambda tool: tool.name)
    return list(tools)


def sorted_runs(runs: Sequence[RunProfile], order: str) -> list[RunProfile]:
    """The runs in one of `ORDERS`; in the order given for any other."""
    if order == "rate":
        return sorted(runs, key=lambda run: _descending(run.tally.error_rate))
    if order == "calls":
        return sorted(runs, key=lambda run: -run.tally.calls)
    if order == "slow":
        return sorted(runs, key=lambda run: _descending(_latency(run)))
    if order == "name":
        return sorted(runs, key=lambda run: run.path.name)
    return list(runs)


def _seconds(tool: ToolStats) -> float | None:
    return None if tool.seconds is None else tool.seconds.p50


def _latency(run: RunProfile) -> float | None:
    """The median seconds of a provider's turn."""
    return next((s.latency.p50 for s in run.sides if s.side == "provider" and s.latency), None)


def _descending(value: float | None) -> float:
    """A sort key: greatest first, unknown last."""
    return float("inf") if value is None else -value
