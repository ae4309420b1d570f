"""Taking edits and overrides back before they are released, and making them again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.engine.conversation.commands import CommandHandler
from convtui.models.base import Reply, ToolCall
from convtui.providers.base import SignalMatch
from convtui.records.models import RecordDict
from convtui.transcript.fold import Flag
from tests.builders.conversations import Bot, FakeModels, Ran, calls, resume, run, scenario


class Shouts(Bot):
    """Says everything in capitals."""

    def post_process_response(self, text: str) -> str:
        return text.upper()


class Drops(Bot):
    """Drops every reply with a signal."""

    def should_discard_response(self, signals: list[SignalMatch]) -> bool:
        return True


async def held(folder: Path, stage: str, *plan: Any, bot: Bot | None = None) -> Ran:
    """One exchange, held at a stage of the provider's turn."""
    what = scenario(
        bot or Shouts("first"), ["a"], breakpoints=[f"~stage {stage} & ~speaker provider"]
    )
    return await run(what, folder, plan=list(plan))


def edited(ran: Ran) -> bool:
    """Whether the transcript marks the provider's turn as edited."""
    return bool(ran.conversation.journal.transcript.turns[1].flags & Flag.EDITED)


@pytest.mark.parametrize("stage", ["response", "signals", "post_process", "commit"])
async def test_an_edit_of_the_raw_reply_is_taken_back(tmp_path: Path, stage: str) -> None:
    ran = await held(tmp_path, stage, ("edit", {"raw": "second"}), "undo", "go")
    assert ran.said == ["a", "FIRST"]
    assert ran.driver.where[:3] == [("breakpoint", stage), ("step", stage), ("step", stage)]
    assert not {"undo", "redo"} & {choice["id"] for choice in ran.driver.holds[0]["choices"]}
    assert ran.driver.holds[1]["choices"][-1]["id"] == "undo"
    assert ran.driver.holds[2]["choices"][-1]["id"] == "redo"
    assert ran.driver.holds[2]["detail"] == "undone: the edit of the raw reply"
    first, second = ran.of("debug.edited")
    assert (second["before"], second["after"], second["undoes"], second["left"]) == (
        "second", "first", first["seq"], 0,
    )  # fmt: skip
    assert not edited(ran)
    committed = ran.of("turn.committed")[1]
    assert "edited" not in committed
    if stage != "response":
        assert committed["revision"] == 3, "the stages ran again"


async def test_several_edits_come_back_one_after_the_other_and_again(tmp_path: Path) -> None:
    edits = [("edit", {"raw": "second"}), ("edit", {"text": "third"}), ("edit", {"raw": "fourth"})]
    ran = await held(tmp_path, "commit", *edits, "undo", "undo", "undo", "redo", "redo", "go")
    texts = [hold["drafts"][0]["text"] for hold in ran.driver.holds[:9]]
    assert texts == ["FIRST", "SECOND", "third", "FOURTH", "third", "SECOND", "FIRST", "SECOND",
                     "third"]  # fmt: skip
    assert ran.said == ["a", "third"]
    assert edited(ran)
    assert ran.of("turn.committed")[1]["edited"] is True


async def test_an_edit_made_at_an_earlier_stage_is_taken_back_later(tmp_path: Path) -> None:
    plan = ["step_stage", ("edit", {"raw": "second"}), *["step_stage"] * 3, "undo", "go"]
    ran = await run(scenario(Shouts("first"), ["a"]), tmp_path, breakpoints=[
        "~speaker provider & ~stage request"], plan=plan)  # fmt: skip
    stages = [stage for _, stage in ran.driver.where]
    assert stages[:7] == ["request", "response", "response", "signals", "post_process", "commit",
                          "commit"]  # fmt: skip
    assert ran.said == ["a", "FIRST"]
    assert not edited(ran)


async def test_a_new_edit_ends_what_could_be_made_again(tmp_path: Path) -> None:
    plan = [("edit", {"text": "x"}), "undo", ("edit", {"text": "y"}), "go"]
    ran = await held(tmp_path, "commit", *plan)
    assert [choice["id"] for choice in ran.driver.holds[3]["choices"]][-1] == "undo"
    assert ran.said == ["a", "y"]


async def test_what_the_persona_says_is_taken_back(tmp_path: Path) -> None:
    ran = await run(
        scenario(Bot("ok"), ["hello"], breakpoints=["~stage commit & ~turn = 1"]),
        tmp_path,
        plan=[("edit", {"text": "bye"}), "undo", "go"],
    )
    assert ran.said == ["hello", "ok"]


