"""What a list of many conversations shows of each, sent while they change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from convtui.engine.process.hosted import Hosted
from convtui.log.transcript_row import transcript_row
from convtui.protocol import ROWS_EVERY, Row, RowState
from convtui.transcript.fold import Transcript


def row_of(hosted: Hosted, *, match: bool | None = None) -> Row:
    """The row of a conversation as it is now."""
    conversation = hosted.conversation
    transcript = Transcript() if conversation is None else conversation.journal.transcript
    wait = None if conversation is None else conversation.caller.waiting
    return transcript_row(
        transcript,
        _state(hosted),
        wait=None if wait is None else round(wait.left, 1),
        why="" if wait is None else wait.why,
        match=match,
    )


def _state(hosted: Hosted) -> RowState:
    conversation = hosted.conversation
    if conversation is None:
        return "starting"
    gate = conversation.gate.state
    if gate == "closed" or conversation.journal.writer.closed:
        return "over"
    if gate == "held":
        return "held"
    if conversation.caller.waiting is not None:
        return "waiting"
    return "running" if conversation.journal.writer.count else "starting"


class RowBoard:
    """Calls `send` with the rows of what has changed, at most every `ROWS_EVERY` seconds.

    On the event loop only, except for `changed()`.
    """

    def __init__(self, send: Callable[[list[tuple[int, Row]]], None]) -> None:
        self._send = send
        self._changed: dict[int, Hosted] = {}
        self._timer: asyncio.TimerHandle | None = None

    def changed(self, number: int, hosted: Hosted) -> None:
        """Notes that a conversation is not what its last row says; any thread may call it."""
        self._changed[number] = hosted

    def forget(self, number: int) -> None:
        """Sends no more rows of a conversation that is over."""
        self._changed.pop(number, None)

    def start(self) -> None:
        """Starts sending."""
        self._timer = asyncio.get_running_loop().call_later(ROWS_EVERY, self._tick)

    def _tick(self) -> None:
        self.start()
        changed, self._changed = self._changed, {}
        if changed:
            self._send([(number, row_of(hosted)) for number, hosted in changed.items()])
