"""A loopback OpenAI-compatible server: real TCP, real HTTP, no network and no key.

By hand: `python -m tests.fakes.openai_server --port 8000`. In tests:

    async with OpenAIServer() as server: ...        # on the running event loop
    with OpenAIServerThread() as server: ...        # on a loop of its own, for sync tests

`server.url` ends in `/v1` and is reachable from any process of this machine. Faults and the talk
of unscripted models are described in `openai_script`. Endpoints: POST `/v1/chat/completions`,
GET `/v1/models`, GET `/__requests__` (everything received).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.builders.waiting import WITHIN
from tests.fakes.listener import Listener
from tests.fakes.openai_http import MODELS, Connection, Received
from tests.fakes.openai_script import (
    FakeReply,
    apply_directive,
    default_reply,
    directives_of,
    error_object,
    parse_directives,
)
from tests.fakes.strict_roles import wrong_order


@dataclass(slots=True)
class _Script:
    """What is answered next: by model name first, then the common list."""

    common: deque[FakeReply] = field(default_factory=deque)
    by_model: dict[str, deque[FakeReply]] = field(default_factory=dict)
    used: Counter[str] = field(default_factory=Counter)

    def next(self, model: str) -> FakeReply | None:
        for queue in (self.by_model.get(model), self.common):
            if queue:
                return queue.popleft()
        return None


class OpenAIServer:
    """The server on the running event loop.

    `replies` are consumed in order by requests for any model, `by_model` by requests for that
    model (its name without directives); when they are used up the default talk goes on.
    `api_key`, when given, is demanded as bearer token. `persona_turns` is how many turns a
    `persona-*` model speaks before it ends the conversation. With `strict_roles` a request whose
    messages stand in an order that strict endpoints refuse is answered with status 400.
    """

    running = 0
    """How many there are in this process: while there is one, engines ask models."""

    def __init__(
        self,
        replies: Iterable[FakeReply] = (),
        *,
        by_model: Mapping[str, Iterable[FakeReply]] | None = None,
        api_key: str | None = None,
        persona_turns: int = 5,
        tokens_per_second: float | None = None,
        strict_roles: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.requests: list[Received] = []
        self._listener = Listener(self._serve, host, port)
        self._script = _Script(deque(replies))
        for model, queue in (by_model or {}).items():
            self._script.by_model[model] = deque(queue)
        self._api_key = api_key
        self._persona_turns = persona_turns
        self._tokens_per_second = tokens_per_second
        self._strict_roles = strict_roles
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        """The `api_base` for clients."""
        return f"http://{self._listener.host}:{self._listener.port}/v1"

    def script(self, *replies: FakeReply, model: str | None = None) -> None:
        """Adds replies to the common list, or to that of one model."""
        queue = self._script.common
        if model is not None:
            queue = self._script.by_model.setdefault(model, deque())
        queue.extend(replies)

    async def start(self) -> None:
        """Begins to listen."""
        await self._listener.start()

    async def stop(self) -> None:
        """Closes the port and every connection."""
        await self._listener.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        OpenAIServer.running += 1
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        OpenAIServer.running -= 1
        await self.stop()

    async def until(
        self, condition: Callable[[list[Received]], bool], *, timeout: float = 10.0
    ) -> list[Received]:
        """Waits until `condition(requests)` holds; raises TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: condition(self.requests))
        return self.requests

    async def notify(self) -> None:
        """Wakes whoever waits in `until()`."""
        async with self._changed:
            self._changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(self, reader, writer).run()

    def choose(self, request: Received) -> FakeReply:
        """The answer to a chat request, faults included."""
        body = request.body if isinstance(request.body, dict) else {}
        if self._api_key and request.headers.get("authorization") != f"Bearer {self._api_key}":
            return FakeReply(status=401, error=error_object(401))
        if not isinstance(body.get("messages"), list) or not body.get("model"):
            return FakeReply(status=400, error=error_object(400))
        wrong = wrong_order(body["messages"]) if self._strict_roles else ""
        if wrong:
            return FakeReply(status=400, error={**error_object(400), "message": wrong})
        model = str(body["model"])
        base = model.partition("!")[0]
        reply = self._script.next(base) or default_reply(base, body, self._persona_turns)
        if reply.tokens_per_second is None and self._tokens_per_second is not None:
            reply = apply_directive(reply, parse_directives(f"slow={self._tokens_per_second}")[0])
        asked = directives_of(model, request.headers, body["messages"])
        try:
            for directive in parse_directives(asked):
                key = f"{base} {directive}"
                self._script.used[key] += 1
                if directive.count is None or self._script.used[key] <= directive.count:
                    reply = apply_directive(reply, directive)
        except ValueError as error:
            return FakeReply(status=400, error={**error_object(400), "message": str(error)})
        return reply


class OpenAIServerThread:
    """The same server on an event loop in a thread of its own; takes what `OpenAIServer` takes."""

    def __init__(self, replies: Iterable[FakeReply] = (), **settings: Any) -> None:
        self._replies = replies
        self._settings = settings
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="openai-server", daemon=True)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with OpenAIServer(self._replies, **self._settings) as self.server:
            self._ready.set()
            await self._stop.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(WITHIN):
            raise TimeoutError("the loopback server did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WITHIN)

    @property
    def url(self) -> str:
        """The `api_base` for clients."""
        return self.server.url

    @property
    def requests(self) -> list[Received]:
        """Everything received so far."""
        return list(self.server.requests)

    def script(self, *replies: FakeReply, model: str | None = None) -> None:
        """Adds replies to the common list, or to that of one model."""
        self.server.script(*replies, model=model)

    def until(
        self, condition: Callable[[list[Received]], bool], *, timeout: float = 10.0
    ) -> list[Received]:
        """Waits until `condition(requests)` holds; raises TimeoutError after `timeout` seconds."""
        waiting = self.server.until(condition, timeout=timeout)
        return asyncio.run_coroutine_threadsafe(waiting, self._loop).result(timeout + 1)


def free_port() -> int:
    """A port nobody listens on, for refused connections."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _lines(url: str) -> Iterator[str]:
    yield f"listening on {url}"
    yield f"models: {', '.join(MODELS)}; faults: provider-1!429x2, provider-1!slow=5, ..."
    yield ""
    yield (
        f"  OPENAI_API_KEY=any convtui debug --provider openai/provider-1 --api-base {url} "
        f"--persona sam --user-model openai/persona-1 --user-api-base {url}"
    )
    yield f"  curl {url.removesuffix('/v1')}/__requests__"


def main(arguments: list[str] | None = None) -> None:
    """Runs the server until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--persona-turns", type=int, default=5)
    parser.add_argument("--tokens-per-second", type=float, default=20.0)
    options = parser.parse_args(arguments)

    async def serve() -> None:
        server = OpenAIServer(
            port=options.port,
            persona_turns=options.persona_turns,
            tokens_per_second=options.tokens_per_second,
        )
        async with server:
            print("\n".join(_lines(server.url)), flush=True)
            started = time.monotonic()

            def told(requests: list[Received]) -> bool:
                latest = requests[-1] if requests else None
                if latest is not None and latest.chunks == 0 and not latest.done:
                    seconds = time.monotonic() - started
                    print(f"{seconds:8.1f} s  {latest.method} {latest.path}", file=sys.stderr)
                return False

            await server.until(told, timeout=1e9)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


if __name__ == "__main__":
    main()
