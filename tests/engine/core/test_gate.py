"""The gate: pause, step, edits, take-over, cancelling, endings, errors and breakpoints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from convtui.engine.conversation.commands import CommandHandler
from convtui.errors import CommandRefused
from convtui.models.base import Delta
from convtui.protocol import ContinueFrom
from convtui.providers.base import Request, SignalMatch
from convtui.records.models import RecordDict
from tests.builders.conversations import (
    Answer,
    Bot,
    FakeModels,
    calls,
    prepare,
    run,
    scenario,
    until,
)
from tests.builders.waiting import WITHIN


def take_over(side: str = "persona") -> Answer:
    """Takes a side over at a hold; a hold before that side's words is passed by itself."""

    def take(desk: CommandHandler, hold: RecordDict) -> None:
        desk.carry_out("take_over", {"side": side})

    return take


def take_over_and(go: str, side: str = "persona") -> Answer:
    """Takes a side over at a hold of the other side, then runs or steps."""

    def take(desk: CommandHandler, hold: RecordDict) -> None:
        desk.carry_out("take_over", {"side": side})
        desk.carry_out(go, {})

    return take


class Waits(Bot):
    """Says half, then waits to be told to go on."""

    stubborn = False

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def respond(self, request: Request) -> AsyncIterator[Delta]:
        self.requests.append(request)
        yield Delta(text="half ")
        self.begun.set()
        while not self.go.is_set():
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                if not self.stubborn:
                    raise
        yield Delta(text="whole")


class Drops(Bot):
    """Drops every reply with a signal."""

    def should_discard_response(self, signals: list[SignalMatch]) -> bool:
        return True


# --- pause and step


async def test_paused_from_the_start_holds_before_the_first_turn(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(), ["a"]), tmp_path, paused=True, plan=["go"])
    assert ran.driver.where == [("pause", "request"), ("ending", "terminate")]
    assert ran.said == ["a", "fine"]


async def test_stepping_by_turn(tmp_path: Path) -> None:
    ran = await run(
        scenario(Bot(), ["a", "b"]), tmp_path, paused=True, plan=["step_turn"] * 4 + ["run"]
    )
    at = [(h["turn"], h["stage"]) for h in ran.driver.holds]
    assert at[:5] == [(1, "request"), (2, "request"), (3, "request"), (4, "request"),
                      (5, "request")]  # fmt: skip


async def test_stepping_by_stage(tmp_path: Path) -> None:
    bot = Bot("[X]", signals=["[X]"])
    ran = await run(scenario(bot, ["a"]), tmp_path, paused=True, plan=["step_stage"] * 11)
    stages = [h["stage"] for h in ran.driver.holds]
    assert stages == [
        "request", "signals", "post_process", "commit",
        "request", "response", "signals", "post_process", "discard", "commit", "terminate",
    ]  # fmt: skip


async def test_a_step_asked_for_while_running_stops_at_the_next_turn(tmp_path: Path) -> None:
    bot = Waits()
    conversation, driver, _ = prepare(scenario(bot, ["a", "b"]), tmp_path, plan=["go"])
    task = asyncio.create_task(conversation.run())
    await asyncio.wait_for(bot.begun.wait(), WITHIN)
    assert driver.desk is not None
    driver.desk.carry_out("step_turn", {})
    bot.go.set()
    await asyncio.wait_for(task, WITHIN)
    assert (driver.holds[0]["turn"], driver.holds[0]["stage"]) == (3, "request")


async def test_pausing_does_not_cancel_the_call(tmp_path: Path) -> None:
    bot = Waits()
    conversation, driver, _ = prepare(scenario(bot, ["a"]), tmp_path, plan=["go"])
    task = asyncio.create_task(conversation.run())
    await asyncio.wait_for(bot.begun.wait(), WITHIN)
    assert driver.desk is not None
    driver.desk.carry_out("pause", {})
    assert conversation.gate.state == "pausing"
    bot.go.set()
    await asyncio.wait_for(task, WITHIN)
    assert driver.where[0] == ("pause", "response")
    assert driver.holds[0]["drafts"][0]["text"] == "half whole"


