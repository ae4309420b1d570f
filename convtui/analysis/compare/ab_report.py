"""The comparison of two arms of runs as a report."""

from __future__ import annotations

from typing import Final

from convtui.analysis.compare.ab import METHOD, AbComparison, Verdict
from convtui.analysis.profile.profile import Profile, SideStats
from convtui.analysis.profile.report import NO_RATE, interval_words, points, rate
from convtui.analysis.report.intervals import Spread
from convtui.analysis.report.plots import figure
from convtui.analysis.report.report import Report, Section, Sentence, Sides, Tone
from convtui.analysis.report.report import Verdict as ReportVerdict
from convtui.transcript.ending_words import short_ending

_TONES: Final[dict[Verdict, Tone]] = {
    "warm": "good", "cold": "bad", "tie": "doubtful", "none": "doubtful",
}  # fmt: skip
_SIGNS: Final[dict[Verdict, str]] = {"warm": "A", "cold": "B", "tie": "=", "none": "?"}


def ab_report(comparison: AbComparison) -> Report:
    """The verdict, the improvement with its interval, and both arms side by side."""
    sentences = []
    interval = comparison.interval
    if comparison.improvement is not None:
        text = f"{comparison.improvement * 100:+.1f} points"
        if interval is not None:
            text += f", 95 % {interval_words(interval)}"
        sentences.append(Sentence(text, "improvement (cold minus warm)"))
    notes = [Sentence(note, "note", "doubtful") for note in comparison.notes]
    if interval is not None:
        notes.append(Sentence(METHOD, "interval", "aside"))
    verdict = comparison.verdict
    return Report(
        [Section("", [*sentences, Sides(rows(comparison), ("warm", "cold")), *notes])],
        title=comparison.test_name,
        verdict=ReportVerdict(
            verdict_words(comparison), _TONES[verdict], "result", _SIGNS[verdict]
        ),
    )


def rows(comparison: AbComparison) -> list[tuple[str, str, str]]:
    """Both arms side by side, as text: name, warm, cold."""
    a, b = comparison.warm.profile, comparison.cold.profile
    table = [
        ("runs", f"{len(a.runs):,}", f"{len(b.runs):,}"),
        ("tool calls", f"{a.tally.calls:,}", f"{b.tally.calls:,}"),
        ("errors", f"{a.tally.failed:,}", f"{b.tally.failed:,}"),
    ]
    if a.tally.unknown or b.tally.unknown:
        table.append(("unknown", f"{a.tally.unknown:,}", f"{b.tally.unknown:,}"))
    table += [
        ("error rate", rate(a.tally), rate(b.tally)),
        ("turns", f"{a.committed_turns:,}", f"{b.committed_turns:,}"),
        ("turns a run", _mean(a), _mean(b)),
    ]
    if a.discarded or b.discarded:
        table.append(("discarded", f"{a.discarded:,}", f"{b.discarded:,}"))
    if a.errors or b.errors:
        table.append(("turns with errors", f"{a.errors:,}", f"{b.errors:,}"))
    sides_a = {side.side: side for side in a.sides}
    sides_b = {side.side: side for side in b.sides}
    for name in dict.fromkeys((*sides_a, *sides_b)):
        table += _side_rows(name, sides_a.get(name), sides_b.get(name))
    table.append(("cost", _cost(a.cost), _cost(b.cost)))
    for ending in dict.fromkeys((*a.endings, *b.endings)):
        shown = (f"{a.endings[ending]:,}", f"{b.endings[ending]:,}")
        table.append((f"ended: {short_ending(ending)}", *shown))
    return [(name, one, other) for name, one, other in table if (one, other) != (NO_RATE, NO_RATE)]


def _side_rows(name: str, a: SideStats | None, b: SideStats | None) -> list[tuple[str, str, str]]:
    table = []
    for what, unit in (("latency", "s"), ("tokens", "")):
        spreads: list[Spread | None] = [getattr(side, what, None) for side in (a, b)]
        for share in ("p50", "p95"):
            one, other = (
                NO_RATE if spread is None else figure(getattr(spread, share), unit)
                for spread in spreads
            )
            table.append((f"{name} {what}, {share}", one, other))
    return table


def _mean(profile: Profile) -> str:
    return f"{profile.committed_turns / len(profile.runs):.1f}"


def _cost(cost: float | None) -> str:
    return NO_RATE if cost is None else figure(cost, "$")


def verdict_words(comparison: AbComparison) -> str:
    """The verdict in one sentence."""
    if comparison.improvement is None:
        return f"no verdict: {comparison.why}"
    size = points(comparison.improvement)
    if comparison.verdict == "tie":
        return f"a tie: {comparison.why}"
    fewer = "warm" if comparison.improvement > 0 else "cold"
    if comparison.verdict == "none":
        return f"no verdict: {fewer} has {size} fewer errors; {comparison.why}"
    return f"{fewer} has {size} fewer errors; {comparison.why}"
