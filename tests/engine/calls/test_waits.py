"""Waits before another attempt: announced, bounded, cancelled; what is too long holds or fails."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from convtui.engine.calls.objections import turns_of
from convtui.engine.calls.retrying import RetryRules
from convtui.errors import (
    BadModelRequest,
    ConversationError,
    ModelUnavailable,
    RateLimited,
    TransientProviderError,
)
from convtui.models.base import Delta
from convtui.printing.printer import Printer
from convtui.providers.base import Request
from convtui.records.models import RecordDict
from tests.builders.conversations import Bot, FakeModels, prepare, run, scenario, until
from tests.builders.waiting import WITHIN

HOUR = 3600.0


class Clock:
    """Sleeps that take no time; how long each would have been."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._sleep = asyncio.sleep

    async def sleep(self, seconds: float, result: Any = None) -> Any:
        if seconds:
            self.slept.append(seconds)
        return await self._sleep(0, result)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(asyncio, "sleep", clock.sleep)
    return clock


async def test_a_wait_that_is_asked_for_is_made(tmp_path: Path, clock: Clock) -> None:
    bot = Bot(RateLimited("slow down", retry_after=12), "ok")
    ran = await run(scenario(bot, ["a"]), tmp_path)
    assert ran.said == ["a", "ok"]
    assert clock.slept == [12.0]
    retry = ran.one("llm.retry")
    assert (retry["n"], retry["attempts"], retry["delay"]) == (1, 4, 12.0)


