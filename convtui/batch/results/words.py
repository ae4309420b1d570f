"""Figures of batches as text."""

from __future__ import annotations

from collections import Counter
from typing import Final

from convtui.analysis.report.intervals import Interval
from convtui.analysis.report.plots import figure
from convtui.batch.results.compare import Change
from convtui.batch.results.summary import Rate, Summary
from convtui.transcript.ending_words import short_ending

NOTHING: Final = "-"
"""What is not known."""
_NARROW: Final = 0.1
"""The width of intervals that are said with a decimal."""


def rate_words(rate: Rate | None) -> str:
    """`12.5 % (3 of 24)`."""
    if rate is None or rate.value is None:
        return NOTHING
    return f"{rate.value * 100:.1f} % ({rate.count:,} of {rate.n:,})"


def percent(value: float | None) -> str:
    """A rate from 0 to 1 as `12.5 %`."""
    return NOTHING if value is None else f"{value * 100:.1f} %"


def percent_range(interval: Interval | None) -> str:
    """`4 to 31 %`; `0.0 to 0.4 %` of a narrow one."""
    if interval is None:
        return NOTHING
    digits = 1 if interval.high - interval.low < _NARROW else 0
    return f"{interval.low * 100:.{digits}f} to {interval.high * 100:.{digits}f} %"


def kinds(counter: Counter[str], words: bool = True) -> str:
    """`completed 20, turn limit 3`, the most frequent first."""
    named = ((short_ending(kind) if words else kind, n) for kind, n in counter.most_common())
    return ", ".join(f"{name} {n:,}" for name, n in named) or NOTHING


def known(value: float | None, unit: str) -> str:
    """A figure with its unit, or `NOTHING`."""
    return NOTHING if value is None else figure(value, unit)


def whole(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def difference_words(change: Change) -> str:
    """`-12.5 (-20.1 to -4.9)`, of rates in points."""
    factor = 100 if change.measure.is_rate else 1
    digits = {"$": 4, "s": 2}.get(change.measure.unit, 1)
    text = f"{change.difference * factor:+,.{digits}f}"
    if change.interval is not None:
        low, high = change.interval.low * factor, change.interval.high * factor
        text += f" ({low:+,.{digits}f} to {high:+,.{digits}f})"
    return text


def mean_difference(change: Change | None) -> str:
    if change is None:
        return NOTHING
    digits = {"$": 4, "s": 2}.get(change.measure.unit, 1)
    return f"{change.difference:+,.{digits}f}"


def turns_each(summary: Summary) -> str:
    return NOTHING if summary.turns_each is None else f"{summary.turns_each:,.1f}"


def short_rate(rate: Rate) -> str:
    """`13 % 3/24`."""
    return NOTHING if rate.value is None else f"{rate.value * 100:.0f} % {rate.count}/{rate.n}"
