"""What a list of many conversations shows of each, sent while they change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from convtui.engine.process.hosted import Hosted
from convtui.log.run_summary import total
from convtui.protocol import ROW_WORDS, ROWS_EVERY, Row, RowState
from convtui.transcript.fold import COMMITTED, INTERESTING, Transcript, Turn

_INTERESTING: Final = int(INTERESTING)


def row_of(hosted: Hosted, *, match: bool | None = None) -> Row:
    """The row of a conversation as it is now."""
    conversation = hosted.conversation
    transcript = Transcript() if conversation is None else conversation.journal.transcript
    turns = transcript.turns
    last = turns[-1] if turns else None
    said = _last_said(turns)
    wait = None if conversation is None else conversation.caller.waiting
    signalled = [turn for turn in turns if turn.signals]
    used = transcript.totals.values()
    tokens = total(side.tokens for side in used)
    return {
        "state": _state(hosted),
        "session": None if last is None else last.session,
        "turn": None if last is None else last.number,
        "side": None if last is None else last.speaker,
        "words": "" if said is None else said.text[:ROW_WORDS],
        "turns": transcript.counts.get("turn.committed", 0),
        "signals": sum(len(turn.signals) for turn in signalled),
        "last_signal": signalled[-1].signals[-1] if signalled else None,
        "discards": transcript.counts.get("turn.discarded", 0),
        "flags": sum(1 for turn in turns if turn.flags & _INTERESTING),
        "tokens": None if tokens is None else int(tokens),
        "cost": total(side.cost for side in used),
        "hold": transcript.hold,
        "wait": None if wait is None else round(wait.left, 1),
        "why": "" if wait is None else wait.why,
        "termination": transcript.termination,
        "match": match,
    }


def _last_said(turns: list[Turn]) -> Turn | None:
    for turn in reversed(turns):
        if turn.text and turn.status == COMMITTED:
            return turn
    return None


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
