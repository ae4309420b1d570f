"""A loopback proxy in front of a model's endpoint that simulates network faults.

The first requests get the fault, later ones are forwarded unchanged. One request per connection;
HTTP towards the client, HTTP or HTTPS towards the endpoint.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from types import TracebackType
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from convtui.errors import UsageError

NetFault = Literal["429", "500", "drop", "slow", "malformed"]
SLOW_BY: Final = 1.5
"""Seconds by which `slow` delays the first byte."""
RETRY_AFTER: Final = 1
_HEAD_LIMIT: Final = 1 << 16
_BODY_LIMIT: Final = 64 << 20
_PIECE: Final = 1 << 16
_OPENING: Final = 30.0
_HOP: Final = re.compile(rb"(?im)^(?:connection|keep-alive|host|proxy-[\w-]+):[^\r\n]*\r\n")


class FaultProxy:
    """The proxy, an async context manager on the running event loop.

    `upstream` is the endpoint's base URL, `url` the one to use in its place. The first `count` POST
    requests get the fault. `requests` counts all requests, `faults` those that got it. Raises
    `UsageError` for an upstream that is no URL.
    """

    def __init__(self, upstream: str, fault: NetFault, *, count: int = 1) -> None:
        parts = urlsplit(upstream)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise UsageError(f"{upstream!r} is no URL of an endpoint; write http://HOST:PORT/v1")
        self._host = parts.hostname
        self._tls = parts.scheme == "https"
        self._port = port or (443 if self._tls else 80)
        self._path = parts.path
        self._fault, self._left = fault, count
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.requests = 0
        self.faults = 0

    @property
    def url(self) -> str:
        """The base URL for the client, while the proxy is open."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}{self._path}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", 0, limit=_HEAD_LIMIT
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            writer.transport.abort()
        except asyncio.CancelledError:
            # The proxy is closing: drop what is still in flight.
            writer.transport.abort()
        except TimeoutError:
            await _answer(writer, 504, {"message": "the endpoint does not answer"})
        finally:
            self._open.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = await _body(head, reader)
        self.requests += 1
        fault = None
        if self._left and head.startswith(b"POST"):
            fault, self._left = self._fault, self._left - 1
            self.faults += 1
        if fault == "429":
            error = {"message": "too many requests", "type": "requests", "code": "rate_limit"}
            await _answer(writer, 429, error, f"Retry-After: {RETRY_AFTER}\r\n")
        elif fault == "500":
            await _answer(writer, 500, {"message": "internal server error", "type": "server_error"})
        elif fault == "malformed":
            await _malformed(writer, stream=b'"stream":true' in body.replace(b" ", b""))
        else:
            await self._pass_on(head, body, writer, fault)

    async def _pass_on(
        self, head: bytes, body: bytes, writer: asyncio.StreamWriter, fault: str | None
    ) -> None:
        async with asyncio.timeout(_OPENING):
            source, target = await asyncio.open_connection(
                self._host, self._port, ssl=self._tls or None
            )
        try:
            first, _, rest = head.partition(b"\r\n")
            default = 443 if self._tls else 80
            host = self._host if self._port == default else f"{self._host}:{self._port}"
            lines = f"Host: {host}\r\nConnection: close\r\n".encode()
            headers = _HOP.sub(b"", _unchunked(rest, len(body)))
            target.write(first + b"\r\n" + lines + headers + body)
            await target.drain()
            if fault == "slow":
                await asyncio.sleep(SLOW_BY)
            if fault == "drop":
                writer.write(await source.readuntil(b"\r\n\r\n"))
                writer.write(await _beginning(source))
                await writer.drain()
                # Lets the data arrive before the reset does.
                await asyncio.sleep(0.1)
                writer.transport.abort()
                return
            while piece := await source.read(_PIECE):
                writer.write(piece)
                await writer.drain()
        finally:
            target.close()
            with contextlib.suppress(OSError):
                await target.wait_closed()


async def _beginning(source: asyncio.StreamReader) -> bytes:
    """The first three events of a stream; half of the data where there are fewer."""
    data = b""
    while data.count(b"\n\n") < 3 and (piece := await source.read(_PIECE)):
        data += piece
    ends = [match.end() for match in re.finditer(rb"\n\n", data)]
    if len(ends) >= 3 and ends[2] < len(data):
        return data[: ends[2]]
    return data[: max(1, len(data) // 2)]


def _unchunked(headers: bytes, size: int) -> bytes:
    """The headers with `Content-Length` in place of a chunked transfer encoding."""
    if re.search(rb"(?im)^transfer-encoding:", headers) is None:
        return headers
    headers = re.sub(rb"(?im)^transfer-encoding:[^\r\n]*\r\n", b"", headers)
    return f"Content-Length: {size}\r\n".encode() + headers


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    """The whole body of a request. Raises `ValueError` above `_BODY_LIMIT`."""
    if re.search(rb"(?im)^transfer-encoding:\s*chunked", head):
        parts = []
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            parts.append(await reader.readexactly(size))
            await reader.readexactly(2)
            if sum(map(len, parts)) > _BODY_LIMIT:
                raise ValueError("the body is too long")
        while (await reader.readuntil(b"\r\n")) != b"\r\n":
            pass
        return b"".join(parts)
    match = re.search(rb"(?im)^content-length:\s*(\d+)", head)
    size = int(match[1]) if match else 0
    if size > _BODY_LIMIT:
        raise ValueError("the body is too long")
    return await reader.readexactly(size)


async def _answer(
    writer: asyncio.StreamWriter, status: int, error: dict[str, str], more: str = ""
) -> None:
    body = json.dumps({"error": error}).encode()
    head = (
        f"HTTP/1.1 {status} Fault\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{more}Connection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()


async def _malformed(writer: asyncio.StreamWriter, *, stream: bool) -> None:
    """Sends a reply that breaks off in the middle of its JSON, and closes cleanly."""
    kind, body = "application/json", b'{"id": "x", "choices": [{"message": {"conte'
    if stream:
        kind = "text/event-stream"
        good = b'{"id":"x","object":"chat.completion.chunk","created":1,"model":"x","choices":'
        body = b"data: " + good + b'[{"index":0,"delta":{"role":"assistant","content":"half"},'
        body += b'"finish_reason":null}]}\n\ndata: {"id": "x", "choices": [{"del\n\n'
        body += b"data: [DONE]\n\n"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
