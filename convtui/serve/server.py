"""The web server: on this machine only, and only for those who know the address."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import json
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final

import textual_serve
from aiohttp import WSMsgType, web

from convtui.errors import UsageError
from convtui.serve.program import Program
from convtui.serve.session import Sessions

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_HERE: Final = Path(__file__).parent
_STATIC: Final = Path(textual_serve.__file__).parent / "static"
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address has the token
    "X-Content-Type-Options": "nosniff",
}
# The terminal makes style elements of its own.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self';"
    " img-src 'self' data:; connect-src 'self' ws://{host}; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_LARGEST_SCREEN: Final = 1000


class Site:
    """What is served: the page, its parts, and the socket through which it talks to a program."""

    def __init__(self, sessions: Sessions, *, title: str, port: int) -> None:
        self.sessions = sessions
        self.token = secrets.token_urlsafe(24)
        self._title = title
        self._hosts = {f"{host}:{port}" for host in ("127.0.0.1", "localhost", "[::1]")}
        self._page = Template((_HERE / "page.html").read_text(encoding="utf-8"))

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._guarded])
        root = f"/{self.token}"
        app.add_routes(
            [
                web.get(f"{root}/", self._index),
                web.get(f"{root}/page.js", self._script),
                web.get(f"{root}/ws/{{session}}", self._websocket),
                web.static(f"{root}/static", _STATIC),
            ]
        )
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuses whoever lacks the token, and names that lead to this machine from elsewhere."""
        given = request.path.split("/")[1].encode("utf-8", "replace")
        known = hmac.compare_digest(given, self.token.encode())
        if not known or request.host not in self._hosts:
            return web.Response(status=403, text="Not allowed.\n", headers=_HEADERS)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = web.Response(status=error.status, text=f"{error.reason}\n")
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    async def _index(self, request: web.Request) -> web.Response:
        text = self._page.substitute(
            title=escape(self._title), session=escape(self.sessions.offer()), font_size=16
        )
        policy = {"Content-Security-Policy": _POLICY.format(host=request.host)}
        return web.Response(text=text, content_type="text/html", headers=policy)

    async def _script(self, _: web.Request) -> web.Response:
        text = (_HERE / "page.js").read_text(encoding="utf-8")
        return web.Response(text=text, content_type="text/javascript")

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        # Browsers let any page open a socket anywhere, and say which page it was.
        if request.headers.get("Origin") != f"http://{request.host}":
            return web.Response(status=403, text="Not allowed from another page.\n")
        socket_ = web.WebSocketResponse(heartbeat=15, timeout=2)
        await socket_.prepare(request)
        width, height = (_cells(request.query.get(name)) for name in ("width", "height"))
        session = await self.sessions.open(
            request.match_info["session"], socket_, width or 80, height or 24
        )
        if session is None:
            await socket_.close()
            return socket_
        try:
            async for message in socket_:
                if message.type == WSMsgType.TEXT:
                    await _pass_on(session.program, message.data, socket_)
        finally:
            self.sessions.left(session, socket_)
        return socket_


async def _pass_on(program: Program, text: str, page: web.WebSocketResponse) -> None:
    """Does what a message of the page asks; what is not one is passed over."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return
    match message:
        case ["stdin", str(keys)]:
            await program.send_bytes(keys.encode("utf-8", "replace"))
        case ["resize", {"width": int(width), "height": int(height)}]:
            if _cells(width) and _cells(height):
                await program.set_terminal_size(width, height)
        case ["ping", str(data)]:
            with contextlib.suppress(ConnectionError):
                await page.send_json(["pong", data])
        case ["focus", *_]:
            await program.focus()
        case ["blur", *_]:
            await program.blur()


def _cells(value: Any) -> int | None:
    """A width or a height in characters, None if it is none."""
    try:
        cells = int(value)
    except (TypeError, ValueError):
        return None
    return cells if 0 < cells <= _LARGEST_SCREEN else None


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens on this machine; port 0 takes a free one. Raises `UsageError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"--port {port} is taken by another program: name another, or none for a free one"
            ) from None
        raise UsageError(f"cannot listen on {host}, port {port}: {error.strerror}") from None
    return listener


async def serve(
    listener: socket.socket,
    command: Sequence[str],
    *,
    title: str,
    grace: float,
    ready: Callable[[str], None],
    say: Callable[[str], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Serves `command` until `stop`, or a signal to end; then ends every program.

    `ready` gets the address once it can be opened; `say` what a program printed that no page was
    there to show.
    """
    name: Mapping[int, str] = {socket.AF_INET: "{}", socket.AF_INET6: "[{}]"}
    host, port = listener.getsockname()[:2]
    sessions = Sessions(command, grace=grace, say=say)
    site = Site(sessions, title=title, port=port)
    stop = stop or asyncio.Event()
    # No access log: its lines would have the token.
    runner = web.AppRunner(site.application(), access_log=None, shutdown_timeout=1)
    with _stopped_by_signals(stop):
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            ready(f"http://{name[listener.family].format(host)}:{port}/{site.token}/")
            await stop.wait()
        finally:
            await sessions.close()
            await runner.cleanup()


@contextlib.contextmanager
def _stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    signals = [
        number
        for name in ("SIGINT", "SIGTERM", "SIGHUP")
        if (number := getattr(signal, name, None)) is not None
    ]
    caught = []
    for number in signals:
        # Not on Windows, where ctrl+c interrupts the loop; nor off the main thread, as in tests.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stop.set)
            caught.append(number)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)