async def test_old_holds_and_unknown_choices_are_refused(tmp_path: Path) -> None:
    refused: list[str] = []

    def wrong(desk: CommandHandler, hold: RecordDict) -> None:
        attempts: list[dict[str, Any]] = [
            {"hold": hold["hold"] + 1, "choice": "go"},
            {"hold": hold["hold"], "choice": "nonsense"},
        ]
        for attempt in attempts:
            with pytest.raises(CommandRefused) as error:
                desk.carry_out("release", attempt)
            refused.append(str(error.value))
        with pytest.raises(CommandRefused):
            desk.carry_out("pause", {})
        desk.carry_out("release", {"hold": hold["hold"], "choice": "go"})

    ran = await run(scenario(Bot(), ["a"]), tmp_path, paused=True, plan=[wrong])
    assert refused[0] == "that hold is over"
    assert "does not offer 'nonsense'; it offers go, skip" in refused[1]
    assert ran.said == ["a", "fine"]


async def test_nothing_is_carried_out_after_the_end(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(), ["a"]), tmp_path, plan=[])
    assert ran.driver.desk is not None
    for command in ("pause", "run", "take_over", "cancel", "stop", "break_add"):
        with pytest.raises(CommandRefused, match="is over"):
            ran.driver.desk.carry_out(command, {})
    with pytest.raises(CommandRefused, match="unknown command"):
        ran.driver.desk.carry_out("dance", {})


async def test_holds_and_releases_are_on_record(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(), ["a"]), tmp_path, paused=True, plan=["go"])
    held, released = ran.of("debug.held")[0], ran.of("debug.released")[0]
    assert held["hold"] == released["hold"] == 1
    assert (released["choice"], released["by"]) == ("go", "human")
    assert [c["id"] for c in held["choices"]] == ["go", "skip"]


# --- edits


@pytest.mark.parametrize("stage", ["response", "signals", "post_process", "commit"])
async def test_the_raw_reply_can_be_edited_at_every_stage(tmp_path: Path, stage: str) -> None:
    class Shouts(Bot):
        def post_process_response(self, text: str) -> str:
            return text.upper()

    ran = await run(
        scenario(Shouts("first"), ["a"], breakpoints=[f"~stage {stage} & ~speaker provider"]),
        tmp_path,
        plan=[("edit", {"raw": "second"}), "go"],
    )
    assert ran.said == ["a", "SECOND"]
    assert ran.driver.where[:2] == [("breakpoint", stage), ("step", stage)]
    edited = ran.one("debug.edited")
    assert (edited["before"], edited["after"]) == ("first", "second")
    assert ran.one("llm.response")["raw"] == "first", "what came is never lost"
    committed = ran.of("turn.committed")[1]
    assert committed["edited"] is True
    if stage != "response":
        assert committed["revision"] == 2
        assert [r.get("revision") for r in ran.of("signals.extracted")[1:]] == [None, 2]


async def test_an_edit_that_takes_a_signal_away_holds_at_the_commit_and_commits(
    tmp_path: Path,
) -> None:
    ran = await run(
        scenario(Drops("[X]", signals=["[X]"]), ["a"], breakpoints=["~stage discard"]),
        tmp_path,
        plan=["go", ("edit", {"raw": "fine"}), "go"],
    )
    assert ran.driver.where[1:3] == [("breakpoint", "discard"), ("step", "commit")]
    assert ran.said == ["a", "fine"]


async def test_an_edit_that_brings_a_signal_in_holds_at_the_discard(tmp_path: Path) -> None:
    ran = await run(
        scenario(Drops("ok", signals=["[X]"]), ["a"]),
        tmp_path,
        breakpoints=["~stage commit & ~speaker provider"],
        plan=[("edit", {"raw": "[X]"}), "go", "end"],
    )
    assert ran.driver.where[1:] == [("step", "discard"), ("ending", "terminate")]
    assert ran.one("turn.discarded")["raw"] == "[X]"
    assert ran.ended == ("discarded", "provider")


async def test_the_shown_text_can_be_edited(tmp_path: Path) -> None:
    ran = await run(
        scenario(Bot("first"), ["a"], breakpoints=["~stage commit & ~speaker provider"]),
        tmp_path,
        plan=[("edit", {"text": "said"}), "go"],
    )
    assert ran.said == ["a", "said"]
    assert ran.one("debug.edited")["field"] == "text"


@pytest.mark.parametrize("drops", [True, False])
async def test_a_discard_can_be_overridden_either_way(tmp_path: Path, drops: bool) -> None:
    bot = (Drops if drops else Bot)("[X] yes", signals=["[X]"])
    ran = await run(
        scenario(bot, ["a"], breakpoints=["~stage discard & ~speaker provider"]),
        tmp_path,
        plan=["override"],
    )
    assert ran.one("debug.overrode")["what"] == "discard"
    assert ran.said == (["a", "[X] yes"] if drops else ["a"])
    if drops:
        assert ran.of("turn.committed")[1]["would_have"] == "discard"


