"""The responder over real HTTP: decisions of every kind, streamed and not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from convtui.engine.conversation.wiring import EngineModels
from convtui.models.litellm_client import load_litellm
from convtui.secrets.redactor import Redactor
from tests.builders.conversations import Bot, Ran, run, scenario
from tests.fakes.openai_script import FakeCall, FakeReply
from tests.fakes.openai_server import OpenAIServerThread

KEY = "sk-planted-9876543210fedcba"


@pytest.fixture
def server() -> Iterator[OpenAIServerThread]:
    with OpenAIServerThread(persona_turns=2) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _litellm() -> None:
    """Imported once, outside of any conversation's time limit."""
    load_litellm()


@pytest.fixture
async def models() -> AsyncIterator[EngineModels]:
    made = EngineModels(Redactor([KEY]))
    yield made
    await made.close()


@pytest.fixture(params=[True, False], ids=["streamed", "whole"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def persona(server: OpenAIServerThread, stream: bool, **brief: Any) -> dict[str, Any]:
    params: dict[str, Any] = {"api_base": server.url, "api_key": KEY}
    if not stream:
        params["stream"] = False
    return {
        "name": "Ida",
        "task": "Rebook me.",
        "model": "openai/responder-1",
        "params": params,
        "responder": {"instructions": "Booking HT-9.", "max_followups": 3, **brief},
    }


async def talk(
    server: OpenAIServerThread, models: EngineModels, folder: Path, stream: bool,
    *replies: FakeReply, **brief: Any,
) -> Ran:  # fmt: skip
    server.script(*replies, model="responder-1")
    what = scenario(Bot("a1", "a2", "a3"), persona=persona(server, stream, **brief))
    return await run(what, folder, models=models)


def decides(*named: tuple[str, str], **fields: Any) -> FakeReply:
    return FakeReply(tool_calls=tuple(FakeCall(name, args) for name, args in named), **fields)


REPLY = decides(("responder_reply", '{"answer": "yes"}'))
STOP = decides(("responder_stop", "{}"))


async def test_the_three_decisions(
    server: OpenAIServerThread, models: EngineModels, tmp_path: Path, stream: bool
) -> None:
    ran = await talk(server, models, tmp_path / "stop", stream, REPLY, STOP)
    assert ran.said == ["Rebook me.", "a1", "yes", "a2"]
    assert ran.ended == ("stopped", "responder")
    offered = server.requests[0].body["tools"]
    names = [tool["function"]["name"] for tool in offered]
    assert names == ["responder_reply", "responder_stop", "responder_abstain"]
    abstain = decides(("responder_abstain", '{"reason": "no date in the brief"}'))
    ran = await talk(server, models, tmp_path / "abstain", stream, abstain)
    assert ran.ended == ("abstained", "responder")
    assert ran.termination.reason == "no date in the brief"
    usage = ran.one("trailer")["totals"]["usage"]
    assert usage["responder"]["tokens"] > 0
    assert KEY not in ran.path.read_text()


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (FakeReply("It went well, I think."), "did not call a decision tool"),
        (FakeReply(""), "did not call a decision tool"),
        (decides(("responder_reply", '{"answer": "ye')), "decode responder_reply arguments"),
        (decides(("responder_reply", '{"answer": "   "}')), "called with empty answer"),
        (decides(("responder_abstain", "{}")), "called with empty reason"),
        (
            decides(("responder_stop", "{}"), ("responder_reply", '{"answer": "x"}')),
            "called responder_reply after a decision was already recorded",
        ),
        (
            decides(
                ("responder_stop", "{}"), ("responder_reply", '{"answer": "x"}'),
                missing_index=True,
            ),
            "called responder_reply after a decision was already recorded",
        ),
        (decides(("responder_wave", "{}")), "responder_wave is no decision tool"),
    ],
    ids=["missing", "nothing", "malformed", "blank", "no-reason", "duplicate", "no-index", "other"],
)  # fmt: skip
async def test_what_is_no_decision(
    server: OpenAIServerThread, models: EngineModels, tmp_path: Path, stream: bool,
    reply: FakeReply, message: str,
) -> None:  # fmt: skip
    ran = await talk(server, models, tmp_path, stream, reply)
    assert ran.ended == ("failed", "responder")
    assert message in ran.termination.reason
    assert ran.said == ["Rebook me.", "a1"]
    assert ran.one("user.closed")["calls"] == 1


