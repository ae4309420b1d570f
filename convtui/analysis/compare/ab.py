"""Two arms of runs against each other: warm (A) against cold (B).

What is compared is the share of tool calls that failed. Calls of one run are alike, so many calls
in few runs say less than they seem to: the interval of the difference counts them as that many
independent calls as their variation between runs allows (`intervals.design_effect`), and takes
Student's t over the runs; intervals for independent calls promise 95 % and hold far less where
runs differ. With a single run in an arm nothing tells what the arm does from what
that run happened to do: there is no verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from convtui.analysis.profile.data import spread_dict, tally_dict
from convtui.analysis.profile.profile import Profile, RunProfile, combine
from convtui.analysis.report.intervals import Interval, design_effect, newcombe, rounded, student_t
from convtui.errors import UsageError

METHOD: Final = (
    "Newcombe's score interval, 95 %, calls of one run taken as alike (design effect, Student's t"
    " over runs)"
)
Verdict = Literal["warm", "cold", "tie", "none"]


@dataclass(slots=True)
class Arm:
    """One arm: its runs together."""

    name: str
    """`warm` or `cold`."""
    profile: Profile
    effect: float
    """Its design effect: how many of its calls say as much as one independent call."""

    @property
    def runs_with_calls(self) -> int:
        """Runs in which the outcome of a tool call is known."""
        return sum(run.tally.known > 0 for run in self.profile.runs)


@dataclass(slots=True)
class AbComparison:
    """Warm against cold."""

    test_name: str
    warm: Arm
    cold: Arm
    improvement: float | None
    """The cold error rate minus the warm one; None where one is not known."""
    interval: Interval | None
    verdict: Verdict
    """Which arm has fewer errors; `tie` for equal rates, `none` where that is not known."""
    why: str
    """Why there is no verdict, or what it rests on."""
    notes: list[str] = field(default_factory=list)

    @property
    def warm_better(self) -> bool:
        """Whether the warm error rate is lower, however little that says; a tie is none."""
        return self.improvement is not None and self.improvement > 0


def compare_arms(
    warm: Sequence[RunProfile], cold: Sequence[RunProfile], test_name: str = ""
) -> AbComparison:
    """Compares two arms. Raises `UsageError` for an arm without runs, or a log in both."""
    for runs, name in ((warm, "the first (warm)"), (cold, "the second (cold)")):
        if not runs:
            raise UsageError(f"there is no run in {name} of the two arms")
    both = {run.path.absolute() for run in warm} & {run.path.absolute() for run in cold}
    if both:
        raise UsageError(f"{sorted(both)[0]}: this log is in both arms")
    a, b = _arm("warm", warm), _arm("cold", cold)
    rate_a, rate_b = a.profile.tally.error_rate, b.profile.tally.error_rate
    name = test_name or f"{_many(len(warm))} warm against {_many(len(cold))} cold"
    if rate_a is None or rate_b is None:
        where = [arm.name for arm in (a, b) if arm.profile.tally.error_rate is None]
        why = f"no tool call with a known outcome in the {' and the '.join(where)} arm"
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
    """Of cold minus warm."""
    (bad_a, n_a), (bad_b, n_b) = _effective(a), _effective(b)
    freedom = a.runs_with_calls + b.runs_with_calls - 2
    several = min(a.runs_with_calls, b.runs_with_calls) > 1
    return newcombe(bad_b, n_b, bad_a, n_a, student_t(freedom if several else None))


def _effective(arm: Arm) -> tuple[float, float]:
    """Failures and calls, as many as say the same when they are independent."""
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
            notes.append(f"{arm.name}: {_many(unfinished)} did not come to an ordinary end")
    return notes


def _many(count: int) -> str:
    return f"{count:,} run{'' if count == 1 else 's'}"


def as_dict(comparison: AbComparison) -> dict[str, Any]:
    """The comparison as plain data; what is unknown is null."""
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
        "turns": profile.said,
        "discarded": profile.discarded,
        "errors": profile.errors,
        "endings": dict(profile.endings),
        "cost": profile.cost,
        "latency": {side.side: spread_dict(side.latency) for side in profile.sides},
        "tokens": {side.side: spread_dict(side.tokens) for side in profile.sides},
    }
