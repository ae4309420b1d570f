"""The budget: tokens and cost, of the conversation and of each side, estimated, fired, raised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.errors import UsageError
from convtui.models.base import Usage
from tests.builders.conversations import Bot, FakeModels, calls, costing, resume, run, scenario


def replying(text: str, tokens: int, cost: float | None = None) -> Any:
    reply = calls(("responder_reply", f'{{"answer": "{text}"}}'))
    reply.usage = Usage(prompt_tokens=tokens, completion_tokens=0, cost=cost)
    return reply


LLM = {"name": "Ann", "prompt": "a patient", "model": "fake/user", "opening": "hi"}


async def test_a_side_has_a_budget_of_its_own(tmp_path: Path) -> None:
    budget = {"provider": {"tokens": 10}, "on_exceeded": "stop"}
    models = FakeModels(user=[costing("x", 500)])
    what = scenario(Bot(costing("a", 6)), persona=LLM, budget=budget)
    ran = await run(what, tmp_path, models=models)
    assert ran.ended == ("budget", "harness")
    crossed = ran.one("budget.crossed")
    assert (crossed["scope"], crossed["limit"], crossed["used"]) == ("provider", 10, 12)
    assert "of the provider" in ran.termination.reason


async def test_a_responders_decisions_count_as_the_personas(tmp_path: Path) -> None:
    brief = {"instructions": "HT-9", "max_followups": 9}
    persona = {"name": "Ann", "task": "hi", "model": "fake/user", "responder": brief}
    what = scenario(
        Bot(costing("a", 100)), persona=persona,
        budget={"persona": {"cost": 0.5}, "on_exceeded": "stop"},
    )  # fmt: skip
    models = FakeModels(user=[replying("yes", 5, 0.3)])
    ran = await run(what, tmp_path, models=models)
    assert ran.ended == ("budget", "harness")
    assert ran.one("budget.crossed")["scope"] == "persona"
    assert len(models.clients["user"].sent) == 2
    assert ran.said[-1] == "yes", "the answer that crossed it is kept"


async def test_two_limits_crossed_by_one_reply_fire_once_each(tmp_path: Path) -> None:
    budget = {"tokens": 5, "cost": 0.1, "on_exceeded": "warn"}
    ran = await run(scenario(Bot(costing("a", 9, 0.2)), ["x"] * 3, budget=budget), tmp_path)
    assert [c["what"] for c in ran.of("budget.crossed")] == ["tokens", "cost"]
    assert ran.ended == ("completed", "simulator")


async def test_raising_it_is_a_choice_of_its_hold(tmp_path: Path) -> None:
    plan = [("raise", {"limit": "20"}), ("raise", {}), "end"]
    what = scenario(Bot(costing("a", 11)), ["x"] * 9, budget={"tokens": 10})
    ran = await run(what, tmp_path, plan=plan)
    assert [h["choices"][0]["id"] for h in ran.driver.holds[:3]] == ["raise"] * 3
    raised = ran.of("budget.raised")
    assert [(r["before"], r["limit"]) for r in raised] == [(10, 20), (20, 40)]
    assert [c["used"] for c in ran.of("budget.crossed")] == [11, 22, 44]
    assert ran.ended == ("budget", "harness")


@pytest.mark.parametrize("limit", ["7", "many", "inf", "-3"])
async def test_a_limit_below_what_was_used_is_refused_with_the_reason(
    tmp_path: Path, limit: str
) -> None:
    plan = [("raise", {"limit": limit}), "go"]
    what = scenario(Bot(costing("a", 11)), ["x"], budget={"tokens": 10})
    ran = await run(what, tmp_path, plan=plan)
    assert len(ran.driver.holds[1]["detail"]) > len(ran.driver.holds[0]["detail"])
    assert not ran.of("budget.raised")
    assert ran.ended == ("completed", "simulator")


async def test_what_was_raised_stays_so_in_a_child(tmp_path: Path) -> None:
    what = scenario(Bot(costing("a", 11)), ["x"] * 4, budget={"tokens": 10})
    whole = await run(what, tmp_path, plan=[("raise", {"limit": 30}), "end", "end"])
    assert whole.ended == ("budget", "harness")
    with pytest.raises(UsageError, match="raise it"):
        await resume(whole.path, tmp_path, what)
    second = next(r for r in whole.of("turn.committed") if r["turn"] == 4)
    child = await resume(whole.path, tmp_path, what, seq=second["seq"])
    assert child.one("budget.crossed")["limit"] == 30


async def test_the_next_call_is_estimated_before_it_is_made(tmp_path: Path) -> None:
    bot = Bot(costing("a" * 40, 100, 0.01))
    what = scenario(bot, ["x" * 400, "y" * 400], budget={"tokens": 10_000})
    ran = await run(what, tmp_path)
    first, second = (r["estimate"] for r in ran.of("llm.request"))
    # 400 characters and what frames a message, at 4 a token; nothing is known of prices yet.
    assert first == {"prompt_tokens": 104}
    # A token of this provider has been 4.16 characters.
    assert second["prompt_tokens"] == round((416 + 416 + 56) / 4.16)
    assert second["completion_tokens"] == 0
    assert second["cost"] == pytest.approx(second["prompt_tokens"] * 0.0001, rel=0.01)


async def test_the_estimate_is_shown_in_the_hold_before_the_call(tmp_path: Path) -> None:
    what = scenario(Bot(costing("a", 6)), ["x"], budget={"tokens": 1000})
    ran = await run(what, tmp_path, plan=["step_stage"] * 20, paused=True)
    hold = next(h for h in ran.driver.holds if h["side"] == "provider" and h["stage"] == "request")
    words = {draft["field"]: draft["text"] for draft in hold["drafts"]}["estimate"]
    assert words.startswith("about ") and "price unknown" in words and "1,000" in words


async def test_without_a_budget_nothing_is_estimated(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(costing("a", 6)), ["x"]), tmp_path)
    assert "estimate" not in ran.one("llm.request")


async def test_what_a_budget_cannot_count_is_said_at_the_start(tmp_path: Path) -> None:
    what = scenario(Bot("a"), persona=LLM, budget={"cost": 1.0}, max_turns=2)
    ran = await run(what, tmp_path, models=FakeModels(user=["<end>"]))
    said = [w["message"] for w in ran.of("warning") if w["code"] == "budget_unknown"]
    assert len(said) == 2
    assert "Bot" in said[0] and "fake/user" in said[1]
    assert ran.types.index("warning") < ran.types.index("turn.started")


async def test_usage_that_nobody_names_stays_unknown(tmp_path: Path) -> None:
    ran = await run(scenario(Bot("a"), ["x"], budget={"tokens": 1}), tmp_path)
    totals = ran.one("trailer")["totals"]["usage"]["provider"]
    assert "tokens" not in totals and "cost" not in totals


async def test_a_budget_of_a_side_that_is_misspelt_is_refused() -> None:
    with pytest.raises(UsageError, match="providr"):
        scenario(Bot(), budget={"providr": {"tokens": 3}})
