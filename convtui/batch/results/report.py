"""The results of a batch as a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from convtui.analysis.report.plots import figure
from convtui.analysis.report.report import Part, Plot, Report, Section, Sentence, Table
from convtui.batch.manifest import counts as state_counts
from convtui.batch.results.compare import LEAST
from convtui.batch.results.contrasts import CONTRASTED, Contrast, contrasts
from convtui.batch.results.conversation import Conversation
from convtui.batch.results.measures import BAD
from convtui.batch.results.reading import Results
from convtui.batch.results.summary import Group, Summary, groups, summarise, varied
from convtui.batch.results.words import (
    NOTHING,
    difference_words,
    kinds,
    known,
    mean_difference,
    percent_range,
    rate_words,
    short_rate,
    turns_each,
    whole,
)
from convtui.text.boundary import span_of_time
from convtui.text.counts import counted
from convtui.transcript.ending_words import ending_phrase
from convtui.transcript.fault_rules import RULES

MOST_ROWS: Final = 50
"""Conversations that a list names at most."""
_MOST_REASONS: Final = 20
METHOD: Final = (
    "A conversation went wrong where `convtui run` would exit with 3: failed, abstained, discarded,"
    " budget, interrupted. Those that a human ended are in no rate. Intervals are Wilson's, 95 %,"
    " with the runs of a cell taken as alike (design effect). Differences of pairs have Newcombe's"
    f" interval for paired rates; a verdict needs one without 0, and {LEAST} pairs that differ."
)


def results_report(results: Results) -> Report:
    """The whole report: all conversations, the groups, attempts, and what went wrong."""
    batch = results.batch
    total = summarise(results.first())
    sections = [Section("", [Table((), _about(results, total))])]
    wrong = _wrong(results)
    dimensions = varied(results)
    for dimension in dimensions:
        sections += _group_sections(dimension, groups(results, dimension), _has_attempts(results))
        if dimension in CONTRASTED:
            sections.append(_contrasts(dimension, contrasts(results, dimension)))
    sections += [
        _attempts(results, total),
        _faults(total),
        _signals(total),
        _reasons(wrong),
        _wrong_list(wrong),
        _cells_in_error(results),
        _reruns(results),
    ]
    plots = _plots(dimensions[-1], groups(results, dimensions[-1])) if dimensions else []
    return Report(
        [section for section in sections if section.parts],
        plots,
        title=f"Batch {batch.name}",
        closing=METHOD,
    )


# --- the parts


def state_words(results: Results) -> str:
    """How far the batch is, in one sentence."""
    batch = results.batch
    if batch.finished and not results.partial:
        return "finished"
    if batch.running:
        return "still running: these are partial results"
    if batch.stopped:
        return f"stopped ({batch.stopped}): these are partial results"
    if results.partial:
        return "not finished: these are partial results; the same command goes on with it"
    return "finished"


def _about(results: Results, total: Summary) -> list[tuple[str, ...]]:
    batch = results.batch
    states = state_counts(batch.entries.values())
    many = len(results.runs)
    rows: list[tuple[str, ...]] = [
        ("state", state_words(results)),
        (
            "conversations",
            f"{many:,}: {counted(len(batch.cells), 'cell')}, {counted(batch.runs, 'run')} of each",
        ),
    ]
    if results.partial:
        shown = ", ".join(f"{n:,} {state}" for state, n in states.items() if n)
        rows.append(("of them", shown))
    bad = total.rates["bad"]
    if bad.n:
        rows.append((BAD.title, f"{rate_words(bad)}, 95 % {percent_range(bad.interval)}"))
    rows.append(("ended", kinds(total.endings)))
    if total.interrupted:
        rows.append(("by a human", f"{total.interrupted:,}, in no rate"))
    rows.append(("turns", f"{total.turns:,}, {turns_each(total)} a conversation"))
    for name, rate_id, turns in (
        ("provider's fault", "provider_fault", total.faults["provider"]),
        ("simulator's fault", "simulator_fault", total.faults["simulator"]),
        ("discarded", "discard", total.discarded),
        ("signals", "signal", total.signals.total()),
    ):
        if turns:
            rate = rate_words(total.rates[rate_id])
            rows.append((name, f"{counted(turns, 'turn')}, in {rate} of the conversations"))
    if total.errors or total.tool_errors:
        rows.append(("errors", _errors(total)))
    if total.retries:
        rows.append(("retries", f"{total.retries:,}"))
    if total.latency is not None:
        p50, p95 = figure(total.latency.p50, "s"), figure(total.latency.p95, "s")
        rows.append(("a provider's turn", f"p50 {p50}, p95 {p95}"))
    rows += _used(results, total)
    if total.unread:
        rows.append(("without a log", f"{total.unread:,}, only in the rate of what went wrong"))
    if batch.findings:
        rows.append(("damage", f"{batch.path.name}: {'; '.join(batch.findings[:3])}"))
    return rows


def _errors(total: Summary) -> str:
    tools = f", {counted(total.tool_errors, 'turn')} with a failed tool call"
    return f"{counted(total.errors, 'turn')}{tools if total.tool_errors else ''}"


def _used(results: Results, total: Summary) -> Iterator[tuple[str, str]]:
    every = summarise(results.conversations) if _has_attempts(results) else total
    more = " in all attempts" if every is not total else ""
    if every.tokens is not None:
        yield "tokens", f"{every.tokens:,}{more}"
    if every.cost is not None:
        yield "cost", f"{figure(every.cost, '$')}{more}"
    if every.reflection_tokens is not None:
        cost = f", {figure(every.reflection_cost, '$')}" if every.reflection_cost else ""
        yield "reflecting", f"{every.reflection_tokens:,} tokens{cost}, beside those"
    entries = results.batch.entries.values()
    begun = [entry.started_at for entry in entries if entry.started_at is not None]
    ended = [entry.ended_at for entry in entries if entry.ended_at is not None]
    if begun and ended and max(ended) > min(begun):
        took = (max(ended) - min(begun)).total_seconds()
        added = (
            f", {span_of_time(every.seconds.total)} one after the other" if every.seconds else ""
        )
        yield "took", f"{span_of_time(took)}{added}"


def _group_sections(dimension: str, by: Sequence[Group], attempts: bool) -> list[Section]:
    best = ("best attempt",) if attempts else ()
    how = Table(
        (dimension, "ended", "went wrong", "95 %", *best, "prov. fault", "sim. fault", "how"),
        [
            (
                group.name,
                f"{sum(group.first.endings.values()):,}",
                short_rate(group.first.rates["bad"]),
                percent_range(group.first.rates["bad"].interval),
                *((short_rate(group.best.rates["bad"]),) if attempts else ()),
                short_rate(group.first.rates["provider_fault"]),
                short_rate(group.first.rates["simulator_fault"]),
                kinds(group.first.endings),
            )
            for group in by
        ],
    )
    took = Table(
        (dimension, "turns", "discards", "signals", "errors", "p50", "p95", "tokens", "cost"),
        [
            (
                group.name,
                turns_each(group.first),
                f"{group.first.discarded:,}",
                f"{group.first.signals.total():,}",
                f"{group.first.errors + group.first.tool_errors:,}",
                known(group.first.latency.p50 if group.first.latency else None, "s"),
                known(group.first.latency.p95 if group.first.latency else None, "s"),
                whole(group.first.tokens),
                known(group.first.cost, "$"),
            )
            for group in by
        ],
    )
    which = ", first attempts" if attempts else ""
    return [
        Section(f"by {dimension}", [how], f"conversations{which}"),
        Section(f"by {dimension}, what it took", [took], f"turns a conversation{which}"),
    ]


def _contrasts(dimension: str, found: Sequence[Contrast]) -> Section:
    """The groups of a dimension against its first, in pairs."""
    rows = []
    for contrast in found:
        bad = contrast.changes.get(BAD.id)
        if bad is None:
            continue
        rows.append(
            (
                contrast.other,
                f"{contrast.pairs:,}",
                difference_words(bad),
                f"{bad.more:,}/{bad.less:,}",
                *(mean_difference(contrast.changes.get(name)) for name in _CONTRASTED_VALUES),
                "" if bad.verdict == "none" else bad.verdict,
            )
        )
    if not rows:
        return Section("", [])
    head = (
        f"against {found[0].base}", "pairs", "went wrong, 95 %", "up/down", *_CONTRASTED_VALUES, "",
    )  # fmt: skip
    aside = "the same persona and run; differences, of rates in points"
    return Section(f"by {dimension}, in pairs", [Table(head, rows)], aside)


_CONTRASTED_VALUES: Final = ("turns", "latency", "tokens", "cost")


def _has_attempts(results: Results) -> bool:
    return any(len(run) > 1 for run in results.runs)


def _attempts(results: Results, first: Summary) -> Section:
    if not _has_attempts(results):
        return Section("", [])
    best = summarise(results.best())
    again = [run for run in results.runs if len(run) > 1]
    better = sum(run[0].outcome != "good" and _good_at_last(run) for run in again)
    rows = [
        ("went wrong", *(rate_words(s.rates["bad"]) for s in (first, best))),
        ("95 %", *(percent_range(s.rates["bad"].interval) for s in (first, best))),
        ("turns a conversation", *(turns_each(s) for s in (first, best))),
        ("discarded turns", *(f"{s.discarded:,}" for s in (first, best))),
        ("tokens", *(whole(s.tokens) for s in (first, best))),
        ("cost", *(known(s.cost, "$") for s in (first, best))),
        ("ended", *(kinds(s.endings) for s in (first, best))),
    ]
    tried = counted(sum(len(run) - 1 for run in again), "more attempt")
    text = f"{counted(len(again), 'conversation')} tried again, {tried}: {better:,} ended well then"
    known_rows = [row for row in rows if row[1:] != (NOTHING, NOTHING)]
    table = Table(("", "first attempts", "best attempts"), known_rows)
    parts: list[Part] = [table, Sentence(text)]
    return Section("attempts", parts)


def _good_at_last(run: Sequence[Conversation]) -> bool:
    return any(attempt.outcome == "good" and not attempt.matches for attempt in run[1:])


def _faults(total: Summary) -> Section:
    rows = []
    for name, turns in total.rules.most_common():
        side, _, rule = name.partition(" ")
        rows.append((side, rule, f"{turns:,}", RULES.get(rule, "")))
    return _table("whose fault (turns)", ("side", "rule", "turns", "why"), rows)


def _signals(total: Summary) -> Section:
    rows = [(name, f"{turns:,}") for name, turns in total.signals.most_common()]
    return _table("signals (turns)", (), rows)


def _wrong(results: Results) -> list[Conversation]:
    """The conversations that went wrong in every attempt, in cells that can run."""
    return [
        conversation
        for conversation in results.best()
        if conversation.outcome == "bad" and not _is_unloadable(results, conversation)
    ]


def _reasons(wrong: Sequence[Conversation]) -> Section:
    """The same reasons together, where several conversations have one."""
    reasons: dict[tuple[str, str], list[Conversation]] = {}
    for conversation in wrong:
        termination = conversation.termination or {}
        kind = ending_phrase(conversation.ending, str(termination.get("by") or ""))
        why = str(termination.get("reason") or conversation.problem or NOTHING)
        reasons.setdefault((kind, why), []).append(conversation)
    if len(reasons) == len(wrong):
        return Section("", [])
    ordered = sorted(reasons.items(), key=lambda item: -len(item[1]))
    rows = [(f"{len(group):,}", kind, group[0].key, why) for (kind, why), group in ordered]
    return _limited("why they went wrong", ("", "ended", "such as", "reason"), rows, _MOST_REASONS)


def _wrong_list(wrong: Sequence[Conversation]) -> Section:
    rows = [(c.key, _log_name(c), c.ending_words) for c in wrong]
    return _limited("what went wrong", ("conversation", "log", "how it ended"), rows)


def _log_name(conversation: Conversation) -> str:
    return NOTHING if conversation.log is None else conversation.log.name


def _limited(
    title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]], most: int = MOST_ROWS
) -> Section:
    """A table of at most so many rows, which says how many there are."""
    if not rows:
        return Section("", [])
    parts: list[Part] = [Table(head, rows[:most])]
    if len(rows) > most:
        parts.append(Sentence(f"and {len(rows) - most:,} more"))
    return Section(title, parts, f"{len(rows):,}")


def _is_unloadable(results: Results, conversation: Conversation) -> bool:
    cell = results.batch.cells.get(conversation.cell)
    return cell is not None and bool(cell.error) and conversation.figures is None


def _cells_in_error(results: Results) -> Section:
    rows = [(cell.name, cell.error) for cell in results.batch.cells.values() if cell.error]
    return _table("cells that cannot run", ("cell", "why"), rows)


def _reruns(results: Results) -> Section:
    rows = [
        (c.key, f"{c.reruns:,}", c.because or NOTHING) for c in results.conversations if c.reruns
    ]
    return _table("run again", ("conversation", "times", "because"), rows[:MOST_ROWS])


def _table(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Section:
    return Section(title, [Table(head, rows)] if rows else [])


def _plots(dimension: str, by: Sequence[Group]) -> list[Plot]:
    labels = [group.name for group in by]
    firsts = [group.first for group in by]
    many = {"persona": "personas", "provider": "providers", "cell": "cells"}
    over = many.get(dimension, dimension)
    bad = [first.rates["bad"].value for first in firsts]
    series: list[tuple[str, str, list[float | None]]] = [
        ("went wrong", "%", [None if value is None else value * 100 for value in bad]),
        ("turns a conversation", "turns", [first.turns_each for first in firsts]),
        ("a provider's turn, median", "s", [_latency(first, 0) for first in firsts]),
        ("a provider's turn, 95th percentile", "s", [_latency(first, 1) for first in firsts]),
        ("tokens", "tokens", [first.tokens for first in firsts]),
        ("cost", "$", [first.cost for first in firsts]),
    ]
    return [
        Plot(name, unit, over, labels, values)
        for name, unit, values in series
        if any(value is not None for value in values)
    ]


def _latency(summary: Summary, which: int) -> float | None:
    if summary.latency is None:
        return None
    return (summary.latency.p50, summary.latency.p95)[which]
