"""Confidence intervals of rates, means and their differences, sign tests, and percentiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Z: Final = 1.959963984540054
"""The normal quantile of a two-sided 95 % interval."""

_T: Final = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


def student_t(freedom: int | None) -> float:
    """The quantile of Student's t for a two-sided 95 % interval.

    `freedom` is the number of degrees of freedom; None and large numbers give the normal quantile.
    """
    if freedom is None or freedom > len(_T):
        return Z
    return _T[max(1, freedom) - 1]


@dataclass(slots=True, frozen=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float

    @property
    def includes_zero(self) -> bool:
        return self.low <= 0.0 <= self.high

    def as_list(self) -> list[float]:
        """`[low, high]`, rounded to three digits."""
        return [round(self.low, 3), round(self.high, 3)]


def rounded(value: float | None) -> float | None:
    """A figure rounded to three digits for JSON; None where it is not known."""
    return None if value is None else round(value, 3)


@dataclass(slots=True, frozen=True)
class Spread:
    """Percentiles of `n` values, by linear interpolation; `total` is their sum."""

    n: int
    p50: float
    p90: float
    p95: float
    max: float
    total: float


def spread(values: Sequence[float]) -> Spread | None:
    """The percentiles of values; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return Spread(
        len(ordered),
        percentile(ordered, 0.5),
        percentile(ordered, 0.9),
        percentile(ordered, 0.95),
        ordered[-1],
        math.fsum(ordered),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The percentile `share` (0 to 1) of values, by linear interpolation.

    `ordered` is sorted and not empty.
    """
    position = share * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def wilson(bad: float, n: float, z: float = Z) -> Interval:
    """The Wilson score interval of the rate `bad / n`; 0 to 1 where `n` is 0."""
    if n <= 0:
        return Interval(0.0, 1.0)
    rate = bad / n
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def newcombe(bad_a: float, n_a: float, bad_b: float, n_b: float, z: float = Z) -> Interval:
    """Newcombe's hybrid score interval of `bad_a / n_a - bad_b / n_b`, for independent rates.

    Also valid where a rate is 0 or 1. Numbers need not be whole; `n_a` and `n_b` are above 0.
    """
    rate_a, rate_b = bad_a / n_a, bad_b / n_b
    a, b = wilson(bad_a, n_a, z), wilson(bad_b, n_b, z)
    difference = rate_a - rate_b
    return Interval(
        difference - math.hypot(rate_a - a.low, b.high - rate_b),
        difference + math.hypot(a.high - rate_a, rate_b - b.low),
    )


def design_effect(clusters: Sequence[tuple[int, int]]) -> float:
    """The factor by which correlation within runs increases the variance of the rate.

    `clusters` are `(bad, n)` of each run. The result is the variance of the rate estimated over
    runs, divided by that of as many independent calls; at least 1, and 1 where it cannot be
    estimated: with fewer than two runs, or where all calls are bad, or none.
    """
    nonempty = [(bad, n) for bad, n in clusters if n > 0]
    total = sum(n for _, n in nonempty)
    bad = sum(bad for bad, _ in nonempty)
    if len(nonempty) < 2 or bad in (0, total):
        return 1.0
    rate = bad / total
    count = len(nonempty)
    between = sum((b - rate * n) ** 2 for b, n in nonempty) * count / (count - 1) / total**2
    return max(1.0, between / (rate * (1 - rate) / total))


def rate_interval(clusters: Sequence[tuple[int, int]]) -> Interval:
    """The Wilson interval of a rate over clusters `(bad, n)` whose members may be alike."""
    effect = design_effect(clusters)
    return wilson(sum(bad for bad, _ in clusters) / effect, sum(n for _, n in clusters) / effect)


def newcombe_paired(
    both: float, only_a: float, only_b: float, neither: float, z: float = Z
) -> Interval:
    """Newcombe's score interval of the rate of A minus that of B, where they are paired.

    The arguments are numbers of pairs (not all 0, need not be whole) in which the event happened
    on both sides, on one, on none. Also valid where no pair differs.
    """
    n = both + only_a + only_b + neither
    rate_a, rate_b = (both + only_a) / n, (both + only_b) / n
    a, b = wilson(both + only_a, n, z), wilson(both + only_b, n, z)
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    product = both * neither - only_a * only_b
    # The continuity correction that Newcombe recommends for positive correlations.
    corrected = max(product - n / 2, 0.0) if product > 0 else product
    phi = corrected / math.sqrt(margins) if margins > 0 else 0.0
    difference = rate_a - rate_b
    low_a, high_a = rate_a - a.low, a.high - rate_a
    low_b, high_b = rate_b - b.low, b.high - rate_b
    low = low_a * low_a - 2 * phi * low_a * high_b + high_b * high_b
    high = high_a * high_a - 2 * phi * high_a * low_b + low_b * low_b
    return Interval(difference - math.sqrt(max(0.0, low)), difference + math.sqrt(max(0.0, high)))


def sign_test(up: int, down: int) -> float:
    """The two-sided p-value of the exact sign test; of rates that are paired, McNemar's test.

    `up` and `down` are the numbers of pairs that differ, in each direction.
    """
    n, fewer = up + down, min(up, down)
    if 2 * fewer >= n:
        return 1.0
    term = total = 1
    for k in range(fewer):
        term = term * (n - k) // (k + 1)
        total += term
    return min(1.0, 2 * total / (1 << n))


def likeness(clusters: Sequence[Sequence[float]]) -> float:
    """The design effect of a mean: its variance over clusters, divided by that of as many values
    that are independent; at least 1, and 1 where it cannot be estimated."""
    nonempty = [cluster for cluster in clusters if cluster]
    values = [value for cluster in nonempty for value in cluster]
    n, count = len(values), len(nonempty)
    if not 1 < count < n:
        return 1.0
    middle = math.fsum(values) / n
    within = math.fsum((value - middle) ** 2 for value in values) / (n - 1) / n
    sums = (math.fsum(value - middle for value in cluster) for cluster in nonempty)
    between = math.fsum(total * total for total in sums) * count / (count - 1) / n**2
    return max(1.0, between / within) if within > 0 else 1.0


@dataclass(slots=True, frozen=True)
class Mean:
    """The mean of `n` values with its 95 % interval, which is None for a single value."""

    n: int
    value: float
    interval: Interval | None


def mean(clusters: Sequence[Sequence[float]]) -> Mean | None:
    """The mean of values in clusters whose members may be alike; None without values.

    The interval is Student's, over the values, or where those of a cluster are alike
    (`likeness()`), over the clusters.
    """
    values = [value for cluster in clusters for value in cluster]
    n = len(values)
    if not n:
        return None
    middle = math.fsum(values) / n
    if n == 1:
        return Mean(1, middle, None)
    effect = likeness(clusters)
    variance = math.fsum((value - middle) ** 2 for value in values) / (n - 1) / n * effect
    independent = n if effect == 1.0 else sum(1 for cluster in clusters if cluster)
    half = student_t(independent - 1) * math.sqrt(variance)
    return Mean(n, middle, Interval(middle - half, middle + half))
