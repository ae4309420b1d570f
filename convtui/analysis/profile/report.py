"""A profile as plain data and as tables in words. Texts are exact: make them visible to draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from convtui.analysis.profile.profile import Profile, RunProfile, SideStats
from convtui.analysis.report.intervals import Interval, Spread
from convtui.analysis.report.plots import figure
from convtui.analysis.tool_calls.gains import MIN_CALLS, Gain, Tally
from convtui.analysis.tool_calls.outcomes import RULES
from convtui.transcript.corrections import FLAG_WORDS

UNKNOWN: Final = "unknown"
NO_RATE: Final = "-"
MOST_RUNS: Final = 200
"""Runs that have a row of their own."""
RUNS_HEAD: Final = ("run", "turns", "calls", "error rate", "early", "late", "ended")


@dataclass(slots=True, frozen=True)
class Section:
    """A table: its title, its head (empty without one), its rows, and a sentence below it."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""


def rate(tally: Tally) -> str:
    """`27.3 % (3 of 11)`; a dash where nothing is known."""
    found = tally.error_rate
    return NO_RATE if found is None else f"{found * 100:.1f} % ({tally.failed} of {tally.known})"


def points(change: float) -> str:
    """A difference of two rates: `30.0 points`."""
    return f"{abs(change) * 100:.1f} points"


def gain_words(gain: Gain) -> str:
    """Early against late in one sentence, and whether that says anything."""
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
    said = f"early fifth {early}, late fifth {late}: {how}"
    if gain.interval is not None and not gain.overlap:
        said += f" (95 % interval {interval_words(gain.interval)})"
    return said if gain.verdict != "none" else f"{said}; no verdict: {gain.why}"


def interval_words(interval: Interval) -> str:
    """`-45.1 to +3.0 points`."""
    return f"{interval.low * 100:+.1f} to {interval.high * 100:+.1f} points"


def sections(profile: Profile) -> list[Section]:
    """The whole profile as tables; those with nothing to tell are left out."""
    found = [Section("", (), _about(profile))]
    if profile.tools:
        found.append(_tools(profile))
        found.append(_rules(profile))
    found.append(_took(profile))
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
            found.append(Section(title, (), rows))
    if len(profile.runs) > 1:
        found.append(_runs(profile))
    return [section for section in found if section.rows]


def _kind(title: str, name: str) -> str:
    return name.replace("_", " ") if title.endswith("ended") else name


def _about(profile: Profile) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    if len(profile.runs) == 1:
        run = profile.runs[0]
        rows += [
            ("log", run.path.name),
            ("who", f"{run.persona or '?'} → {run.provider or '?'}"),
            ("ended", run.ending.replace("_", " ")),
        ]
    else:
        rows.append(("runs", f"{len(profile.runs):,}"))
    taken = f" and {profile.inherited:,} from before it" if profile.inherited else ""
    rows.append(("turns", f"{profile.said:,}{taken}, sessions {profile.sessions:,}"))
    for name, count in (
        ("discarded", profile.discarded),
        ("turns with errors", profile.errors),
        ("retries", profile.retries),
    ):
        if count:
            rows.append((name, f"{count:,}"))
    if profile.cost is not None:
        rows.append(("cost", figure(profile.cost, "$")))
    tally = profile.tally
    if tally.calls:
        rows += [
            ("tool calls", _calls_words(tally)),
            ("error rate", rate(tally)),
            ("early and late", gain_words(profile.gain)),
            ("mostly", profile.dominant_type or UNKNOWN),
        ]
    else:
        rows.append(("tool calls", "none"))
    if profile.trivial:
        rows.append(("left out", f"{profile.trivial:,} calls of trivial tools"))
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
    return Section("tools", head, rows)


def _rules(profile: Profile) -> Section:
    rows = [
        (rule, f"{profile.rules[rule]:,}", RULES[rule]) for rule in RULES if profile.rules[rule]
    ]
    return Section("how the outcome was found", ("rule", "calls", "what it looks at"), rows)


def _took(profile: Profile) -> Section:
    rows = []
    for side in profile.sides:
        for name, unit, values in (("latency", "s", side.latency), ("tokens", "", side.tokens)):
            if values is not None:
                shown = (values.p50, values.p90, values.p95, values.max)
                each = tuple(figure(value, unit) for value in shown)
                rows.append((f"{side.side} {name}", f"{values.n:,}", *each))
    return Section("what a turn took", ("", "turns", "p50", "p90", "p95", "max"), rows)


def _runs(profile: Profile) -> Section:
    rows = [run_row(run) for run in profile.runs[:MOST_RUNS]]
    more = len(profile.runs) - len(rows)
    return Section("runs", RUNS_HEAD, rows, f"and {more:,} more" if more else "")


def run_row(run: RunProfile) -> tuple[str, ...]:
    """A run below `RUNS_HEAD`."""
    return (
        run.path.name,
        f"{run.said:,}",
        f"{run.tally.calls:,}",
        _short(run.tally),
        _short(run.early),
        _short(run.late),
        run.ending.replace("_", " "),
    )


