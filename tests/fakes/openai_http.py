"""HTTP/1.1 of the loopback server: one connection, its requests, and when the client leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from tests.fakes.listener import parse_head
from tests.fakes.openai_script import (
    FakeReply,
    error_object,
    pieces_of_calls,
    tokens,
    usage_of,
    whole_answer,
)

CREATED = 1_700_000_000
MODELS = ("persona-1", "provider-1", "responder-1")
_CHUNK_HEAD = "text/event-stream; charset=utf-8"


@dataclass(slots=True)
class Received:
    """One request. `headers` have lower-case names; `body` is the decoded JSON, or the raw text."""

    number: int
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    chunks: int = 0
    """Chunks of the answer handed to the connection so far."""
    done: bool = False
    """The answer is over, one way or another."""
    disconnected: bool = False
    """The client closed the connection before the answer was complete."""


class Answers(Protocol):
    """What a connection needs of its server."""

    requests: list[Received]

    def choose(self, request: Received) -> FakeReply:
        """The answer to a chat request."""

    async def notify(self) -> None:
        """Something about the requests changed."""


class GoneError(ConnectionError):
    """The client closed the connection."""


class Connection:
    """One client connection, HTTP/1.1 with keep-alive."""

    def __init__(
        self, server: Answers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._ahead = b""

    async def run(self) -> None:
        """Answers requests until the client leaves."""
        while (request := await self._read_request()) is not None:
            self._server.requests.append(request)
            await self._server.notify()
            answer = asyncio.create_task(self._answer(request))
            watch = asyncio.create_task(self._reader.read(1))
            try:
                await asyncio.wait({answer, watch}, return_when=asyncio.FIRST_COMPLETED)
                if not answer.done():
                    self._ahead = watch.result()
                    if not self._ahead:
                        raise GoneError
                if not await answer:
                    return
            except ConnectionError:
                request.disconnected = True
                return
            finally:
                for task in (answer, watch):
                    task.cancel()
                await asyncio.gather(answer, watch, return_exceptions=True)
                request.done = True
                await self._server.notify()
            if not watch.cancelled():
                self._ahead = watch.result()

    async def _read_request(self) -> Received | None:
        try:
            head = self._ahead + await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        self._ahead = b""
        method, path, headers = parse_head(head)
        raw = await self._reader.readexactly(int(headers.get("content-length", 0)))
        body: Any = None
        if raw:
            try:
                body = json.loads(raw)
            except ValueError:
                body = raw.decode("utf-8", "replace")
        return Received(len(self._server.requests) + 1, method, path, headers, body)

    async def _answer(self, request: Received) -> bool:
        """Answers; False when the connection is to be closed."""
        match request.method, request.path.partition("?")[0]:
            case "POST", "/v1/chat/completions" | "/v1/messages":
                return await self._chat(request)
            case "GET", "/v1/models":
                known = [{"id": m, "object": "model", "owned_by": "tests"} for m in MODELS]
                await self._json(200, {"object": "list", "data": known})
            case "GET", "/__requests__":
                await self._json(
                    200, [asdict(r) for r in self._server.requests if r is not request]
                )
            case _:
                await self._json(404, {"error": error_object(404)})
        return True

    async def _chat(self, request: Received) -> bool:
        reply = self._server.choose(request)
        if reply.hang_after == 0:
            await asyncio.Event().wait()
        if reply.status != 200 or reply.body is not None:
            error = {"error": dict(reply.error or error_object(reply.status))}
            body = json.dumps(error) if reply.body is None else reply.body
            await self._send(reply.status, body.encode(), headers=reply.headers)
            return True
        base = {
            "id": f"chatcmpl-{request.number}",
            "created": CREATED,
            "model": reply.model or str(request.body["model"]),
            "system_fingerprint": "fp_loopback",
        }
        usage = usage_of(request.body, reply)
        reason = reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")
        if not request.body.get("stream"):
            if reply.first_delay:
                await asyncio.sleep(reply.first_delay)
            await self._json(200, whole_answer(base, reply, reason, usage), headers=reply.headers)
            return True
        options = request.body.get("stream_options") or {}
        include = bool(options.get("include_usage"))
        return await self._stream(request, reply, base, reason, usage if include else None)

    async def _stream(
        self,
        request: Received,
        reply: FakeReply,
        base: dict[str, Any],
        reason: str,
        usage: dict[str, Any] | None,
    ) -> bool:
        base = {**base, "object": "chat.completion.chunk"}
        self._head(
            200, {"Content-Type": _CHUNK_HEAD, "Transfer-Encoding": "chunked"}, reply.headers
        )
        await self._writer.drain()
        if reply.events:
            return await self._events(request, reply)

        async def send(delta: dict[str, Any], finish: str | None = None) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            await self._event(request, json.dumps({**base, "choices": [choice]}))

        if reply.first_delay:
            await asyncio.sleep(reply.first_delay)
        await send({"role": "assistant", "content": ""})
        for piece in tokens(reply.reasoning):
            await send({"reasoning_content": piece})
        for sent, piece in enumerate([*tokens(reply.text), ""]):
            if sent == reply.drop_after:
                return False
            if sent == reply.hang_after:
                await asyncio.Event().wait()
            if sent == reply.malformed_after:
                await self._event(request, '{"id": "chatcmpl-broken", "choices": [{"delta": {"con')
            if sent == reply.error_after:
                await self._event(request, json.dumps({"error": reply.error or error_object(500)}))
                return False
            if not piece:
                break
            if reply.tokens_per_second:
                await asyncio.sleep(1 / reply.tokens_per_second)
            await send({"content": piece})
        for calls in pieces_of_calls(reply):
            await send({"tool_calls": calls})
        await send({}, reason)
        if usage is not None and reply.usage:
            await self._event(request, json.dumps({**base, "choices": [], "usage": usage}))
        await self._event(request, "[DONE]")
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()
        return True

    async def _events(self, request: Received, reply: FakeReply) -> bool:
        for event in (*reply.events, *(["[DONE]"] if reply.done else [])):
            if isinstance(event, bytes):
                await self._write(request, event)
            else:
                data = event if isinstance(event, str) else json.dumps(event)
                await self._event(request, data)
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()
        return True

    async def _event(self, request: Received, data: str) -> None:
        await self._write(request, f"data: {data}\n\n".encode())

    async def _write(self, request: Received, payload: bytes) -> None:
        self._writer.write(f"{len(payload):x}\r\n".encode() + payload + b"\r\n")
        await self._writer.drain()
        request.chunks += 1
        await self._server.notify()

    async def _json(self, status: int, data: Any, headers: Mapping[str, str] | None = None) -> None:
        await self._send(status, json.dumps(data).encode(), headers=headers or {})

    async def _send(self, status: int, body: bytes, *, headers: Mapping[str, str]) -> None:
        own = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        self._head(status, own, headers)
        self._writer.write(body)
        await self._writer.drain()

    def _head(self, status: int, own: Mapping[str, str], more: Mapping[str, str]) -> None:
        number = len(self._server.requests)
        headers = {**own, "x-request-id": f"req_{number}", **more}
        lines = [f"HTTP/1.1 {status} -", *(f"{name}: {value}" for name, value in headers.items())]
        self._writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
