"""What a plan needs at most, before anything is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.batch.cells import cells_of
from convtui.batch.estimate import Total, estimate, total_of
from convtui.batch.plan import Plan
from convtui.batch.prices import price_of
from convtui.scenario.scenario import Scenario

LLM = {"name": "Ann", "prompt": "You are Ann.", "model": "openai/gpt-4o-mini"}
SCRIPTED = {"name": "Ben", "script": ["hello"]}


def scenario(**data: Any) -> Scenario:
    return Scenario.from_data(data)


def total(tmp_path: Path, **data: Any) -> Total:
    plan = Plan.from_data(data, base=tmp_path)
    cells = cells_of(plan)
    return total_of(
        plan, cells, [estimate(cell.scenario) if cell.scenario else None for cell in cells]
    )


def test_the_demo_calls_no_model() -> None:
    found = estimate(scenario(sessions=["intake", "rebooking"]))
    assert (found.turns, found.calls, found.cost) == (40, 0, 0.0)


@pytest.mark.parametrize(
    ("keys", "turns", "provider", "persona"),
    [
        ({"limits": {"max_turns": 6}}, 6, 3, 3),
        ({"limits": {"max_turns": 5}}, 6, 3, 3),
        ({"limits": {"max_turns": 6}, "first_speaker": "provider"}, 7, 4, 3),
        ({"limits": {"max_turns": 5}, "first_speaker": "provider"}, 5, 3, 2),
        ({"limits": {"max_turns": 6}, "sessions": ["a", "b"]}, 12, 6, 6),
        ({"limits": {"max_turns": 6}, "sessions": ["a", "b"], "turns_scope": "conversation"},
         6, 3, 3),
    ],
)  # fmt: skip
def test_turns_and_calls_follow_from_the_limits(
    keys: dict[str, Any], turns: int, provider: int, persona: int
) -> None:
    found = estimate(scenario(persona=LLM, provider="openai/gpt-4o", **keys))
    assert (found.turns, found.provider_calls, found.persona_calls) == (turns, provider, persona)
    assert found.cost is not None
    assert found.cost > 0


def test_a_static_opening_is_no_call() -> None:
    opening = {**LLM, "opening": "Hi."}
    found = estimate(scenario(persona=opening, provider="demo", limits={"max_turns": 6}))
    assert found.persona_calls == 2


def test_a_dearer_model_costs_more_and_so_do_longer_histories() -> None:
    def cost(model: str, turns: int) -> float:
        made = scenario(persona=SCRIPTED, provider=model, limits={"max_turns": turns})
        return estimate(made).cost or 0

    assert cost("openai/gpt-4o", 20) > 5 * cost("openai/gpt-4o-mini", 20)
    assert cost("openai/gpt-4o", 40) > 2.5 * cost("openai/gpt-4o", 20)


def test_what_code_calls_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text("class Bot: ...\n")
    found = estimate(Scenario.from_data({"provider": "bot.py:Bot"}, base=tmp_path))
    assert (found.provider_calls, found.cost, found.unpriced) == (None, None, ("bot.py:Bot",))


def test_a_model_without_a_price(tmp_path: Path) -> None:
    whole = total(tmp_path, vary={"provider": ["openai/my-own-7b", "openai/gpt-4o-mini"]}, runs=2)
    assert whole.unpriced == ("openai/my-own-7b",)
    assert whole.cost is not None
    assert (whole.conversations, whole.calls) == (4, 40)


def test_attempts_and_reflections_are_counted(tmp_path: Path) -> None:
    data: dict[str, Any] = {"vary": {"provider": "openai/gpt-4o-mini"}, "runs": 2}
    once = total(tmp_path, **data)
    again = total(tmp_path, **data, attempts={"max": 3})
    reflected = total(tmp_path, **data, attempts={"max": 3, "reflect": True})
    assert (once.attempts, again.attempts) == (2, 6)
    assert (again.calls, reflected.calls) == (3 * once.calls, 3 * once.calls + 4)


def test_prices_are_known_with_and_without_the_host() -> None:
    price = price_of("openai/gpt-4o-mini")
    assert price is not None
    assert price == price_of("gpt-4o-mini")
    assert 0 < price.input < price.output < 1e-3
    assert price_of("nobody/nothing") is None