async def test_asking_again_and_skipping(tmp_path: Path) -> None:
    bot = Bot("one", "two", "three")
    ran = await run(
        scenario(bot, ["a", "b"], breakpoints=["~stage commit & ~speaker provider"]),
        tmp_path,
        plan=["again", "go", "skip"],
    )
    assert ran.said == ["a", "two", "b"]
    assert [(r["turn"], r["attempt"]) for r in ran.of("turn.started")][1:3] == [(2, 1), (2, 2)]
    assert ran.one("turn.skipped")["turn"] == 4


# --- take over


async def test_a_human_speaks_for_the_persona_and_hands_back(tmp_path: Path) -> None:
    ran = await run(
        scenario(Bot(), ["a", "b", "c"]), tmp_path, paused=True,
        plan=[take_over(), ("say", {"text": "mine"}), "hand_back"],
    )  # fmt: skip
    assert ran.said == ["mine", "fine", "b", "fine", "c", "fine"]
    assert ran.of("turn.committed")[0]["human"] is True
    assert "human" not in ran.of("turn.committed")[2]
    assert [r["side"] for r in ran.of("debug.took_over", "debug.handed_back")] == ["persona"] * 2


async def test_a_human_speaks_for_the_provider(tmp_path: Path) -> None:
    bot = Bot()
    ran = await run(
        scenario(bot, ["a", "b"], breakpoints=["~speaker provider"]), tmp_path,
        plan=[take_over("provider"), ("say", {"text": "by hand"}), "hand_back"],
    )  # fmt: skip
    assert "by hand" in ran.said
    assert ran.said[-1] == "fine"
    # The breakpoint fires at the human's own hold.
    assert ran.driver.where == [("breakpoint", "request"), *[("human", "request")] * 2,
                                ("ending", "terminate")]  # fmt: skip
    assert ran.driver.holds[2]["detail"] == (
        "breakpoint 1: ~speaker provider: you speak for the provider"
    )


@pytest.mark.parametrize("kind", ["reload", "rewind", "fork"])
async def test_a_new_engine_that_is_held_says_after_what(tmp_path: Path, kind: str) -> None:
    ran = await run(scenario(Bot(), ["a", "b"]), tmp_path)
    first = ran.of("turn.committed")[0]["seq"]
    parent = ContinueFrom(str(ran.path), seq=first, kind=kind, held=True, stage="request")
    child = await run(scenario(Bot(), ["a", "b"]), tmp_path, continue_from=parent, plan=["go"])
    assert child.driver.where[0] == ("pause", "request")
    assert child.driver.holds[0]["detail"] == f"held after the {kind}"
    assert len(child.driver.where) == 2, "and then it runs"


@pytest.mark.parametrize(
    ("side", "before"), [("persona", []), ("provider", ["step_turn"])], ids=["persona", "provider"]
)
async def test_taking_over_and_handing_back_keeps_the_hold(
    tmp_path: Path, side: str, before: list[Answer]
) -> None:
    bot = Bot()
    asked: list[int] = []

    def still(desk: CommandHandler, hold: RecordDict) -> None:
        asked.append(len(bot.requests))
        desk.carry_out("step_turn", {})

    again = [take_over(side), "hand_back"]
    ran = await run(
        scenario(bot, ["a"]), tmp_path, paused=True, plan=[*before, *again, *again, still]
    )
    reason = "step" if before else "pause"
    first = len(before)
    holds = [(reason, "request"), ("human", "request")]
    assert ran.driver.where[first : first + 5] == [*holds, *holds, (reason, "request")]
    assert asked == [0]
    assert ran.said == ["a", "fine"]


async def test_a_breakpoint_holds_again_after_a_hand_back(tmp_path: Path) -> None:
    ran = await run(
        scenario(Bot(), ["a"], breakpoints=["~speaker provider"]), tmp_path,
        plan=[take_over("provider"), "hand_back", "go"],
    )  # fmt: skip
    assert ran.driver.where[:3] == [
        ("breakpoint", "request"), ("human", "request"), ("breakpoint", "request"),
    ]  # fmt: skip
    assert ran.driver.holds[2]["detail"] == "breakpoint 1: ~speaker provider"


async def test_a_draft_that_was_handed_back_is_held_at_the_next_stage(tmp_path: Path) -> None:
    ran = await run(
        scenario(Bot(), ["a"]), tmp_path, paused=True,
        plan=["step_turn", take_over("provider"), "draft", "hand_back", "go"],
    )  # fmt: skip
    assert ran.driver.where[3:5] == [("human", "request"), ("step", "signals")]