async def test_a_user_message_that_ended_it_is_taken_back_at_the_ending(tmp_path: Path) -> None:
    """The edited reply meant the end: taken back, it is what it was."""
    persona = {"name": "Maya", "simulator": "llm", "model": "fake/user", "prompt": "Maya"}
    what = scenario(Bot("ok"), persona=persona, max_turns=1,
                    breakpoints=["~stage response & ~turn = 1"])  # fmt: skip
    ran = await run(
        what,
        tmp_path,
        models=FakeModels(user=["hello"]),
        plan=[("edit", {"raw": "<end>"}), "go", "undo", "go"],
    )
    assert ran.driver.where[:4] == [("breakpoint", "response"), ("step", "response"),
                                    ("ending", "terminate"), ("step", "response")]  # fmt: skip
    assert ran.driver.holds[3]["drafts"][0]["text"] == "hello"
    assert ran.said[0] == "hello"
    assert "edited" not in ran.of("turn.committed")[0]


def stop_by_hand(desk: CommandHandler, hold: RecordDict) -> None:
    """Stops in place of the responder (which `stop` in a plan is not)."""
    desk.carry_out("release", {"hold": hold["hold"], "choice": "stop"})


async def test_a_decision_made_by_hand_is_taken_back(tmp_path: Path) -> None:
    replies = Reply("", tool_calls=[ToolCall("1", "responder_reply", '{"answer": "yes"}')])
    persona = {"name": "Ida", "task": "Rebook me.", "model": "fake/user",
               "responder": {"instructions": "Be short.", "max_followups": 1}}  # fmt: skip
    ran = await run(
        scenario(Bot("a1", "a2"), persona=persona, max_turns=3, breakpoints=["~decision"]),
        tmp_path,
        models=FakeModels(user=[replies]),
        plan=[stop_by_hand, "undo", "go"],
    )
    assert ran.driver.where[:3] == [("breakpoint", "response"), ("ending", "terminate"),
                                    ("step", "response")]  # fmt: skip
    assert ran.said[:3] == ["Rebook me.", "a1", "yes"]
    assert [(d["kind"], d["by"]) for d in ran.of("user.decided")][:3] == [
        ("reply", "responder"), ("stop", "human"), ("reply", "responder")
    ]  # fmt: skip
    assert "human" not in ran.of("turn.committed")[2]


class Pays(Bot):
    """Calls `pay`, then speaks."""

    def __init__(self) -> None:
        self.paid: list[int] = []
        super().__init__(calls(("pay", '{"amount": 5}')), "done", tools=[self.pay])

    def pay(self, amount: int) -> str:
        """Pays."""
        self.paid.append(amount)
        return f"paid {amount}"


async def test_arguments_of_a_tool_call_are_taken_back_before_it_runs(tmp_path: Path) -> None:
    bot = Pays()
    plan = [("edit", {"c1": '{"amount": 1}'}), "undo", "redo", "undo", "go"]
    ran = await run(scenario(bot, ["a"], approve_tools=True), tmp_path, plan=plan)
    assert bot.paid == [5]
    assert ran.driver.holds[2]["detail"].endswith("undone: the edit of the arguments of pay")
    assert "edited" not in ran.one("tool.called")
    assert [c["id"] for c in ran.driver.holds[0]["choices"]] == ["go", "deny", "edit"]
    assert not edited(ran)


async def test_a_result_of_a_tool_is_taken_back_before_the_model_reads_it(tmp_path: Path) -> None:
    bot = Pays()
    what = scenario(bot, ["a"], breakpoints=["~stage tools & ~speaker provider"])
    plan: list[Any] = ["step_stage", ("edit", {"result:c1": "refused"}), "undo", "go"]
    ran = await run(what, tmp_path, plan=plan)
    assert '"paid 5"' in bot.sent[1][-1]["content"] or bot.sent[1][-1]["content"] == "paid 5"
    assert not edited(ran)
    bot.answered = 0
    plan = ["step_stage", ("edit", {"result:c1": "refused"}), "step_stage"]
    ran = await run(what, tmp_path / "b", plan=plan)
    assert ran.driver.holds[3]["choices"][-1]["id"] == "skip", "the model has read it"
    assert edited(ran)


# --- overrides


@pytest.mark.parametrize("drops", [True, False])
async def test_an_overridden_discard_is_toggled_back(tmp_path: Path, drops: bool) -> None:
    bot = (Drops if drops else Bot)("[X] yes", signals=["[X]"])
    for number, plan in enumerate((["override", "undo", "go"], ["override", "override", "go"])):
        ran = await held(tmp_path / str(number), "discard", *plan, bot=bot)
        assert bool(ran.of("turn.discarded")) is drops
        assert [(r["before"], r["after"]) for r in ran.of("debug.overrode")] == [
            (drops, not drops), (not drops, drops)
        ]  # fmt: skip
        assert not ran.conversation.journal.transcript.turns[1].flags & Flag.WOULD_END
        bot.answered = 0


async def test_an_overridden_discard_is_taken_back_at_the_commit(tmp_path: Path) -> None:
    plan = ["override", "step_stage", "undo", "go"]
    ran = await held(tmp_path, "discard", *plan, bot=Drops("[X] yes", signals=["[X]"]))
    assert ran.driver.where[:4] == [("breakpoint", "discard"), ("step", "discard"),
                                    ("step", "commit"), ("step", "discard")]  # fmt: skip
    assert ran.driver.holds[1]["detail"] == "overridden: kept, would have been discarded"
    assert ran.one("turn.discarded")["revision"] == 2
    assert ran.said == ["a"]


