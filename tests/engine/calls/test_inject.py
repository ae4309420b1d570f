"""Faults put into calls on purpose: what the call does, what is recorded, when it is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.engine.calls.calls import Caller
from convtui.engine.calls.inject import ERROR_TEXT, Injector
from convtui.engine.calls.request import CallRequest
from convtui.engine.calls.retrying import RetryRules
from convtui.engine.conversation.commands import CommandHandler
from convtui.engine.core.journal import Journal
from convtui.errors import CommandRefused, ConvtuiError, ModelTimeout, ProviderError
from convtui.log.reader import open_log
from convtui.log.writer import LogWriter
from convtui.models.base import Delta, ToolCallDelta, Usage
from convtui.protocol import FAULTS
from convtui.records.models import RecordDict
from convtui.secrets.redactor import Redactor
from convtui.transcript.fault_rules import faults_of
from tests.builders.conversations import Bot, Ran, run, scenario

PIECES = [
    Delta(text="one "),
    Delta(text="two "),
    Delta(text="three "),
    Delta(text="four", finish_reason="stop", usage=Usage(prompt_tokens=9, completion_tokens=4)),
]


def arm(**arguments: Any) -> Any:
    """At a hold: arms a fault, then goes on."""

    def at_hold(desk: CommandHandler, hold: RecordDict) -> None:
        desk.carry_out("inject", arguments)
        desk.carry_out("run", {})

    return at_hold


async def with_fault(
    folder: Path, *lines: Any, plan: tuple[Any, ...] = (), **arguments: Any
) -> tuple[Ran, Bot]:
    """One question to a provider, with a fault armed before it."""
    bot = Bot(*(lines or (PIECES,)))
    what = scenario(bot, script=["hello"], on_empty="keep", on_error_text="keep")
    return await run(what, folder, plan=[arm(**arguments), *plan], paused=True), bot


def kinds(ran: Ran) -> list[str]:
    """What the provider's calls went through."""
    wanted = ("debug.injected", "llm.retry", "llm.response", "llm.failed")
    return [r["type"] for r in ran.of(*wanted)]


async def test_a_429_is_one_attempt_and_the_next_one_is_real(tmp_path: Path) -> None:
    ran, bot = await with_fault(tmp_path, fault="429", seconds=0)
    assert kinds(ran) == ["debug.injected", "llm.retry", "llm.response"]
    assert bot.answered == 1
    assert ran.said[-1] == "one two three four"
    retry = ran.one("llm.retry")
    assert retry["error"] == {
        "type": "RateLimited",
        "message": "injected: 429, too many requests",
        "category": "llm",
        "status": 429,
        "retry_after": 0.0,
    }
    assert retry["delay"] == 0
    injected = ran.one("debug.injected")
    assert (injected["fault"], injected["side"]) == ("429", "provider")
    assert injected["call"] == ran.one("llm.request")["seq"]
    assert "left" not in injected


async def test_a_500_is_retried_as_often_as_it_is_armed_for(tmp_path: Path) -> None:
    ran, bot = await with_fault(tmp_path, fault="500", count=3)
    assert [r.get("left") for r in ran.of("debug.injected")] == [2, 1, None]
    assert [r["n"] for r in ran.of("llm.retry")] == [1, 2, 3]
    assert {r["error"]["type"] for r in ran.of("llm.retry")} == {"ModelUnavailable"}
    assert bot.answered == 1


async def test_faults_for_every_attempt_fail_the_call_as_the_real_thing_does(
    tmp_path: Path,
) -> None:
    ran, bot = await with_fault(tmp_path, plan=("fail",), fault="500", count=4)
    assert bot.answered == 0
    failed = ran.one("llm.failed")
    assert failed["error"]["status"] == 500
    assert ran.ended == ("failed", "provider")


async def test_a_timeout_does_not_wait_and_asks_nobody(tmp_path: Path) -> None:
    ran, bot = await with_fault(tmp_path, plan=("again",), fault="timeout")
    # The developer's own code that takes too long is not called again by itself.
    assert kinds(ran) == ["debug.injected", "llm.failed", "llm.response"]
    assert ran.one("llm.failed")["error"]["message"].startswith("injected: no end of the reply")
    assert ran.one("llm.failed")["duration"] < 5
    assert bot.answered == 1


@pytest.mark.parametrize(("own_code", "error"), [(True, ProviderError), (False, ModelTimeout)])
async def test_a_timeout_is_the_error_that_a_real_one_is(
    tmp_path: Path, own_code: bool, error: type[ConvtuiError]
) -> None:
    journal = Journal(LogWriter(tmp_path / "log.jsonl", Redactor()))
    caller = Caller(journal, retry=RetryRules(attempts=1), timeout=60)
    caller.injector.arm("timeout", "provider")
    with pytest.raises(error, match="injected"):
        await caller.ask(CallRequest("provider", _never, [], own_code=own_code))
    journal.writer.abandon()


async def _never() -> Any:
    for _ in range(1):
        raise AssertionError("the model was asked")
    yield


async def test_an_empty_reply_and_an_error_text_ask_nobody(tmp_path: Path) -> None:
    ran, bot = await with_fault(tmp_path / "empty", fault="empty")
    assert (ran.one("llm.response")["raw"], bot.answered) == ("", 0)
    assert ran.of("turn.committed")[-1]["empty"] is True
    ran, bot = await with_fault(tmp_path / "error", fault="error_text")
    assert (ran.one("llm.response")["raw"], bot.answered) == (ERROR_TEXT, 0)
    ran, _ = await with_fault(tmp_path / "own", fault="error_text", text="HTTP 502")
    assert ran.said[-1] == "HTTP 502"