async def test_a_step_onto_a_side_of_a_human_asks_the_human_at_once(tmp_path: Path) -> None:
    what = scenario(Bot(), persona={"name": "Me", "simulator": "human"}, max_turns=4)
    say = ("say", {"text": "mine"})
    ran = await run(what, tmp_path, paused=True, plan=[say, say])
    assert ran.said == ["mine", "fine"] * 2
    # A pause is over where the human is asked.
    assert ran.driver.where == [*[("human", "request")] * 2, ("ending", "terminate")]


async def test_a_step_goes_on_to_the_turn_after_the_humans(tmp_path: Path) -> None:
    ran = await run(
        scenario(Bot(), ["a", "b"]), tmp_path, paused=True,
        plan=["step_turn", take_over_and("step_turn"), ("say", {"text": "mine"}), "step_turn",
              "hand_back"],
    )  # fmt: skip
    assert ran.said == ["a", "fine", "mine", "fine"]
    assert ran.driver.where[:4] == [
        ("pause", "request"), ("step", "request"), ("human", "request"), ("step", "request"),
    ]  # fmt: skip


async def test_a_human_may_skip_and_take_an_overridden_ending_back(tmp_path: Path) -> None:
    what = scenario(Bot(), persona={"name": "Me", "simulator": "human"}, max_turns=3)
    say = ("say", {"text": "mine"})
    ran = await run(what, tmp_path, plan=["skip", say, "override", "undo"])
    assert ran.said == ["fine", "mine", "fine"]
    assert ran.one("turn.skipped")["turn"] == 1
    assert [r["what"] for r in ran.of("debug.overrode")] == ["ending"] * 2
    assert ran.ended == ("max_turns", "harness")


async def test_the_simulator_may_speak_once(tmp_path: Path) -> None:
    ran = await run(
        scenario(Bot(), ["a", "b"]), tmp_path, paused=True,
        plan=[take_over(), "simulate", ("say", {"text": "mine"}), ("stop", {})],
    )  # fmt: skip
    assert ran.said == ["a", "fine", "mine", "fine"]


async def test_taking_over_twice_and_handing_back_nothing_are_refused(tmp_path: Path) -> None:
    said: list[str] = []

    def twice(desk: CommandHandler, hold: RecordDict) -> None:
        for command, side in (
            ("hand_back", "persona"), ("take_over", "judge"), ("take_over", "provider"),
            ("take_over", "provider"),
        ):  # fmt: skip
            try:
                desk.carry_out(command, {"side": side})
            except CommandRefused as refusal:
                said.append(str(refusal))
        desk.carry_out("hand_back", {"side": "provider"})
        desk.carry_out("release", {"hold": hold["hold"], "choice": "go"})

    ran = await run(scenario(Bot(), ["a"]), tmp_path, paused=True, plan=[twice])
    assert said == [
        "nobody has taken over the persona",
        "there is no side 'judge'",
        "you speak for the provider already; t hands back",
    ]
    assert ran.said == ["a", "fine"]


async def test_a_human_persona_has_nobody_to_speak_headless(tmp_path: Path) -> None:
    what = scenario(Bot(), persona={"name": "Me", "simulator": "human"})
    ran = await run(what, tmp_path)
    assert ran.ended == ("interrupted", "harness")


# --- cancelling


@pytest.mark.parametrize("stubborn", [False, True])
async def test_cancelling_keeps_the_partial_text(tmp_path: Path, stubborn: bool) -> None:
    bot = Waits(stubborn=stubborn)
    conversation, driver, _ = prepare(
        scenario(bot, ["a"]), tmp_path, plan=[("supply", {"raw": "by hand"})]
    )
    records: list[RecordDict] = []
    conversation.journal.listen(lambda record, offset, line: records.append(record))
    task = asyncio.create_task(conversation.run())
    await asyncio.wait_for(bot.begun.wait(), WITHIN)
    assert driver.desk is not None
    driver.desk.carry_out("cancel", {})
    await asyncio.wait_for(task, WITHIN)
    bot.go.set()
    assert driver.holds[0]["drafts"][0]["text"] == "half "
    cancelled = [r for r in records if r["type"] == "turn.cancelled"]
    assert [r["partial"] for r in cancelled] == ["half "]
    assert [r["text"] for r in records if r["type"] == "turn.committed"] == ["a", "by hand"]


async def test_cancelling_with_no_call_is_refused(tmp_path: Path) -> None:
    def cancel(desk: CommandHandler, hold: RecordDict) -> None:
        with pytest.raises(CommandRefused, match="no call is in flight"):
            desk.carry_out("cancel", {})
        desk.carry_out("run", {})

    await run(scenario(Bot(), ["a"]), tmp_path, paused=True, plan=[cancel])


