"""Permits: how many calls of a model run at once, and what is reported of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from convtui.engine.calls.permits import Permits, endpoint_key
from convtui.engine.conversation.build import build
from convtui.engine.conversation.commands import CommandHandler
from convtui.engine.conversation.runner import Conversation
from convtui.engine.conversation.wiring import Wiring
from convtui.errors import RateLimited
from convtui.models.base import Delta, Message
from convtui.protocol import StartSpec
from convtui.scenario.scenario import Scenario
from convtui.secrets.redactor import Redactor

MODEL = "openai/test"


@pytest.mark.parametrize(
    ("model", "params", "key"),
    [
        ("openai/gpt-4o", {}, "openai/gpt-4o"),
        ("openai/x", {"api_base": "http://me:secret@host:8000/v1"}, "host:8000 openai/x"),
        ("openai/x", {"api_base": "http://[bad"}, "openai/x"),
        (None, {"api_base": "http://host/v1"}, None),
    ],
)
def test_the_key_of_an_endpoint(model: str | None, params: dict[str, Any], key: str | None) -> None:
    assert endpoint_key(model, params) == key


async def test_calls_are_let_in_in_order_as_the_limit_allows() -> None:
    permits = Permits()
    let_in: list[int] = []

    async def call(number: int) -> None:
        await permits.wait("m")
        let_in.append(number)

    permits.limit({"m": 1})
    tasks = [asyncio.create_task(call(number)) for number in range(5)]
    await asyncio.sleep(0)
    assert let_in == [0]
    assert permits.used() == {"m": counts(running=1, waiting=4)}
    assert permits.used() == {}
    # One that is cancelled leaves its place to the next.
    tasks[1].cancel()
    permits.done("m", None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert let_in == [0, 2]
    permits.limit({"m": 2})
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert let_in == [0, 2, 3]
    assert permits.used() == {"m": counts(running=2, waiting=1, ok=1)}
    permits.limit({})
    await asyncio.gather(*tasks, return_exceptions=True)
    assert let_in == [0, 2, 3, 4]


async def test_one_that_is_let_in_and_cancelled_at_once_gives_the_permit_back() -> None:
    permits = Permits()
    permits.limit({"m": 1})
    await permits.wait("m")
    waiting = asyncio.create_task(permits.wait("m"))
    await asyncio.sleep(0)
    permits.done("m", None)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not permits.must_wait("m")


def counts(**fields: Any) -> dict[str, Any]:
    nothing = {"running": 0, "waiting": 0, "ok": 0, "throttled": 0, "retry_after": None}
    return {**nothing, **fields}


class Endpoint:
    """A model that answers one call after the other refuses as many as it is told to."""

    def __init__(self, refusals: int = 0) -> None:
        self.model = MODEL
        self.params: Mapping[str, Any] = {}
        self.refusals = refusals
        self.calls = self.at_once = self.most = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    def client(self, model: str, params: Mapping[str, Any] | None = None) -> Endpoint:
        return self

    async def priced(self, model: str) -> bool:
        return True

    async def stream(
        self, messages: Sequence[Message], *, tools: Any = (), params: Any = None
    ) -> AsyncIterator[Delta]:
        self.calls += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(0)
            await self.go_on.wait()
            if self.refusals:
                self.refusals -= 1
                raise RateLimited("too many requests", retry_after=0.001)
            yield Delta(text="fine", finish_reason="stop")
        finally:
            self.at_once -= 1


def conversation(folder: Path, endpoint: Endpoint, permits: Permits) -> Conversation:
    scenario = Scenario.from_data(
        {"persona": {"name": "Maya", "script": ["one", "two", "three"]}, "provider": MODEL}
    )
    spec = StartSpec(scenario=scenario.for_engine(), out_dir=str(folder), wire="off")
    return build(spec, Wiring(models=endpoint, redactor=Redactor(), permits=permits))


async def test_conversations_share_the_permits_of_their_endpoint(tmp_path: Path) -> None:
    endpoint, told = Endpoint(refusals=4), list[dict[str, Any]]()
    permits = Permits(lambda: told.append(permits.used()[MODEL]))
    permits.limit({MODEL: 3})
    running = [conversation(tmp_path, endpoint, permits) for _ in range(10)]
    endings = await asyncio.gather(*(one.run() for one in running))
    assert {ending.kind for ending in endings} == {"completed"}
    assert endpoint.most == 3
    # Each refused call is told once, at once, and made once more: by one layer alone.
    assert [one["throttled"] for one in told] == [1] * 4
    assert {one["retry_after"] for one in told} == {0.001}
    assert endpoint.calls == 10 * 3 + 4
    retries = sum(one.journal.transcript.counts["llm.retry"] for one in running)
    assert retries == 4
    left = permits.used()[MODEL]
    assert (left["running"], left["waiting"]) == (0, 0)
    assert left["ok"] + sum(one["ok"] for one in told) == 30


async def test_one_that_waits_for_a_permit_blocks_no_other_and_can_be_cancelled(
    tmp_path: Path,
) -> None:
    endpoint, permits = Endpoint(), Permits()
    permits.limit({MODEL: 0})
    waits = conversation(tmp_path, endpoint, permits)
    task = asyncio.create_task(waits.run())
    while not waits.caller.queued:
        await asyncio.sleep(0)
    assert waits.caller.queued == MODEL
    others = Permits()
    assert (await conversation(tmp_path, endpoint, others).run()).kind == "completed"
    assert endpoint.calls == 3
    CommandHandler(waits).carry_out("cancel", {})
    ending = await task
    assert ending.kind == "interrupted" or "cancelled" in ending.reason
    assert endpoint.calls == 3 and not waits.caller.queued
    used = permits.used()[MODEL]
    assert (used["running"], used["waiting"]) == (0, 0)


async def test_waiting_for_a_permit_counts_for_no_deadline(tmp_path: Path) -> None:
    endpoint, permits = Endpoint(), Permits()
    permits.limit({MODEL: 0})
    waits = conversation(tmp_path, endpoint, permits)
    waits.caller._timeout = 0.05
    task = asyncio.create_task(waits.run())
    while not waits.caller.queued:
        await asyncio.sleep(0)
    await asyncio.sleep(0.06)
    permits.limit({})
    assert (await task).kind == "completed"
    assert waits.journal.transcript.counts["llm.retry"] == 0
