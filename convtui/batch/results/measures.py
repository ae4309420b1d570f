"""What is measured of each conversation: rates and values, by which groups and batches compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from convtui.analysis.report.intervals import percentile
from convtui.batch.results.conversation import Conversation, Figures

Better = Literal["less", "more", ""]


@dataclass(slots=True, frozen=True)
class Measure:
    """A figure of one conversation."""

    id: str
    title: str
    of: Callable[[Conversation], float | None]
    """The value, 0 or 1 for a rate; None where the conversation has none."""
    unit: str = "%"
    better: Better = "less"
    """What counts as better; empty where neither does."""

    @property
    def is_rate(self) -> bool:
        """Whether it is true or false of a conversation."""
        return self.unit == "%"


def counts(conversation: Conversation) -> bool:
    """Whether a conversation is in the figures: it ended, and no human ended it."""
    return conversation.outcome in ("good", "bad")


def _bad(conversation: Conversation) -> float | None:
    return float(conversation.outcome == "bad") if counts(conversation) else None


def _if_any(value: Callable[[Figures], float]) -> Callable[[Conversation], float | None]:
    return lambda conversation: (
        float(value(conversation.figures) > 0)
        if counts(conversation) and conversation.figures is not None
        else None
    )


def _value(value: Callable[[Figures], float | None]) -> Callable[[Conversation], float | None]:
    return lambda conversation: (
        value(conversation.figures)
        if counts(conversation) and conversation.figures is not None
        else None
    )


def _median(figures: Figures) -> float | None:
    return percentile(sorted(figures.latencies), 0.5) if figures.latencies else None


BAD: Final = Measure("bad", "went wrong", _bad)
RATES: Final = (
    BAD,
    Measure("provider_fault", "provider fault", _if_any(lambda f: f.faults["provider"])),
    Measure("simulator_fault", "simulator fault", _if_any(lambda f: f.faults["simulator"])),
    Measure("error", "had an error", _if_any(lambda f: f.errors + f.tool_errors)),
    Measure("discard", "discarded a turn", _if_any(lambda f: f.discarded)),
    Measure("signal", "had a signal", _if_any(lambda f: f.signals.total()), better=""),
)
"""Shares of conversations."""
VALUES: Final = (
    Measure("turns", "turns", _value(lambda f: float(f.turns)), "turns", ""),
    Measure("latency", "provider latency", _value(_median), "s"),
    Measure("tokens", "tokens", _value(lambda f: f.tokens), "tokens"),
    Measure("cost", "cost", _value(lambda f: f.cost), "$"),
)
"""Figures of which conversations have a mean."""
MEASURES: Final = (*RATES, *VALUES)
