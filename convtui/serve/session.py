"""A program and the page that shows it: pages come and go, the program stays for a while."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from convtui.serve.program import Program
from convtui.text.boundary import visible

ATTACH: Final = "attach"
"""Asks the program to draw everything anew, for a page of `width` x `height` that is blank."""
ATTACHED: Final = "attached"
"""The program's answer: what it draws from now on is for the new page."""
MOST_PROGRAMS: Final = 12
_ID: Final = re.compile(r"[0-9a-f]{32}")
_RELOAD: Final = 2.0
_PATIENCE: Final = 1.0
_PLAIN_SCREEN: Final = (
    "\x1b[0m\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[?1049l"
    "\x1b[2J\x1b[H"
)


class Page(Protocol):
    """The connection to a page, as aiohttp's `WebSocketResponse`."""

    async def send_bytes(self, data: bytes) -> None: ...

    async def close(self) -> Any: ...


class Session:
    """One program, shown by at most one page at a time."""

    def __init__(self, identity: str, command: Sequence[str]) -> None:
        self.id = identity
        self.program = Program(command, on_screen=self._draw, on_meta_data=self._on_meta_data)
        self.over = False
        self.left_at = time.monotonic()
        self._page: Page | None = None
        self._drawn = False  # the page has got the whole screen, and may get changes to it

    @property
    def shown(self) -> bool:
        return self._page is not None

    async def start(self, page: Page, width: int, height: int) -> None:
        """Starts the program for its first page. Raises `OSError`."""
        self._page, self._drawn = page, True
        await self.program.start(width, height)

    async def show(self, page: Page, width: int, height: int) -> Page | None:
        """Shows the running program on another page; the one before, if it was still open."""
        before, self._page, self._drawn = self._page, page, False
        await self.program.send_meta({"type": ATTACH, "width": width, "height": height})
        return before

    def leave(self, page: Page) -> None:
        """A page was closed."""
        if page is self._page:
            self._page, self.left_at = None, time.monotonic()

    async def end(self) -> str:
        """Waits for the program's end, and tells the page; the text if no page could be told."""
        await self.program.ended()
        self.over = True
        text = self.program.text.rstrip()
        page, self._page = self._page, None
        if page is None:
            return text
        await _last_words(page, text or "The program has ended.")
        return ""

    async def _draw(self, data: bytes) -> None:
        page = self._page
        if page is not None and self._drawn:
            # A page that has gone is noticed where its messages are read.
            with contextlib.suppress(ConnectionError, RuntimeError):
                await page.send_bytes(data)

    async def _on_meta_data(self, data: Mapping[str, Any]) -> None:
        if data.get("type") == ATTACHED:
            self._drawn = True


class Sessions:
    """All that run. A program that nobody has looked at for `grace` seconds is asked to quit."""

    def __init__(self, command: Sequence[str], *, grace: float, say: Callable[[str], None]) -> None:
        self._command = tuple(command)
        self._grace = grace
        self._say = say
        self._sessions: dict[str, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def offer(self) -> str:
        """The session for a page that has none: one that was left and still runs, or a new one."""
        now = time.monotonic()
        left = [
            session
            for session in self._sessions.values()
            # One that is being reloaded comes back by itself.
            if not session.shown and not session.over and now - session.left_at > _RELOAD
        ]
        if left:
            return max(left, key=lambda session: session.left_at).id
        return secrets.token_hex(16)

    async def open(self, identity: str, page: Page, width: int, height: int) -> Session | None:
        """Shows a session on a page, and starts it if it does not run; None if that cannot be."""
        session = self._sessions.get(identity)
        if session is not None and not session.over:
            before = await session.show(page, width, height)
            if before is not None:
                # It may be cut off without knowing: the new page does not wait for it.
                self._spawn(_last_words(before, "This is shown in another tab now."))
            return session
        if not _ID.fullmatch(identity):
            return None
        if len(self._sessions) >= MOST_PROGRAMS:
            await _last_words(page, f"{MOST_PROGRAMS} pages are open already: close one first.")
            return None
        session = self._sessions[identity] = Session(identity, self._command)
        try:
            await session.start(page, width, height)
        except OSError as error:
            del self._sessions[identity]
            await _last_words(page, f"The program could not be started: {error.strerror}.")
            return None
        self._spawn(self._see_off(session))
        return session

    def left(self, session: Session, page: Page) -> None:
        """A page was closed, or is being reloaded."""
        session.leave(page)
        if not session.shown and not session.over:
            self._spawn(self._give_up(session, session.left_at))

    async def close(self) -> None:
        """Ends all programs."""
        await asyncio.gather(*(each.program.stop() for each in self._sessions.values()))
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._sessions)

    async def _see_off(self, session: Session) -> None:
        untold = await session.end()
        if self._sessions.get(session.id) is session:
            del self._sessions[session.id]
        if untold:
            self._say(untold)

    async def _give_up(self, session: Session, left_at: float) -> None:
        await asyncio.sleep(self._grace)
        if not session.shown and session.left_at == left_at:
            await session.program.stop()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _last_words(page: Page, text: str) -> None:
    """Shows `text` instead of the screen, and closes the page's connection."""
    lines = visible(text).replace("\n", "\r\n")
    with contextlib.suppress(ConnectionError, RuntimeError, TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await page.send_bytes(f"{_PLAIN_SCREEN}{lines}\r\n".encode("utf-8", "replace"))
    with contextlib.suppress(ConnectionError, RuntimeError):
        await page.close()