@pytest.mark.parametrize(
    ("error", "figure"),
    [
        (RateLimited("slow down", retry_after=HOUR),
         "the endpoint asks to wait 1 h 0 min, more than retry.max_wait (60 s)"),
        (ModelUnavailable("503", retry_after=99999),
         "the endpoint asks to wait 27 h 46 min, more than retry.max_wait (60 s)"),
        (TransientProviderError("busy", retry_after=61),
         "the provider asks to wait 1 min 1 s, more than retry.max_wait (60 s)"),
        (TransientProviderError("busy", retry_after="3600"),
         "the provider asks to wait 1 h 0 min, more than retry.max_wait (60 s)"),
    ],
)  # fmt: skip
async def test_a_longer_one_fails_a_run_at_once(
    tmp_path: Path, clock: Clock, error: ConversationError, figure: str
) -> None:
    bot = Bot(error, "never")
    ran = await run(scenario(bot, ["a"]), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert ran.termination.reason.endswith(f"; {figure}")
    assert ran.one("llm.failed")["error"]["message"] == ran.termination.reason
    assert bot.answered == 1
    assert clock.slept == []
    assert not ran.of("llm.retry")


async def test_the_limit_is_the_scenarios(tmp_path: Path, clock: Clock) -> None:
    error = RateLimited("slow down", retry_after=HOUR)
    ran = await run(scenario(Bot(error, "ok"), ["a"], retry={"max_wait": HOUR}), tmp_path)
    assert ran.said == ["a", "ok"]
    assert clock.slept == [HOUR]
    ran = await run(
        scenario(Bot(RateLimited("x", retry_after=1), "ok"), ["a"], retry={"max_wait": 0}), tmp_path
    )
    assert "more than retry.max_wait (0 s)" in ran.termination.reason


@pytest.mark.parametrize("asked", [float("nan"), float("inf"), -1, "soon", None, object()])
async def test_what_makes_no_sense_is_not_waited(tmp_path: Path, clock: Clock, asked: Any) -> None:
    bot = Bot(TransientProviderError("busy", retry_after=asked), "ok")
    ran = await run(scenario(bot, ["a"]), tmp_path)
    assert ran.said == ["a", "ok"]
    assert clock.slept == []


async def test_a_provider_may_hand_on_the_header_as_it_is(tmp_path: Path, clock: Clock) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    bot = Bot(TransientProviderError("busy", retry_after=when), "ok")
    await run(scenario(bot, ["a"]), tmp_path)
    assert 35 < clock.slept[0] < 41


def test_no_wait_is_longer_than_the_limit() -> None:
    rules = RetryRules(max_wait=0.5)
    assert all(rules.delay(9, RateLimited("x")) <= 0.5 for _ in range(50))


# --- in the debugger


async def test_a_longer_one_holds_with_the_figure_and_choices(tmp_path: Path, clock: Clock) -> None:
    bot = Bot(RateLimited("slow down", retry_after=HOUR), "ok")
    ran = await run(scenario(bot, ["a"]), tmp_path, plan=["again"])
    hold = ran.driver.holds[0]
    assert (hold["reason"], hold["stage"]) == ("error", "response")
    assert "asks to wait 1 h 0 min, more than retry.max_wait (60 s)" in hold["detail"]
    assert [choice["id"] for choice in hold["choices"]] == [
        "again", "wait", "supply", "skip", "fail",
    ]  # fmt: skip
    assert hold["choices"][1]["label"] == "wait 1 h 0 min, then ask again"
    assert ran.said == ["a", "ok"]
    assert clock.slept == [], "asked again at once"


async def test_the_wait_can_be_chosen(tmp_path: Path, clock: Clock) -> None:
    bot = Bot(RateLimited("slow down", retry_after=HOUR), "ok")
    ran = await run(scenario(bot, ["a"]), tmp_path, plan=["wait"])
    assert clock.slept == [HOUR]
    assert ran.said == ["a", "ok"]


async def test_a_wait_that_was_chosen_can_be_cancelled(tmp_path: Path) -> None:
    bot = Bot(RateLimited("slow down", retry_after=HOUR), "ok")
    conversation, driver, _ = prepare(scenario(bot, ["a"]), tmp_path, plan=["wait", "again"])
    task = asyncio.create_task(conversation.run())
    await until(lambda: conversation.caller.waiting is not None)
    wait = conversation.caller.waiting
    assert wait is not None
    assert 3500 < wait.left <= HOUR
    assert wait.attempt is None
    await until(conversation.caller.cancel)
    await asyncio.wait_for(task, WITHIN)
    assert [hold["reason"] for hold in driver.holds[:2]] == ["error", "error"]
    assert driver.holds[1]["detail"].startswith("the wait was cancelled: slow down; ")
    assert bot.answered == 2
    assert conversation.caller.waiting is None


async def test_other_errors_offer_no_wait(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(ValueError("no"), "ok"), ["a"]), tmp_path, plan=["again"])
    assert "wait" not in [choice["id"] for choice in ran.driver.holds[0]["choices"]]


async def test_a_responder_that_is_to_wait_too_long_holds_likewise(
    tmp_path: Path, clock: Clock
) -> None:
    models = FakeModels(user=[RateLimited("slow down", retry_after=HOUR)])
    persona = {
        "name": "Maya", "task": "a refund",
        "responder": {"instructions": "ask", "max_followups": 1, "model": "fake/user"},
    }  # fmt: skip
    ran = await run(
        scenario(Bot(), persona=persona), tmp_path, plan=["wait", "fail"], models=models
    )
    hold = ran.driver.holds[0]
    assert hold["side"] in ("persona", "responder")
    assert "more than retry.max_wait" in hold["detail"]
    assert "wait" in [choice["id"] for choice in hold["choices"]]
    assert clock.slept == [HOUR]


# --- announced


async def test_a_wait_is_counted_down_while_it_lasts(tmp_path: Path) -> None:
    bot = Bot(RateLimited("slow down", retry_after=50), "ok")
    conversation, _, _ = prepare(scenario(bot, ["a"]), tmp_path, plan=["fail"])
    task = asyncio.create_task(conversation.run())
    await until(lambda: conversation.caller.waiting is not None)
    wait = conversation.caller.waiting
    assert wait is not None
    told = wait.as_dict()
    assert 45 < told.pop("left") <= 50
    assert told == {"attempt": 2, "attempts": 4, "why": "slow down"}
    await until(conversation.caller.cancel)
    await asyncio.wait_for(task, WITHIN)
    assert conversation.caller.waiting is None


