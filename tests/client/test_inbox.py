"""Frames on their way from a thread to the event loop."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

from convtui.client.inbox import Inbox
from convtui.protocol import Kind
from tests.builders.waiting import WITHIN

_app: ContextVar[str] = ContextVar("_app")


async def test_frames_are_taken_in_the_context_in_which_it_was_attached() -> None:
    seen: list[str | None] = []
    over = asyncio.Event()

    def take(kind: Kind, body: bytes) -> None:
        seen.append(_app.get(None))

    def end() -> None:
        seen.append(_app.get(None))
        over.set()

    inbox = Inbox(take)
    _app.set("the app")
    inbox.attach()
    inbox.open()

    def work() -> None:
        inbox.put(Kind.ACK, b"{}")
        inbox.call(end)

    thread = threading.Thread(target=work)
    thread.start()
    await asyncio.wait_for(over.wait(), WITHIN)
    thread.join()
    assert seen == ["the app", "the app"]
