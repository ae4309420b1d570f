"""Provider code that blocks a worker, and with it all conversations there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
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
_SILENT: Final = 3.0
"""Seconds without a sign of a worker after which it is taken to be blocked."""
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
    """The developer's own line, as `file:line in function`; empty where the worker cannot tell."""
    delayed: list[str]
    """Keys of the other conversations there."""


class Blocks:
    """Keeps what blocks, writes it down when it is over, and ends what blocks for too long."""

    def __init__(self, board: Board, running: Callable[[ConversationLink], Running | None]) -> None:
        self.now: dict[int, Block] = {}
        """By worker."""
        self._board = board
        self._running = running
        self._ending: set[int] = set()
        """Workers that are being ended."""
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
        hosted = [running] if running is not None else [other for other in others if other]
        longest = max(map(_longest, hosted), default=0.0)
        if hosted and seconds > longest + _GRACE and slot.number not in self._ending:
            self._ending.add(slot.number)
            if running is not None:
                running.given_up = (
                    f"provider code has blocked its worker for {seconds:.0f} s, at {where}: a turn"
                    f" has {longest:g} s (limits.turn_timeout, limits.tool_timeout)"
                )
            task = asyncio.ensure_future(self._end(slot, running))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def look_at(self, slots: Iterable[Slot]) -> None:
        """Notices workers that cannot even say that they are blocked: native code, or stopped."""
        for slot in slots:
            known, silent = self.now.get(slot.number), slot.worker.silent_for
            if silent > _SILENT and (known is None or not known.where):
                self.take(slot, None, silent, "")
            elif known is not None and not known.where and not silent:
                self.forget(slot)

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

    async def _end(self, slot: Slot, running: Running | None) -> None:
        if running is not None:
            await self._close_log(running)
        if slot.number in self.now:
            slot.worker.kill()
        self._ending.discard(slot.number)

    async def _close_log(self, running: Running) -> None:
        with contextlib.suppress(CommandRefused, TimeoutError):
            async with asyncio.timeout(_CLOSES_WITHIN):
                # Its log is closed by another thread than the one that is blocked.
                await running.link.command(Commands.GIVE_UP, reason=running.given_up)
                await running.link.wait()

    def _touch(self, keys: list[str]) -> None:
        for key in keys:
            self._board.touch(key)


def _longest(running: Running) -> float:
    """Seconds that a turn of a conversation may take."""
    limits = Limits.model_validate(running.spec.scenario.get("limits") or {})
    return max(limits.turn_timeout, limits.tool_timeout)
