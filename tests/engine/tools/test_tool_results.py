"""Results of tools before the model sees them: held, edited, taken along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convtui.engine.conversation.commands import CommandHandler
from tests.builders.conversations import Bot, calls, resume, run, scenario


class Desk(Bot):
    """Looks two things up in one round, then speaks."""

    def __init__(self) -> None:
        reply = calls(("look", '{"code": "a"}'), ("look", '{"code": "b"}'))
        super().__init__(reply, "done", tools=[self.look])

    def look(self, code: str) -> str:
        """Looks."""
        if code == "b":
            raise ValueError("no such code")
        return f"seen {code}"


def results(bot: Bot) -> list[Any]:
    """The results that the model saw."""
    return [m["content"] for m in bot.requests[1].messages if m["role"] == "tool"]


async def test_a_breakpoint_on_a_failed_tool_holds_with_its_results(tmp_path: Path) -> None:
    bot = Desk()
    what = scenario(bot, ["hi"], breakpoints=["~toolerror"])
    edit = ("edit", {"result:c2": "seen b"})
    ran = await run(what, tmp_path, plan=[edit, "go"])
    hold = ran.driver.holds[0]
    assert (hold["reason"], hold["stage"]) == ("breakpoint", "request")
    assert [draft["field"] for draft in hold["drafts"]] == ["result:c1", "result:c2"]
    assert hold["drafts"][0]["text"] == "seen a"
    assert results(bot) == ["seen a", "seen b"]
    edited = ran.one("debug.edited")
    assert (edited["field"], edited["after"]) == ("result:c2", "seen b")
    assert "no such code" in edited["before"], "the original is never lost"
    committed = ran.of("turn.committed")[-1]
    assert committed["edited"] and committed["text"] == "done"


async def test_an_edited_result_is_what_a_child_goes_on_with(tmp_path: Path) -> None:
    what = scenario(Desk(), ["hi", "and?"], breakpoints=["~toolerror"])
    ran = await run(what, tmp_path, plan=[("edit", {"result:c2": "seen b"}), "go"])
    first = next(r for r in ran.of("turn.committed") if r["turn"] == 2)
    bot = Bot("on")
    child = await resume(ran.path, tmp_path, scenario(bot, ["hi", "and?"]), seq=first["seq"])
    contents = [m["content"] for m in bot.requests[0].messages if m["role"] == "tool"]
    assert contents == ["seen a", "seen b"]
    assert child.said == ["and?", "on"]


async def test_stepping_by_stage_stops_before_the_results_are_sent(tmp_path: Path) -> None:
    bot = Desk()
    ran = await run(scenario(bot, ["hi"]), tmp_path, plan=["step_stage"] * 30, paused=True)
    stages = [(h["stage"], len(h["drafts"])) for h in ran.driver.holds if h["turn"] == 2]
    assert stages[:4] == [("request", 1), ("response", 1), ("tools", 2), ("request", 2)]


async def test_without_a_hold_nothing_is_in_the_way(tmp_path: Path) -> None:
    bot = Desk()
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    assert not ran.driver.holds
    assert ran.said == ["hi", "done"]


async def test_taking_over_between_two_rounds_does_not_let_the_tools_go_on(
    tmp_path: Path,
) -> None:
    asked: list[int] = []
    bot = Desk()

    def take_over(desk: CommandHandler, hold: Any) -> None:
        desk.carry_out("take_over", {"side": "provider"})
        asked.append(len(bot.requests))
        assert desk._gate.hold is not None and not desk._gate.hold.answer.done()
        desk.carry_out("run", {})

    await run(scenario(bot, ["hi"], breakpoints=["~toolerror"]), tmp_path, plan=[take_over])
    assert asked == [1]
