"""An HTTP endpoint that may do anything: each request is given to a function with the connection.

    async with RawEndpoint(answer) as endpoint: ...      # `answer(request, writer)`

`endpoint.url` ends in `/v1`. What the function writes is what goes over the connection, byte for
byte; the connection is closed after it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tests.fakes.listener import Listener, parse_head

OK = b"HTTP/1.1 200 OK\r\n"
EVENTS = OK + b"content-type: text/event-stream\r\n\r\n"
"""The head of a stream that ends with the connection."""
DONE = b"data: [DONE]\n\n"


@dataclass(slots=True, frozen=True)
class RawRequest:
    """One request; `headers` have lower-case names."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[RawRequest, asyncio.StreamWriter], Awaitable[None]]


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    """A chunk of a chat completion as a server-sent event."""
    return b"data: " + chunk(delta, finish) + b"\n\n"


def chunk(delta: dict[str, Any], finish: str | None = None, **fields: Any) -> bytes:
    """A chunk of a chat completion as JSON."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    data = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [choice], **fields}  # fmt: skip
    return json.dumps(data).encode()


SAID = event({"content": "Gate 4."}) + event({}, "stop") + DONE
"""A whole reply."""


def whole(text: str, **fields: Any) -> bytes:
    """A chat completion that comes at once, as JSON."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    data = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [choice], **fields}  # fmt: skip
    return json.dumps(data).encode()


def says(*pieces: bytes) -> Answer:
    """Writes these pieces and closes the connection."""

    async def answer(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return answer


def again_and_again(first: bytes, piece: bytes, every: float = 0.0) -> Answer:
    """Writes `piece` every so many seconds until the client has gone."""

    async def answer(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(every)

    return answer


def then_silence(first: bytes) -> Answer:
    """Writes `first`, and then nothing, with the connection open."""

    async def answer(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await writer.drain()
        await asyncio.Event().wait()

    return answer


def resets(first: bytes) -> Answer:
    """Writes `first`, then resets the connection."""

    async def answer(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await writer.drain()
        # Otherwise the reset may overtake what was written.
        await asyncio.sleep(0.05)
        raw = writer.get_extra_info("socket")
        # Closing without waiting for what is on its way is a reset.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return answer


class RawEndpoint:
    """Answers every request with `answer`, which may be exchanged; `requests` are all that came."""

    running = 0
    """How many run now in this process."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[RawRequest] = []
        self._listener = Listener(self._serve)

    @property
    def port(self) -> int:
        """Known once it listens."""
        return self._listener.port

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The `api_base` for clients."""
        return f"{self.origin}/v1"

    async def __aenter__(self) -> Self:
        await self._listener.start()
        RawEndpoint.running += 1
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        RawEndpoint.running -= 1
        await self._listener.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _read(reader)
        self.requests.append(request)
        await self.answer(request, writer)


async def _read(reader: asyncio.StreamReader) -> RawRequest:
    head = await reader.readuntil(b"\r\n\r\n")
    method, path, headers = parse_head(head)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return RawRequest(method, path, headers, body)


def bomb(megabytes: int) -> bytes:
    """What gzip makes of so many megabytes of spaces; its end, which nobody gets to, is missing."""
    pack = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    block = b" " * (1 << 20)
    first, again = (pack.compress(block) + pack.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + again * (megabytes - 1)
