"""Captures the HTTP traffic of this process: everything that goes through httpx, byte for byte.

litellm's exceptions and chunks are its own reading of an answer; what really went over the
connection is seen here, also for SDKs that a provider uses by itself. Response bodies are copied as
they pass, never held back.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Self, cast

import httpx

from convtui.log.wire_writer import RawBody, RawExchange
from convtui.models.captures import Capture, takers
from convtui.models.context import current_call
from convtui.text.causes import describe_one

# What a stream's last event says; SDKs close the connection when they have read it.
_LAST_EVENTS = (b"data: [DONE]", b"event: message_stop", b'"type":"message_stop"', b'"done":true')


class _Taps:
    """Counts who wants httpx tapped, and what it was before the first of them."""

    def __init__(self) -> None:
        self._wanted = 0
        self._before: tuple[Any, Any] = (None, None)
        self._lock = threading.Lock()

    def add(self) -> None:
        with self._lock:
            self._wanted += 1
            if self._wanted == 1:
                self._before = httpx.AsyncClient.send, httpx.Client.send
                httpx.AsyncClient.send = _async_sender(self._before[0])  # type: ignore[method-assign]
                httpx.Client.send = _sync_sender(self._before[1])  # type: ignore[method-assign]

    def remove(self) -> None:
        with self._lock:
            self._wanted -= 1
            if not self._wanted:
                httpx.AsyncClient.send, httpx.Client.send = self._before  # type: ignore[method-assign]


_TAPS = _Taps()


def tap() -> None:
    """Has everything that httpx sends seen by those who capture it, until the last `untap()`."""
    _TAPS.add()


def untap() -> None:
    """Takes back one `tap()`; httpx is as it was after the last."""
    _TAPS.remove()


def _async_sender(async_send: Any) -> Any:
    async def send_async(
        client: httpx.AsyncClient, request: httpx.Request, *, stream: bool = False, **more: Any
    ) -> httpx.Response:
        recordings = _begin(request)
        if not recordings:
            return cast(httpx.Response, await async_send(client, request, stream=stream, **more))
        try:
            # Always as a stream: reading at once, as `stream=False` asks, comes below.
            response: httpx.Response = await async_send(client, request, stream=True, **more)
        except BaseException as error:
            for recording in recordings:
                recording.end(error)
            raise
        for recording in recordings:
            if recording.answered(response):
                response.stream = _AsyncTap(cast(httpx.AsyncByteStream, response.stream), recording)
        if not stream:
            try:
                await response.aread()
            except BaseException:
                await response.aclose()
                raise
        return response

    return send_async


def _sync_sender(sync_send: Any) -> Any:
    def send_sync(
        client: httpx.Client, request: httpx.Request, *, stream: bool = False, **more: Any
    ) -> httpx.Response:
        recordings = _begin(request)
        if not recordings:
            return cast(httpx.Response, sync_send(client, request, stream=stream, **more))
        try:
            response: httpx.Response = sync_send(client, request, stream=True, **more)
        except BaseException as error:
            for recording in recordings:
                recording.end(error)
            raise
        for recording in recordings:
            if recording.answered(response):
                response.stream = _SyncTap(cast(httpx.SyncByteStream, response.stream), recording)
        if not stream:
            try:
                response.read()
            except BaseException:
                response.close()
                raise
        return response

    return send_sync


def _begin(request: httpx.Request) -> list[_Recording]:
    return [_Recording(capture, request) for capture in takers()]


class WireCapture(Capture):
    """A capture as a context manager that taps httpx itself; such captures nest."""

    def install(self) -> None:
        """Starts capturing; does nothing when it already captures."""
        if not self.registered:
            self.register()
            tap()

    def uninstall(self) -> None:
        """Stops capturing."""
        if self.registered:
            untap()
            self.unregister()

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


class _Recording:
    """One exchange in progress."""

    def __init__(self, capture: Capture, request: httpx.Request) -> None:
        cap = self._cap = capture.cap
        self._capture = capture
        self._started = time.monotonic()
        self.exchange = RawExchange(
            method=request.method,
            url=str(request.url),
            at=time.time(),
            call=current_call.get(),
            request_headers=_headers(request.headers),
            request=_request_body(request, cap),
        )
        capture.opened(self)

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
        self._capture.over(self)

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
