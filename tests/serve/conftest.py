"""A server in this process, and pages that are only sockets."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from convtui.serve.server import listening, serve
from tests.builders.waiting import WITHIN

PROGRAM = Path(__file__).parents[1] / "builders" / "served_program.py"
_SESSION = re.compile(r'data-session="([0-9a-f]+)"')


@dataclass
class Served:
    """A running server."""

    client: aiohttp.ClientSession
    address: str
    stop: asyncio.Event
    over: asyncio.Task[None]
    said: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return self.address.rsplit("/", 2)[0]

    @property
    def token(self) -> str:
        return self.address.rsplit("/", 2)[1]

    async def offered(self) -> str:
        """The session that a page without one gets."""
        async with self.client.get(self.address) as response:
            match = _SESSION.search(await response.text())
        assert match is not None
        return match[1]

    @asynccontextmanager
    async def page(self, session: str, size: str = "100x30") -> AsyncIterator[Socket]:
        width, height = size.split("x")
        async with self.client.ws_connect(
            f"{self.address}ws/{session}?width={width}&height={height}", origin=self.origin
        ) as socket:
            yield Socket(socket)


class Socket:
    """The connection of a page: what was drawn on it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.drawn = ""

    async def send(self, text: str) -> None:
        await self._socket.send_str(text)

    async def until(self, text: str) -> str:
        """Everything that was drawn, once `text` is in it."""
        async with asyncio.timeout(WITHIN):
            while text not in self.drawn:
                message = await self._socket.receive()
                assert message.type is aiohttp.WSMsgType.BINARY, (message, self.drawn)
                self.drawn += message.data.decode()
        return self.drawn

    async def closed(self) -> str:
        """Everything that was drawn until the server closed the connection."""
        async with asyncio.timeout(WITHIN):
            async for message in self._socket:
                self.drawn += message.data.decode()
        return self.drawn


Start = Callable[..., Awaitable[Served]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """`await start(*arguments of the program, grace=)`: a server, ended with the test."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(aiohttp.ClientSession())

        async def begin(*arguments: str, grace: float = WITHIN) -> Served:
            stop = asyncio.Event()
            address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            said: list[str] = []
            over = asyncio.create_task(
                serve(
                    listening("127.0.0.1", 0),
                    [sys.executable, "-I", "-S", str(PROGRAM), *arguments],
                    title="convtui <demo>",
                    grace=grace,
                    ready=address.set_result,
                    say=said.append,
                    stop=stop,
                )
            )

            async def end() -> None:
                stop.set()
                await over

            stack.push_async_callback(end)
            return Served(client, await address, stop, over, said)

        yield begin