async def test_cancelling_while_waiting_for_another_attempt(tmp_path: Path) -> None:
    from convtui.errors import RateLimited

    bot = Bot(RateLimited("slow down", retry_after=3600), "ok")
    patient = scenario(bot, ["a"], retry={"max_wait": 3600})
    conversation, driver, _ = prepare(patient, tmp_path, plan=["again"])
    task = asyncio.create_task(conversation.run())
    await until(lambda: "llm.retry" in conversation.journal.transcript.counts)
    await until(conversation.caller.cancel)
    await asyncio.wait_for(task, WITHIN)
    assert driver.where[0] == ("pause", "response")
    assert bot.answered == 2


async def test_a_call_can_be_made_after_one_was_cancelled(tmp_path: Path) -> None:
    bot = Waits()
    conversation, driver, _ = prepare(scenario(bot, ["a"]), tmp_path, plan=["again"])
    task = asyncio.create_task(conversation.run())
    await asyncio.wait_for(bot.begun.wait(), WITHIN)
    assert driver.desk is not None
    bot.begun.clear()
    driver.desk.carry_out("cancel", {})
    await asyncio.wait_for(bot.begun.wait(), WITHIN)
    bot.go.set()
    await asyncio.wait_for(task, WITHIN)
    assert [t.text for t in conversation.journal.transcript.turns][:2] == ["a", "half whole"]


# --- endings


async def test_every_ending_holds_and_can_be_overridden(tmp_path: Path) -> None:
    bot = Bot("[X]", "on", signals=["[X]"])
    ran = await run(scenario(bot, ["a", "b"]), tmp_path, plan=["override"])
    assert ran.said == ["a", "[X]", "b", "on"]
    overrode = ran.one("debug.overrode")
    assert overrode["before"]["kind"] == "early_termination"
    assert ran.ended == ("completed", "simulator")
    assert ran.driver.where == [("ending", "terminate")] * 2


async def test_an_overridden_cap_lets_it_go_on(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(), ["a"] * 9, max_turns=2), tmp_path, plan=["override"])
    assert len(ran.said) == 4
    assert ran.ended == ("max_turns", "harness")


async def test_an_overridden_end_of_the_script_asks_the_persona(tmp_path: Path) -> None:
    bot = Bot()

    def speak_instead(desk: CommandHandler, hold: RecordDict) -> None:
        desk.carry_out("take_over", {"side": "persona"})
        desk.carry_out("release", {"hold": hold["hold"], "choice": "override"})

    ran = await run(
        scenario(bot, ["a"]),
        tmp_path,
        plan=[speak_instead, ("say", {"text": "more"}), ("stop", {})],
    )
    assert ran.said == ["a", "fine", "more", "fine"]


async def test_an_overridden_discard_ending_goes_on_with_the_other(tmp_path: Path) -> None:
    bot = Drops("[X]", "ok", signals=["[X]"])
    ran = await run(scenario(bot, ["a", "b"]), tmp_path, plan=["override"])
    assert ran.said == ["a", "b", "ok"]


async def test_an_overridden_budget_does_not_come_back(tmp_path: Path) -> None:
    from tests.builders.conversations import costing

    what = scenario(Bot(costing("x", 9)), ["a", "b"], budget={"tokens": 5})
    ran = await run(what, tmp_path, plan=["end", "override"])
    assert ran.driver.where == [
        ("budget", "response"), ("ending", "terminate"), ("ending", "terminate"),
    ]  # fmt: skip
    assert ran.said == ["a", "x", "b", "x"]
    assert ran.ended == ("completed", "simulator")


# --- errors


async def test_a_failed_call_can_be_asked_again(tmp_path: Path) -> None:
    bot = Bot(ValueError("oops"), "ok")
    ran = await run(scenario(bot, ["a"]), tmp_path, plan=["again"])
    assert ran.driver.where[0] == ("error", "response")
    assert ran.driver.holds[0]["error"]["message"] == "ValueError: oops"
    assert ran.said == ["a", "ok"]


@pytest.mark.parametrize(
    ("answer", "said", "ended"),
    [
        (("supply", {"raw": "mine"}), ["a", "mine"], "completed"),
        ("skip", ["a"], "completed"),
        ("fail", ["a"], "failed"),
    ],
)
async def test_a_failed_call_can_be_supplied_skipped_or_let_fail(
    tmp_path: Path, answer: Answer, said: list[str], ended: str
) -> None:
    ran = await run(scenario(Bot(ValueError("oops")), ["a"]), tmp_path, plan=[answer])
    assert ran.said == said
    assert ran.termination.kind == ended