async def test_an_error_text_tries_the_providers_own_signals(tmp_path: Path) -> None:
    bot = Bot("fine", signals=["[[ERROR]]"])
    ran = await run(
        scenario(bot, script=["hello", "again"]),
        tmp_path,
        plan=[arm(fault="error_text"), "end"],
        paused=True,
    )
    assert ran.ended == ("early_termination", "provider")
    assert ran.termination.signal == "[[ERROR]]"


async def test_a_truncated_reply_is_half_of_what_was_said(tmp_path: Path) -> None:
    ran, bot = await with_fault(tmp_path, fault="truncated")
    response = ran.one("llm.response")
    assert response["raw"] == "one two t"
    assert response["finish_reason"] == "length"
    assert response["usage"]["completion_tokens"] == 4
    assert bot.answered == 1


async def test_a_truncated_tool_call_has_half_of_its_arguments(tmp_path: Path) -> None:
    call = ToolCallDelta(index=0, id="c1", name="look", arguments='{"where": "here"}')
    ran, _ = await with_fault(tmp_path, [Delta(tool_calls=(call,))], fault="truncated")
    (made,) = ran.one("llm.response")["tool_calls"]
    assert made["function"]["arguments"] == '{"where"'


async def test_a_dropped_stream_keeps_what_had_arrived(tmp_path: Path) -> None:
    ran, bot = await with_fault(tmp_path, fault="drop")
    retry = ran.one("llm.retry")
    assert (retry["error"]["type"], retry["partial"]) == ("StreamDropped", "one two t")
    assert bot.answered == 2
    assert ran.said[-1] == "one two three four"


async def test_a_slow_reply_is_whole_and_comes_late(tmp_path: Path) -> None:
    ran, _ = await with_fault(tmp_path / "long", "y" * 400, fault="slow", seconds=0.02)
    response = ran.one("llm.response")
    assert response["raw"] == "y" * 400
    assert response["ttft"] >= 0.02
    assert response["duration"] >= 0.2
    assert len(response["chunks"]) > 2


async def test_the_failure_is_nobodys_fault(tmp_path: Path) -> None:
    ran, _ = await with_fault(tmp_path, fault="429", seconds=0)
    with open_log(ran.path) as log:
        found = [f for turn in log.transcript.turns for f in faults_of(turn)]
    assert [(fault.side, fault.rule) for fault in found] == [("harness", "fault-injected")]


async def test_a_fault_waits_for_its_own_side(tmp_path: Path) -> None:
    what = scenario(Bot("fine"), persona="demo", max_turns=4, on_empty="keep")
    ran = await run(what, tmp_path, plan=[arm(fault="empty", side="persona"), "end"], paused=True)
    assert ran.one("debug.injected")["side"] == "persona"
    assert "" in ran.said


async def test_what_cannot_be_is_refused_with_the_reason(tmp_path: Path) -> None:
    said: list[str] = []
    answers: list[dict[str, Any]] = []

    def at_hold(desk: CommandHandler, hold: RecordDict) -> None:
        for wrong in (
            {"fault": "429s"},
            {"fault": "429", "side": "user"},
            {"fault": "429", "side": "persona"},
            {"fault": "429", "count": -1},
            {"fault": "slow", "seconds": -1},
            {},
        ):
            with pytest.raises(CommandRefused) as refused:
                desk.carry_out("inject", wrong)
            said.append(str(refused.value))
        answers.append(desk.carry_out("inject", {"fault": "slow", "count": 2}))
        answers.append(desk.carry_out("inject", {}))
        desk.carry_out("run", {})

    ran = await run(scenario(Bot()), tmp_path, plan=[at_hold], paused=True)
    assert said == [
        "there is no fault '429s', did you mean '429'?",
        "there is no side 'user'; write provider, persona or responder",
        "a scripted user makes no calls as persona: no fault can be in one",
        "a fault is for 1 to 1000 attempts, not -1",
        "seconds must be 0 or more, not -1",
        "no fault waits for the provider",
    ]
    assert answers == [{"armed": {"provider": {"fault": "slow", "left": 2}}}, {"armed": {}}]
    assert ran.of("debug.injected") == []


def test_every_fault_can_be_armed_and_is_used_up() -> None:
    injector = Injector()
    for fault in FAULTS:
        injector.arm(fault, "provider", count=2)
    first, second = injector.take("provider"), injector.take("provider")
    assert first is not None and second is not None
    assert (first.fault, first.left, second.left) == ("drop", 2, 1)
    assert injector.take("provider") is None


async def test_what_is_armed_goes_along_into_the_next_engine(tmp_path: Path) -> None:
    injector = Injector()
    injector.arm("429", "provider", count=2, seconds=0.0)
    injector.arm("error_text", "persona", text="[[ERROR]] mine")
    told = injector.listed()
    fresh = Injector()
    fresh.take_over(told)
    assert fresh.listed() == told
    assert fresh.take("persona") == injector.take("persona")
    bot = Bot("fine")
    first = {"provider": told["provider"]}
    ran = await run(scenario(bot, ["hello"]), tmp_path, faults=first)
    assert kinds(ran) == ["debug.injected", "llm.retry"] * 2 + ["llm.response"]
