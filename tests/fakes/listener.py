"""A TCP port on the loopback whose connections end with it, for the servers of the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Listener:
    """Gives every connection to `serve`, and closes it afterwards; `port` is known once started.

    What `serve` raises because the other end left, or because the server stops, is no fault.
    """

    def __init__(
        self,
        serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.host = host
        self.port = port
        self._serve = serve
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def start(self) -> None:
        """Begins to listen."""
        self._server = await asyncio.start_server(self._connected, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Closes the port and every connection."""
        if self._server is not None:
            self._server.close()
        self._stopping = True
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        # What was aborted is closed by the loop's next pass, which must not be its last.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            # Closing waits for a client to read what was written: one that no longer does would
            # keep the socket open past the end of its loop.
            if self._stopping:
                writer.transport.abort()
            else:
                writer.close()
                try:
                    await writer.wait_closed()
                except ConnectionError:
                    pass
                except asyncio.CancelledError:
                    writer.transport.abort()
            self._connections.discard(task)


def parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Method, path and headers (with lower-case names) of an HTTP request's head."""
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return method, path, headers
