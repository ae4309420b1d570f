"""Warm against cold: rates, ties, and when there is a verdict."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from convtui.analysis.compare.ab import AbComparison, as_dict, compare_arms
from convtui.analysis.compare.ab_report import rows, verdict_words
from convtui.analysis.profile.profile import RunProfile
from convtui.analysis.report.intervals import Z, design_effect, newcombe, student_t
from convtui.errors import UsageError
from tests.builders.tool_logs import profile_logs, tool_log

T, F = True, False
Outcomes = Sequence[bool | None]


def compared(tmp_path: Path, warm: Sequence[Outcomes], cold: Sequence[Outcomes]) -> AbComparison:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    folder.mkdir()

    def arm(name: str, runs: Sequence[Outcomes]) -> list[RunProfile]:
        return profile_logs(
            tool_log(folder / f"{name}{n}.jsonl", outcomes) for n, outcomes in enumerate(runs)
        ).runs

    return compare_arms(arm("warm", warm), arm("cold", cold))


def test_the_improvement_is_cold_minus_warm(tmp_path: Path) -> None:
    comparison = compared(tmp_path, [[T, T, T, F]], [[F, F, T, F]])
    assert comparison.improvement == pytest.approx(0.5)
    assert comparison.warm_better
    data = as_dict(comparison)
    names = ("warm_session_errors", "warm_session_total", "cold_session_errors")
    assert [data[name] for name in names] == [1, 4, 3]
    assert (data["warm_error_rate"], data["cold_error_rate"]) == (0.25, 0.75)
    assert (data["improvement"], data["warm_better"]) == (0.5, True)
    assert (data["warm_session_id"], data["cold_session_id"]) == ("warm0", "cold0")
    assert data["test_name"] == "1 run warm against 1 run cold"


def test_a_tie_is_a_tie(tmp_path: Path) -> None:
    comparison = compared(tmp_path, [[T, F], [T, F]], [[F, T]])
    assert (comparison.improvement, comparison.verdict, comparison.warm_better) == (
        0.0,
        "tie",
        False,
    )
    assert verdict_words(comparison) == "a tie: the error rates are equal"


def test_one_run_an_arm_gives_no_verdict(tmp_path: Path) -> None:
    comparison = compared(tmp_path, [[T] * 20], [[F] * 20])
    assert comparison.interval is not None
    assert not comparison.interval.includes_zero
    assert comparison.verdict == "none"
    assert "one run with tool calls in the warm and the cold arm" in comparison.why
    # Runs without calls do not count.
    more = compared(tmp_path, [[T] * 9, []], [[F] * 9, [F] * 9])
    assert (more.verdict, more.warm.runs_with_calls) == ("none", 1)


def test_a_verdict_needs_an_interval_without_zero(tmp_path: Path) -> None:
    many = compared(tmp_path, [[T] * 10] * 4, [[F] * 5 + [T] * 5] * 4)
    assert many.interval is not None
    assert many.interval.low > 0
    assert many.verdict == "warm"
    assert verdict_words(many).startswith("warm has 50.0 points fewer errors")
    few = compared(tmp_path, [[T, T], [T, T]], [[F, T], [T, T]])
    assert few.interval is not None
    assert few.interval.includes_zero
    assert few.verdict == "none"
    assert verdict_words(few).startswith("no verdict: warm has 25.0 points fewer errors")
    worse = compared(tmp_path, [[F] * 8] * 2, [[T] * 8] * 2)
    assert (worse.verdict, worse.improvement) == ("cold", -1.0)


def test_calls_of_a_run_are_no_independent_calls(tmp_path: Path) -> None:
    # 30 calls per arm, 33 % against 67 % failures: but all of them in one run, and in two.
    comparison = compared(tmp_path, [[F] * 10, [T] * 10, [T] * 10], [[F] * 10, [F] * 10, [T] * 10])
    assert comparison.warm.effect > 10
    assert comparison.interval is not None
    assert comparison.interval.includes_zero
    assert comparison.verdict == "none"
    assert any("30 calls count as about" in note for note in comparison.notes)
    # The same rate in every run is a difference between the arms.
    even = compared(tmp_path, [[F, *[T] * 9]] * 3, [[*[F] * 9, T]] * 3)
    assert (even.warm.effect, even.verdict) == (1.0, "warm")


def test_an_arm_without_calls(tmp_path: Path) -> None:
    comparison = compared(tmp_path, [[]], [[None, None], [T]])
    assert (comparison.improvement, comparison.interval, comparison.verdict) == (None, None, "none")
    assert comparison.why == "no tool call with a known outcome in the warm arm"
    assert as_dict(comparison)["improvement"] is None
    assert not comparison.warm_better
    assert "cold: how 2 of 3 calls went is not known; they are in no rate" in comparison.notes
    shown = {name: (one, other) for name, one, other in rows(comparison)}
    assert shown["tool calls"] == ("0", "3")
    assert shown["error rate"] == ("-", "0.0 % (0 of 1)")


def test_an_arm_needs_runs_of_its_own(tmp_path: Path) -> None:
    run = profile_logs([tool_log(tmp_path / "a.jsonl", [T])]).runs
    with pytest.raises(UsageError, match="this log is in both arms"):
        compare_arms(run, run)
    with pytest.raises(UsageError, match="no run in the second"):
        compare_arms(run, [])


def test_endings_turns_and_times_of_both(tmp_path: Path) -> None:
    comparison = compared(tmp_path, [[T] * 3], [[T] * 5, [T]])
    shown = {name: (one, other) for name, one, other in rows(comparison)}
    assert shown["turns"] == ("6", "12")
    assert shown["turns a run"] == ("6.0", "6.0")
    assert shown["ended: completed"] == ("1", "2")
    assert shown["provider latency, p50"] == ("0.50 s", "0.50 s")
    assert shown["provider tokens, p50"] == ("11", "16")
    assert shown["cost"] == ("$0.0300", "$0.0600")
    assert "persona latency, p50" not in shown
    assert as_dict(comparison)["arms"]["cold"]["endings"] == {"completed": 2}


def test_students_t() -> None:
    assert [student_t(n) for n in (1, 2, 30)] == [12.706, 4.303, 2.042]
    assert student_t(31) == student_t(None) == Z


def test_the_interval_holds_what_it_promises_when_runs_differ() -> None:
    dice = random.Random(7)

    def arm(rate: float) -> list[tuple[int, int]]:
        # Five runs of 40 calls, each with its own beta-distributed rate, correlation 0.3.
        spread = (1 - 0.3) / 0.3
        rates = [dice.betavariate(rate * spread, (1 - rate) * spread) for _ in range(5)]
        return [(sum(dice.random() < run_rate for _ in range(40)), 40) for run_rate in rates]

    held = naive = 0
    for _ in range(200):
        a, b = arm(0.3), arm(0.15)
        sizes = [(sum(bad for bad, _ in runs), 200, design_effect(runs)) for runs in (a, b)]
        (bad_a, n_a, eff_a), (bad_b, n_b, eff_b) = sizes
        interval = newcombe(bad_a / eff_a, n_a / eff_a, bad_b / eff_b, n_b / eff_b, student_t(8))
        held += interval.low <= 0.15 <= interval.high
        plain = newcombe(bad_a, n_a, bad_b, n_b)
        naive += plain.low <= 0.15 <= plain.high
    assert held / 200 > 0.87
    assert naive / 200 < 0.6
