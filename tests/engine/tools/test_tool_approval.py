"""Tool calls before they run: approved, edited, denied; by setting, by command, in steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.engine.conversation.commands import CommandHandler
from convtui.errors import CommandRefused
from convtui.records.models import RecordDict
from tests.builders.conversations import Answer, Bot, Ran, calls, run, scenario

PAY = '{"amount": 5}'


class Bank(Bot):
    """Calls `pay` twice and `look` once in one round, then speaks."""

    def __init__(self, *lines: Any) -> None:
        self.paid: list[int] = []
        reply = calls(("pay", PAY), ("pay", '{"amount": 7}'), ("look", ""))
        super().__init__(*(lines or (reply, "done")), tools=[self.pay, self.look])

    def pay(self, amount: int) -> str:
        """Pays."""
        self.paid.append(amount)
        return f"paid {amount}"

    def look(self) -> str:
        """Looks."""
        return "seen"


async def held(folder: Path, *plan: Answer, bot: Bank | None = None, **fields: Any) -> Ran:
    """A conversation in which all tools wait for approval."""
    fields.setdefault("approve_tools", True)
    return await run(scenario(bot or Bank(), ["hi"], **fields), folder, plan=list(plan))


def kinds(ran: Ran) -> dict[str, str | None]:
    """Error kinds of the results, by call."""
    return {record["id"]: record.get("error_kind") for record in ran.of("tool.returned")}


async def test_a_round_holds_once_with_a_draft_for_each_call(tmp_path: Path) -> None:
    bot = Bank()
    ran = await held(tmp_path, "go", bot=bot)
    hold = ran.driver.holds[0]
    assert (hold["reason"], hold["stage"], hold["side"]) == ("tool_approval", "tools", "provider")
    assert hold["drafts"][0] == {
        "field": "c1", "label": "call of pay", "text": PAY, "tool": "pay", "round": 1,
        "max_rounds": 64,
    }  # fmt: skip
    assert [draft["field"] for draft in hold["drafts"]] == ["c1", "c2", "c3"]
    assert [choice["id"] for choice in hold["choices"]] == ["go", "deny", "edit"]
    assert hold["detail"] == "round 1 of 64: pay, look may not run without approval"
    assert sorted(bot.paid) == [5, 7]
    assert [record["id"] for record in ran.of("tool.approved")] == ["c1", "c2", "c3"]
    assert len(ran.of("tool.called")) == 3
    assert ran.of("tool.called")[0]["max_rounds"] == 64
    assert ran.types.index("debug.held") < ran.types.index("tool.called")


async def test_denied_calls_do_not_run_and_the_model_is_told(tmp_path: Path) -> None:
    bot = Bank()
    ran = await held(tmp_path, ("deny", {"reason": "too much"}), bot=bot)
    assert bot.paid == []
    assert kinds(ran) == {"c1": "tool_denied", "c2": "tool_denied", "c3": "tool_denied"}
    assert ran.of("tool.called") == []
    denied = ran.of("tool.denied")
    assert [record["reason"] for record in denied] == ["too much"] * 3
    assert denied[0]["arguments"] == {"amount": 5}
    assert "the call was denied: too much" in bot.sent[1][-1]["content"]
    assert [m["role"] for m in bot.sent[1][-4:]] == ["assistant", "tool", "tool", "tool"]
    assert ran.said == ["hi", "done"]


async def test_edited_arguments_are_what_runs_and_what_the_model_reads(tmp_path: Path) -> None:
    bot = Bank()
    edits = {"c1": '{"amount": 1}', "deny": ["c2"], "reason": "once is enough"}
    ran = await held(tmp_path, ("edit", edits), bot=bot)
    assert bot.paid == [1]
    edited = ran.one("debug.edited")
    assert (edited["field"], edited["before"], edited["after"]) == ("c1", PAY, '{"amount": 1}')
    called = {record["id"]: record for record in ran.of("tool.called")}
    assert called["c1"]["arguments"] == {"amount": 1}
    assert called["c1"]["edited"] is True
    assert "edited" not in called["c3"]
    assert kinds(ran) == {"c1": None, "c2": "tool_denied", "c3": None}
    assert [record["id"] for record in ran.of("tool.approved")] == ["c1", "c3"]
    sent = bot.sent[1][-4]["tool_calls"]
    assert [call["function"]["arguments"] for call in sent[:2]] == ['{"amount": 1}',
                                                                    '{"amount": 7}']  # fmt: skip


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"c1": '{"amount": '}, "the arguments of pay (c1) cannot be used: they are no JSON"),
        ({"c1": "[1]"}, "the arguments of pay (c1) cannot be used: they are not a JSON object"),
        ({"c1": 5}, "the arguments of pay (c1) must be JSON text"),
        ({"c9": "{}"}, "there is no call 'c9' in this round; it has c1, c2, c3"),
        ({"deny": ["c9"]}, "there is no call 'c9'"),
        ({"deny": "c1"}, "deny is a list of calls"),
    ],
)
async def test_an_edit_that_cannot_be_used_holds_again(
    tmp_path: Path, edits: dict[str, Any], message: str
) -> None:
    bot = Bank()
    ran = await held(tmp_path, ("edit", edits), "deny", bot=bot)
    first, second = ran.driver.holds[:2]
    assert second["reason"] == first["reason"] == "tool_approval"
    assert message in second["detail"]
    if "c1" in edits:
        assert second["drafts"][0]["text"] == edits["c1"], "what was typed is not lost"
    assert bot.paid == []
    assert ran.of("debug.edited") == []


async def test_only_named_tools_wait(tmp_path: Path) -> None:
    looks = Bank(calls(("look", "")), "done")
    ran = await held(tmp_path, bot=looks, approve_tools=["pay"])
    assert [hold["reason"] for hold in ran.driver.holds] == ["ending"]
    assert ran.of("tool.approved") == []
    ran = await held(tmp_path, "go", approve_tools=["pay"])
    assert ran.driver.holds[0]["detail"].endswith(": pay may not run without approval")


async def test_unattended_the_policy_decides(tmp_path: Path) -> None:
    bot = Bank()
    what = scenario(bot, ["hi"], approve_tools=True)
    ran = await run(what, tmp_path)
    assert ran.ended == ("interrupted", "harness")
    assert "may not run without approval" in ran.termination.reason
    assert bot.paid == []
    assert ran.of("tool.called", "tool.approved") == []
    bot = Bank()
    ran = await run(scenario(bot, ["hi"], approve_tools=True), tmp_path, on_pause="continue")
    assert sorted(bot.paid) == [5, 7]
    assert ran.of("tool.approved") == [], "nobody approved it"
    assert ran.ended == ("completed", "simulator")


async def test_a_stepped_stage_tools_offers_the_same(tmp_path: Path) -> None:
    bot = Bank()
    plan: list[Answer] = [("deny", {"reason": "not now"})]
    ran = await run(
        scenario(bot, ["hi"]), tmp_path, plan=plan, breakpoints=["~stage tools & ~speaker provider"]
    )
    hold = ran.driver.holds[0]
    assert (hold["reason"], hold["stage"]) == ("breakpoint", "tools")
    assert [choice["id"] for choice in hold["choices"]] == ["go", "deny", "edit"]
    assert bot.paid == []
    assert set(kinds(ran).values()) == {"tool_denied"}


async def test_going_on_from_a_step_is_no_approval(tmp_path: Path) -> None:
    ran = await run(
        scenario(Bank(), ["hi"]), tmp_path, plan=["go"],
        breakpoints=["~stage tools & ~speaker provider"],
    )  # fmt: skip
    assert ran.of("tool.approved") == []
    assert len(ran.of("tool.called")) == 3


async def test_approval_is_switched_while_the_conversation_runs(tmp_path: Path) -> None:
    answers: list[dict[str, Any]] = []

    def switch_on(desk: CommandHandler, hold: RecordDict) -> None:
        with pytest.raises(ValueError, match="true, false or a list"):
            desk.carry_out("approve_tools", {"on": "yes"})
        answers.append(desk.carry_out("approve_tools", {"on": ["pay"]}))
        desk.carry_out("approve_tools", {"on": ["pay"]})
        desk.carry_out("run", {})

    def refused(desk: CommandHandler, hold: RecordDict) -> None:
        with pytest.raises(CommandRefused, match="this hold needs a decision"):
            desk.carry_out("run", {})
        desk.carry_out("approve_tools", {"on": False})
        desk.carry_out("release", {"hold": hold["hold"], "choice": "go"})

    plan: list[Answer] = [switch_on, refused]
    ran = await run(scenario(Bank(), ["hi"]), tmp_path, paused=True, plan=plan)
    assert [hold["reason"] for hold in ran.driver.holds] == ["pause", "tool_approval", "ending"]
    assert answers == [{"approve_tools": ["pay"]}]
    switched = ran.of("debug.overrode")
    assert [(r["what"], r.get("before"), r.get("after")) for r in switched] == [
        ("approve_tools", False, ["pay"]),
        ("approve_tools", ["pay"], False),
    ]


async def test_what_was_switched_by_hand_holds_in_what_continues(tmp_path: Path) -> None:
    from tests.builders.conversations import resume

    def switch_on(desk: CommandHandler, hold: RecordDict) -> None:
        desk.carry_out("approve_tools", {"on": True})
        desk.carry_out("stop", {})

    what = scenario(Bank(), ["hi"])
    ran = await run(what, tmp_path, paused=True, plan=[switch_on])
    bot = Bank()
    child = await resume(ran.path, tmp_path, scenario(bot, ["hi"]), plan=["deny"])
    assert child.driver.holds[0]["reason"] == "tool_approval"
    assert bot.paid == []
    stopped = await resume(child.path, tmp_path, scenario(Bank(), ["hi"]), kind="go_on", plan=[])
    assert stopped.conversation.toolbox.approval.of is True


async def test_a_name_that_is_no_tool_does_not_approve_itself(tmp_path: Path) -> None:
    bot = Bank()
    ran = await run(scenario(bot, ["hi"], approve_tools=["pya"]), tmp_path)
    assert ran.ended == ("failed", "harness")
    assert ran.termination.reason == (
        "approve_tools names 'pya', which is no tool, did you mean 'pay'? (known: pay, look)"
    )
    assert bot.paid == []

    def put_right(desk: CommandHandler, hold: RecordDict) -> None:
        with pytest.raises(CommandRefused, match="'pays', which is no tool"):
            desk.carry_out("approve_tools", {"on": ["pays"]})
        desk.carry_out("approve_tools", {"on": ["pay"]})
        desk.carry_out("release", {"hold": hold["hold"], "choice": "retry"})

    ran = await held(tmp_path, put_right, "deny", bot=bot, approve_tools=["pya"])
    assert ran.driver.where[:2] == [("error", "setup"), ("tool_approval", "tools")]
    assert bot.paid == []


async def test_every_round_is_held_and_counted(tmp_path: Path) -> None:
    bot = Bank(calls(("look", "")), calls(("look", "")), "done")
    ran = await held(tmp_path, "go", "go", bot=bot, max_tool_rounds=5)
    assert [hold["detail"].partition(":")[0] for hold in ran.driver.holds[:2]] == [
        "round 1 of 5", "round 2 of 5",
    ]  # fmt: skip
    assert [record["round"] for record in ran.of("tool.called")] == [1, 2]


async def test_a_breakpoint_on_tool_calls_holds_before_they_run(tmp_path: Path) -> None:
    bot = Bank()
    ran = await run(scenario(bot, ["hi"]), tmp_path, plan=["deny"], breakpoints=["~tool"])
    assert ran.driver.where[0] == ("breakpoint", "tools")
    assert bot.paid == []


async def test_text_beside_calls_that_was_edited_is_what_the_model_reads(tmp_path: Path) -> None:
    bot = Bank(calls(("look", ""), text="let me see"), "done")
    await run(
        scenario(bot, ["hi"]), tmp_path,
        plan=[("edit", {"raw": "one moment"}), "go"],
        breakpoints=["~stage response & ~speaker provider"],
    )  # fmt: skip
    assert bot.sent[1][-2]["content"] == "one moment"
