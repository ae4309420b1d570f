"""The loopback server behaves as its clients are told it does."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.openai_script import END, FakeCall, FakeReply, parse_directives, tokens
from tests.fakes.openai_server import OpenAIServer, OpenAIServerThread


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer(persona_turns=2) as running:
        yield running


@pytest.fixture
async def http(server: OpenAIServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as client:
        yield client


def chat(model: str, *said: str, **more: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(said)]
    return {"model": model, "messages": messages, **more}


async def text_of(http: httpx.AsyncClient, body: dict[str, Any]) -> str:
    answer = await http.post("/chat/completions", json=body)
    return str(answer.json()["choices"][0]["message"]["content"])


async def events(http: httpx.AsyncClient, body: dict[str, Any]) -> list[Any]:
    answer = await http.post("/chat/completions", json={**body, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line[6:] for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


async def test_two_models_hold_a_conversation_that_ends(http: httpx.AsyncClient) -> None:
    said = ["Begin."]
    for turn in range(5):
        model = ("persona-1", "provider-1")[turn % 2]
        # Each side hears the other as the user.
        own = said if turn % 2 == 0 else said[1:]
        said.append(await text_of(http, chat(model, *own)))
    assert "flight" in said[1]
    assert "booking code" in said[2]
    assert said[3].startswith('You said "')
    assert END in said[5]


async def test_the_same_question_has_the_same_answer(http: httpx.AsyncClient) -> None:
    first = await text_of(http, chat("provider-1", "What would a refund cost?"))
    assert first == await text_of(http, chat("provider-1", "What would a refund cost?"))
    assert "refund" in first


async def test_streamed_and_whole_replies_agree(http: httpx.AsyncClient) -> None:
    body = chat("provider-1", "hello")
    chunks = await events(http, {**body, "stream_options": {"include_usage": True}})
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    assert text == await text_of(http, body)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == len(tokens(text))
    assert "usage" not in (await events(http, body))[-1]


async def test_tool_calls_interleave_unless_the_index_is_missing(
    server: OpenAIServer, http: httpx.AsyncClient
) -> None:
    calls = (FakeCall("a", '{"x": 1}'), FakeCall("b", '{"y": 2}'))
    server.script(FakeReply(tool_calls=calls), FakeReply(tool_calls=calls, missing_index=True))
    found = []
    for _ in range(2):
        chunks = await events(http, chat("m", "go"))
        found.append([d["choices"][0]["delta"].get("tool_calls") for d in chunks])
    together = [p for p in found[0] if p]
    assert [[piece["index"] for piece in p] for p in together] == [[0, 1]] * 3
    assert not any("index" in piece for p in found[1] if p for piece in p)


async def test_a_tool_named_by_the_user_is_called(http: httpx.AsyncClient) -> None:
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {}}}
    body = chat("provider-1", "please look_up my flight", tools=[tool])
    answer = (await http.post("/chat/completions", json=body)).json()["choices"][0]
    assert answer["finish_reason"] == "tool_calls"
    assert answer["message"]["tool_calls"][0]["function"]["name"] == "look_up"


async def test_a_counted_fault_passes(http: httpx.AsyncClient) -> None:
    statuses = [
        (await http.post("/chat/completions", json=chat("provider-1!429=0x2", "hi"))).status_code
        for _ in range(3)
    ]
    assert statuses == [429, 429, 200]


@pytest.mark.parametrize("place", ["model", "header", "message"])
async def test_where_a_directive_may_stand(http: httpx.AsyncClient, place: str) -> None:
    model = "provider-1!500" if place == "model" else "provider-1"
    said = "hi [[fault:500]]" if place == "message" else "hi"
    headers = {"x-fake-fault": "500"} if place == "header" else {}
    answer = await http.post("/chat/completions", json=chat(model, said), headers=headers)
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"


async def test_an_unknown_directive_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/chat/completions", json=chat("provider-1!nonsense", "hi"))
    assert answer.status_code == 400
    assert "nonsense" in answer.json()["error"]["message"]


def test_directives_are_parsed() -> None:
    parsed = [(d.name, d.value, d.count) for d in parse_directives("429=0.5x2!slow=20!hang")]
    assert parsed == [("429", "0.5", 2), ("slow", "20", None), ("hang", None, None)]
    with pytest.raises(ValueError, match="not a fault directive"):
        parse_directives("!?")


async def test_a_client_that_leaves_is_noticed(
    server: OpenAIServer, http: httpx.AsyncClient
) -> None:
    body = {**chat("provider-1!hang=2", "hi"), "stream": True}
    async with http.stream("POST", "/chat/completions", json=body) as answer:
        await anext(answer.aiter_raw())
    await server.until(lambda requests: requests[0].done)
    assert server.requests[0].disconnected
    assert server.requests[0].chunks == 3


async def test_a_dropped_stream_breaks_off(http: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await http.post("/chat/completions", json={**chat("m!drop", "hi"), "stream": True})


async def test_requests_are_recorded_and_can_be_fetched(http: httpx.AsyncClient) -> None:
    await http.post("/chat/completions", json=chat("m", "hi"), headers={"x-mine": "1"})
    (seen,) = (await http.get("../__requests__")).json()
    assert seen["body"]["messages"][0]["content"] == "hi"
    assert seen["headers"]["x-mine"] == "1"
    assert (seen["done"], seen["disconnected"]) == (True, False)
    listed = (await http.get("/models")).json()["data"]
    assert "provider-1" in [model["id"] for model in listed]
    assert (await http.get("/nothing")).status_code == 404


async def test_a_key_can_be_demanded() -> None:
    async with OpenAIServer(api_key="right") as server, httpx.AsyncClient() as http:
        url = f"{server.url}/chat/completions"
        for key, status in (("wrong", 401), ("right", 200)):
            headers = {"authorization": f"Bearer {key}"}
            answer = await http.post(url, json=chat("m", "hi"), headers=headers)
            assert answer.status_code == status


def test_the_thread_serves_sync_clients() -> None:
    with OpenAIServerThread([FakeReply(text="scripted")], port=0) as server:
        server.script(FakeReply(text="for m"), model="m")
        answers = [
            httpx.post(f"{server.url}/chat/completions", json=chat(model, "hi")).json()
            for model in ("m", "n")
        ]
        assert [a["choices"][0]["message"]["content"] for a in answers] == ["for m", "scripted"]
        assert len(server.until(lambda requests: len(requests) == 2)) == 2


@pytest.mark.slow
async def test_it_runs_by_hand() -> None:
    import asyncio

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.fakes.openai_server", "--port", "0"),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        first = (await process.stdout.readline()).decode()
        url = first.removeprefix("listening on ").strip()
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{url}/models")).status_code == 200
    finally:
        process.terminate()
        await process.communicate()
