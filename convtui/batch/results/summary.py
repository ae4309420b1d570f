"""The figures of several conversations together, and the groups of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from convtui.analysis.report.intervals import Interval, Spread, rate_interval, spread
from convtui.batch.manifest import BatchCell
from convtui.batch.results.conversation import Conversation
from convtui.batch.results.measures import RATES, counts
from convtui.batch.results.reading import Results
from convtui.log.run_summary import total


@dataclass(slots=True, frozen=True)
class Rate:
    """How many conversations something is true of, of those of which it is known."""

    count: int
    n: int
    interval: Interval | None
    """None where `n` is 0."""

    @property
    def value(self) -> float | None:
        return self.count / self.n if self.n else None


@dataclass(slots=True)
class Summary:
    """The figures of some conversations.

    Endings count all that have ended. Everything else is without those that a human ended.
    """

    conversations: int = 0
    counted: int = 0
    """How many are in the figures."""
    interrupted: int = 0
    """Ended by a human."""
    open: int = 0
    """Not ended."""
    unread: int = 0
    """In the figures without a readable log: only in the rate of those that went wrong."""
    endings: Counter[str] = field(default_factory=Counter)
    """By kind of the termination."""
    rates: dict[str, Rate] = field(default_factory=dict)
    """By `Measure.id`."""
    turns: int = 0
    discarded: int = 0
    errors: int = 0
    tool_errors: int = 0
    retries: int = 0
    signals: Counter[str] = field(default_factory=Counter)
    """Turns by signal."""
    faults: Counter[str] = field(default_factory=Counter)
    """Turns by the side at fault."""
    rules: Counter[str] = field(default_factory=Counter)
    latency: Spread | None = None
    """Seconds of the provider's turns."""
    tokens: int | None = None
    cost: float | None = None
    """US dollars."""
    reflection_tokens: int | None = None
    """What reflecting on earlier attempts took, beside `tokens`."""
    reflection_cost: float | None = None
    seconds: Spread | None = None
    """Of whole conversations."""

    @property
    def turns_each(self) -> float | None:
        """Turns of a conversation, on average."""
        read = self.counted - self.unread
        return self.turns / read if read else None


@dataclass(slots=True)
class Group:
    """The conversations of some cells, which have something in common."""

    name: str
    """Foreign text."""
    cells: list[str]
    first: Summary
    """Of the first attempt at each run."""
    best: Summary
    """Of the best attempt at each run."""


def summarise(conversations: Iterable[Conversation]) -> Summary:
    """The figures of conversations together; runs of a cell are taken as alike in intervals."""
    everything = list(conversations)
    counted = [conversation for conversation in everything if counts(conversation)]
    outcomes = Counter(conversation.outcome for conversation in everything)
    read = [each.figures for each in counted if each.figures is not None]
    return Summary(
        conversations=len(everything),
        counted=len(counted),
        interrupted=outcomes["interrupted"],
        open=outcomes["open"],
        unread=len(counted) - len(read),
        endings=Counter(each.ending for each in everything if each.outcome != "open"),
        rates={measure.id: _rate(everything, measure.of) for measure in RATES},
        turns=sum(figures.turns for figures in read),
        discarded=sum(figures.discarded for figures in read),
        errors=sum(figures.errors for figures in read),
        tool_errors=sum(figures.tool_errors for figures in read),
        retries=sum(figures.retries for figures in read),
        signals=_sum(figures.signals for figures in read),
        faults=_sum(figures.faults for figures in read),
        rules=_sum(figures.rules for figures in read),
        latency=spread([value for figures in read for value in figures.latencies]),
        tokens=_whole(figures.tokens for figures in read),
        cost=total(figures.cost for figures in read),
        reflection_tokens=_whole(figures.reflection_tokens for figures in read),
        reflection_cost=total(figures.reflection_cost for figures in read),
        seconds=spread([figures.seconds for figures in read if figures.seconds is not None]),
    )


def _sum(counters: Iterable[Counter[str]]) -> Counter[str]:
    summed: Counter[str] = Counter()
    for counter in counters:
        summed.update(counter)
    return summed


def _whole(values: Iterable[int | None]) -> int | None:
    known = total(values)
    return None if known is None else int(known)


def _rate(
    conversations: Sequence[Conversation], of: Callable[[Conversation], float | None]
) -> Rate:
    cells: dict[str, list[int]] = {}
    for conversation in conversations:
        value = of(conversation)
        if value is not None:
            cells.setdefault(conversation.cell, []).append(int(value))
    clusters = [(sum(values), len(values)) for values in cells.values()]
    count, n = sum(count for count, _ in clusters), sum(n for _, n in clusters)
    return Rate(count, n, rate_interval(clusters) if n else None)


def settings_words(settings: Mapping[str, Any]) -> str:
    """The settings of a cell in a line: `provider.params.temperature 0.2`."""
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "as in the scenario"


NAMES: Final[Mapping[str, Callable[[BatchCell], str]]] = {
    "persona": lambda cell: cell.persona,
    "provider": lambda cell: cell.provider,
    "sessions": lambda cell: ", ".join(cell.sessions),
    "settings": lambda cell: settings_words(cell.settings),
    "cell": lambda cell: cell.name,
}
"""What a cell is called in each dimension."""
DIMENSIONS: Final = tuple(NAMES)
"""What conversations are grouped by."""


def groups(results: Results, dimension: str) -> list[Group]:
    """The groups by one of `DIMENSIONS`, in the order of the plan."""
    name_of = NAMES[dimension]
    cells: dict[str, list[str]] = {}
    for cell in results.batch.cells.values():
        cells.setdefault(name_of(cell), []).append(cell.name)
    first, best = _by_cell(results.first()), _by_cell(results.best())
    return [
        Group(
            name,
            members,
            summarise(c for member in members for c in first.get(member, ())),
            summarise(c for member in members for c in best.get(member, ())),
        )
        for name, members in cells.items()
    ]


def varied(results: Results) -> list[str]:
    """The dimensions in which the cells differ; the cells themselves where several do."""
    cells = list(results.batch.cells.values())
    names = [
        name
        for name, of in NAMES.items()
        if name != "cell" and len({of(cell) for cell in cells}) > 1
    ]
    return names if len(names) == 1 or len(cells) < 2 else [*names, "cell"]


def _by_cell(conversations: Iterable[Conversation]) -> dict[str, list[Conversation]]:
    cells: dict[str, list[Conversation]] = {}
    for conversation in conversations:
        cells.setdefault(conversation.cell, []).append(conversation)
    return cells
