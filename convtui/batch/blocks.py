"""Provider code that blocks a worker, and with it all conversations there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from convtui.batch.pool import Slot
from convtui.batch.running import Board, Running
from convtui.client.link import ConversationLink
from convtui.errors import CommandRefused
from convtui.protocol import Commands
from convtui.scenario.parts import Limits

_GRACE: Final = 5.0
"""Seconds beyond its time limits that a conversation may block its worker."""
_CLOSES_WITHIN: Final = 1.0
"""Seconds that the log of one that blocks gets to be closed before its worker is killed."""


@dataclass(slots=True)
class Block:
    """A worker whose event loop is blocked."""

    worker: int
    key: str | None
    """The conversation whose code it is, where that can be told."""
    seconds: float
    where: str
    """The developer's own line, as `file:line in function`."""
    delayed: list[str]
    """Keys of the other conversations there."""


class Blocks:
    """Keeps what blocks, writes it down when it is over, and ends what blocks for too long."""

    def __init__(self, board: Board, running: Callable[[ConversationLink], Running | None]) -> None:
        self.now: dict[int, Block] = {}
        """By worker."""
        self._board = board
        self._running = running
        self._tasks: set[asyncio.Task[None]] = set()

    def take(
        self, slot: Slot, culprit: ConversationLink | None, seconds: float, where: str
    ) -> None:
        """Takes in a BLOCKED frame; 0 seconds say that it is over."""
        running = None if culprit is None else self._running(culprit)
        if not seconds:
            self.forget(slot)
            return
        others = [self._running(hosted) for hosted in slot.hosted if hosted is not culprit]
        key = None if running is None else running.key
        delayed = sorted(other.key for other in others if other is not None)
        self.now[slot.number] = Block(slot.number, key, seconds, where, delayed)
        self._touch(delayed)
        if running is not None and seconds > _longest(running) + _GRACE and not running.given_up:
            running.given_up = (
                f"provider code has blocked its worker for {seconds:.0f} s, at {where}: a turn has"
                f" {_longest(running):g} s (limits.turn_timeout, limits.tool_timeout)"
            )
            task = asyncio.ensure_future(self._end(slot, running))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def forget(self, slot: Slot) -> None:
        """A worker's loop goes on, or the worker has ended."""
        block = self.now.pop(slot.number, None)
        if block is None:
            return
        self._board.add(
            "blocked",
            key=block.key,
            worker=block.worker,
            seconds=round(block.seconds, 1),
            where=block.where,
            delayed=block.delayed,
        )
        self._touch(block.delayed)

    async def _end(self, slot: Slot, running: Running) -> None:
        with contextlib.suppress(CommandRefused, TimeoutError):
            async with asyncio.timeout(_CLOSES_WITHIN):
                # Its log is closed by another thread than the one that is blocked.
                await running.link.command(Commands.GIVE_UP, reason=running.given_up)
                await running.link.wait()
        if slot.number in self.now:
            slot.worker.kill()

    def _touch(self, keys: list[str]) -> None:
        for key in keys:
            self._board.touch(key)


def _longest(running: Running) -> float:
    """Seconds that a turn of a conversation may take."""
    limits = Limits.model_validate(running.spec.scenario.get("limits") or {})
    return max(limits.turn_timeout, limits.tool_timeout)
