"""Real litellm over real HTTP: what is sent, what comes back, and that leaving closes the line."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import pytest

from convtui.errors import BadModelRequest, ModelUnavailable, StreamDropped, UsageError
from convtui.models.base import Delta, Reply, ReplyFold
from convtui.models.context import current_warn
from convtui.models.litellm_client import LitellmClients
from convtui.scenario.model_names import PREFIXES
from convtui.secrets.redactor import Redactor
from tests.fakes.openai_http import Received
from tests.fakes.openai_script import FakeCall, FakeReply, tokens
from tests.fakes.openai_server import OpenAIServerThread
from tests.models.conftest import KEY

HELLO = [{"role": "user", "content": "hello"}]
CALLS = (FakeCall("look_up", '{"code": "TRAVEL7"}'), FakeCall("book", '{"day": "Friday"}'))


def deltas(
    clients: LitellmClients, server: OpenAIServerThread, model: str = "openai/m", **params: Any
) -> AsyncIterator[Delta]:
    settings = {"api_base": server.url, "api_key": KEY, **params}
    return clients.client(model, settings).stream(HELLO)


async def reply(
    clients: LitellmClients, server: OpenAIServerThread, model: str = "openai/m", **params: Any
) -> Reply:
    folded = ReplyFold()
    async for delta in deltas(clients, server, model, **params):
        folded.add(delta)
    return folded.reply()


async def test_a_streamed_reply(
    litellm_clients: LitellmClients, server: OpenAIServerThread
) -> None:
    server.script(FakeReply(text="Good morning, Maya.", reasoning="be kind", model="m-2024"))
    pieces = [d async for d in deltas(litellm_clients, server)]
    assert [d.text for d in pieces if d.text] == tokens("Good morning, Maya.")
    found = _folded(pieces)
    assert (found.text, found.reasoning) == ("Good morning, Maya.", "be kind")
    assert (found.finish_reason, found.response_id, found.model) == ("stop", "chatcmpl-1", "m-2024")
    assert found.metadata["headers"]["x-request-id"] == "req_1"
    assert found.usage is not None
    assert (found.usage.completion_tokens, found.usage.reasoning_tokens) == (5, 2)


def _folded(pieces: list[Delta]) -> Reply:
    folded = ReplyFold()
    for piece in pieces:
        folded.add(piece)
    return folded.reply()


async def test_everything_asked_for_is_sent_once(
    litellm_clients: LitellmClients, server: OpenAIServerThread
) -> None:
    tool = {"type": "function", "function": {"name": "book", "parameters": {"type": "object"}}}
    client = litellm_clients.client(
        "openai/m",
        {"api_base": server.url, "api_key": KEY, "temperature": 0.2, "extra_headers": {"x-a": "b"}},
    )
    stream = client.stream(HELLO, tools=[tool], params={"temperature": 0.7, "max_tokens": 9})
    assert _folded([d async for d in stream]).text
    (request,) = server.requests
    body = request.body
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("m", 0.7, 9)
    assert (body["messages"], body["tools"]) == (HELLO, [tool])
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["x-a"] == "b"
    assert KEY not in repr(client)


async def test_lone_surrogates_are_sent_as_replacement_characters(
    litellm_clients: LitellmClients, server: OpenAIServerThread
) -> None:
    said: list[str] = []
    token = current_warn.set(lambda code, message: said.append(code))
    client = litellm_clients.client("openai/m", {"api_base": server.url, "api_key": KEY})
    parts = [{"type": "text", "text": "a \udc00"}]
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "half \ud83d, whole \ud83d\udc0c, 🐌"},
        {"role": "assistant", "content": None,
         "tool_calls": [{"id": "c1", "type": "function",
                         "function": {"name": "f", "arguments": "{\"x\": \"\ud800\"}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "\udfff"},
        {"role": "user", "content": parts},
    ]  # fmt: skip
    try:
        assert _folded([d async for d in client.stream(messages, params={"stop": ["\udfff"]})]).text
        assert said == ["lone_surrogates"]
        assert _folded([d async for d in client.stream(HELLO)]).text
    finally:
        current_warn.reset(token)
    body = server.requests[0].body
    sent = body["messages"]
    assert sent[0]["content"] == "half \ufffd, whole 🐌, 🐌"
    assert sent[1]["tool_calls"][0]["function"]["arguments"] == '{"x": "\ufffd"}'
    assert (sent[2]["content"], sent[3]["content"][0]["text"]) == ("\ufffd", "a \ufffd")
    assert body["stop"] == ["\ufffd"]
    # What was given is as it was, and what can be sent is not warned of.
    assert parts == [{"type": "text", "text": "a \udc00"}]
    assert messages[0]["content"] == "half \ud83d, whole \ud83d\udc0c, 🐌"
    assert said == ["lone_surrogates"]


@pytest.mark.parametrize("missing_index", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_tool_calls_arrive_whole(
    litellm_clients: LitellmClients,
    server: OpenAIServerThread,
    missing_index: bool,
    stream: bool,
) -> None:
    server.script(FakeReply(tool_calls=CALLS, missing_index=missing_index))
    found = await reply(litellm_clients, server, stream=stream)
    assert [(c.id, c.name, c.arguments) for c in found.tool_calls] == [
        ("call_1", "look_up", '{"code": "TRAVEL7"}'),
        ("call_2", "book", '{"day": "Friday"}'),
    ]
    assert found.finish_reason == "tool_calls"


async def test_one_delta_when_not_streamed(
    litellm_clients: LitellmClients, server: OpenAIServerThread
) -> None:
    server.script(FakeReply(text="All at once.", reasoning="hm"))
    (only,) = [d async for d in deltas(litellm_clients, server, stream=False)]
    assert (only.text, only.reasoning, only.finish_reason) == ("All at once.", "hm", "stop")
    assert only.usage is not None
    assert only.usage.total_tokens
    assert "stream_options" not in server.requests[0].body


async def test_usage_that_was_not_sent_is_unknown(
    litellm_clients: LitellmClients, server: OpenAIServerThread
) -> None:
    assert (await reply(litellm_clients, server, "openai/m!usage-none")).usage is None
    assert (await reply(litellm_clients, server, stream_options=None)).usage is None
    assert "stream_options" not in server.requests[1].body


async def test_cost_comes_from_the_local_list(
    litellm_clients: LitellmClients, server: OpenAIServerThread
) -> None:
    known = (await reply(litellm_clients, server, "openai/gpt-4o")).usage
    unknown = (await reply(litellm_clients, server, "openai/m")).usage
    assert known is not None
    assert unknown is not None
    assert known.cost is not None
    assert 0 < known.cost < 0.01
    assert unknown.cost is None


async def test_an_empty_reply_is_a_reply(
    litellm_clients: LitellmClients, server: OpenAIServerThread
) -> None:
    found = await reply(litellm_clients, server, "openai/m!empty")
    assert (found.text, found.finish_reason) == ("", "stop")


async def test_a_stream_of_nothing_is_an_error(
    litellm_clients: LitellmClients, server: OpenAIServerThread
) -> None:
    server.script(FakeReply(body="", headers={"Content-Type": "text/event-stream"}))
    with pytest.raises(StreamDropped):
        await reply(litellm_clients, server)


async def test_exactly_one_attempt(
    litellm_clients: LitellmClients, server: OpenAIServerThread
) -> None:
    with pytest.raises(ModelUnavailable):
        await reply(litellm_clients, server, "openai/m!500", num_retries=3, max_retries=3)
    assert len(server.requests) == 1


async def test_a_huge_reply_is_whole(
    litellm_clients: LitellmClients, server: OpenAIServerThread
) -> None:
    found = await reply(litellm_clients, server, "openai/m!huge=300000")
    assert len(found.text) == 300_000


def closed(requests: list[Received]) -> bool:
    return bool(requests) and requests[-1].done


@pytest.mark.parametrize("fault", ["hang", "hang=2"])
async def test_cancelling_closes_the_connection(
    litellm_clients: LitellmClients, server: OpenAIServerThread, fault: str
) -> None:
    async def consume() -> None:
        await reply(litellm_clients, server, f"openai/m!{fault}")

    task = asyncio.create_task(consume())
    wanted = 0 if fault == "hang" else 3
    await asyncio.to_thread(
        server.until, lambda seen: bool(seen) and seen[0].chunks == wanted and not seen[0].done
    )
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(server.until, closed)
    assert server.requests[0].disconnected


async def test_leaving_early_closes_the_connection(
    litellm_clients: LitellmClients, server: OpenAIServerThread
) -> None:
    async with aclosing(cast(Any, deltas(litellm_clients, server, "openai/m!hang=2"))) as stream:
        async for delta in stream:
            if delta.text:
                break
    await asyncio.to_thread(server.until, closed)
    assert server.requests[0].disconnected


async def test_many_calls_on_one_client(
    litellm_clients: LitellmClients, server: OpenAIServerThread
) -> None:
    found = await asyncio.gather(*(reply(litellm_clients, server) for _ in range(8)))
    assert len({answer.text for answer in found}) == 1
    assert len({answer.response_id for answer in found}) == 8


@pytest.mark.parametrize("model", ["", "  ", "no-such-name", "nobody/knows"])
def test_a_model_that_names_nothing(litellm_clients: LitellmClients, model: str) -> None:
    with pytest.raises(UsageError, match="openai/"):
        litellm_clients.client(model)


async def test_an_unknown_model_found_by_the_first_call(litellm_clients: LitellmClients) -> None:
    fresh = LitellmClients(load=litellm_clients.module)
    client = fresh.client("no-such-name", {"api_key": KEY})
    assert not fresh.ready
    with pytest.raises(
        BadModelRequest, match="write PROVIDER/NAME, for example openai/no-such-name"
    ):
        async for _ in client.stream(HELLO):
            pass
    assert fresh.ready


async def test_an_unsupported_parameter_is_said(
    litellm_clients: LitellmClients, server: OpenAIServerThread
) -> None:
    model = "anthropic/claude-3-5-sonnet-latest"
    with pytest.raises(BadModelRequest, match="logit_bias"):
        await reply(litellm_clients, server, model, logit_bias={"1": 1})
    with pytest.raises(BadModelRequest, match="mock_response"):
        await reply(litellm_clients, server, mock_response="made up")
    assert not server.requests


async def test_nothing_is_printed_or_logged(
    litellm_clients: LitellmClients,
    server: OpenAIServerThread,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        await reply(litellm_clients, server)
        for fault in ("401", "500", "drop"):
            with pytest.raises(Exception, match="m!"):
                await reply(litellm_clients, server, f"openai/m!{fault}")
    assert capfd.readouterr() == ("", "")
    assert not [r for r in caplog.records if "litellm" in r.name.lower()]


def test_keys_from_params_reach_the_redactor(litellm_clients: LitellmClients) -> None:
    redactor = Redactor()
    clients = LitellmClients(redactor, load=litellm_clients.module)
    clients.client("openai/m", {"api_key": "local-key-without-prefix"})
    assert redactor.text("it is local-key-without-prefix") == "it is [redacted]"


def test_loading_is_quiet_offline_and_leaves_the_directory_alone(tmp_path: Any) -> None:
    """A fresh process: no `.env` read, no network, nothing printed, warnings as errors."""
    (tmp_path / ".env").write_text("OPENAI_API_KEY=from-dot-env\n")
    code = (
        "import os, socket\n"
        "def refuse(*a, **k): raise SystemExit('network at import')\n"
        "socket.socket.connect = refuse\n"
        "from convtui.models.litellm_client import LitellmClients\n"
        "clients = LitellmClients(); clients.warm()\n"
        "assert clients.ready and 'OPENAI_API_KEY' not in os.environ\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENAI_API_KEY",)}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_another_client_may_be_made_when_one_was_closed(server: OpenAIServerThread) -> None:
    for _ in range(2):
        clients = LitellmClients()
        server.script(FakeReply(text="Good morning."))
        assert (await reply(clients, server)).text == "Good morning."
        await clients.aclose()


async def test_no_connection_of_a_loop_is_handed_out_in_the_next() -> None:
    clients = LitellmClients()
    shared = clients.module().module_level_aclient
    connections = shared.client
    await clients.aclose()
    assert connections.is_closed
    assert clients.module().module_level_aclient is not shared


async def test_closing_leaves_the_connections_of_others_alone(server: OpenAIServerThread) -> None:
    first, second = LitellmClients(), LitellmClients()
    server.script(FakeReply(text="one"), FakeReply(text="two three four"))
    assert (await reply(first, server)).text == "one"
    async with aclosing(deltas(second, server)) as pieces:  # type: ignore[type-var]
        texts = [(await anext(pieces)).text]
        await first.aclose()
        texts += [piece.text async for piece in pieces]
    assert "".join(text for text in texts if text) == "two three four"
    await second.aclose()


def test_the_list_of_providers_is_that_of_litellm(warmed: LitellmClients) -> None:
    from litellm.llms.openai_like.json_loader import JSONProviderRegistry

    known = {str(getattr(name, "value", name)) for name in warmed.module().provider_list}
    assert known | set(JSONProviderRegistry.list_providers()) == PREFIXES
