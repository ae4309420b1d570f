"""What each side of a conversation has used, in its log and in the logs that it goes back to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from convtui.records.values import as_object
from convtui.transcript.turns import Totals

if TYPE_CHECKING:
    from convtui.transcript.fold import Transcript

FIGURES: Final = ("prompt_tokens", "completion_tokens", "cost")
Used = dict[str, float]
"""Tokens, and US dollars under `cost`; a figure that nobody named is missing."""


def usage_in(counters: Any) -> dict[str, Used]:
    """By side, the usage in a record's counters. A log may say anything: only numbers count."""
    return {
        str(side): {
            name: value
            for name in FIGURES
            if isinstance(value := figures.get(name), (int, float)) and not isinstance(value, bool)
        }
        for side, figures in as_object(as_object(counters).get("usage")).items()
        if isinstance(figures, dict)
    }


def inherited_usage(transcript: Transcript) -> dict[str, Used]:
    """By side, what was used before this log began."""
    return usage_in(transcript.seed.get("counters"))


def used_by_side(transcript: Transcript) -> dict[str, Used]:
    """By side, what was used in this log and before it."""
    usage = inherited_usage(transcript)
    for side, totals in transcript.totals.items():
        figures = usage.setdefault(side, {})
        for name in FIGURES:
            value = getattr(totals, name)
            if value is not None:
                figures[name] = figures.get(name, 0) + value
    return usage


def whole_totals(transcript: Transcript) -> Mapping[str, Totals]:
    """By side, what was used in this log and in those that it goes back to."""
    if not transcript.inherited:
        return transcript.totals
    whole: dict[str, Totals] = {}
    for totals in (transcript.inherited, transcript.totals):
        for side, used in totals.items():
            total = whole.setdefault(side, Totals())
            total.calls += used.calls
            total.retries += used.retries
            total.seconds += used.seconds
            total.add(used.as_dict())
    return whole
