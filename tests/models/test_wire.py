"""What goes over the connection is on record: exact, attributed, masked, bounded."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtui.errors import ModelError
from convtui.log.wire import Body, Exchange, WireEncoder, read_wire
from convtui.log.wire_writer import RawBody, RawExchange, WireLog
from convtui.models.captures import current_capture
from convtui.models.context import current_call
from convtui.models.litellm_client import LitellmClients
from convtui.models.wire import WireCapture
from convtui.secrets.redactor import Redactor
from tests.fakes.openai_script import FakeReply
from tests.fakes.openai_server import OpenAIServerThread, free_port
from tests.models.conftest import KEY

BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


@contextmanager
def attributed(call: int | None) -> Iterator[None]:
    """Attributes the traffic of this context to the model call with this `seq`."""
    token = current_call.set(call)
    try:
        yield
    finally:
        current_call.reset(token)


class Captured(list[RawExchange]):
    """The exchanges of one test, masked on demand."""

    def masked(self) -> list[Exchange]:
        return [raw.masked(Redactor()) for raw in self]


@pytest.fixture
def captured() -> Iterator[Captured]:
    found = Captured()
    with WireCapture(found.append):
        yield found


def text_of(body: Body | None) -> str:
    assert body is not None
    return body.text


async def test_a_streamed_call_of_litellm(
    litellm_clients: LitellmClients, server: OpenAIServerThread, captured: Captured
) -> None:
    client = litellm_clients.client("openai/m", {"api_base": server.url, "api_key": KEY})
    with attributed(41):
        pieces = [d.text async for d in client.stream(BODY["messages"])]  # type: ignore[arg-type]
    (found,) = captured.masked()
    assert (found.method, found.url) == ("POST", f"{server.url}/chat/completions")
    assert (found.call, found.status, found.error, found.cut_off) == (41, 200, None, False)
    assert json.loads(text_of(found.request)) == server.requests[0].body
    raw = text_of(found.response)
    assert raw.endswith("data: [DONE]\n\n")
    assert "fp_loopback" in raw
    sent = [json.loads(line[6:]) for line in raw.split("\n\n") if line.startswith("data: {")]
    said = [c["choices"][0]["delta"].get("content") or "" for c in sent if c["choices"]]
    assert "".join(said) == "".join(pieces)
    assert dict(found.request_headers)["authorization"] == "[redacted]"
    assert dict(found.response_headers)["x-request-id"] == "req_1"
    assert found.ttfb is not None
    assert found.duration is not None
    assert found.ttfb <= found.duration
    assert KEY not in str(found)


@pytest.mark.parametrize(
    ("fault", "status", "error", "cut_off"),
    [
        ("500", 500, None, False),
        ("drop", 200, "RemoteProtocolError", True),
        ("hang=1", 200, "ReadTimeout", True),
        ("hang", None, "ReadTimeout", True),
    ],
)
async def test_failures_of_litellm_calls(
    litellm_clients: LitellmClients,
    server: OpenAIServerThread,
    captured: Captured,
    fault: str,
    status: int | None,
    error: str | None,
    cut_off: bool,
) -> None:
    params = {"api_base": server.url, "api_key": KEY, "timeout": 0.2}
    client = litellm_clients.client(f"openai/m!{fault}", params)
    with pytest.raises(ModelError):
        async for _ in client.stream(BODY["messages"]):  # type: ignore[arg-type]
            pass
    (found,) = captured.masked()
    assert (found.status, found.cut_off, found.failed) == (status, cut_off, True)
    assert (found.error or "").startswith(error or "")


@pytest.mark.parametrize("model", ["anthropic/claude-3-5-sonnet-latest", "ollama_chat/m"])
async def test_providers_without_an_sdk_are_seen(
    litellm_clients: LitellmClients, server: OpenAIServerThread, captured: Captured, model: str
) -> None:
    client = litellm_clients.client(model, {"api_base": server.url, "api_key": KEY})
    with pytest.raises(ModelError, match="404"):
        async for _ in client.stream(BODY["messages"]):  # type: ignore[arg-type]
            pass
    # For some models litellm first asks a server of its own choice what they are.
    found = captured.masked()[-1]
    assert found.url.startswith(server.url)
    assert found.status == 404
    assert "does not exist" in text_of(found.response)
    assert KEY not in str(found)


async def test_a_refused_connection_is_an_exchange(captured: Captured) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{free_port()}/")
    (found,) = captured.masked()
    assert found.status is None
    assert (found.error or "").startswith("ConnectError")
    assert found.response is None


async def test_cancelling_is_on_record(server: OpenAIServerThread, captured: Captured) -> None:
    body = {**BODY, "model": "m!hang=2", "stream": True}

    async def consume() -> None:
        async with (
            httpx.AsyncClient() as client,
            client.stream("POST", f"{server.url}/chat/completions", json=body) as response,
        ):
            async for _ in response.aiter_bytes():
                pass

    task = asyncio.create_task(consume())
    await asyncio.to_thread(server.until, lambda seen: bool(seen) and seen[0].chunks == 3)
    while not (captured or task.done()):
        task.cancel()
        await asyncio.sleep(0)
    (found,) = captured.masked()
    assert (found.error, found.cut_off) == ("cancelled", True)


async def test_a_stream_left_early_is_cut_off(
    server: OpenAIServerThread, captured: Captured
) -> None:
    body = {**BODY, "model": "m!hang=2", "stream": True}
    async with httpx.AsyncClient() as client:
        url = f"{server.url}/chat/completions"
        async with client.stream("POST", url, json=body) as response:
            assert await anext(response.aiter_bytes())
    (found,) = captured.masked()
    assert (found.status, found.error, found.cut_off) == (200, None, True)


async def test_bodies_pass_as_they_arrive(captured: Captured) -> None:
    """Nothing is held back: the reader has each piece before the next is sent."""
    wanted = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        await wanted.wait()
        yield b"two"

    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=pieces()))
    async with (
        httpx.AsyncClient(transport=transport) as client,
        client.stream("GET", "http://x/") as response,
    ):
        stream = response.aiter_raw()
        assert await anext(stream) == b"one"
        assert not captured
        wanted.set()
        assert await anext(stream) == b"two"
        assert [piece async for piece in stream] == []
    assert text_of(captured.masked()[0].response) == "onetwo"


def test_sync_clients_are_seen(server: OpenAIServerThread, captured: Captured) -> None:
    url = f"{server.url}/chat/completions"
    with httpx.Client() as client:
        answer = client.post(url, json=BODY)
        with client.stream("POST", url, json={**BODY, "stream": True}) as response:
            for _ in response.iter_raw(1):
                break
        with pytest.raises(httpx.ReadTimeout):
            client.post(url, json={**BODY, "model": "m!hang"}, timeout=0.1)
    first, second, third = captured.masked()
    assert text_of(first.response) == answer.text
    assert second.status == 200
    assert (third.status, third.error) == (None, "ReadTimeout: timed out")


def test_installing_is_undone_and_nests() -> None:
    before = (httpx.Client.send, httpx.AsyncClient.send)
    outer, inner = Captured(), Captured()
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=iter([b"ok"])))
    with WireCapture(outer.append) as capture:
        capture.install()
        with WireCapture(inner.append), httpx.Client(transport=transport) as client:
            client.get("http://x/")
            held = client.send(client.build_request("GET", "http://x/"), stream=True)
    assert (httpx.Client.send, httpx.AsyncClient.send) == before
    assert [(len(c), c[-1].cut_off) for c in (outer, inner)] == [(2, True), (2, True)]
    held.close()


async def test_each_context_has_a_capture_of_its_own() -> None:
    """Conversations side by side: an exchange is in one wire log, whoever ends first."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=b"ok"))
    found = {name: Captured() for name in "abc"}

    async def ask(name: str) -> None:
        capture = WireCapture(found[name].append, everywhere=False)
        current_capture.set(capture)
        with capture:
            async with httpx.AsyncClient(transport=transport) as client:
                for _ in range(3 + ord(name) - ord("a")):
                    await client.get(f"http://{name}/")
                    await asyncio.sleep(0)

    before = (httpx.Client.send, httpx.AsyncClient.send)
    outer = Captured()
    with WireCapture(outer.append):
        await asyncio.gather(*(asyncio.create_task(ask(name)) for name in "abc"))
        with httpx.Client(transport=transport) as client:
            client.get("http://nobody/")
    assert (httpx.Client.send, httpx.AsyncClient.send) == before
    hosts = {name: [one.url for one in taken] for name, taken in found.items()}
    assert hosts == {"a": ["http://a/"] * 3, "b": ["http://b/"] * 4, "c": ["http://c/"] * 5}
    assert len(outer) == 13