async def test_an_overridden_ending_ends_after_all(tmp_path: Path) -> None:
    what = scenario(Bot("[X] done", signals=["[X]"]), ["a", "b"],
                    breakpoints=["~turn = 3 & ~stage request"])  # fmt: skip
    ran = await run(what, tmp_path, plan=["override", "undo"])
    assert ran.driver.where == [("ending", "terminate"), ("breakpoint", "request")]
    assert ran.said == ["a", "[X] done"]
    assert (ran.termination.kind, ran.termination.at_turn) == ("early_termination", 2)
    first, second = ran.of("debug.overrode")
    assert (second["undoes"], second["turn"]) == (first["seq"], 2)
    assert not ran.conversation.journal.transcript.turns[1].flags & Flag.WOULD_END
    ran = await run(what, tmp_path / "b", plan=["override", "step_stage", "step_turn"])
    assert [c["id"] for c in ran.driver.holds[2]["choices"]] == ["go", "edit", "again", "skip"]
    assert ran.conversation.journal.transcript.turns[1].flags & Flag.WOULD_END


async def test_an_edit_goes_along_into_the_next_engine_and_is_taken_back_there(
    tmp_path: Path,
) -> None:
    what = scenario(Shouts("first"), ["a"], breakpoints=["~stage commit & ~speaker provider"])
    plan = [("edit", {"raw": "second"}), ("stop", {})]
    parent = await run(what, tmp_path / "parent", plan=plan)
    child = await resume(parent.path, tmp_path / "a", what, kind="reload", held=True, plan=["go"])
    assert child.said == ["SECOND"]
    assert child.of("turn.committed")[0]["edited"] is True
    assert child.of("llm.response")[0]["raw"] == "first", "what came is in this log, too"
    child = await resume(
        parent.path, tmp_path / "b", what, kind="reload", held=True, plan=["undo", "go"]
    )
    assert child.said == ["FIRST"]
    assert "edited" not in child.of("turn.committed")[0]


# --- asked again with other parameters


async def test_asked_again_with_other_parameters(tmp_path: Path) -> None:
    bot = Bot("one", "two", params={"temperature": 0.2, "seed": 1}, model="a")
    what = scenario(bot, ["a", "b"], breakpoints=["~stage commit & ~turn = 2"])
    params = {"temperature": 1.5, "model": "b"}
    ran = await run(what, tmp_path, plan=[("again", {"params": params}), "go"])
    asked = [r for r in ran.of("llm.request") if r["side"] == "provider"]
    assert [(r["model"], r["params"]) for r in asked] == [
        ("a", {"temperature": 0.2, "seed": 1}),
        ("b", {"temperature": 1.5, "seed": 1}),
        ("a", {"temperature": 0.2, "seed": 1}),
    ]
    assert [dict(request.params) for request in bot.requests] == [{}, params, {}]
    assert "may make no use of them" in ran.of("warning")[0]["message"]


async def test_a_persona_is_asked_again_with_other_parameters(tmp_path: Path) -> None:
    persona = {"name": "Maya", "simulator": "llm", "model": "fake/user", "prompt": "Maya"}
    ran = await run(
        scenario(Bot("ok"), persona=persona, max_turns=1, breakpoints=["~stage commit & ~turn=1"]),
        tmp_path,
        models=FakeModels(user=["hello", "hi"]),
        plan=[("again", {"params": {"temperature": 0}}), "go"],
    )
    asked = [r["params"] for r in ran.of("llm.request") if r["side"] == "persona"]
    assert asked == [{}, {"temperature": 0}]
    assert ran.said[0] == "hi"


async def test_a_session_can_be_ended_by_hand_where_nothing_ends_it(tmp_path: Path) -> None:
    def labels(hold: RecordDict) -> list[str]:
        return [choice["label"] for choice in hold["choices"]]

    ran = await held(tmp_path / "a", "commit", "override", "go")
    assert "end here" in labels(ran.driver.holds[0])
    assert "go on after it" in labels(ran.driver.holds[1])
    assert ran.driver.holds[1]["detail"] == "overridden: ends after this turn"
    assert ran.driver.where[2] == ("ending", "terminate")
    assert ran.said == ["a", "FIRST"] and ran.ended == ("stopped", "human")
    turn = ran.conversation.journal.transcript.turns[1]
    assert not turn.flags & (Flag.WOULD_END | Flag.EDITED)
    for number, plan in enumerate((["override", "undo"], ["override", "override"])):
        ran = await held(tmp_path / str(number), "commit", *plan, "go")
        assert ran.ended == ("completed", "simulator")
        assert ran.of("debug.overrode")[1]["undoes"] == ran.of("debug.overrode")[0]["seq"]
    edit = ("edit", {"raw": "second"})
    ran = await held(tmp_path / "b", "commit", "override", edit, "undo", "undo", "redo", "go")
    assert ran.ended == ("stopped", "human"), "an edit in between takes nothing back"
