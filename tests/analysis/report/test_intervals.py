"""Intervals against published values, and where they degenerate."""

from __future__ import annotations

import math
import random

import pytest

from convtui.analysis.report.intervals import (
    likeness,
    mean,
    newcombe_paired,
    rate_interval,
    sign_test,
    wilson,
)


@pytest.mark.parametrize(
    ("pairs", "low", "high"),
    [((36, 12, 2, 0), 0.0569, 0.3404), ((36, 14, 0, 0), 0.1528, 0.4167)],
)
def test_paired_rates_as_newcombe_published_them(
    pairs: tuple[int, int, int, int], low: float, high: float
) -> None:
    """Newcombe 1998, Statistics in Medicine 17, table III, method 10."""
    interval = newcombe_paired(*pairs)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


def test_paired_rates_turn_round_with_their_sides() -> None:
    one, other = newcombe_paired(20, 9, 3, 8), newcombe_paired(20, 3, 9, 8)
    assert one.low == pytest.approx(-other.high) and one.high == pytest.approx(-other.low)


@pytest.mark.parametrize("pairs", [(5, 0, 0, 0), (0, 0, 0, 5), (0, 5, 0, 0), (0, 1, 0, 0)])
def test_paired_rates_at_the_edge_stay_in_range(pairs: tuple[int, int, int, int]) -> None:
    interval = newcombe_paired(*pairs)
    assert -1.0 <= interval.low <= interval.high <= 1.0


def test_paired_intervals_hold_what_they_say() -> None:
    """At least 93 % of the intervals contain the true difference of 0.1."""
    chance = random.Random(7)
    hits = 0
    for _ in range(600):
        counts = [0, 0, 0, 0]
        for _ in range(60):
            value = chance.random()
            counts[0 if value < 0.3 else 1 if value < 0.5 else 2 if value < 0.6 else 3] += 1
        interval = newcombe_paired(*counts)
        hits += interval.low <= 0.1 <= interval.high
    assert hits / 600 >= 0.93


@pytest.mark.parametrize(
    ("up", "down", "p"),
    [(0, 0, 1.0), (5, 5, 1.0), (6, 0, 2 / 64), (1, 9, 22 / 1024), (2000, 2100, 0.1221)],
)
def test_the_sign_test_is_exact(up: int, down: int, p: float) -> None:
    assert sign_test(up, down) == pytest.approx(p, rel=1e-3)
    assert sign_test(down, up) == sign_test(up, down)


def test_the_sign_test_of_very_many_pairs() -> None:
    assert sign_test(30_000, 0) == 0.0


def test_a_rate_over_clusters() -> None:
    """Three runs that are always alike are worth one."""
    alike = rate_interval([(3, 3), (0, 3), (3, 3), (0, 3)])
    apart = rate_interval([(1, 3), (2, 3), (1, 3), (2, 3)])
    assert apart == wilson(6, 12)
    assert alike.high - alike.low > 1.3 * (apart.high - apart.low)


def test_a_mean_and_its_interval() -> None:
    average = mean([[1.0], [2.0], [3.0]])
    assert average is not None and average.interval is not None
    assert average.value == 2.0
    assert average.interval.high - 2.0 == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)


def test_a_mean_over_clusters_whose_values_are_alike_is_less_certain() -> None:
    alike, apart = [[1.0, 1.0], [3.0, 3.0], [2.0, 2.0]], [[1.0, 3.0], [2.0, 1.0], [3.0, 2.0]]
    assert likeness(alike) > 1.0 and likeness(apart) == 1.0
    one, other = mean(alike), mean(apart)
    assert one is not None and other is not None and one.interval and other.interval
    assert one.interval.high > other.interval.high


def test_means_without_values_and_of_one() -> None:
    assert mean([]) is None and mean([[]]) is None
    single = mean([[4.0]])
    assert single is not None and single.value == 4.0 and single.interval is None
