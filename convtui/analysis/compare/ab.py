"""Compares two arms of runs: warm (A) against cold (B).

The figure compared is the error rate of tool calls. Calls of one run are correlated, so the
interval of the difference divides their number by a design effect (`intervals.design_effect`) and
uses Student's t over the runs; intervals for independent calls would have far less than their
nominal 95 % coverage where runs differ. With a single run in an arm, the effect of the arm cannot
be separated from that of the run: there is no verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from convtui.analysis.profile.data import spread_dict, tally_dict
from convtui.analysis.profile.profile import Profile, RunProfile, combine
from convtui.analysis.report.intervals import Interval, design_effect, newcombe, rounded, student_t
from convtui.errors import UsageError
from convtui.text.counts import counted

METHOD: Final = (
    "Newcombe's score interval, 95 %, calls of one run taken as alike (design effect, Student's t"
    " over runs)"
)
Verdict = Literal["warm", "cold", "tie", "none"]


@dataclass(slots=True)
class Arm:
    """The runs of one arm together."""

    name: str
    """`warm` or `cold`."""
    profile: Profile
    effect: float
    """The design effect: how many of its calls carry as much information as an independent one."""

    @property
    def runs_with_calls(self) -> int:
        """The number of runs in which the outcome of at least one tool call is known."""
        return sum(run.tally.known > 0 for run in self.profile.runs)


@dataclass(slots=True)
class AbComparison:
    """The comparison of the warm arm with the cold one."""

    test_name: str
    warm: Arm
    cold: Arm
    improvement: float | None
    """The cold error rate minus the warm one; None where either is not known."""
    interval: Interval | None
    """Of `improvement`."""
    verdict: Verdict
    """The arm with fewer errors; `tie` for equal rates, `none` where the data do not decide."""
    why: str
    """The reason for the verdict, or for its absence."""
    notes: list[str] = field(default_factory=list)
    """Reservations: unknown outcomes, correlated calls, unfinished runs."""

    @property
    def warm_better(self) -> bool:
        """Whether the warm error rate is lower, significant or not."""
        return self.improvement is not None and self.improvement > 0


def compare_arms(
    warm: Sequence[RunProfile], cold: Sequence[RunProfile], test_name: str = ""
) -> AbComparison:
    """Compares two arms of runs.

    Raises `UsageError` for an arm without runs, or for a log that is in both.
    """
    for runs, name in ((warm, "the first (warm)"), (cold, "the second (cold)")):
        if not runs:
            raise UsageError(f"there is no run in {name} of the two arms")
    both = {run.path.absolute() for run in warm} & {run.path.absolute() for run in cold}
    if both:
        raise UsageError(f"{sorted(both)[0]}: this log is in both arms")
    a, b = _arm("warm", warm), _arm("cold", cold)
    rate_a, rate_b = a.profile.tally.error_rate, b.profile.tally.error_rate
    name = test_name or f"{counted(len(warm), 'run')} warm against {counted(len(cold), 'run')} cold"
    if rate_a is None or rate_b is None:
        unknown = [arm.name for arm in (a, b) if arm.profile.tally.error_rate is None]
        why = f"no tool call with a known outcome in the {' and the '.join(unknown)} arm"
        return AbComparison(name, a, b, None, None, "none", why, _notes(a, b))
    improvement = rate_b - rate_a
    interval = _interval(a, b)
    single = [arm.name for arm in (a, b) if arm.runs_with_calls < 2]
    verdict: Verdict = "none"
    if improvement == 0:
        verdict, why = "tie", "the error rates are equal"
    elif single:
        why = (
            f"one run with tool calls in the {' and the '.join(single)} arm: that may be the run,"
            " not the arm"
        )
    elif interval.includes_zero:
        why = "the interval includes 0: with these runs the difference may be chance"
    else:
        verdict = "warm" if improvement > 0 else "cold"
        why = "the interval does not include 0"
    return AbComparison(name, a, b, improvement, interval, verdict, why, _notes(a, b))


def _arm(name: str, runs: Sequence[RunProfile]) -> Arm:
    clusters = [(run.tally.failed, run.tally.known) for run in runs]
    return Arm(name, combine(runs), design_effect(clusters))


def _interval(a: Arm, b: Arm) -> Interval:
    """Of the cold error rate minus the warm one."""
    (bad_a, n_a), (bad_b, n_b) = _effective(a), _effective(b)
    freedom = a.runs_with_calls + b.runs_with_calls - 2
    several = min(a.runs_with_calls, b.runs_with_calls) > 1
    return newcombe(bad_b, n_b, bad_a, n_a, student_t(freedom if several else None))


def _effective(arm: Arm) -> tuple[float, float]:
    """The effective numbers of failures and calls: divided by the design effect."""
    tally = arm.profile.tally
    return tally.failed / arm.effect, tally.known / arm.effect


def _notes(a: Arm, b: Arm) -> list[str]:
    notes = []
    for arm in (a, b):
        tally = arm.profile.tally
        if tally.unknown:
            notes.append(
                f"{arm.name}: how {tally.unknown} of {tally.calls} calls went is not known; they"
                " are in no rate"
            )
        if arm.effect > 1.05:
            fewer = max(1, round(tally.known / arm.effect))
            notes.append(f"{arm.name}: its runs differ; {tally.known} calls count as about {fewer}")
        unfinished = sum(
            count
            for ending, count in arm.profile.endings.items()
            if ending in ("running", "crashed", "failed", "interrupted")
        )
        if unfinished:
            notes.append(
                f"{arm.name}: {counted(unfinished, 'run')} did not come to an ordinary end"
            )
    return notes


def as_dict(comparison: AbComparison) -> dict[str, Any]:
    """The comparison as JSON-compatible data; what is unknown is None."""
    interval = comparison.interval
    warm, cold = comparison.warm.profile, comparison.cold.profile
    return {
        "test_name": comparison.test_name,
        "warm_session_errors": warm.tally.failed,
        "warm_session_total": warm.tally.calls,
        "cold_session_errors": cold.tally.failed,
        "cold_session_total": cold.tally.calls,
        "warm_error_rate": rounded(warm.tally.error_rate),
        "cold_error_rate": rounded(cold.tally.error_rate),
        "improvement": rounded(comparison.improvement),
        "warm_better": comparison.warm_better,
        "warm_session_id": warm.runs[0].id if len(warm.runs) == 1 else None,
        "cold_session_id": cold.runs[0].id if len(cold.runs) == 1 else None,
        "interval": interval and interval.as_list(),
        "method": METHOD,
        "verdict": None if comparison.verdict == "none" else comparison.verdict,
        "why": comparison.why,
        "notes": list(comparison.notes),
        "arms": {arm.name: _arm_dict(arm) for arm in (comparison.warm, comparison.cold)},
    }


def _arm_dict(arm: Arm) -> dict[str, Any]:
    profile = arm.profile
    return {
        "runs": len(profile.runs),
        "logs": [str(run.path) for run in profile.runs],
        "session_ids": [run.id for run in profile.runs],
        **tally_dict(profile.tally),
        "design_effect": round(arm.effect, 3),
        "turns": profile.committed_turns,
        "discarded": profile.discarded,
        "errors": profile.errors,
        "endings": dict(profile.endings),
        "cost": profile.cost,
        "latency": {side.side: spread_dict(side.latency) for side in profile.sides},
        "tokens": {side.side: spread_dict(side.tokens) for side in profile.sides},
    }