async def test_long_bodies_are_bounded() -> None:
    found = Captured()
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=b"y" * 1000))
    with WireCapture(found.append, cap=100):
        async with httpx.AsyncClient(transport=transport) as client:
            assert len((await client.post("http://x/", content=b"x" * 500)).content) == 1000
    (one,) = found.masked()
    assert one.request == Body(text="x" * 100, size=500, cut=True)
    assert one.response == Body(text="y" * 100, size=1000, cut=True)


def raw(**facts: object) -> RawExchange:
    base = RawExchange("POST", "http://host/v1", 1e9, status=200, ttfb=0.1, duration=0.2)
    return replace(base, **facts)  # type: ignore[arg-type]


def body_of(data: bytes) -> RawBody:
    return RawBody(bytearray(data), len(data))


def test_secrets_are_taken_out_everywhere() -> None:
    secret = "opaque-value-of-a-header"
    exchange = raw(
        url=f"https://user:password1@host/v1?key=abc123&page=2&x-token=t9&session={secret}",
        request_headers=[("X-Api-Key", secret), ("cookie", "a=b"), ("x-goog-api-key", "g0")],
        request=body_of(json.dumps({"api_key": "body-key-1", "note": secret}).encode()),
        response_headers=[("set-cookie", "id=1"), ("x-ratelimit-remaining-tokens", "12")],
        response=body_of(b"you sent " + secret.encode()),
        error=f"bad {secret}",
    ).masked(Redactor())
    shown = str(exchange)
    for word in (secret, "password1", "abc123", "t9", "body-key-1", "a=b", "id=1", "g0"):
        assert word not in shown
    assert dict(exchange.response_headers)["x-ratelimit-remaining-tokens"] == "12"
    assert exchange.url.startswith("https://[redacted]@host/v1?key=[redacted]&page=2&")