def chunk(**delta: Any) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    data = {"id": "c-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
    return f"data: {json.dumps(data)}\n\n"


async def test_a_decision_that_arrived_before_the_stream_died_stands(
    server: OpenAIServerThread, models: EngineModels, tmp_path: Path
) -> None:
    function = {"name": "responder_reply", "arguments": '{"answer": "yes"}'}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    overloaded = f"data: {json.dumps({'error': {'message': 'overloaded', 'code': 503}})}\n\n"
    died = FakeReply(
        body=chunk(role="assistant", content="") + chunk(tool_calls=[call]) + overloaded,
        headers={"Content-Type": "text/event-stream"},
    )
    ran = await talk(server, models, tmp_path, True, died, STOP)
    assert ran.said[2] == "yes"
    assert ran.ended == ("stopped", "responder")
    answers = [r for r in ran.of("llm.response") if r["side"] == "responder"]
    assert "error" in answers[0] and "error" not in answers[1]
    assert not ran.of("llm.retry")


async def test_text_that_arrived_before_the_stream_died_is_no_decision(
    server: OpenAIServerThread, models: EngineModels, tmp_path: Path
) -> None:
    died = FakeReply(text="Let me think about that first.", drop_after=2)
    ran = await talk(server, models, tmp_path, True, died, REPLY, STOP)
    assert [r["side"] for r in ran.of("llm.retry")] == ["responder"]
    assert ran.said[2] == "yes"


async def test_an_endpoint_that_refuses_tools(
    server: OpenAIServerThread, models: EngineModels, tmp_path: Path, stream: bool
) -> None:
    refused = FakeReply(
        status=400,
        error={"message": "this model does not support tools", "type": "invalid_request_error"},
    )
    written = FakeReply('{"tool": "responder_reply", "arguments": {"answer": "yes"}}')
    stop = FakeReply('{"tool": "responder_stop", "arguments": {}}')
    ran = await talk(server, models, tmp_path, stream, refused, written, stop)
    assert ran.said[2] == "yes"
    assert ran.ended == ("stopped", "responder")
    assert any(w["code"] == "responder_json" for w in ran.of("warning"))


async def test_an_outage_is_retried_then_named(
    server: OpenAIServerThread, models: EngineModels, tmp_path: Path, stream: bool
) -> None:
    down = [FakeReply(status=503, error={"message": "busy"}) for _ in range(4)]
    ran = await talk(server, models, tmp_path, stream, *down)
    assert ran.ended == ("failed", "responder")
    assert ran.termination.reason.startswith("responder error: responder execution failed: ")
    assert len(ran.of("llm.retry")) == 3


async def test_lone_surrogates_are_replaced_as_sent_recorded_exactly_and_told_once_a_call(
    server: OpenAIServerThread, models: EngineModels, tmp_path: Path
) -> None:
    busy = FakeReply(status=503, error={"message": "busy"}, headers={"Retry-After": "0"})
    server.script(busy, REPLY, STOP, model="responder-1")
    what = scenario(Bot("half \ud83d", "a2"), persona=persona(server, True))
    ran = await run(what, tmp_path, models=models)
    assert ran.said == ["Rebook me.", "half \ud83d", "yes", "a2"]
    assert ran.ended == ("stopped", "responder")
    sent = [json.dumps(request.body["messages"]) for request in server.requests]
    assert len(sent) == 3
    assert all("half \\ufffd" in text and "\\ud83d" not in text for text in sent)
    asked = [r for r in ran.of("llm.request") if r["side"] == "responder"]
    assert "half \ud83d" in asked[0]["append"][0]["content"]
    assert len(ran.of("llm.retry")) == 1
    told = [w for w in ran.of("warning") if w["code"] == "lone_surrogates"]
    assert [(w["side"], w["call"]) for w in told] == [("responder", r["seq"]) for r in asked]
