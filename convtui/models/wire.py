"""Captures the HTTP traffic of this process: everything that goes through httpx, byte for byte.

litellm's exceptions and chunks are its own reading of an answer; what really went over the
connection is seen here, also for SDKs that a provider uses by itself. Response bodies are copied as
they pass, never held back.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Self, cast

import httpx

from convtui.log.wire import BODY_CAP
from convtui.log.wire_writer import RawBody, RawExchange
from convtui.models.context import current_call
from convtui.text.causes import describe_one

# What a stream's last event says; SDKs close the connection when they have read it.
_LAST_EVENTS = (b"data: [DONE]", b"event: message_stop", b'"type":"message_stop"', b'"done":true')


class WireCapture:
    """Records every exchange of `httpx.AsyncClient` and `httpx.Client` while it is installed.

    `sink` gets each exchange when it is over, in the thread in which it ended; what it raises would
    hit the caller of httpx, so it must only hand over (`WireLog.add`). Exchanges still open when
    the capture is taken down are handed over as cut off. A context manager; captures nest.
    """

    def __init__(self, sink: Callable[[RawExchange], None], *, cap: int = BODY_CAP) -> None:
        self._sink = sink
        self._cap = cap
        self._open: set[_Recording] = set()
        self._lock = threading.Lock()
        self._before: tuple[Any, Any] | None = None

    def install(self) -> None:
        """Starts capturing; does nothing when it already captures."""
        if self._before is not None:
            return
        async_send, sync_send = httpx.AsyncClient.send, httpx.Client.send
        self._before = (async_send, sync_send)
        capture = self

        async def send_async(
            client: httpx.AsyncClient, request: httpx.Request, *, stream: bool = False, **more: Any
        ) -> httpx.Response:
            recording = capture._begin(request)
            try:
                # Always as a stream: reading at once, as `stream=False` asks, comes below.
                response = await async_send(client, request, stream=True, **more)
            except BaseException as error:
                recording.end(error)
                raise
            if recording.answered(response):
                response.stream = _AsyncTap(cast(httpx.AsyncByteStream, response.stream), recording)
            if not stream:
                try:
                    await response.aread()
                except BaseException:
                    await response.aclose()
                    raise
            return response

        def send_sync(
            client: httpx.Client, request: httpx.Request, *, stream: bool = False, **more: Any
        ) -> httpx.Response:
            recording = capture._begin(request)
            try:
                response = sync_send(client, request, stream=True, **more)
            except BaseException as error:
                recording.end(error)
                raise
            if recording.answered(response):
                response.stream = _SyncTap(cast(httpx.SyncByteStream, response.stream), recording)
            if not stream:
                try:
                    response.read()
                except BaseException:
                    response.close()
                    raise
            return response

        httpx.AsyncClient.send = send_async  # type: ignore[assignment, method-assign]
        httpx.Client.send = send_sync  # type: ignore[assignment, method-assign]

    def uninstall(self) -> None:
        """Stops capturing; captures must be uninstalled in reverse order."""
        if self._before is None:
            return
        async_send, sync_send = self._before
        httpx.AsyncClient.send = async_send  # type: ignore[method-assign]
        httpx.Client.send = sync_send  # type: ignore[method-assign]
        self._before = None
        with self._lock:
            left = list(self._open)
        for recording in left:
            recording.end(None, complete=False)

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.uninstall()

    def _begin(self, request: httpx.Request) -> _Recording:
        recording = _Recording(self, request, self._cap)
        with self._lock:
            self._open.add(recording)
        return recording

    def _end(self, recording: _Recording) -> None:
        with self._lock:
            if recording not in self._open:
                return
            self._open.discard(recording)
        self._sink(recording.exchange)


class _Recording:
    """One exchange in progress."""

    def __init__(self, capture: WireCapture, request: httpx.Request, cap: int) -> None:
        self._capture = capture
        self._cap = cap
        self._started = time.monotonic()
        self.exchange = RawExchange(
            method=request.method,
            url=str(request.url),
            at=time.time(),
            call=current_call.get(),
            request_headers=_headers(request.headers),
            request=_request_body(request, cap),
        )

    def answered(self, response: httpx.Response) -> bool:
        """Called with the response's headers; returns whether its body is still to come."""
        exchange = self.exchange
        exchange.status = response.status_code
        exchange.ttfb = time.monotonic() - self._started
        exchange.response_headers = _headers(response.headers)
        exchange.response = RawBody()
        try:
            content = response.content
        except httpx.ResponseNotRead:
            return True
        # An event hook or a mock transport has read it already.
        self.chunk(content)
        self.end(None)
        return False

    def chunk(self, data: bytes) -> None:
        """Called with each piece of the response's body."""
        body = self.exchange.response
        if body is not None:
            body.add(data, self._cap)

    def end(self, error: BaseException | None, *, complete: bool = True) -> None:
        """Called when the exchange is over; only the first call counts."""
        exchange = self.exchange
        if exchange.duration is not None:
            return
        exchange.duration = time.monotonic() - self._started
        if error is not None:
            exchange.error = _error_text(error)
            exchange.cut_off = True
        elif not complete:
            exchange.cut_off = not self._looks_whole()
        self._capture._end(self)

    def _looks_whole(self) -> bool:
        exchange = self.exchange
        body = exchange.response
        if body is None:
            return False
        length = next((v for n, v in exchange.response_headers if n == "content-length"), None)
        if length is not None and length.isdigit():
            return body.size >= int(length)
        tail = bytes(body.data[-512:])
        return any(last in tail for last in _LAST_EVENTS)


class _AsyncTap(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, recording: _Recording) -> None:
        self._inner = inner
        self._recording = recording

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._inner:
                self._recording.chunk(chunk)
                yield chunk
        except GeneratorExit:
            raise  # the reader stopped; closing the stream says the rest
        except BaseException as error:
            self._recording.end(error)
            raise
        self._recording.end(None)

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._recording.end(None, complete=False)


class _SyncTap(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream, recording: _Recording) -> None:
        self._inner = inner
        self._recording = recording

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._inner:
                self._recording.chunk(chunk)
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            self._recording.end(error)
            raise
        self._recording.end(None)

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._recording.end(None, complete=False)


def _headers(headers: httpx.Headers) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers.raw
    ]


def _request_body(request: httpx.Request, cap: int) -> RawBody | None:
    try:
        content = request.content
    except httpx.RequestNotRead:
        # Reading an upload here would take it away from the connection.
        return None
    body = RawBody()
    body.add(content, cap)
    return body


def _error_text(error: BaseException) -> str:
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        return "cancelled"
    return describe_one(error)
