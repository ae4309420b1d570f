"""The HTTP answer that a call through litellm gets, read as the endpoint sent it.

litellm builds and sends the request; the answer of a chat completions endpoint is read here. Other
endpoints speak in their own forms, which litellm reads; of their answers it is only noted which
figures they name, because litellm makes up counts that were not sent.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from typing import Any, Final

import httpx

from convtui.errors import ModelError
from convtui.models.bounds import ACCEPTED, Redirects, bound
from convtui.models.chat import error_in

_PATH: Final = "/chat/completions"
_ASKED_AS_TOOL: Final = b'"json_tool_call"'
"""litellm asks for JSON through a tool of its own where an endpoint has no `response_format`."""
_OVERLAP: Final = 100
_FIGURES: Final = {
    "tokens": re.compile(rb'"[A-Za-z_]*(?:[tT]okens?|_count|TokenCount)[A-Za-z_]*"\s*:'),
    "reasoning": re.compile(rb'"(?:reasoning|thinking|thoughts)_?[tT]oken[A-Za-z_]*"\s*:\s*\d'),
    "cached": re.compile(rb'"[A-Za-z_]*(?i:cache)[A-Za-z_]*"\s*:\s*\d'),
    "total": re.compile(rb'"total_?[tT]okens?(?:Count)?"\s*:\s*\d'),
}

_current: ContextVar[HttpAnswer | None] = ContextVar("convtui_http_answer", default=None)


class HttpAnswer:
    """The answer to one call; the last one, where a call takes several requests."""

    def __init__(self) -> None:
        self._response: httpx.Response | None = None
        self._chat = False
        self._figures: set[str] = set()
        self._redirects = Redirects()
        self.refused: ModelError | None = None
        """Why what the endpoint did was not gone along with, whatever was made of that since."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Attributes the HTTP answers of this context to this call."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def refuse(self, error: ModelError) -> ModelError:
        """Notes why the answer is refused; returns the error."""
        self.refused = error
        return error

    def check(self, request: httpx.Request, response: httpx.Response) -> None:
        """Raises `ModelError` for an answer that was refused."""
        try:
            self._redirects.check(request, response)
        except ModelError as error:
            raise self.refuse(error) from None

    def begin(self, request: httpx.Request, response: httpx.Response) -> None:
        """Called with the headers. Raises `ModelError` when the body cannot be bounded."""
        bound(response, self.refuse)
        self._response = response
        self._figures = set()
        self._chat = (
            response.is_success
            and request.url.path.endswith(_PATH)
            and _ASKED_AS_TOOL not in _body(request)
        )
        if not self._chat:
            self._note_figures(response)

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer; empty where none was seen."""
        return {} if self._response is None else self._response.headers

    @property
    def figures(self) -> set[str] | None:
        """Which kinds of figures the answer names: tokens, reasoning, cached, total.

        None where the answer was not seen.
        """
        if self._response is None:
            return None
        with contextlib.suppress(httpx.ResponseNotRead):
            self._look(self._response.content)
        return self._figures

    @property
    def kind(self) -> str:
        """The media type of the answer."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    @property
    def streams(self) -> bool:
        """Whether this is a stream of chat chunks that nobody has read yet."""
        return (
            self._chat
            and self._response is not None
            and not self._response.is_stream_consumed
            and not self._response.is_closed
            and self.kind not in ("text/html", "application/json")
        )

    async def whole(self) -> Mapping[str, Any] | None:
        """The answer of a chat completions endpoint that came at once, or the error object that
        came in its place; None for anything else."""
        if not self._chat or self._response is None:
            return None
        with contextlib.suppress(ValueError, RecursionError, httpx.StreamError):
            answer = json.loads(await self._response.aread())
            if isinstance(answer, dict) and (
                isinstance(answer.get("choices"), list) or error_in(answer)
            ):
                return answer
        return None

    async def events(self) -> AsyncGenerator[Mapping[str, Any]]:
        """The JSON objects of a stream, up to `[DONE]` or to its end.

        Raises httpx's exceptions, and `json.JSONDecodeError` for an event that is no JSON.
        """
        assert self._response is not None
        async with aclosing(server_sent(self._response.aiter_bytes())) as events:
            async for data in events:
                if data.startswith("[DONE]"):
                    return
                event = json.loads(data)
                if isinstance(event, dict):
                    yield event

    async def aclose(self) -> None:
        """Closes the connection of a stream that was left early."""
        if self._response is not None:
            await self._response.aclose()

    def _note_figures(self, response: httpx.Response) -> None:
        aiter_bytes = response.aiter_bytes

        async def noting(chunk_size: int | None = None) -> AsyncIterator[bytes]:
            tail = b""
            async for data in aiter_bytes(chunk_size):
                self._look(tail + data)
                tail = data[-_OVERLAP:]
                yield data

        response.aiter_bytes = noting  # type: ignore[method-assign]

    def _look(self, data: bytes) -> None:
        self._figures.update(name for name, named in _FIGURES.items() if named.search(data))


def watch_answers() -> None:
    """Lets every `HttpAnswer` see what httpx receives in its context. Idempotent."""
    handle = httpx.AsyncHTTPTransport.handle_async_request
    handle_sync = httpx.HTTPTransport.handle_request
    if handle.__module__ == __name__:
        return

    async def watched(
        transport: httpx.AsyncHTTPTransport, request: httpx.Request
    ) -> httpx.Response:
        answer = _current.get()
        if answer is None:
            return await handle(transport, request)
        request.headers["accept-encoding"] = ACCEPTED
        response = await handle(transport, request)
        try:
            answer.check(request, response)
            answer.begin(request, response)
        except ModelError:
            await response.aclose()
            raise
        return response

    def checked(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        response = handle_sync(transport, request)
        answer = _current.get()
        if answer is not None:
            try:
                answer.check(request, response)
            except ModelError:
                response.close()
                raise
        return response

    httpx.AsyncHTTPTransport.handle_async_request = watched  # type: ignore[assignment, method-assign]
    httpx.HTTPTransport.handle_request = checked  # type: ignore[assignment, method-assign]


def _body(request: httpx.Request) -> bytes:
    try:
        return request.content
    except httpx.RequestNotRead:
        return b""


async def server_sent(chunks: AsyncIterator[bytes]) -> AsyncGenerator[str]:
    """The data of server-sent events, whatever their line ends and however they are cut.

    An event that the end of the stream cuts off counts when it is whole JSON.
    """
    rest, data = list[bytes](), list[str]()
    async for chunk in chunks:
        rest.append(chunk)
        if rest[0][-1:] != b"\r" and b"\n" not in chunk and b"\r" not in chunk:
            # A long line, which is put together once.
            continue
        lines = b"".join(rest).splitlines(keepends=True)
        # A carriage return at the end may be half of a line end.
        rest = [lines.pop()] if lines and not lines[-1].endswith(b"\n") else []
        for line in lines:
            field = _data_of(line)
            if field is not None:
                data.append(field)
            elif not line.strip() and data:
                yield "\n".join(data)
                data.clear()
    field = _data_of(b"".join(rest))
    if field is not None:
        data.append(field)
    if data:
        text = "\n".join(data)
        with contextlib.suppress(ValueError, RecursionError):
            json.loads(text)
            yield text


def _data_of(line: bytes) -> str | None:
    text = line.rstrip(b"\r\n").decode("utf-8-sig", "replace")
    return text[5:].removeprefix(" ") if text.startswith("data:") else None