@pytest.mark.parametrize("hook", ["extract_signals", "post_process_response"])
@pytest.mark.parametrize("answer", ["retry", "supply"])
async def test_a_failed_hook_can_be_tried_again_or_supplied(
    tmp_path: Path, hook: str, answer: str
) -> None:
    tries: list[str] = []

    def flaky(raw: str) -> Any:
        tries.append(raw)
        if len(tries) == 1:
            raise KeyError("x")
        return [] if hook == "extract_signals" else "mended"

    bot = Bot("raw", **{hook: flaky})
    plan: list[Answer] = [answer if answer == "retry" else ("supply", {"text": "by hand"})]
    ran = await run(scenario(bot, ["a"]), tmp_path, plan=plan)
    assert ran.driver.holds[0]["reason"] == "error"
    assert ran.driver.holds[0]["error"]["hook"] == hook
    last = {"retry": "mended", "supply": "by hand"}[answer]
    assert ran.said == ["a", "raw" if hook == "extract_signals" else last]


STAGE_HOOKS = {
    "signals": "extract_signals",
    "post_process": "post_process_response",
    "discard": "should_discard_response",
}


def failing_bot(stage: str) -> Bot:
    """A provider whose hook of this stage fails for the reply [X] as it came."""
    name = STAGE_HOOKS[stage]
    bot = Bot("[X]", signals=["[X]"])
    works = getattr(bot, name)

    def fails(given: Any) -> Any:
        if given == "[X]" or (stage == "discard" and given):
            raise KeyError("x")
        return works(given)

    setattr(bot, name, fails)
    return bot


@pytest.mark.parametrize("stage", STAGE_HOOKS)
async def test_what_is_written_for_a_failed_hook_is_said(tmp_path: Path, stage: str) -> None:
    written = {"raw": "mine"} if stage == "signals" else {"text": "mine"}
    plan: list[Answer] = [("supply", written), *(["go"] if stage == "signals" else [])]
    ran = await run(scenario(failing_bot(stage), ["a"]), tmp_path, plan=plan)
    assert ran.driver.holds[0]["stage"] == stage
    offered = {draft["field"]: draft["text"] for draft in ran.driver.holds[0]["drafts"]}
    assert {name: offered[name] for name in written} == dict.fromkeys(written, "[X]")
    assert ran.said == ["a", "mine"]
    (edit,) = ran.of("debug.edited")
    assert (edit["before"], edit["after"]) == ("[X]", "mine")


@pytest.mark.parametrize("stage", STAGE_HOOKS)
async def test_an_edit_of_the_raw_reply_at_a_failed_hook_runs_the_stages_again(
    tmp_path: Path, stage: str
) -> None:
    plan: list[Answer] = [("supply", {"raw": "mine"}), "go"]
    ran = await run(scenario(failing_bot(stage), ["a"]), tmp_path, plan=plan)
    assert ran.said == ["a", "mine"]
    assert [r.get("revision") for r in ran.of("signals.extracted") if r["turn"] == 2][-1] == 2


async def test_going_on_without_a_failed_hook_is_no_finding_of_the_hook(tmp_path: Path) -> None:
    ran = await run(scenario(failing_bot("signals"), ["a"]), tmp_path, plan=["supply"])
    assert ran.said == ["a", "[X]"]
    assert ran.of("signals.extracted")[-1]["hook"] == "by hand"
    assert ran.of("debug.edited") == []


@pytest.mark.parametrize("hook", ["setup", "enter_session", "prepare_sessions"])
async def test_a_failed_lifecycle_hook_can_be_tried_again(tmp_path: Path, hook: str) -> None:
    tries: list[Any] = []

    def flaky(*arguments: Any) -> Any:
        tries.append(arguments)
        if len(tries) == 1:
            raise OSError("down")
        return ["default"]

    ran = await run(scenario(Bot(**{hook: flaky}), ["a"]), tmp_path, plan=["retry"])
    assert ran.driver.holds[0]["reason"] == "error"
    assert len(tries) == 2
    assert ran.said == ["a", "fine"]


async def test_an_empty_reply_holds(tmp_path: Path) -> None:
    ran = await run(
        scenario(Bot("", "..."), ["a", "b"]), tmp_path,
        plan=[("supply", {"text": "something"}), "keep"],
    )  # fmt: skip
    assert [h["reason"] for h in ran.driver.holds[:2]] == ["empty", "empty"]
    assert ran.said == ["a", "something", "b", "..."]


