"""Calls and how they went, and whether they went better late than early."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from convtui.analysis.report.intervals import Interval, design_effect, newcombe, student_t

MIN_CALLS: Final = 10
"""Calls with a known outcome below which early and late are not told apart."""

Verdict = Literal["better", "worse", "none"]


@dataclass(slots=True, frozen=True)
class Tally:
    """Calls and how they went. Addable."""

    calls: int = 0
    ok: int = 0
    failed: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.calls + other.calls, self.ok + other.ok, self.failed + other.failed)

    @property
    def unknown(self) -> int:
        """Calls that may have gone either way."""
        return self.calls - self.ok - self.failed

    @property
    def known(self) -> int:
        """Calls of which the rate is one."""
        return self.ok + self.failed

    @property
    def error_rate(self) -> float | None:
        """Failures among the known ones, 0 to 1; None where none is known."""
        return self.failed / self.known if self.known else None


@dataclass(slots=True, frozen=True)
class Gain:
    """Whether the calls went better late than early: the first and the last fifth of a run.

    A fifth is `max(1, calls // 5)` calls. Of several runs the fifths are added up, those of runs
    with a single call left out.
    """

    early: Tally
    late: Tally
    overlap: bool
    """Whether the same call is in both: there is only one."""
    interval: Interval | None
    """Of `late - early`, as far as both rates are known."""
    verdict: Verdict
    why: str
    """Why there is no verdict; empty where there is one."""

    @property
    def change(self) -> float | None:
        """The late rate minus the early one; negative is an improvement."""
        early, late = self.early.error_rate, self.late.error_rate
        return None if early is None or late is None else late - early


def count(outcomes: Iterable[bool | None]) -> Tally:
    """Outcomes as a tally."""
    counted = Counter(outcomes)
    return Tally(counted.total(), counted[True], counted[False])


def fifths(outcomes: Sequence[bool | None]) -> tuple[Tally, Tally]:
    """The first and the last fifth of calls in order; nothing at all of no calls."""
    split = max(1, len(outcomes) // 5)
    return count(outcomes[:split]), count(outcomes[-split:])


def gain_of(runs: Sequence[Sequence[bool | None]]) -> Gain:
    """Early against late, of the outcomes of each run's calls in order."""
    with_calls = [outcomes for outcomes in runs if outcomes]
    apart = [outcomes for outcomes in with_calls if len(outcomes) > 1]
    overlap = bool(with_calls) and not apart
    counted = apart or with_calls
    parts = [fifths(outcomes) for outcomes in counted]
    early = sum((first for first, _ in parts), Tally())
    late = sum((last for _, last in parts), Tally())
    known = sum(count(outcomes).known for outcomes in counted)
    interval: Interval | None = None
    if early.known and late.known:
        interval = _interval(early, late, parts)
    verdict: Verdict = "none"
    why = ""
    if not with_calls:
        why = "no tool calls"
    elif overlap:
        why = "the first and the last fifth are the same call"
    elif interval is None:
        why = "how the calls of one fifth went is not known"
    elif known < MIN_CALLS:
        why = f"fewer than {MIN_CALLS} calls with a known outcome"
    elif interval.includes_zero:
        why = "a difference like this is no surprise with so few calls"
    else:
        verdict = "better" if interval.high < 0 else "worse"
    return Gain(early, late, overlap, interval, verdict, why)


def _interval(early: Tally, late: Tally, parts: Sequence[tuple[Tally, Tally]]) -> Interval:
    """Of late minus early; of several runs with the calls of one run taken as alike."""
    first = design_effect([(part.failed, part.known) for part, _ in parts])
    last = design_effect([(part.failed, part.known) for _, part in parts])
    return newcombe(
        late.failed / last,
        late.known / last,
        early.failed / first,
        early.known / first,
        student_t(2 * len(parts) - 2 if len(parts) > 1 else None),
    )
