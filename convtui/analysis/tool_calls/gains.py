"""Tallies of tool calls, and whether later calls of a run went better than earlier ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from convtui.analysis.report.intervals import Interval, design_effect, newcombe, student_t

MIN_CALLS: Final = 10
"""Calls with a known outcome below which there is no verdict on early against late."""

Verdict = Literal["better", "worse", "none"]


@dataclass(slots=True, frozen=True)
class Tally:
    """Numbers of calls by outcome. Addable."""

    calls: int = 0
    ok: int = 0
    failed: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.calls + other.calls, self.ok + other.ok, self.failed + other.failed)

    @property
    def unknown(self) -> int:
        """Calls whose outcome is not known."""
        return self.calls - self.ok - self.failed

    @property
    def known(self) -> int:
        """Calls whose outcome is known, the base of `error_rate`."""
        return self.ok + self.failed

    @property
    def error_rate(self) -> float | None:
        """The share of failures among the known calls, 0 to 1; None without known calls."""
        return self.failed / self.known if self.known else None


@dataclass(slots=True, frozen=True)
class Gain:
    """The first fifth of a run's calls against the last.

    A fifth is `max(1, calls // 5)` calls. Over several runs the fifths are added up, without those
    of runs with a single call.
    """

    early: Tally
    late: Tally
    overlap: bool
    """Whether both fifths are the same call, the only one."""
    interval: Interval | None
    """Of `late - early`, where both rates are known."""
    verdict: Verdict
    why: str
    """Why there is no verdict; empty where there is one."""

    @property
    def change(self) -> float | None:
        """The late rate minus the early one; negative is an improvement."""
        early, late = self.early.error_rate, self.late.error_rate
        return None if early is None or late is None else late - early


def count(outcomes: Iterable[bool | None]) -> Tally:
    """Counts outcomes: True is a success, False a failure, None unknown."""
    counted = Counter(outcomes)
    return Tally(counted.total(), counted[True], counted[False])


def fifths(outcomes: Sequence[bool | None]) -> tuple[Tally, Tally]:
    """The tallies of the first and the last fifth of a run's calls, which are in order."""
    split = max(1, len(outcomes) // 5)
    return count(outcomes[:split]), count(outcomes[-split:])


def gain_of(runs: Sequence[Sequence[bool | None]]) -> Gain:
    """The early calls of runs against their late ones; `runs` has each run's outcomes in order."""
    with_calls = [outcomes for outcomes in runs if outcomes]
    several = [outcomes for outcomes in with_calls if len(outcomes) > 1]
    overlap = bool(with_calls) and not several
    counted = several or with_calls
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
    """Of `late - early`; with a design effect where there are several runs."""
    first = design_effect([(part.failed, part.known) for part, _ in parts])
    last = design_effect([(part.failed, part.known) for _, part in parts])
    return newcombe(
        late.failed / last,
        late.known / last,
        early.failed / first,
        early.known / first,
        student_t(2 * len(parts) - 2 if len(parts) > 1 else None),
    )