def test_compressed_and_binary_bodies() -> None:
    packed = gzip.compress(b"hello " + KEY.encode())
    gz = [("content-encoding", "gzip")]
    redactor = Redactor([KEY])
    plain = raw(response=body_of(packed), response_headers=gz).masked(redactor).response
    assert plain == Body(text="hello [redacted]", size=len(packed), encoding="gzip")
    odd = raw(response=body_of(b"\xff\x00" + KEY.encode())).masked(redactor).response
    assert odd is not None
    assert odd.base64
    br = [("content-encoding", "br")]
    unknown = raw(response=body_of(KEY.encode()), response_headers=br).masked(Redactor()).response
    assert unknown is not None
    assert unknown.cut
    assert KEY not in unknown.text


def conversation(turns: int) -> list[bytes]:
    """Request bodies of a conversation, each repeating everything before it."""
    said: list[dict[str, str]] = []
    found = []
    for turn in range(turns):
        said.append({"role": "user", "content": f"turn {turn}: " + "words and words " * 20})
        found.append(json.dumps({"model": "m", "messages": said, "stream": True}).encode())
    return found


def write(path: Path, exchanges: list[RawExchange], **settings: object) -> WireLog:
    log = WireLog(path, Redactor(), **settings)  # type: ignore[arg-type]
    for exchange in exchanges:
        log.add(exchange)
    log.close()
    assert log.broken is None
    return log


