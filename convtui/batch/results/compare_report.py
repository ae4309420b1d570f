"""The comparison of two batches as a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from convtui.analysis.report.diffs import clipped
from convtui.analysis.report.plots import figure
from convtui.analysis.report.report import (
    Diff,
    Part,
    Plot,
    Report,
    Section,
    Sentence,
    Table,
    Tone,
)
from convtui.analysis.report.report import Verdict as ReportVerdict
from convtui.batch.results.compare import (
    LEAST,
    BatchComparison,
    CellChange,
    Change,
    Pair,
    Verdict,
)
from convtui.batch.results.conversation import Conversation
from convtui.batch.results.measures import BAD, MEASURES
from convtui.batch.results.reading import Results
from convtui.batch.results.report import MOST_ROWS, state_words
from convtui.batch.results.scenario_changes import ScenarioChange
from convtui.batch.results.words import NOTHING, difference_words, mean_difference, percent
from convtui.text.counts import counted
from convtui.text.word_diff import word_diff
from convtui.transcript.ending_words import short_ending

_TONES: Final[dict[Verdict, Tone]] = {
    "better": "good", "worse": "bad", "more": "plain", "less": "plain", "none": "doubtful",
}  # fmt: skip
METHOD: Final = (
    "Pairs are the same run of the same cell, first attempts; up/down is how many of them went up"
    " and down. Intervals are 95 %: Newcombe's for paired rates, Student's for means, runs of a"
    " cell that differ alike counting for fewer. A verdict needs an interval without 0 and"
    f" {LEAST} pairs that differ. Of twenty measures that did not change, one will look as if it"
    " had."
)
_NOTHING_CHANGED: Final = (
    "nothing that the logs keep: scenario, the provider's file, versions (values of its options"
    " only where `log_values` names them)"
)
_MOST_CHANGES: Final = 20
_FEW: Final = 20
"""Pairs that a list names where neither side is better."""


def comparison_report(
    comparison: BatchComparison, changes: Sequence[ScenarioChange] = ()
) -> Report:
    """What got better, what worse; by cell; which conversations to open.

    `changes` are what was changed in between (`scenario_changes()`).
    """
    parts: list[Part] = [Table((), _about(comparison)), _overall(comparison)]
    sections = [
        Section("", parts),
        _what_changed(comparison, changes),
        _by_cell(comparison),
        _pairs(comparison, "went wrong only now", comparison.flipped(worse=True)),
        _pairs(comparison, "went wrong only before", comparison.flipped(worse=False)),
        _pairs(comparison, "ended in another way", comparison.ended_otherwise(), _FEW),
        _unmatched(comparison),
    ]
    before, after = comparison.before.batch.name, comparison.after.batch.name
    verdict = comparison.verdict
    return Report(
        [section for section in sections if section.parts],
        _plots(comparison.cells),
        title=f"{after} against {before}" if before != after else f"Two batches of {after}",
        verdict=ReportVerdict(verdict_words(comparison), _TONES[verdict], "result"),
        closing=METHOD,
    )


def verdict_words(comparison: BatchComparison) -> str:
    """Whether more or fewer conversations go wrong now, in one sentence."""
    change = comparison.changes.get(BAD.id)
    if change is None:
        return "no verdict: there is no pair of conversations that have both ended"
    rates = f"{percent(change.before)} went wrong before, {percent(change.after)} now"
    if change.verdict != "none":
        return f"{change.verdict}: {rates} ({difference_words(change)} points)"
    differ = change.more + change.less
    if not differ:
        return f"no verdict: {rates}, in the same {counted(change.n, 'pair')}"
    if differ < LEAST:
        why = f"only {counted(differ, 'pair')} of {change.n:,} differ{'s' if differ == 1 else ''}"
    else:
        why = f"with these pairs that may be chance ({difference_words(change)} points)"
    return f"no verdict: {rates}; {why}"


def _about(comparison: BatchComparison) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, results in (("before", comparison.before), ("now", comparison.after)):
        batch = results.batch
        when = f"{batch.at.astimezone():%Y-%m-%d %H:%M}, " if batch.at is not None else ""
        many = counted(len(results.runs), "conversation")
        rows.append((name, f"{batch.folder.name}: {when}{many}, {state_words(results)}"))
    cells = counted(len(comparison.cells), "cell")
    by = ", ".join(comparison.by)
    rows.append(("pairs", f"{len(comparison.pairs):,} in {cells}, by {by} and run"))
    if comparison.left_out:
        text = f"{comparison.left_out:,} pairs of which one did not end, or was ended by a human"
        rows.append(("left out", text))
    return rows


def _overall(comparison: BatchComparison) -> Table:
    head = ("", "before", "now", "difference, 95 %", "up/down", "")
    rows = []
    for measure in MEASURES:
        change = comparison.changes.get(measure.id)
        if change is None:
            continue
        rows.append(
            (
                measure.title,
                _shown(change, change.before),
                _shown(change, change.after),
                difference_words(change),
                f"{change.more:,}/{change.less:,}{_of(change, len(comparison.pairs))}",
                "" if change.verdict == "none" else change.verdict,
            )
        )
    return Table(head, rows)


def _shown(change: Change, value: float) -> str:
    if change.measure.is_rate:
        return percent(value)
    if change.measure.unit == "$":
        return figure(value, "$")
    return f"{value:,.2f} s" if change.measure.unit == "s" else f"{value:,.1f}"


def _of(change: Change, pairs: int) -> str:
    """Of how many pairs, where that is not all of them."""
    return f" of {change.n:,}" if change.n != pairs else ""


def _what_changed(comparison: BatchComparison, changes: Sequence[ScenarioChange]) -> Section:
    cells = len(comparison.cells)
    parts: list[Part] = []
    for change in changes[:_MOST_CHANGES]:
        where = "" if change.cells == cells else f"in {change.cells:,} of {cells:,} cells"
        diff = Diff(clipped(word_diff(change.before, change.after)))
        parts.append(Sentence(change.key, aside=where, below=[diff]))
    if not parts and comparison.pairs:
        parts.append(Sentence(_NOTHING_CHANGED, tone="aside"))
    if len(changes) > _MOST_CHANGES:
        parts.append(Sentence(f"and {len(changes) - _MOST_CHANGES:,} more"))
    return Section("what was changed", parts)


def _by_cell(comparison: BatchComparison) -> Section:
    """The cells, those that got worse first."""
    if len(comparison.cells) < 2:
        return Section("", [])
    cells = sorted(comparison.cells, key=lambda cell: -_rise(cell))
    rows = [
        (
            cell.name,
            f"{len(cell.pairs):,}",
            *_arrow(cell, "bad"),
            *_arrow(cell, "provider_fault"),
            _delta(cell, "turns"),
            _delta(cell, "latency"),
            _delta(cell, "cost"),
        )
        for cell in cells
    ]
    head = (
        "cell", "pairs", "went wrong", "", "provider's fault", "", "turns", "latency", "cost",
    )  # fmt: skip
    aside = "the worst first; +worse -better of its pairs, differences of means"
    return Section("by cell", [Table(head, rows)], aside)


def _rise(cell: CellChange) -> float:
    change = cell.changes.get(BAD.id)
    return change.difference if change is not None else float("-inf")


def _arrow(cell: CellChange, measure: str) -> tuple[str, str]:
    change = cell.changes.get(measure)
    if change is None:
        return NOTHING, ""
    moved = " ".join(
        f"{sign}{count}" for sign, count in (("+", change.more), ("-", change.less)) if count
    )
    return f"{percent(change.before)} > {percent(change.after)}", moved


def _delta(cell: CellChange, measure: str) -> str:
    return mean_difference(cell.changes.get(measure))


def _pairs(
    comparison: BatchComparison, title: str, pairs: Sequence[Pair], most: int = MOST_ROWS
) -> Section:
    if not pairs:
        return Section("", [])
    rows = [
        (
            f"{pair.name}.{pair.before.run}",
            short_ending(pair.before.ending),
            short_ending(pair.after.ending),
            _log(pair.before),
            _log(pair.after),
        )
        for pair in pairs[:most]
    ]
    parts: list[Part] = [Table(("pair", "before", "now", "log before", "log now"), rows)]
    if len(pairs) > most:
        parts.append(Sentence(f"and {len(pairs) - most:,} more"))
    both = [str(side.batch.folder / name) for side, name in _first_logs(comparison, pairs[0])]
    if len(both) == 2:
        parts.append(Sentence(f"convtui compare {' '.join(both)}", "the first of them", "aside"))
    return Section(title, parts, f"{len(pairs):,}")


def _log(conversation: Conversation) -> str:
    return NOTHING if conversation.log is None else conversation.log.name


def _first_logs(comparison: BatchComparison, pair: Pair) -> list[tuple[Results, str]]:
    sides = ((comparison.before, pair.before), (comparison.after, pair.after))
    return [(side, one.log.name) for side, one in sides if one.log is not None]


def _unmatched(comparison: BatchComparison) -> Section:
    sentences = [
        Sentence(", ".join(names), f"only {when}")
        for when, names in (("before", comparison.only_before), ("now", comparison.only_after))
        if names
    ]
    return Section("cells without a counterpart", sentences)


def _plots(cells: Sequence[CellChange]) -> list[Plot]:
    """The rates before and now, in one scale."""
    labels = [cell.name for cell in cells]
    changes = [cell.changes.get(BAD.id) for cell in cells]
    rates = [
        [None if change is None else change.before * 100 for change in changes],
        [None if change is None else change.after * 100 for change in changes],
    ]
    top = max((rate for side in rates for rate in side if rate is not None), default=0.0)
    titles = ("went wrong before", "went wrong now")
    return [
        Plot(title, "%", "cells", labels, values, top=top)
        for title, values in zip(titles, rates, strict=True)
        if top
    ]
