"""What a list of many conversations shows of each, sent while they change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from convtui.engine.process.hosted import Hosted
from convtui.log.transcript_row import transcript_row
from convtui.protocol import ROWS_EVERY, Row, RowState
from convtui.transcript.fold import Transcript

_TELL_WAITS: Final = round(1 / ROWS_EVERY)


def row_of(hosted: Hosted) -> Row:
    """The row of a conversation as it is now."""
    conversation = hosted.conversation
    transcript = Transcript() if conversation is None else conversation.journal.transcript
    wait = None if conversation is None else conversation.caller.waiting
    return transcript_row(
        transcript,
        _state(hosted),
        wait=None if wait is None else round(wait.left, 1),
        why=_why(hosted),
        match=hosted.matches,
    )


def _why(hosted: Hosted) -> str:
    if hosted.conversation is None:
        return ""
    caller = hosted.conversation.caller
    if caller.queued:
        return f"as many calls of {caller.queued} as may run at once"
    return "" if caller.waiting is None else caller.waiting.why


def _state(hosted: Hosted) -> RowState:
    conversation = hosted.conversation
    if hosted.over:
        return "over"
    if conversation is None:
        return "starting"
    gate = conversation.gate.state
    if gate == "closed" or conversation.journal.writer.closed:
        return "over"
    if gate == "held":
        return "held"
    if conversation.caller.waiting is not None or conversation.caller.queued:
        return "waiting"
    return "running" if conversation.journal.writer.count else "starting"


class RowBoard:
    """Calls `send` with the rows of what has changed, every `ROWS_EVERY` seconds, also with none.

    On the event loop only, except for `changed()`.
    """

    def __init__(self, send: Callable[[list[tuple[int, Row]]], None]) -> None:
        self._send = send
        self._changed: dict[int, Hosted] = {}
        self._waiting: dict[int, Hosted] = {}
        """Those whose last row says that they wait: nothing tells when they go on."""
        self._ticks = 0

    def changed(self, number: int, hosted: Hosted) -> None:
        """Notes that a conversation is not what its last row says; any thread may call it."""
        self._changed[number] = hosted

    def forget(self, number: int) -> None:
        """Sends no more rows of a conversation that is over."""
        self._changed.pop(number, None)
        self._waiting.pop(number, None)

    def start(self) -> None:
        """Starts sending."""
        asyncio.get_running_loop().call_later(ROWS_EVERY, self._tick)

    def _tick(self) -> None:
        self.start()
        self._ticks += 1
        for number, hosted in self._waiting.items():
            # Of a wait that goes on, the time left is told once a second.
            if self._ticks % _TELL_WAITS == 0 or _state(hosted) != "waiting":
                self._changed[number] = hosted
        changed, self._changed = self._changed, {}
        rows = [(number, row_of(hosted)) for number, hosted in changed.items()]
        for number, row in rows:
            self._waiting.pop(number, None)
            if row["state"] == "waiting":
                self._waiting[number] = changed[number]
        self._send(rows)