def test_the_log_rebuilds_bodies_and_grows_linearly(tmp_path: Path) -> None:
    path = tmp_path / "run.wire.jsonl"
    bodies = conversation(40)
    two_sides = [raw(request=body_of(b), call=n) for n, b in enumerate(bodies) for _ in range(2)]
    write(path, two_sides, mode="all")
    found = read_wire(path)
    assert [text_of(e.request).encode() for e in found] == [b for b in bodies for _ in range(2)]
    assert [e.n for e in found] == list(range(1, 81))
    assert found[5].call == 2
    assert path.stat().st_size < sum(map(len, bodies)) / 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_last_and_every_failure_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.wire.jsonl"
    bodies = conversation(30)
    failed = {2, 9}
    exchanges = [
        raw(request=body_of(b), status=500 if n in failed else 200) for n, b in enumerate(bodies, 1)
    ]
    write(path, exchanges, last=5)
    found = read_wire(path)
    assert [e.n for e in found] == [2, 9, 26, 27, 28, 29, 30]
    assert [text_of(e.request).encode() for e in found] == [bodies[e.n - 1] for e in found]
    assert not list(tmp_path.glob("*.tmp"))


def test_off_writes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "w", [raw()], mode="off").flush()
    assert not list(tmp_path.iterdir())


def test_an_existing_log_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "w"
    bodies = conversation(4)
    write(path, [raw(request=body_of(b)) for b in bodies[:2]])
    with path.open("ab") as file:
        file.write(b'{"n": 3, "torn')
    write(path, [raw(request=body_of(b)) for b in bodies[2:]])
    findings: list[str] = []
    found = read_wire(path, findings)
    assert [text_of(e.request).encode() for e in found] == bodies
    assert ([e.n for e in found], findings) == ([1, 2, 3, 4], [])


@pytest.mark.skipif(os.name == "nt", reason="a directory in place of the file")
def test_a_disk_that_refuses_does_not_raise(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = WireLog(tmp_path / "file" / "w", Redactor())
    log.add(raw())
    assert log.flush()
    assert isinstance(log.broken, OSError)
    log.close()
    log.close()


def test_damage_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "w"
    write(path, [raw(request=body_of(b)) for b in conversation(4)], mode="all")
    lines = path.read_bytes().split(b"\n")
    lines[1] = b"garbage"
    path.write_bytes(b"\n".join([*lines[:3], lines[3][:50]]))
    findings: list[str] = []
    found = read_wire(path, findings)
    assert [e.n for e in found] == [1, 3]
    assert found[1].request is not None
    assert found[1].request.damaged
    assert [finding.split(":")[0] for finding in findings] == ["line 2", "line 3", "line 4"]
    assert "torn" in findings[2]
    assert read_wire(tmp_path / "missing") == []


@given(cut=st.integers(0, 5000), junk=st.binary(max_size=40))
@settings(max_examples=60, deadline=None)
def test_no_damage_makes_the_reader_raise(
    tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes
) -> None:
    encoder = WireEncoder()
    data = b"".join(
        encoder.line(replace(raw(request=body_of(b)).masked(Redactor()), n=n))
        for n, b in enumerate(conversation(4), 1)
    )
    path = tmp_path_factory.mktemp("wire") / "w"
    path.write_bytes(data[:cut] + junk + data[cut:])
    read_wire(path)


@given(texts=st.lists(st.text(max_size=900), max_size=6), shared=st.text(max_size=400))
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], shared: str
) -> None:
    encoder = WireEncoder()
    wanted = [Body(text=shared * 3 + text, size=1) for text in texts]
    path = tmp_path_factory.mktemp("wire") / "w"
    lines = [
        encoder.line(Exchange("GET", "u", "t", n=n, request=body, response=replace(body)))
        for n, body in enumerate(wanted, 1)
    ]
    path.write_bytes(b"".join(lines))
    assert [e.request for e in read_wire(path)] == wanted
    assert [e.response for e in read_wire(path)] == wanted


async def test_the_whole_way_to_the_file(
    litellm_clients: LitellmClients, server: OpenAIServerThread, tmp_path: Path
) -> None:
    path = tmp_path / "run.jsonl.wire.jsonl"
    log = WireLog(path, Redactor())
    server.script(FakeReply(text=f"your key is {KEY}"), model="m")
    client = litellm_clients.client("openai/m", {"api_base": server.url, "api_key": KEY})
    with WireCapture(log.add), attributed(3):
        async for _ in client.stream(BODY["messages"]):  # type: ignore[arg-type]
            pass
    assert log.flush()
    (found,) = read_wire(path)
    log.close()
    assert (found.call, found.failed) == (3, False)
    assert KEY.encode() not in path.read_bytes()
