"""What workers say of the conversations that they host, and who has to know of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convtui.batch.aftermath import Aftermath
from convtui.batch.blocks import Blocks
from convtui.batch.concurrency import AtOnce, CallLimits
from convtui.batch.orders import Orders
from convtui.batch.pool import Slot
from convtui.batch.running import Board, Running
from convtui.batch.spending import Spending, Used
from convtui.batch.work import Work
from convtui.client.engine_client import EngineHandle
from convtui.client.hosted import Hosted
from convtui.client.link import ConversationLink
from convtui.log.transcript_row import transcript_row
from convtui.protocol import RowState, StartSpec


class Reports:
    """Takes what workers, and engines that have taken over a conversation, report.

    `wake` is called when it may be that another conversation can begin.
    """

    def __init__(
        self,
        board: Board,
        *,
        spending: Spending,
        at_once: AtOnce,
        limits: CallLimits,
        aftermath: Aftermath,
        orders: Orders,
        wake: Callable[[], None],
    ) -> None:
        self._board = board
        self._spending = spending
        self._at_once = at_once
        self._limits = limits
        self._aftermath = aftermath
        self._orders = orders
        self._wake = wake
        self._by_link: dict[ConversationLink, Running] = {}
        self.blocks = Blocks(board, self._by_link.get)

    # --- a conversation

    def begin(self, work: Work, spec: StartSpec, slot: Slot) -> None:
        """Begins a conversation in a worker, and follows it."""
        hosted = slot.worker.begin(spec)
        slot.hosted.add(hosted)
        running = self._by_link[hosted] = Running(work, spec, hosted, slot)
        self._board.running[work.key] = running
        hosted.subscribe(lambda: self._look(running))
        self._board.touch(work.key)

    def adopt(self, running: Running, handle: EngineHandle) -> None:
        """Follows a conversation into an engine of its own."""
        if running.moving is not None:
            running.moving.set()
            running.moving = None
        self._board.detach(running)
        running.link = handle
        running.given_up = ""
        log = handle.log_path
        if log is not None:
            self._board.add("adopted", key=running.key, log=log.name, pid=handle.pid)
        handle.subscribe(lambda: self._follow(running, handle))
        self._follow(running, handle)

    def _look(self, running: Running) -> None:
        was_held, began = running.held, running.started
        if not running.link.over:
            self._board.look(running)
            self._orders.catch_up(running)
        if running.held != was_held or running.started != began:
            self._wake()

    def _follow(self, running: Running, handle: EngineHandle) -> None:
        if running.link is not handle or self._board.running.get(running.key) is not running:
            return
        self._take_row(running, dict(transcript_row(handle.transcript, _state(handle))))
        if handle.over:
            self._aftermath.adopted_is_over(running, handle)
        else:
            self._look(running)

    def _take_row(self, running: Running, row: dict[str, Any]) -> None:
        self._board.look(running)
        self._board.entry(running.key).row = row
        used = Used.of(row)
        self._at_once.took_turns(max(0, used.turns - running.turns))
        running.turns = int(used.turns)
        log = running.link.log_path
        if log is not None:
            self._spending.update(log.name, used)

    # --- a worker

    def ready(self, slot: Slot) -> None:
        """A worker can host conversations."""
        self._limits.send()
        self._orders.greet(slot)
        self._wake()

    def over(self, slot: Slot, lost: list[Hosted]) -> None:
        """A worker has ended, and these conversations with it."""
        self.blocks.forget(slot)
        self._limits.forget(slot)
        for hosted in lost:
            running = self._by_link.pop(hosted, None)
            if running is not None:
                self._aftermath.lost(running, hosted.error or {}, together=len(lost))
        self._wake()

    def rows(self, changed: list[Hosted]) -> None:
        """The rows of conversations have changed."""
        for hosted in changed:
            running = self._by_link.get(hosted)
            if running is not None:
                self._take_row(running, hosted.row)
        self._wake()

    def ended(self, slot: Slot, hosted: Hosted) -> None:
        """A conversation is over, its log closed."""
        running = self._by_link.pop(hosted, None)
        if running is not None:
            self._board.entry(running.key).row = hosted.row
            self._aftermath.ended(running, hosted)
        self._wake()


def _state(handle: EngineHandle) -> RowState:
    if handle.over:
        return "over"
    return "held" if handle.hold is not None else "waiting" if handle.retry_wait else "running"