@pytest.mark.parametrize(
    ("live", "line"),
    [(True, "waiting 12 s before attempt 2 of 4: RateLimited: slow\n"), (False, "")],
)
def test_run_says_that_a_wait_begins(live: bool, line: str) -> None:
    err = io.StringIO()
    printer = Printer(io.StringIO(), err, live=live)
    printer.record(
        {"type": "llm.retry", "seq": 1, "t": 0.0, "session": 1, "turn": 2, "side": "provider",
         "n": 1, "delay": 12.0, "attempts": 4, "error": {"type": "RateLimited", "message": "slow"}}
    )  # fmt: skip
    assert err.getvalue() == line


async def test_waits_are_no_part_of_the_turns_time(tmp_path: Path) -> None:
    class Slow(Bot):
        async def respond(self, request: Request) -> AsyncIterator[Delta]:
            self.answered += 1
            if self.answered < 4:
                raise RateLimited("slow down", retry_after=0.3)
            yield Delta(text="ok")

    ran = await run(scenario(Slow(), ["a"], turn_timeout=0.8), tmp_path)
    assert ran.said == ["a", "ok"]
    assert ran.one("llm.response")["duration"] < 0.8


# --- whose words an endpoint refuses


def refusal(message: int, of: int, role: str, text: str) -> BadModelRequest:
    error = BadModelRequest("m answered 400: no blank text", status=400)
    error.objects_to = {"message": message, "of": of, "role": role, "text": text}
    return error


async def test_a_refusal_says_whose_message_it_is_and_who_asked(tmp_path: Path) -> None:
    models = FakeModels(user=[refusal(4, 4, "user", " ")])
    persona = {"name": "Ida", "prompt": "You are Ida.", "opening": "Hello", "model": "fake/user"}
    what = scenario(Bot(" "), persona=persona, on_empty="keep")
    ran = await run(what, tmp_path, models=models)
    assert ran.ended == ("failed", "simulator")
    assert ran.termination.reason == (
        "m answered 400: no blank text; it objects to message 4 of 4, turn 1:2 of the provider,"
        " which says nothing (' '); the persona was asked"
    )
    failed = ran.one("llm.failed")
    assert failed["side"] == "persona"
    assert failed["error"]["objects_to"] == {
        "message": 4, "of": 4, "role": "user", "text": " ",
        "session": 1, "turn": 2, "speaker": "provider",
    }  # fmt: skip


async def test_a_refused_system_prompt_is_no_turn(tmp_path: Path) -> None:
    error = refusal(1, 2, "system", "Be kind.")
    bot = Bot(error, system_prompt="Be kind.")
    ran = await run(scenario(bot, ["hi"], config={"system_prompt": "Be kind."}), tmp_path)
    assert "message 1 of 2, the system prompt, which says 'Be kind.'" in ran.termination.reason
    assert "turn" not in ran.one("llm.failed")["error"]["objects_to"]


async def test_messages_of_a_providers_own_are_no_turns(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(refusal(7, 9, "user", "x")), ["hi"]), tmp_path)
    assert "message 7 of 9, of the user, which says 'x'" in ran.termination.reason


async def test_messages_are_the_turns_they_are_also_where_texts_repeat(tmp_path: Path) -> None:
    bot = Bot("ok", "ok", "ok")
    ran = await run(scenario(bot, ["ok", "ok", "ok"]), tmp_path)
    transcript = ran.conversation.journal.transcript
    sent: list[RecordDict] = [
        {"role": "system", "content": "ok"},
        *({"role": "user" if n % 2 == 0 else "assistant", "content": "ok"} for n in range(6)),
    ]
    pairs = turns_of(sent, "provider", transcript)
    assert {index: turn.number for index, turn in pairs.items()} == {n: n for n in range(1, 7)}