def _short(tally: Tally) -> str:
    """`27 % 3/11`."""
    found = tally.error_rate
    return NO_RATE if found is None else f"{found * 100:.0f} % {tally.failed}/{tally.known}"


RULE_OF_VERDICT: Final = (
    "A fifth is max(1, calls // 5) calls of a run. There is no verdict on early against late"
    f" with fewer than {MIN_CALLS} calls whose outcome is known, with fifths that are the same"
    " call, and where the 95 % interval of the difference (Newcombe's; of several runs, calls of"
    " one run taken as alike) includes 0. Rates are those of calls with a known outcome."
)


def as_dict(profile: Profile) -> dict[str, Any]:
    """The profile as plain data; texts are exact, what is unknown is null.

    The names of a session profile of warm-session provisioning are kept, of one run and of several.
    """
    return {
        **_figures(profile),
        "trivial_calls": profile.trivial,
        "tool_types": {tool.name: tool.type for tool in profile.tools},
        "tools": [
            {
                "name": tool.name,
                "type": tool.type,
                **tally_dict(tool.tally),
                "seconds": spread_dict(tool.seconds),
            }
            for tool in profile.tools
        ],
        "decided_by": dict(profile.rules),
        "rules": {rule: RULES[rule] for rule in profile.rules},
        "signals": dict(profile.signals),
        "incomplete": dict(profile.incomplete),
        "decisions": dict(profile.decisions),
        "noticed": dict(profile.noticed),
        "endings": dict(profile.endings),
        "session_endings": dict(profile.session_endings),
        "turns": profile.said,
        "inherited_turns": profile.inherited,
        "sessions": profile.sessions,
        "discarded": profile.discarded,
        "errors": profile.errors,
        "retries": profile.retries,
        "cost": profile.cost,
        "sides": {side.side: _side(side) for side in profile.sides},
        "runs": [_run(run) for run in profile.runs],
    }


def tally_dict(tally: Tally) -> dict[str, Any]:
    """Calls and how they went."""
    return {
        "calls": tally.calls,
        "ok": tally.ok,
        "failed": tally.failed,
        "unknown": tally.unknown,
        "error_rate": _round(tally.error_rate),
    }


def spread_dict(values: Spread | None) -> dict[str, Any] | None:
    """Percentiles."""
    if values is None:
        return None
    found: dict[str, Any] = {"n": values.n}
    for name in ("p50", "p90", "p95", "max", "total"):
        found[name] = _round(getattr(values, name), 4)
    return found


def gain_dict(gain: Gain) -> dict[str, Any]:
    """Early against late."""
    interval = gain.interval
    return {
        "early": tally_dict(gain.early),
        "late": tally_dict(gain.late),
        "change": _round(gain.change),
        "interval": None if interval is None else [_round(interval.low), _round(interval.high)],
        "overlap": gain.overlap,
        "verdict": None if gain.verdict == "none" else gain.verdict,
        "why": gain.why or None,
    }


def _figures(profile: Profile) -> dict[str, Any]:
    tally, gain = profile.tally, profile.gain
    return {
        "session_ids": [run.id for run in profile.runs],
        "tool_call_count": tally.calls,
        "successful_calls": tally.ok,
        "failed_calls": tally.failed,
        "unknown_calls": tally.unknown,
        "error_rate": _round(tally.error_rate),
        "early_error_rate": _round(gain.early.error_rate),
        "late_error_rate": _round(gain.late.error_rate),
        "proficiency_gain": _round(gain.change),
        "gain": gain_dict(gain),
        "dominant_tool_type": profile.dominant_type,
        "tool_distribution": {tool.name: tool.tally.calls for tool in profile.tools},
        "tool_success_rates": {
            tool.name: None
            if tool.tally.error_rate is None
            else _round(tool.tally.ok / tool.tally.known)
            for tool in profile.tools
        },
    }


def _run(run: RunProfile) -> dict[str, Any]:
    return {
        "id": run.id,
        "log": str(run.path),
        "persona": run.persona,
        "provider": run.provider,
        "created_at": run.created_at,
        "ending": run.ending,
        "sessions": list(run.sessions),
        "turns": run.said,
        "inherited_turns": run.inherited,
        "discarded": run.discarded,
        "errors": run.errors,
        **tally_dict(run.tally),
        "proficiency_gain": _round(run.gain.change),
        "findings": run.damage,
    }


def _side(side: SideStats) -> dict[str, Any]:
    return {
        "turns": side.turns,
        "latency": spread_dict(side.latency),
        "tokens": spread_dict(side.tokens),
        "calls": side.calls,
        "retries": side.retries,
        "prompt_tokens": side.prompt_tokens,
        "completion_tokens": side.completion_tokens,
        "cost": side.cost,
    }


def _round(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)