async def test_an_edit_of_the_raw_reply_at_an_empty_one_runs_the_stages_again(
    tmp_path: Path,
) -> None:
    bot = Bot("<x>", post_process_response=lambda raw: raw.replace("<x>", ""))
    plan: list[Answer] = [("supply", {"raw": "<x>said"}), "go"]
    ran = await run(scenario(bot, ["a"]), tmp_path, plan=plan)
    assert ran.driver.holds[0]["reason"] == "empty"
    assert ran.said == ["a", "said"]
    assert ran.of("response.processed")[-1]["revision"] == 2


async def test_a_persona_model_that_fails_holds_on_its_side(tmp_path: Path) -> None:
    models = FakeModels(user=[ValueError("no"), "<end>"])
    what = scenario(
        Bot(), persona={"name": "A", "prompt": "p", "model": "fake/user", "opening": "hi"}
    )
    ran = await run(what, tmp_path, models=models, plan=["again"])
    assert (ran.driver.holds[0]["side"], ran.driver.holds[0]["stage"]) == ("persona", "response")
    assert ran.ended == ("completed", "simulator")


async def test_stage_tools_holds_once_a_round(tmp_path: Path) -> None:
    def add(left: int) -> int:
        return left + 1

    bot = Bot(calls(("add", '{"left": 1}'), ("add", '{"left": 2}')), "ok", tools=[add])
    ran = await run(
        scenario(bot, ["a"]),
        tmp_path,
        plan=["go"],
        breakpoints=["~stage tools & ~speaker provider"],
    )
    held = ran.driver.holds[0]
    assert held["stage"] == "tools"
    assert [d["text"] for d in held["drafts"]] == ['{"left": 1}', '{"left": 2}']
    assert ran.said == ["a", "ok"]


# --- breakpoints


async def test_a_breakpoint_fires_once_per_attempt_at_the_stage_where_it_is_known(
    tmp_path: Path,
) -> None:
    bot = Drops("[X]", "[X]", "ok", signals=["[X]"])
    ran = await run(
        scenario(bot, ["a"], on_discard="retry 2"), tmp_path, breakpoints=["~discard"], plan=[]
    )
    assert ran.driver.where == [
        ("breakpoint", "discard"), ("breakpoint", "discard"), ("ending", "terminate"),
    ]  # fmt: skip
    assert ran.driver.holds[0]["detail"] == "breakpoint 1: ~discard"
    assert ran.said == ["a", "ok"]


