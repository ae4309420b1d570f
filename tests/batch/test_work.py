"""What a batch has to do, in which order, and what it may spend, without workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from convtui.batch.cells import Cell, cells_of
from convtui.batch.concurrency import AtOnce
from convtui.batch.limiter import Limiter
from convtui.batch.plan import Plan
from convtui.batch.plan_parts import BatchBudget, StopAfter
from convtui.batch.spending import Spending, Used
from convtui.batch.work import HowToRun, Specs, Work, in_order


def cells(count: int) -> list[Cell]:
    return [
        Cell(number, f"cell{number}", "demo", "demo", (), error="none is needed")
        for number in range(1, count + 1)
    ]


def test_listed_goes_through_the_cells() -> None:
    order = [(cell.number, run) for cell, run in in_order(cells(2), 2, "listed")]
    assert order == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_mixed_takes_a_run_of_each_cell_before_any_second_one() -> None:
    order = [(cell.number, run) for cell, run in in_order(cells(40), 3, "mixed")]
    assert [run for _, run in order] == [1] * 40 + [2] * 40 + [3] * 40
    rounds = [[number for number, run in order if run == wanted] for wanted in (1, 2, 3)]
    assert all(sorted(numbers) == list(range(1, 41)) for numbers in rounds)
    assert rounds[0] != rounds[1] and rounds[0] != sorted(rounds[0])
    # Early figures mean something: the first tenth is from all over the plan.
    assert max(rounds[0][:8]) > 20 and min(rounds[0][:8]) < 20


def test_mixed_is_the_same_each_time_and_for_a_part_of_the_plan() -> None:
    whole = [cell.name for cell, _ in in_order(cells(30), 1, "mixed")]
    part = [cell.name for cell, _ in in_order(list(reversed(cells(10))), 1, "mixed")]
    assert part == [name for name in whole if name in part]


def test_the_start_of_a_conversation(tmp_path: Path) -> None:
    scenario = {"persona": "demo", "provider": "demo", "breakpoints": ["~end", "~discard"]}
    plan = Plan.from_data({"scenario": scenario, "breakpoints": ["~discard", "~turn > 3"]})
    (cell,) = cells_of(plan)
    specs = Specs(tmp_path, HowToRun(watched=True, wire="off"), list(plan.breakpoints))
    spec = specs.of(Work("Robin.3", cell, parent="Robin.3.jsonl"))
    assert (spec.log_name, spec.out_dir) == ("Robin.3", str(tmp_path))
    assert spec.breakpoints == ["~end", "~discard", "~turn > 3"]
    assert spec.continue_from is not None
    assert spec.continue_from.log == str(tmp_path / "Robin.3.jsonl")
    assert spec.watched and not spec.hold_endings and spec.speed == 0
    assert specs.of(Work("Robin.4", cell)).continue_from is None


def test_what_a_log_has_used_counts_once_and_stays() -> None:
    spending = Spending(BatchBudget(tokens=100), None)
    spending.update("a.jsonl", Used(tokens=30, cost=0.1, turns=2))
    spending.update("a.jsonl", Used(tokens=60, cost=0.2, turns=4))
    assert (spending.total.tokens, spending.total.turns) == (60, 4)
    assert spending.reason_to_stop() is None
    spending.update("a-2.jsonl", Used(tokens=41))
    reason = "the budget of 100 tokens is used up (101 used)"
    assert spending.reason_to_stop() == reason == spending.exceeded


@pytest.mark.parametrize("on_exceeded", ["stop", "warn"])
def test_a_budget_of_money(on_exceeded: str) -> None:
    budget = BatchBudget.model_validate({"cost": 0.5, "on_exceeded": on_exceeded})
    spending = Spending(budget, None)
    spending.update("a.jsonl", Used.of({"tokens": None, "cost": 0.6, "turns": True}))
    assert spending.exceeded == "the budget of $0.50 is used up ($0.60 used)"
    assert spending.reason_to_stop() == (spending.exceeded if on_exceeded == "stop" else None)


def test_so_many_failures_are_enough() -> None:
    spending = Spending(BatchBudget(), StopAfter(failed=2))
    spending.count_failure("no key")
    assert spending.reason_to_stop() is None
    spending.count_failure("no key was given")
    reason = "2 conversations have failed (stop_after); the last one: no key was given"
    assert spending.reason_to_stop() == reason


def test_a_number_of_conversations_at_once_stays_as_it_is() -> None:
    limiter = Limiter()
    at_once = AtOnce(5, limiter)
    at_once.took_turns(1000)
    limiter.used(1, {"a": {"running": 3, "throttled": 1}}, 0.0)
    assert at_once.value == 5


def test_auto_doubles_with_each_round_until_an_endpoint_says_429() -> None:
    limiter = Limiter()
    at_once = AtOnce("auto", limiter)
    rounds = []
    for _ in range(4):
        rounds.append(at_once.value)
        at_once.took_turns(2 * at_once.value)
    assert rounds == [8, 16, 32, 64]
    limiter.used(1, {"a": {"running": 39, "throttled": 1}}, 0.0)
    assert at_once.value == 25  # a limit of 20, and some that are between two calls
    at_once.took_turns(1000)
    assert at_once.value == 25
