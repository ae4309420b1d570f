"""Real litellm against endpoints that misbehave: nothing goes elsewhere, nothing is without end."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from convtui.errors import BadModelRequest, ModelError, ModelUnavailable, StreamDropped
from convtui.models import bounds
from convtui.models.base import Reply, ReplyFold
from convtui.models.bounds import same_host
from convtui.models.litellm_client import LitellmClients
from tests.builders.waiting import WITHIN
from tests.fakes.raw_http import (
    DONE,
    EVENTS,
    OK,
    SAID,
    Answer,
    RawEndpoint,
    bomb,
    chunk,
    event,
    resets,
    says,
    whole,
)
from tests.models.conftest import KEY

HELLO = [{"role": "user", "content": "hello, my planted-conversation"}]
HEADERS = {"x-api-key": KEY, "api-key": KEY, "cookie": f"session={KEY}", "x-tenant": KEY}
JSON = OK + b"content-type: application/json\r\n\r\n"


@pytest.fixture
async def endpoint() -> AsyncIterator[RawEndpoint]:
    async with RawEndpoint(says(EVENTS, SAID)) as running:
        yield running


@pytest.fixture
async def elsewhere() -> AsyncIterator[RawEndpoint]:
    """Another host, as far as a port makes one."""
    async with RawEndpoint(says(EVENTS, SAID)) as running:
        yield running


async def ask(
    clients: LitellmClients,
    endpoint: RawEndpoint,
    answer: Answer | None = None,
    model: str = "openai/m",
    **params: Any,
) -> Reply:
    """The reply of one call, within a time that none of them takes."""
    if answer is not None:
        endpoint.answer = answer
    client = clients.client(model, {"api_base": endpoint.url, "api_key": KEY, **params})
    fold = ReplyFold()
    async with asyncio.timeout(WITHIN):
        async for delta in client.stream(HELLO):
            fold.add(delta)
    return fold.reply()


async def failure(
    clients: LitellmClients, endpoint: RawEndpoint, answer: Answer | None = None, **params: Any
) -> ModelError:
    """What a call fails of."""
    with pytest.raises(ModelError) as caught:
        await ask(clients, endpoint, answer, **params)
    return caught.value


# --- redirects


def redirect(status: int, location: str) -> Answer:
    return says(
        f"HTTP/1.1 {status} -\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode()
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("stream", [True, False])
async def test_nothing_goes_to_another_host(
    litellm_clients: LitellmClients,
    endpoint: RawEndpoint,
    elsewhere: RawEndpoint,
    status: int,
    stream: bool,
) -> None:
    target = f"{elsewhere.url}/chat/completions?token={KEY}"
    error = await failure(
        litellm_clients, endpoint, redirect(status, target), stream=stream, extra_headers=HEADERS
    )
    assert isinstance(error, BadModelRequest)
    assert str(error) == (
        f"{endpoint.origin} redirects ({status}) to {elsewhere.url}/chat/completions: another host,"
        " so nothing was sent there; if it is right, name it as api_base"
    )
    assert (len(endpoint.requests), elsewhere.requests) == (1, [])


@pytest.mark.parametrize("model", ["anthropic/claude-x", "hosted_vllm/m", "groq/m", "openrouter/m"])
async def test_whichever_way_litellm_asks(
    litellm_clients: LitellmClients, endpoint: RawEndpoint, elsewhere: RawEndpoint, model: str
) -> None:
    """It has a client of its own for every kind of endpoint, each of which follows redirects."""
    answer = redirect(307, f"{elsewhere.url}/chat/completions")
    for stream in (True, False):
        error = await failure(litellm_clients, endpoint, answer, model=model, stream=stream)
        assert "another host, so nothing was sent there" in str(error)
    assert (len(endpoint.requests), elsewhere.requests) == (2, [])


@pytest.mark.parametrize(
    ("location", "says_"),
    [
        ("http://127.0.0.2:{port}/v1/chat/completions", "another host"),
        ("https://127.0.0.1:{port}/v1/chat/completions", "another host"),
        ("http://localhost:{port}/", "another host"),
        ("//evil.example/\x1b[31m", "to something that is no URL"),
        ("http://user:{key}@evil.example/", "to http://evil.example/: another host"),
        ("http://[", "another host"),
        ("http://a:b:c/", "to something that is no URL"),
        ("file:///etc/passwd", "another host"),
    ],
)
async def test_what_another_host_is(
    litellm_clients: LitellmClients, endpoint: RawEndpoint, location: str, says_: str
) -> None:
    answer = redirect(308, location.format(port=endpoint.port, key=KEY))
    text = str(await failure(litellm_clients, endpoint, answer))
    assert says_ in text
    assert KEY not in text
    assert "\x1b" not in text
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("here", "there", "same"),
    [
        ("http://a/x", "http://a:80/y", True),
        ("https://a/x", "https://A/y", True),
        ("http://a/x", "https://a/x", True),
        ("https://a/x", "http://a/x", False),
        ("http://a:8000/x", "https://a:8000/x", False),
        ("http://a/x", "https://a:8443/x", False),
        ("https://a/x", "https://b.a/x", False),
        ("https://a/x", "https://a:444/x", False),
    ],
)
def test_the_same_host(here: str, there: str, same: bool) -> None:
    assert same_host(httpx.URL(here), httpx.URL(there)) is same


async def test_a_redirect_within_the_host_is_followed_with_the_request(
    litellm_clients: LitellmClients, endpoint: RawEndpoint
) -> None:
    async def answer(request: Any, writer: asyncio.StreamWriter) -> None:
        moved = request.path.startswith("/moved/")
        then = says(EVENTS, SAID) if moved else redirect(307, "/moved/chat/completions")
        await then(request, writer)

    assert (await ask(litellm_clients, endpoint, answer)).text == "Gate 4."
    first, second = endpoint.requests
    assert (second.method, second.body) == ("POST", first.body)
    assert second.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirect_that_makes_a_get_of_it_is_named(
    litellm_clients: LitellmClients, endpoint: RawEndpoint, status: int
) -> None:
    error = await failure(litellm_clients, endpoint, redirect(status, "/v1/login"))
    assert str(error) == (
        f"{endpoint.origin} redirects ({status}) to {endpoint.url}/login, as a GET, which carries"
        " no conversation; is api_base right?"
    )
    assert len(endpoint.requests) == 1


async def test_redirects_in_a_circle(
    litellm_clients: LitellmClients, endpoint: RawEndpoint
) -> None:
    error = await failure(litellm_clients, endpoint, redirect(307, "/v1/chat/completions"))
    assert str(error).endswith("the 6th redirect of one call; given up")
    assert len(endpoint.requests) == 6


# --- size


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """A limit that a test reaches in milliseconds."""
    monkeypatch.setattr(bounds, "MOST_BYTES", 2 << 20)
    return 2 << 20


BOMB = bomb(300)
"""300 MB in 300 KB."""


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate"])
async def test_a_compressed_answer_is_bounded_by_what_it_holds(
    litellm_clients: LitellmClients,
    endpoint: RawEndpoint,
    small: int,
    stream: bool,
    encoding: str,
) -> None:
    kind = b"text/event-stream" if stream else b"application/json"
    head = OK + b"content-encoding: " + encoding.encode() + b"\r\ncontent-type: " + kind
    error = await failure(litellm_clients, endpoint, says(head + b"\r\n\r\n", BOMB), stream=stream)
    assert str(error) == "the answer is larger than 2 MB: given up"


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "\x1b[31m"])
async def test_an_encoding_that_cannot_be_bounded_is_not_taken(
    litellm_clients: LitellmClients, endpoint: RawEndpoint, encoding: str
) -> None:
    head = OK + b"content-encoding: " + encoding.encode() + b"\r\n\r\n"
    text = str(await failure(litellm_clients, endpoint, says(head, b"x")))
    assert "\x1b" not in text
    if not encoding.startswith("\x1b"):
        assert text == f"the answer's content-encoding is {encoding!r}, which was not asked for"
    assert endpoint.requests[0].headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("packed", ["gzip", "zlib", "raw", "identity"])
@pytest.mark.parametrize("stream", [True, False])
async def test_compressed_answers_are_read(
    litellm_clients: LitellmClients, endpoint: RawEndpoint, packed: str, stream: bool
) -> None:
    plain = SAID if stream else whole("Gate 4.")
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    encoding, data = {
        "gzip": ("gzip", gzip.compress(plain)),
        "zlib": ("deflate", zlib.compress(plain)),
        "raw": ("deflate", raw.compress(plain) + raw.flush()),
        "identity": ("identity", plain),
    }[packed]
    kind = "text/event-stream" if stream else "application/json"
    head = f"content-encoding: {encoding}\r\ncontent-length: {len(data)}\r\ncontent-type: {kind}"
    pieces = [data[at : at + 7] for at in range(0, len(data), 7)]
    answer = says(OK + head.encode() + b"\r\n\r\n", *pieces)
    assert (await ask(litellm_clients, endpoint, answer, stream=stream)).text == "Gate 4."


async def test_an_answer_that_is_not_compressed_as_it_says(
    litellm_clients: LitellmClients, endpoint: RawEndpoint
) -> None:
    head = OK + b"content-encoding: gzip\r\ncontent-type: text/event-stream\r\n\r\n"
    error = await failure(litellm_clients, endpoint, says(head, SAID))
    assert "not compressed as it says" in str(error)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_chunk_of_ten_megabytes(
    litellm_clients: LitellmClients, endpoint: RawEndpoint, stream: bool
) -> None:
    text = "x" * (10 << 20)
    said = EVENTS + event({"content": text}) + event({}, "stop") + DONE
    answer = says(said) if stream else says(JSON, whole(text))
    reply = await ask(litellm_clients, endpoint, answer, stream=stream)
    assert (len(reply.text), reply.finish_reason) == (10 << 20, "stop")


@pytest.mark.parametrize(
    "line",
    [b"data: " + b"x" * (3 << 20), b"x" * (3 << 20), b": x\n" * (1 << 20)],
    ids=["data", "no field", "comments"],
)
async def test_a_line_and_comments_without_end(
    litellm_clients: LitellmClients, endpoint: RawEndpoint, small: int, line: bytes
) -> None:
    error = await failure(litellm_clients, endpoint, says(EVENTS, line))
    assert str(error) == "the answer is larger than 2 MB: given up"


async def test_endless_pages_of_an_error_are_bounded(
    litellm_clients: LitellmClients, endpoint: RawEndpoint, small: int
) -> None:
    head = b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\n\r\n"
    error = await failure(litellm_clients, endpoint, says(head, b"<p>" * (1 << 20)))
    assert str(error) == "the answer is larger than 2 MB: given up"


async def test_very_long_headers(litellm_clients: LitellmClients, endpoint: RawEndpoint) -> None:
    for head in (b"x-a: " + b"y" * (1 << 20), b"x-a: y\r\n" * (1 << 17)):
        error = await failure(litellm_clients, endpoint, says(OK + head + b"\r\n\r\n", SAID))
        assert isinstance(error, ModelUnavailable), error
        assert len(str(error)) < 400


# --- what is no answer


CHUNKED = OK + b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PAGE = b"<!doctype html><html><title>Bad gateway</title><body>" + b"<p>\x1b[31m" * 3000


@pytest.mark.parametrize(
    ("sent", "kind", "text"),
    [
        (OK + b"content-type: text/html\r\n\r\n" + PAGE, BadModelRequest, "with text/html"),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\n\r\n" + PAGE,
         ModelUnavailable, "answered 502: an HTML page: Bad gateway"),
        (OK + b"content-length: 0\r\n\r\n", StreamDropped, "ended without a reply"),
        (EVENTS, StreamDropped, "ended without a reply"),
        (EVENTS + DONE, StreamDropped, "ended without a reply"),
        (EVENTS + b": nothing\n\n: but comments\n\n", StreamDropped, "ended without a reply"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ModelError, ""),
        (b"HTTP/1.1 100 Continue\r\n\r\n", ModelUnavailable, "closed the connection"),
        (CHUNKED + b"zz\r\nnonsense", ModelError, ""),
        (CHUNKED + b"ffffffffffffffffffff\r\n", ModelError, ""),
        (CHUNKED + b"-5\r\nabc\r\n", ModelError, ""),
        (b"\x00\xff\xfe not HTTP at all\r\n\r\n", ModelUnavailable, "closed the connection"),
        (b"", ModelUnavailable, "closed the connection"),
        (b"HTTP/1.1 200", ModelUnavailable, "closed the connection"),
        (b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n", ModelError, ""),
        (EVENTS + b"data: [1, 2]\n\ndata: \"x\"\n\ndata: null\n\n", ModelError, "without a reply"),
        (EVENTS + b"data: " + b"[" * 100_000 + b"\n\n", ModelError, ""),
    ],
)  # fmt: skip
async def test_what_is_no_answer_is_one_clear_error(
    litellm_clients: LitellmClients,
    endpoint: RawEndpoint,
    sent: bytes,
    kind: type[ModelError],
    text: str,
) -> None:
    error = await failure(litellm_clients, endpoint, says(sent))
    assert isinstance(error, kind), repr(error)
    assert text in str(error)
    assert len(str(error)) < 600
    assert "\x1b" not in str(error)


@pytest.mark.parametrize(
    ("before", "kind"),
    [
        (b"", ModelUnavailable),
        (b"HTTP/1.1 200 OK\r\nx-a: ", ModelUnavailable),
        (EVENTS, ModelError),
        (EVENTS + b'data: {"cho', ModelError),
        (EVENTS + event({"content": "Gate "}), StreamDropped),
        (CHUNKED + b"10\r\ndata", ModelError),
    ],
)
async def test_a_connection_that_is_reset(
    litellm_clients: LitellmClients, endpoint: RawEndpoint, before: bytes, kind: type[ModelError]
) -> None:
    for stream in (True, False):
        error = await failure(litellm_clients, endpoint, resets(before), stream=stream)
        if stream:
            assert isinstance(error, kind), repr(error)


# --- odd streams


WORDS = [{"content": "Gate "}, {"content": "4."}]


@pytest.mark.parametrize(
    "stream",
    [
        b"".join(b"data: " + chunk(d) + b"\r\r" for d in WORDS),
        b"".join(b"data: " + chunk(d) + b"\r\n\r\n" for d in WORDS),
        b"".join(b"data:" + chunk(d) + b"\n\n" for d in WORDS),
        b"".join(b"id: 7\nevent: x\nretry: 9\n: c\ndata: " + chunk(d) + b"\n\n" for d in WORDS),
        b"".join(
            b"data: " + chunk(d).replace(b", ", b",\ndata: ") + b"\n\n" for d in WORDS
        ),
        b"\xef\xbb\xbf" + b"".join(b"data: " + chunk(d) + b"\n\n" for d in WORDS),
        b"data\n\n" + b"".join(b"data: " + chunk(d) + b"\n\n" for d in WORDS) + b"dat",
    ],
    ids=["cr", "crlf", "no-space", "fields", "many-lines", "bom", "torn"],
)  # fmt: skip
async def test_every_form_of_server_sent_events_is_read(
    litellm_clients: LitellmClients, endpoint: RawEndpoint, stream: bytes
) -> None:
    one_by_one = [stream[at : at + 11] for at in range(0, len(stream), 11)]
    assert (await ask(litellm_clients, endpoint, says(EVENTS, *one_by_one))).text == "Gate 4."


async def test_bytes_that_are_no_utf_8_become_replacement_characters(
    litellm_clients: LitellmClients, endpoint: RawEndpoint
) -> None:
    broken = event({"content": "Gate @ 4."}).replace(b"@", b"\xff\xc3")
    reply = await ask(litellm_clients, endpoint, says(EVENTS, broken, event({}, "stop")))
    assert reply.text == "Gate \ufffd\ufffd 4."


async def test_what_comes_after_the_end_is_not_waited_for(
    litellm_clients: LitellmClients, endpoint: RawEndpoint
) -> None:
    gone = asyncio.Event()

    async def answer(request: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(EVENTS + SAID)
        try:
            while True:
                writer.write(b": still here\n\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        finally:
            gone.set()

    assert (await ask(litellm_clients, endpoint, answer)).text == "Gate 4."
    async with asyncio.timeout(WITHIN):
        await gone.wait()


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": "12", "completion_tokens": "x", "total_tokens": None},
        {"prompt_tokens": -5, "completion_tokens": -1, "total_tokens": -6},
        {"prompt_tokens": 1e308, "completion_tokens": True, "total_tokens": [1]},
        {"prompt_tokens": {"a": 1}, "prompt_tokens_details": "x", "cost": "free"},
        "lots",
        [1, 2],
    ],
)
async def test_usage_that_is_none_is_unknown(
    litellm_clients: LitellmClients, endpoint: RawEndpoint, usage: Any
) -> None:
    last = b"data: " + chunk({}, "stop", usage=usage) + b"\n\n"
    streamed = await ask(
        litellm_clients, endpoint, says(EVENTS, event({"content": "Gate 4."}), last, DONE)
    )
    at_once = await ask(
        litellm_clients, endpoint, says(JSON, whole("Gate 4.", usage=usage)), stream=False
    )
    for reply in (streamed, at_once):
        assert reply.text == "Gate 4."
        figures = reply.usage.model_dump(exclude_none=True) if reply.usage else {}
        assert all(value >= 0 for value in figures.values()), figures


async def test_ten_thousand_tool_calls_arrive_in_no_time(
    litellm_clients: LitellmClients, endpoint: RawEndpoint
) -> None:
    function = {"name": "look_up", "arguments": "{}"}
    calls = [{"index": n, "id": f"c{n}", "type": "function", "function": function}
             for n in range(10_000)]  # fmt: skip
    for made in (calls, [{**call, "index": 0} for call in calls]):
        pieces = [event({"tool_calls": [call]}) for call in made]
        reply = await ask(
            litellm_clients, endpoint, says(EVENTS, b"".join(pieces), event({}, "tool_calls"), DONE)
        )
        assert len(reply.tool_calls) == 10_000