async def test_breakpoints_are_added_switched_and_removed(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    def add_valid(desk: CommandHandler, hold: RecordDict) -> None:
        seen.append(desk.carry_out("break_add", {"expression": "once: ~speaker persona"}))
        seen.append(desk.carry_out("break_add", {"expression": "~speaker provider"}))
        desk.carry_out("break_enable", {"breakpoint": 2, "enabled": False})
        with pytest.raises(CommandRefused, match="there is no breakpoint 9"):
            desk.carry_out("break_remove", {"breakpoint": 9})
        with pytest.raises(CommandRefused, match="unknown atom"):
            desk.carry_out("break_add", {"expression": "~nonsense"})
        desk.carry_out("run", {})

    ran = await run(scenario(Bot(), ["a", "b"]), tmp_path, paused=True, plan=[add_valid])
    assert [s["breakpoint"] for s in seen] == [1, 2]
    assert [h["reason"] for h in ran.driver.holds] == ["pause", "breakpoint", "ending"]


async def test_a_breakpoint_counts_and_one_that_skips_lets_pass(tmp_path: Path) -> None:
    asked: list[list[dict[str, Any]]] = []

    def ask(desk: CommandHandler, hold: RecordDict) -> None:
        asked.append(desk.carry_out("break_list", {})["breakpoints"])
        desk.carry_out("run", {})

    ran = await run(
        scenario(Bot("r1", "r2", "r3", "r4"), ["a", "b", "c", "d"]),
        tmp_path,
        breakpoints=["skip 1: ~speaker provider", "off: ~speaker persona", "once: ~said c"],
        plan=[ask, ask, ask, ask],
    )
    # Turn 2 was let pass; each stops once an attempt, so at its first stage.
    stops = [h["detail"] for h in ran.driver.holds if h["reason"] == "breakpoint"]
    skips, said = "breakpoint 1: ~speaker provider", "breakpoint 3: ~said c"
    assert stops == [skips, said, skips, skips]
    last = asked[-1]
    assert [(p["hits"], p["passed"], p["enabled"]) for p in last] == [
        (3, 1, True), (0, 0, False), (1, 0, False),
    ]  # fmt: skip
    # What another engine is told: nothing is let pass a second time, what is off stays off.
    assert [p["text"] for p in last] == [
        "~speaker provider", "off: ~speaker persona", "off, once: ~said c",
    ]  # fmt: skip


async def test_each_of_several_breakpoints_counts_and_the_first_is_told(tmp_path: Path) -> None:
    asked: list[list[dict[str, Any]]] = []

    def ask(desk: CommandHandler, hold: RecordDict) -> None:
        asked.append(desk.carry_out("break_list", {})["breakpoints"])
        desk.carry_out("run", {})

    ran = await run(
        scenario(Bot("x"), ["a"]), tmp_path,
        breakpoints=["~said x", "skip 1: ~said x", "~speaker provider & ~said x"],
        plan=[ask],
    )  # fmt: skip
    assert ran.driver.holds[0]["detail"] == "breakpoint 1: ~said x"
    assert [h["reason"] for h in ran.driver.holds] == ["breakpoint", "ending"]
    assert [(p["hits"], p["passed"]) for p in asked[0]] == [(1, 0), (0, 1), (1, 0)]


async def test_a_breakpoint_is_changed_in_its_place(tmp_path: Path) -> None:
    def change(desk: CommandHandler, hold: RecordDict) -> None:
        with pytest.raises(CommandRefused, match="skip takes how often"):
            desk.carry_out("break_change", {"breakpoint": 1, "expression": "skip 0: ~end"})
        with pytest.raises(CommandRefused, match="there is no breakpoint 7"):
            desk.carry_out("break_change", {"breakpoint": 7, "expression": "~end"})
        changed = desk.carry_out("break_change", {"breakpoint": 1, "expression": "~said x"})
        assert [(p["breakpoint"], p["text"]) for p in changed["breakpoints"]] == [(1, "~said x")]
        desk.carry_out("run", {})

    ran = await run(
        scenario(Bot("x"), ["a"]), tmp_path,
        breakpoints=["~said nothing"], paused=True, plan=[change],
    )  # fmt: skip
    assert [h["detail"] for h in ran.driver.holds][1] == "breakpoint 1: ~said x"


@pytest.mark.parametrize("given", [None, []], ids=["the scenario's", "none"])
async def test_breakpoints_of_a_scenario_stand_unless_others_are_given(
    tmp_path: Path, given: list[str] | None
) -> None:
    what = scenario(Bot("x"), ["a"], breakpoints=["~speaker provider"])
    ran = await run(what, tmp_path, breakpoints=given, plan=[])
    assert [h["reason"] for h in ran.driver.holds] == (
        ["breakpoint", "ending"] if given is None else ["ending"]
    )


async def test_a_breakpoint_ends_a_headless_run(tmp_path: Path) -> None:
    what = scenario(Bot("x"), ["a"], breakpoints=["~speaker provider"])
    ran = await run(what, tmp_path)
    assert ran.ended == ("interrupted", "harness")
    assert ran.termination.reason == "breakpoint 1: ~speaker provider"
    assert [record["reason"] for record in ran.of("debug.held")] == ["breakpoint"]
    ran = await run(what, tmp_path, on_pause="continue")
    assert ran.ended == ("completed", "simulator")
    assert [record["by"] for record in ran.of("debug.released")] == ["policy"]


async def test_what_goes_on_held_is_held_at_the_same_stage(tmp_path: Path) -> None:
    ran = await run(scenario(Bot("x"), ["a"]), tmp_path, plan=["end"])
    seq = next(r["seq"] for r in ran.of("llm.response") if r["side"] == "provider")
    parent = ContinueFrom(
        str(ran.conversation.journal.writer.path), seq, "reload", held=True, stage="post_process"
    )
    conversation, driver, _ = prepare(
        scenario(Bot("y"), ["a"]), tmp_path, plan=["go", "end"], continue_from=parent
    )
    await conversation.run()
    first = driver.holds[0]
    assert (first["stage"], first["turn"], first["reason"]) == ("post_process", 2, "pause")
    assert first["drafts"][0]["text"] == "x", "the reply of the parent, through the hooks of now"


async def test_streamed_text_is_published_with_its_place(tmp_path: Path) -> None:
    bot = Waits()
    conversation, _, deltas = prepare(scenario(bot, ["a"]), tmp_path)
    task = asyncio.create_task(conversation.run())
    await until(lambda: bool(deltas))
    bot.go.set()
    await asyncio.wait_for(task, WITHIN)
    first = deltas[0]
    assert (first["session"], first["turn"], first["side"]) == (1, 2, "provider")
    assert first["text"] == "half "
    assert first["after"] == first["call"]
