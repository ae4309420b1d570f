"""Flags over a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.batch.cells import Cell, cells_of
from convtui.batch.flags import are_whole, public_flags, with_flags
from convtui.batch.plan import Plan
from convtui.errors import UsageError
from convtui.scenario.scenario import Scenario


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ann.yaml").write_text("name: Ann\nprompt: You are Ann.\n")
    (tmp_path / "ben.yaml").write_text("name: Ben\nscript: [hello]\n")
    (tmp_path / "bot.py").write_text("class Bot: ...\n")
    return tmp_path


def flagged(folder: Path, plan: dict[str, Any] | None = None, **flags: Any) -> list[Cell]:
    base = Plan.from_data(plan or {}, base=folder)
    return cells_of(with_flags(base, flags, cwd=folder))


def test_personas_and_providers_take_the_place_of_the_plans(folder: Path) -> None:
    cells = flagged(
        folder,
        {"vary": {"persona": "demo", "provider": "openai/gpt-4o"}},
        persona=("b*.yaml", "demo"),
        provider=("bot.py:Bot",),
        sessions=("intake, refund", "refund"),
    )
    assert [(cell.name, cell.sessions) for cell in cells] == [
        ("Ben-intake_refund", ("intake", "refund")),
        ("Ben-refund", ("refund",)),
        ("Robin-intake_refund", ("intake", "refund")),
        ("Robin-refund", ("refund",)),
    ]
    assert {cell.provider for cell in cells} == {"bot.py:Bot"}


def test_paths_in_flags_are_relative_to_where_they_were_given(folder: Path) -> None:
    (folder / "plans").mkdir()
    plan = Plan.from_data({}, base=folder / "plans")
    [cell] = cells_of(with_flags(plan, {"persona": ["ben.yaml"]}, cwd=folder))
    assert cell.persona == "Ben"


def test_the_plan_of_a_scenario_keeps_what_flags_do_not_say(folder: Path) -> None:
    scenario = Scenario.from_data({"persona": "ben.yaml", "limits": {"max_turns": 4}}, base=folder)
    plan = with_flags(Plan.of(scenario), {"runs": 3, "set": ["on_empty=keep"]}, cwd=folder)
    [cell] = cells_of(plan)
    assert cell.scenario is not None
    assert (plan.runs, cell.scenario.limits.max_turns, cell.scenario.on_empty) == (3, 4, "keep")


def test_the_users_model_goes_to_personas_that_call_one(folder: Path) -> None:
    cells = flagged(folder, persona=("ann.yaml", "ben.yaml"), user_model="openai/gpt-4o-mini")
    assert [cell.error for cell in cells] == [None, None]
    assert [cell.scenario and cell.scenario.persona.asked_model for cell in cells] == [
        "openai/gpt-4o-mini",
        None,
    ]


def test_the_settings_give_models_and_hosts_where_none_is_named(folder: Path) -> None:
    plan = Plan.from_data({"vary": {"persona": ["ann.yaml", "demo"]}}, base=folder)
    defaults = {"user_model": "openai/gpt-4o-mini", "user_api_base": "http://127.0.0.1:1"}
    ann, robin = cells_of(with_flags(plan, {}, cwd=folder, defaults=defaults))
    assert ann.scenario is not None
    assert robin.scenario is not None
    assert ann.scenario.persona.asked_model == "openai/gpt-4o-mini"
    assert ann.scenario.persona.params == {"api_base": "http://127.0.0.1:1"}
    assert not robin.scenario.persona.params


def test_breakpoints_are_added_and_budgets_merged(folder: Path) -> None:
    plan = Plan.from_data({"breakpoints": ["~discard"], "budget": {"cost": 2}}, base=folder)
    changed = with_flags(plan, {"break_": ("~signal",), "budget_tokens": 5}, cwd=folder)
    assert changed.breakpoints == ["~discard", "~signal"]
    assert (changed.budget.cost, changed.budget.tokens) == (2, 5)


@pytest.mark.parametrize(
    ("plan", "flags", "says"),
    [
        ({}, {"runs": 0}, "--runs: must be at least 1, not 0"),
        ({}, {"concurrency": "fast"}, "--concurrency: must be a whole number or auto, not 'fast'"),
        ({}, {"persona": ["x/*.yaml"]}, "--persona x/*.yaml: "),
        ({}, {"persona": ["nobody"]}, "--persona nobody: 'nobody' is no persona"),
        ({}, {"provider": ["gpt-4o"]}, "--provider gpt-4o: 'gpt-4o' is no litellm model"),
        ({}, {"persona": ["demo", "demo"]}, "--persona demo: this entry is there twice"),
        ({}, {"break": ["~ennd"]}, "--break: "),
        ({}, {"set": ["limits.max_turn=3"]}, "--set limits.max_turn=3: unknown key 'max_turn'"),
        ({}, {"max_turns": 0}, "--max-turns: must be at least 1, not 0"),
        ({"vary": {"provider": "openai/gpt-4o", "set": {"provider.params": 3}}}, {},
         "vary.set[0].provider.params: must be a mapping of keys to values, not a number"),
        ({"vary": {"set": {"provider.use": 3}}}, {}, "3"),
        ({"vary": {"set": {"provider.use": ["x"]}}}, {}, "['x']"),
        ({"vary": {"provider": {"use": 3}}}, {}, "3"),
        ({"vary": {"provider": {"params": 3}}}, {}, "must be a mapping"),
        ({"vary": {"set": {"persona.params": 3, "limits": 3, "sessions.x": 1}}}, {}, "not a"),
        ({"vary": {"persona": {"name": 3}}}, {}, "must be text, not a number"),
        ({"vary": {"persona": {"name": "x", "script": {}}}}, {}, "script"),
        ({}, {"order": "random"}, "--order: must be one of mixed, listed"),
        ({"vary": {"set": [{"limits.max_turns": 4}]}}, {"max_turns": 3},
         "vary.set[0].limits.max_turns: the plan varies limits.max_turns, and a flag sets it"),
        ({"vary": {"persona": ["ben.yaml", "demo"]}}, {"user_model": "openai/gpt-4o"},
         "--user-model: no persona of this plan calls a model"),
    ],
)  # fmt: skip
def test_mistakes_are_named_by_their_flag(
    folder: Path, plan: dict[str, Any], flags: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError) as caught:
        flagged(folder, plan, **flags)
    assert says in str(caught.value)


def test_values_that_may_be_secret_are_not_kept_with_a_batch() -> None:
    flags = {
        "set": (
            "provider.params.api_key=sk-1",
            "provider.options.mood=sad",
            "provider.params.temperature=0.5",
            "limits.max_turns=4",
        ),
        "persona": ("demo",),
        "model": None,
    }
    kept = public_flags(flags)
    assert kept["set"][2:] == ["provider.params.temperature=0.5", "limits.max_turns=4"]
    assert "sk-1" not in str(kept)
    assert "sad" not in str(kept)
    assert kept["persona"] == ["demo"]
    assert "model" not in kept
    assert not are_whole(kept)
    assert are_whole(public_flags({"set": ("limits.max_turns=4", "budget.tokens=900")}))
