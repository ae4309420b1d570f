"""Two batches side by side, paired by what their cells have in common and by run.

A cell is paired with the one of the same persona, provider, sessions and settings; where a batch
was run with another provider or other settings, by what is still the same. Only pairs of which both
conversations ended are compared, first attempts with first attempts.

Rates are compared by McNemar's exact test and Newcombe's interval for paired rates, values by
Student's interval of the mean difference; where the runs of a cell differ alike, they count for
fewer. There is a verdict only where the interval is without 0 and at least `LEAST` pairs differ.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Final, Literal

from convtui.analysis.report.intervals import (
    Interval,
    likeness,
    mean,
    newcombe_paired,
    sign_test,
)
from convtui.batch.manifest import BatchCell
from convtui.batch.results.conversation import Conversation
from convtui.batch.results.measures import BAD, MEASURES, Measure, counts
from convtui.batch.results.reading import Results
from convtui.errors import UsageError
from convtui.text.boundary import visible_line

LEAST: Final = 6
"""Pairs that have to differ for a verdict: with fewer, chance alone may put all on one side."""
_DIMENSIONS: Final = ("persona", "sessions", "settings", "provider")
Verdict = Literal["better", "worse", "more", "less", "none"]
"""Of what came after against what was before; more and less where neither is better."""


@dataclass(slots=True, frozen=True)
class Pair:
    """The same run of the same cell in both batches."""

    name: str
    """The cell that both belong to."""
    before: Conversation
    after: Conversation


@dataclass(slots=True, frozen=True)
class Change:
    """How one measure changed over pairs."""

    measure: Measure
    n: int
    """Pairs in which it is known on both sides."""
    before: float
    """The mean; of a rate, 0 to 1."""
    after: float
    interval: Interval | None
    """Of `after - before`; None with fewer than two pairs."""
    more: int
    """Pairs in which it is more after than before."""
    less: int
    p: float
    """Of the sign test over the pairs that differ."""

    @property
    def difference(self) -> float:
        return self.after - self.before

    @property
    def verdict(self) -> Verdict:
        interval = self.interval
        if interval is None or interval.includes_zero or self.more + self.less < LEAST:
            return "none"
        grew = self.difference > 0
        if not self.measure.better:
            return "more" if grew else "less"
        return "better" if grew == (self.measure.better == "more") else "worse"


@dataclass(slots=True)
class CellChange:
    """The changes of one cell."""

    name: str
    before: BatchCell
    after: BatchCell
    pairs: list[Pair]
    changes: dict[str, Change]
    """By `Measure.id`, those that are known."""


@dataclass(slots=True)
class BatchComparison:
    """What got better and what got worse from one batch to another."""

    before: Results
    after: Results
    by: tuple[str, ...]
    """What paired cells have in common."""
    cells: list[CellChange]
    changes: dict[str, Change]
    """By `Measure.id`, over all pairs."""
    pairs: list[Pair]
    left_out: int
    """Pairs of which one has not ended, or was ended by a human."""
    only_before: list[str] = field(default_factory=list)
    """Cells without a counterpart."""
    only_after: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """Whether more or less went wrong."""
        change = self.changes.get(BAD.id)
        return "none" if change is None else change.verdict

    def flipped(self, *, worse: bool) -> list[Pair]:
        """The pairs that went wrong only after, or (not `worse`) only before."""
        outcomes = ("good", "bad") if worse else ("bad", "good")
        return [p for p in self.pairs if (p.before.outcome, p.after.outcome) == outcomes]

    def ended_otherwise(self) -> list[Pair]:
        """The pairs that ended in another way, neither of which is better or worse."""
        return [
            pair
            for pair in self.pairs
            if pair.before.outcome == pair.after.outcome and pair.before.ending != pair.after.ending
        ]


def compare_batches(before: Results, after: Results) -> BatchComparison:
    """Compares two batches. Raises `UsageError` where no cell of one has one of the other."""
    if _folder(before) == _folder(after):
        raise UsageError(f"{before.batch.folder}: a batch cannot be compared with itself")
    by, matched = _matched_cells(before, after)
    runs_before, runs_after = first_attempts(before), first_attempts(after)
    runs = min(before.batch.runs, after.batch.runs)
    cells: list[CellChange] = []
    left_out = 0
    for one, other in matched:
        name = one.name if one.name == other.name else f"{one.name} / {other.name}"
        pairs = pairs_of(name, runs_before.get(one.name, {}), runs_after.get(other.name, {}))
        left_out += runs - len(pairs)
        cells.append(CellChange(name, one, other, pairs, changes_of([pairs])))
    return BatchComparison(
        before,
        after,
        by,
        cells,
        changes_of([cell.pairs for cell in cells]),
        [pair for cell in cells for pair in cell.pairs],
        left_out,
        _unmatched(before, [one for one, _ in matched]),
        _unmatched(after, [other for _, other in matched]),
    )


def _folder(results: Results) -> Path:
    return results.batch.folder.resolve()


def first_attempts(results: Results) -> dict[str, dict[int, Conversation]]:
    """The first attempts by cell and run."""
    cells: dict[str, dict[int, Conversation]] = {}
    for each in results.first():
        cells.setdefault(each.cell, {})[each.run] = each
    return cells


def pairs_of(
    name: str, before: Mapping[int, Conversation], after: Mapping[int, Conversation]
) -> list[Pair]:
    """The runs of two cells that ended in both, by no human's doing."""
    return [
        Pair(name, before[run], after[run])
        for run in sorted(before.keys() & after.keys())
        if counts(before[run]) and counts(after[run])
    ]


