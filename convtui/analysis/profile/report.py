"""A profile as a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from convtui.analysis.profile.plots import plots_of
from convtui.analysis.profile.profile import Profile, RunProfile
from convtui.analysis.report.intervals import Interval
from convtui.analysis.report.plots import figure
from convtui.analysis.report.report import Part, Report, Section, Sentence, Table
from convtui.analysis.tool_calls.gains import MIN_CALLS, Gain, Tally
from convtui.analysis.tool_calls.outcomes import RULES
from convtui.text.counts import counted
from convtui.transcript.corrections import FLAG_WORDS
from convtui.transcript.ending_words import ending_phrase, short_ending

NO_RATE: Final = "-"
MOST_RUNS: Final = 200
"""Runs that get a row at most."""
RUNS_HEAD: Final = ("run", "turns", "calls", "error rate", "early", "late", "ended")


def rate(tally: Tally) -> str:
    """`27.3 % (3 of 11)`; `NO_RATE` where no outcome is known."""
    if tally.error_rate is None:
        return NO_RATE
    return f"{tally.error_rate * 100:.1f} % ({tally.failed} of {tally.known})"


def points(change: float) -> str:
    """The size of a difference of two rates, without its sign: `30.0 points`."""
    return f"{abs(change) * 100:.1f} points"


def gain_words(gain: Gain) -> str:
    """The early calls against the late ones in one sentence, with the verdict if there is one."""
    change = gain.change
    if change is None:
        return f"no verdict: {gain.why}"
    early, late = rate(gain.early), rate(gain.late)
    if change == 0:
        how = "the same error rate late as early"
    elif change < 0:
        how = f"{points(change)} fewer errors late than early, an improvement"
    else:
        how = f"{points(change)} more errors late than early"
    text = f"early fifth {early}, late fifth {late}: {how}"
    if gain.interval is not None and not gain.overlap:
        text += f" (95 % interval {interval_words(gain.interval)})"
    return text if gain.verdict != "none" else f"{text}; no verdict: {gain.why}"


def interval_words(interval: Interval) -> str:
    """`-45.1 to +3.0 points`."""
    return f"{interval.low * 100:+.1f} to {interval.high * 100:+.1f} points"


def profile_report(profile: Profile, more: Sequence[tuple[str, str]] = ()) -> Report:
    """The whole profile; the rows `more` are added to the first table."""
    closing = RULE_OF_VERDICT if profile.tally.calls else ""
    return Report(sections(profile, more), plots_of(profile), closing=closing)


def profile_page(profile: Profile) -> Report:
    """The whole profile with a title, for a page of its own."""
    runs = profile.runs
    subject = runs[0].path.name if len(runs) == 1 else f"{len(runs):,} runs"
    return replace(profile_report(profile), title=f"Profile of {subject}")


def sections(profile: Profile, more: Sequence[tuple[str, str]] = ()) -> list[Section]:
    """The profile as tables; empty ones are left out."""
    tables = [_section("", (), [*_about(profile), *more])]
    if profile.tools:
        tables += [_tools(profile), _rules(profile)]
    tables.append(_took(profile))
    for title, counter in (
        ("signals (turns)", profile.signals),
        ("incomplete replies (turns)", profile.incomplete),
        ("decisions", profile.decisions),
        ("noticed (turns)", Counter({FLAG_WORDS[n]: k for n, k in profile.noticed.items()})),
        ("runs ended", profile.endings if len(profile.runs) > 1 else Counter[str]()),
        ("sessions ended", profile.session_endings if profile.sessions > 1 else Counter[str]()),
    ):
        if counter:
            rows = [(_kind(title, name), f"{n:,}") for name, n in counter.most_common()]
            tables.append(_section(title, (), rows))
    if len(profile.runs) > 1:
        tables.append(_runs(profile))
    return [section for section in tables if section.parts]


def _section(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Section:
    return Section(title, [Table(head, rows)] if rows else [])


def _kind(title: str, name: str) -> str:
    return short_ending(name) if title.endswith("ended") else name


def _about(profile: Profile) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    if len(profile.runs) == 1:
        run = profile.runs[0]
        rows += [
            ("log", run.path.name),
            ("who", f"{run.persona or '?'} → {run.provider or '?'}"),
            ("ended", ending_phrase(run.ending)),
        ]
    else:
        rows.append(("runs", f"{len(profile.runs):,}"))
    taken = f" and {profile.inherited:,} from before it" if profile.inherited else ""
    sessions = counted(profile.sessions, "session")
    rows.append(("turns", f"{profile.committed_turns:,}{taken}, in {sessions}"))
    for name, count in (
        ("discarded", profile.discarded),
        ("turns with errors", profile.errors),
        ("retries", profile.retries),
    ):
        before = profile.inherited_discarded if name == "discarded" else 0
        if count or before:
            more = f" and {before:,} from before it" if before else ""
            rows.append((name, f"{count:,}{more}"))
    if profile.cost is not None:
        rows.append(("cost", figure(profile.cost, "$")))
    tally = profile.tally
    if tally.calls:
        rows += [
            ("tool calls", _calls_words(tally)),
            ("error rate", rate(tally)),
            ("early and late", gain_words(profile.gain)),
            ("mostly", profile.dominant_type or "-"),
        ]
    else:
        rows.append(("tool calls", "none"))
    if profile.trivial:
        rows.append(("left out", f"{counted(profile.trivial, 'call')} of trivial tools"))
    damaged = sum(bool(run.damage) for run in profile.runs)
    if damaged:
        which = f"{damaged:,} of the logs" if len(profile.runs) > 1 else "the log"
        rows.append(("damaged", f"{which}: what cannot be read is not counted"))
    return rows


def _calls_words(tally: Tally) -> str:
    lost = f", {tally.unknown:,} unknown" if tally.unknown else ""
    return f"{tally.calls:,}: {tally.ok:,} ok, {tally.failed:,} failed{lost}"


def _tools(profile: Profile) -> Section:
    head = ("tool", "type", "calls", "ok", "failed", "unknown", "error rate", "median")
    rows = [
        (
            tool.name,
            tool.type,
            f"{tool.tally.calls:,}",
            f"{tool.tally.ok:,}",
            f"{tool.tally.failed:,}",
            f"{tool.tally.unknown:,}",
            rate(tool.tally),
            NO_RATE if tool.seconds is None else figure(tool.seconds.p50, "s"),
        )
        for tool in profile.tools
    ]
    return _section("tools", head, rows)


def _rules(profile: Profile) -> Section:
    rows = [
        (rule, f"{profile.rules[rule]:,}", RULES[rule]) for rule in RULES if profile.rules[rule]
    ]
    return _section("how the outcome was found", ("rule", "calls", "what it looks at"), rows)


def _took(profile: Profile) -> Section:
    rows = []
    for side in profile.sides:
        for name, unit, values in (("latency", "s", side.latency), ("tokens", "", side.tokens)):
            if values is not None:
                shown = (values.p50, values.p90, values.p95, values.max)
                figures = tuple(figure(value, unit) for value in shown)
                rows.append((f"{side.side} {name}", f"{values.n:,}", *figures))
    return _section("what a turn took", ("", "turns", "p50", "p90", "p95", "max"), rows)


def _runs(profile: Profile) -> Section:
    parts: list[Part] = [Table(RUNS_HEAD, [run_row(run) for run in profile.runs[:MOST_RUNS]])]
    more = len(profile.runs) - MOST_RUNS
    if more > 0:
        parts.append(Sentence(f"and {more:,} more"))
    return Section("runs", parts)


def run_row(run: RunProfile) -> tuple[str, ...]:
    """A run as a row of the table with the head `RUNS_HEAD`."""
    return (
        run.path.name,
        f"{run.committed_turns:,}",
        f"{run.tally.calls:,}",
        _short(run.tally),
        _short(run.early),
        _short(run.late),
        short_ending(run.ending),
    )


def _short(tally: Tally) -> str:
    """`27 % 3/11`."""
    if tally.error_rate is None:
        return NO_RATE
    return f"{tally.error_rate * 100:.0f} % {tally.failed}/{tally.known}"


RULE_OF_VERDICT: Final = (
    "A fifth is max(1, calls // 5) calls of a run. There is no verdict on early against late"
    f" with fewer than {MIN_CALLS} calls whose outcome is known, with fifths that are the same"
    " call, and where the 95 % interval of the difference (Newcombe's; of several runs, calls of"
    " one run taken as alike) includes 0. Rates are those of calls with a known outcome."
)
