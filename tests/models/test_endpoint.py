"""Real litellm over real HTTP: an endpoint's answer is read as it was sent, and nothing added."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from convtui.errors import BadModelRequest, ModelError, ModelUnavailable, RateLimited, StreamDropped
from convtui.models.base import Reply, ReplyFold, Usage
from convtui.models.context import current_warn
from convtui.models.endpoint import server_sent
from convtui.models.litellm_client import LitellmClients
from tests.fakes.openai_script import FakeReply, answer, chunk
from tests.fakes.openai_server import OpenAIServerThread
from tests.models.conftest import KEY

HELLO = [{"role": "user", "content": "hello"}]
OSLO, KIEL = '{"city": "Oslo"}', '{"city": "Kiel"}'
STOP = chunk({}, "stop")


class Endpoint:
    """A loopback endpoint and what a client makes of its answers."""

    def __init__(self, clients: LitellmClients, server: OpenAIServerThread) -> None:
        self._clients = clients
        self.server = server

    async def ask(self, *script: FakeReply, model: str = "openai/m", **params: Any) -> Reply:
        """The reply of one call; its metadata is left out."""
        self.server.script(*script)
        client = self._clients.client(model, {"api_base": self.server.url, "api_key": KEY})
        fold = ReplyFold()
        async for delta in client.stream(HELLO, params=params):
            fold.add(delta)
        return fold.reply()

    async def stream(self, *events: Any, done: bool = True, **params: Any) -> Reply:
        """The reply of a stream of these events."""
        return await self.ask(FakeReply(events=events, done=done), **params)

    async def both(self, message: dict[str, Any]) -> list[Reply]:
        """The replies of a message that is streamed in one chunk, and of one that comes at once."""
        streamed = await self.stream(chunk({"role": "assistant", **message}), STOP)
        return [streamed, await self.ask(answer(message), stream=False)]


@pytest.fixture
def endpoint(litellm_clients: LitellmClients, server: OpenAIServerThread) -> Endpoint:
    return Endpoint(litellm_clients, server)


def call(index: Any, call_id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    piece: dict[str, Any] = {"index": index, "id": call_id, "type": "function"}
    return {**piece, "function": {"name": name, "arguments": arguments}}


# --- content


@pytest.mark.parametrize(
    ("content", "text", "reasoning", "kinds"),
    [
        ([{"type": "text", "text": "One. "}, {"type": "text", "text": "Two."}],
         "One. Two.", "", []),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
          {"type": "text", "text": "Gate 4."}], "Gate 4.", "hm", []),
        ([{"type": "image_url", "image_url": {"url": "data:,x"}}, "b", ["c"], None, 3],
         "bc", "", ["image_url", "int"]),
        ({"type": "text", "text": "alone"}, "alone", "", []),
    ],
)  # fmt: skip
async def test_content_that_is_a_list(
    endpoint: Endpoint, content: Any, text: str, reasoning: str, kinds: list[str]
) -> None:
    for reply in await endpoint.both({"content": content}):
        assert (reply.text, reply.reasoning, reply.finish_reason) == (text, reasoning, "stop")
        assert [part["type"] for part in reply.parts] == kinds


@pytest.mark.parametrize("provider", ["hosted_vllm", "openrouter", "groq", "mistral"])
@pytest.mark.parametrize("stream", [True, False])
async def test_every_kind_of_chat_endpoint_is_read_in_the_same_way(
    endpoint: Endpoint, provider: str, stream: bool
) -> None:
    calls = [call(0, "a", "find_trip", arguments) for arguments in (OSLO, KIEL)]
    message = {"content": [{"type": "text", "text": "a"}, "b"], "tool_calls": calls}
    sent = FakeReply(events=(chunk(message),)) if stream else answer(message, None)
    reply = await endpoint.ask(sent, model=f"{provider}/m", stream=stream)
    assert (reply.text, reply.finish_reason) == ("ab", None)
    assert [made.arguments for made in reply.tool_calls] == [OSLO, KIEL]


async def test_a_refusal_is_the_text_of_the_reply(endpoint: Endpoint) -> None:
    for reply in await endpoint.both({"content": None, "refusal": "I cannot help with that."}):
        assert (reply.text, reply.refused) == ("I cannot help with that.", True)
    pieces = [chunk({"refusal": "I "}), chunk({"refusal": "cannot."}), STOP]
    assert (await endpoint.stream(*pieces)).text == "I cannot."


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
async def test_reasoning_alone_leaves_the_text_empty(endpoint: Endpoint, field: str) -> None:
    for reply in await endpoint.both({field: "The answer: Gate 4."}):
        assert (reply.text, reply.reasoning) == ("", "The answer: Gate 4.")


async def test_reasoning_in_two_fields_of_a_stream_is_taken_once(endpoint: Endpoint) -> None:
    pieces = [
        chunk({"reasoning": word, "reasoning_details": [{"type": "reasoning.text", "text": word}]})
        for word in ("Gate ", "4")
    ]
    assert (await endpoint.stream(*pieces, STOP)).reasoning == "Gate 4"


async def test_halves_of_a_character_are_joined(endpoint: Endpoint) -> None:
    halves = [chunk({"content": "A boat \ud83d"}), chunk({"content": "\ude80 goes."}), STOP]
    assert (await endpoint.stream(*halves)).text == "A boat 🚀 goes."
    lone = [chunk({"content": "Half \ud835 and"}), chunk({"content": " an end \ud83d"}), STOP]
    assert (await endpoint.stream(*lone)).text == "Half \ud835 and an end \ud83d"


async def test_the_first_of_several_choices_is_the_reply(endpoint: Endpoint) -> None:
    warned: list[str] = []
    token = current_warn.set(lambda code, message: warned.append(code))
    choices = [{"index": n, "delta": {"content": f"{n}."}, "finish_reason": "stop"} for n in (0, 1)]
    try:
        reply = await endpoint.stream(chunk(choices=choices), chunk(choices=choices[::-1]))
    finally:
        current_warn.reset(token)
    assert (reply.text, set(warned)) == ("0.0.", {"other_choices"})


# --- tool calls


@pytest.mark.parametrize("index", [0, "0", None])
@pytest.mark.parametrize("call_id", [None, "", "a"])
async def test_calls_that_share_index_and_id(endpoint: Endpoint, index: Any, call_id: Any) -> None:
    pieces = [
        chunk({"tool_calls": [call(index, call_id, "find_trip", arguments)]})
        for arguments in (OSLO, KIEL)
    ]
    reply = await endpoint.stream(*pieces, chunk({}, "tool_calls"))
    assert [(c.name, c.arguments) for c in reply.tool_calls] == [
        ("find_trip", OSLO), ("find_trip", KIEL),
    ]  # fmt: skip
    assert not reply.doubtful


async def test_calls_of_a_whole_answer_are_told_apart_by_their_place(endpoint: Endpoint) -> None:
    calls = [call(0, "a", "find_trip", arguments) for arguments in (OSLO, KIEL)]
    reply = await endpoint.ask(answer({"content": None, "tool_calls": calls}), stream=False)
    assert [(c.id, c.arguments) for c in reply.tool_calls] == [("a", OSLO), ("a", KIEL)]


async def test_arguments_that_are_no_text(endpoint: Endpoint) -> None:
    calls = [call(0, "a", "find_trip", {"city": "Oslo"}), call(1, "b", "find_trip", None)]
    for reply in await endpoint.both({"tool_calls": calls}):
        assert [(c.id, c.arguments) for c in reply.tool_calls] == [("a", OSLO), ("b", "")]


async def test_a_legacy_function_call(endpoint: Endpoint) -> None:
    pieces = [
        chunk({"function_call": {"name": "find_trip", "arguments": ""}}),
        chunk({"function_call": {"arguments": OSLO[:6]}}),
        chunk({"function_call": {"arguments": OSLO[6:]}}),
        chunk({}, "function_call"),
    ]
    reply = await endpoint.stream(*pieces)
    (made,) = reply.tool_calls
    assert (made.id, made.name, made.arguments) == ("call_0", "find_trip", OSLO)
    message = {"function_call": {"name": "find_trip", "arguments": OSLO}}
    for reply in await endpoint.both({**message, "tool_calls": [call(0, "a", "find_trip", OSLO)]}):
        assert [c.id for c in reply.tool_calls] == ["a"]


# --- how replies end


@pytest.mark.parametrize("done", [True, False])
async def test_a_reply_without_a_finish_reason_has_none(endpoint: Endpoint, done: bool) -> None:
    said = chunk({"content": "Your booking number is HT-"})
    reply = await endpoint.stream(said, done=done)
    assert (reply.text, reply.finish_reason) == ("Your booking number is HT-", None)
    reply = await endpoint.ask(answer({"content": "HT-"}, None), stream=False)
    assert (reply.text, reply.finish_reason) == ("HT-", None)
    assert (await endpoint.stream(said, chunk({}, ""), done=done)).finish_reason is None


async def test_an_event_that_the_end_cuts_off(endpoint: Endpoint) -> None:
    whole, half = chunk({"content": "a"}), json.dumps(chunk({"content": "b"})).encode()
    reply = await endpoint.stream(whole, b"data: " + half, done=False)
    assert (reply.text, reply.finish_reason) == ("ab", None)
    reply = await endpoint.stream(whole, b"data: " + half[:-9], done=False)
    assert (reply.text, reply.finish_reason) == ("a", None)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"),
        ("max_tokens", "length"), ("eos", "stop"), ("SAFETY", "content_filter"),
        ("something_new", "something_new"),
    ],
)  # fmt: skip
async def test_finish_reasons(endpoint: Endpoint, sent: str, kept: str) -> None:
    reply = await endpoint.stream(chunk({"content": "a"}), chunk({}, sent))
    assert reply.finish_reason == kept
    assert reply.metadata.get("finish_reason_sent", sent) == sent
    assert (await endpoint.ask(answer({"content": "a"}, sent), stream=False)).finish_reason == kept


async def test_no_choices_are_an_empty_reply(endpoint: Endpoint) -> None:
    used = {"prompt_tokens": 5, "completion_tokens": 0}
    none = FakeReply(body=json.dumps({"id": "x", "model": "m", "choices": [], "usage": used}))
    for reply in (
        await endpoint.ask(none, stream=False),
        await endpoint.stream(chunk(usage=used)),
    ):
        assert (reply.text, reply.finish_reason) == ("", None)
        assert reply.usage == Usage(prompt_tokens=5, completion_tokens=0)
    with pytest.raises(StreamDropped, match="ended without a reply"):
        await endpoint.stream(chunk())


async def test_an_endpoint_that_answers_at_once_though_a_stream_was_asked_for(
    endpoint: Endpoint,
) -> None:
    reply = await endpoint.ask(answer({"content": "All at once."}))
    assert (reply.text, reply.finish_reason) == ("All at once.", "stop")


@pytest.mark.parametrize(
    ("event", "kind", "says"),
    [
        ({"error": {"message": "Worker limit reached", "code": 502}}, ModelUnavailable, "Worker"),
        ({"error": {"message": "slow down", "code": 429}}, RateLimited, "slow down"),
        ({"error": "out of memory"}, ModelUnavailable, "out of memory"),
        (
            {"object": "error", "message": "no such LoRA", "code": 400},
            BadModelRequest,
            "no such LoRA",
        ),
        (chunk({"content": ""}, "error"), ModelUnavailable, "ended its reply with an error"),
    ],
)
async def test_an_error_in_place_of_a_reply(
    endpoint: Endpoint, event: Any, kind: type[ModelError], says: str
) -> None:
    with pytest.raises(kind, match=says):
        await endpoint.stream(event)
    # What is worth another attempt at the beginning is so in mid-stream.
    later = kind if kind is BadModelRequest else StreamDropped
    with pytest.raises(later, match=says):
        await endpoint.stream(chunk({"content": "Your ticket is "}), event)


async def test_server_sent_events_however_they_are_written(endpoint: Endpoint) -> None:
    said = json.dumps(chunk({"content": "Fähre\u2028fährt"}), ensure_ascii=False).encode()
    cut = said.index(b"\xc3") + 1
    reply = await endpoint.stream(
        b": PROCESSING\r\n\r\n: PROCESSING\r\n\r\n",
        b"event: message\r\nid: 1\r\ndata:" + said[:cut],
        said[cut:] + b"\r\n\r\n", b"data: null\n\n", b"retry: 10\n", STOP,
    )  # fmt: skip
    assert (reply.text, reply.finish_reason) == ("Fähre\u2028fährt", "stop")


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
async def test_events_do_not_depend_on_how_the_bytes_come(size: int) -> None:
    data = b'\xef\xbb\xbfdata: {"a":\r\ndata: 1}\r\n\r\n:x\n\ndata: [DONE]\n\ndata: {"cut'
    assert [event async for event in server_sent(pieces(data, size))] == ['{"a":\n1}', "[DONE]"]


# --- usage


async def test_usage_in_every_chunk_is_not_added_up(endpoint: Endpoint) -> None:
    said = [
        chunk({"content": f"{n} "}, usage={"prompt_tokens": 100, "completion_tokens": n})
        for n in (1, 2, 3)
    ]
    reply = await endpoint.stream(*said, chunk({}, "stop", usage=None))
    assert reply.usage == Usage(prompt_tokens=100, completion_tokens=3)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": "5", "completion_tokens": -3, "total_tokens": None},
        {"prompt_tokens": float("nan")},
        {"prompt_tokens": {}, "completion_tokens_details": [1]},
        "8 tokens", [], 8, {},
    ],
)  # fmt: skip
async def test_usage_that_is_none_is_unknown(endpoint: Endpoint, usage: Any) -> None:
    said = [chunk({"content": "a"}), chunk({}, "stop", usage=usage)]
    assert (await endpoint.stream(*said)).usage is None
    assert (await endpoint.ask(answer({"content": "a"}, usage=usage), stream=False)).usage is None


async def test_no_figure_is_made_up(endpoint: Endpoint) -> None:
    used = {"prompt_tokens": 9, "completion_tokens": 40}
    message = {"content": "Gate 4.", "reasoning_content": "It is **Gate 4**, at 10:30."}
    expected = Usage(**used)
    streamed = await endpoint.stream(chunk(message), STOP, chunk(usage=used))
    assert streamed.usage == expected
    assert (await endpoint.ask(answer(message, usage=used), stream=False)).usage == expected


async def test_a_cost_needs_both_counts(endpoint: Endpoint) -> None:
    for used, known in (({"prompt_tokens": 9, "completion_tokens": 4}, True),
                        ({"prompt_tokens": 9}, False)):  # fmt: skip
        reply = await endpoint.ask(
            answer({"content": "a"}, usage=used, model="gpt-4o"), model="openai/gpt-4o",
            stream=False,
        )  # fmt: skip
        assert reply.usage is not None
        assert (reply.usage.cost is not None) is known
    priced = {"prompt_tokens": 9, "completion_tokens": 4, "cost": 0.25}
    reply = await endpoint.ask(answer({"content": "a"}, usage=priced), stream=False)
    assert reply.usage is not None
    assert reply.usage.cost == 0.25


# --- an endpoint that does not speak chat completions

_THOUGHT = {"type": "thinking", "thinking": "It is Gate 4, I think.", "signature": "s"}
_SAID = {"type": "text", "text": "Gate 4."}


def anthropic(usage: dict[str, Any], *, stream: bool) -> FakeReply:
    """An answer in the form of the Anthropic API."""
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
    }
    message |= {"content": [_THOUGHT, _SAID], "stop_reason": "end_turn", "usage": usage}
    if not stream:
        return FakeReply(body=json.dumps(message))
    begun = {**message, "content": [], "stop_reason": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {**_THOUGHT, "thinking": ""}},
        {"type": "content_block_delta", "index": 0,
         "delta": {"type": "thinking_delta", "thinking": _THOUGHT["thinking"]}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1,
         "delta": {"type": "text_delta", "text": _SAID["text"]}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
    ]  # fmt: skip
    body = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
    return FakeReply(body=body, headers={"Content-Type": "text/event-stream"})


@pytest.mark.parametrize("stream", [True, False])
async def test_figures_that_litellm_counts_itself_are_left_out(
    endpoint: Endpoint, stream: bool
) -> None:
    endpoint.server.script(anthropic({"input_tokens": 9, "output_tokens": 40}, stream=stream))
    base = endpoint.server.url.removesuffix("/v1")
    reply = await endpoint.ask(
        model="anthropic/claude-sonnet-4-20250514", api_base=base, stream=stream
    )
    assert (reply.text, reply.reasoning) == ("Gate 4.", "It is Gate 4, I think.")
    assert reply.finish_reason == "stop"
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (9, 40)
    assert reply.usage.reasoning_tokens is None
    assert reply.usage.cached_tokens is None
    assert reply.usage.total_tokens is None
    sent = {"input_tokens": 9, "output_tokens": 40, "cache_read_input_tokens": 3,
            "output_tokens_details": {"thinking_tokens": 7}}  # fmt: skip
    endpoint.server.script(anthropic(sent, stream=stream))
    reply = await endpoint.ask(
        model="anthropic/claude-sonnet-4-20250514", api_base=base, stream=stream
    )
    assert reply.usage is not None
    assert (reply.usage.reasoning_tokens, reply.usage.cached_tokens) == (7, 3)