def _unmatched(results: Results, matched: Iterable[BatchCell]) -> list[str]:
    names = {cell.name for cell in matched}
    return [name for name in results.batch.cells if name not in names]


def _matched_cells(
    before: Results, after: Results
) -> tuple[tuple[str, ...], list[tuple[BatchCell, BatchCell]]]:
    """What paired cells have in common, and the pairs, in the order of the batch after."""
    best: tuple[tuple[str, ...], list[tuple[BatchCell, BatchCell]]] = ((), [])
    for size in range(len(_DIMENSIONS), 0, -1):
        for names in combinations(_DIMENSIONS, size):
            ours, theirs = _by_key(before, names), _by_key(after, names)
            # Cells that a key does not tell apart have no counterpart by it.
            matched = [
                (ours[key][0], cells[0])
                for key, cells in theirs.items()
                if len(cells) == 1 and len(ours.get(key, ())) == 1
            ]
            if len(matched) > len(best[1]):
                best = (names, matched)
    if not best[1]:
        a, b = (visible_line(str(results.batch.folder), 200) for results in (before, after))
        raise UsageError(
            f"{a} and {b} have nothing to compare: no cell of one has the persona, the sessions,"
            " the settings or the provider that one cell of the other has"
        )
    return best


def _by_key(results: Results, names: Sequence[str]) -> dict[Hashable, list[BatchCell]]:
    cells: dict[Hashable, list[BatchCell]] = {}
    for cell in results.batch.cells.values():
        key = tuple(repr(getattr(cell, name)) for name in names)
        cells.setdefault(key, []).append(cell)
    return cells


def changes_of(cells: Sequence[Sequence[Pair]]) -> dict[str, Change]:
    """The changes over pairs, by cell; by `Measure.id`, those that are known."""
    changes = {}
    for measure in MEASURES:
        values = [
            [
                (a, b)
                for pair in cell
                if (a := measure.of(pair.before)) is not None
                and (b := measure.of(pair.after)) is not None
            ]
            for cell in cells
        ]
        change = _change(measure, values)
        if change is not None:
            changes[measure.id] = change
    return changes


def _change(measure: Measure, cells: Sequence[Sequence[tuple[float, float]]]) -> Change | None:
    pairs = [pair for cell in cells for pair in cell]
    n = len(pairs)
    if not n:
        return None
    differences = [[b - a for a, b in cell] for cell in cells]
    more = sum(b > a for a, b in pairs)
    less = sum(b < a for a, b in pairs)
    before, after = sum(a for a, _ in pairs) / n, sum(b for _, b in pairs) / n
    interval: Interval | None = None
    if measure.is_rate and n > 1:
        effect = likeness(differences)
        both = sum(a > 0 and b > 0 for a, b in pairs)
        neither = n - both - more - less
        interval = newcombe_paired(both / effect, more / effect, less / effect, neither / effect)
    elif n > 1:
        average = mean(differences)
        interval = average.interval if average is not None else None
    return Change(measure, n, before, after, interval, more, less, sign_test(more, less))
