"""What follows the end of a conversation: its line in the manifest, a rerun, another attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from math import ceil
from pathlib import Path
from typing import Any, Final

from convtui.batch.attempts import next_attempt
from convtui.batch.crashed import Broken, Ended, look_at
from convtui.batch.keys import Key
from convtui.batch.manifest import Entry
from convtui.batch.plan_parts import Attempts
from convtui.batch.running import Board, Running
from convtui.batch.spending import Spending, Used
from convtui.batch.work import Work, failed
from convtui.client.engine_client import EngineHandle
from convtui.client.hosted import Hosted
from convtui.client.link import ConversationLink, EngineState
from convtui.errors import LogError
from convtui.records.values import as_list, as_object, as_text

MOST_RERUNS: Final = 5
"""How often a conversation is run again while it is not known which one kills their worker."""
_PARTS: Final = 4
"""In how many groups those are run again that a dying worker has taken down."""
_ELSEWHERE: Final = frozenset({"state", "match", "hold", "wait", "why", "termination"})
"""What a row says that is over, or that the line says itself."""
_ADOPTED_WITHIN: Final = 60.0
"""Seconds that an engine of its own gets to take a conversation over."""
_MOVED: Final = "continued as "
"""What the ending of a log says whose conversation goes on in another one."""


class Aftermath:
    """Takes conversations that are over out of the running ones.

    `again` gets what is to begin in their place, `settled` is called whenever one is done with, and
    `cannot_write` with the reason when a log could not be written.
    """

    def __init__(
        self,
        board: Board,
        spending: Spending,
        attempts: Attempts | None,
        *,
        again: Callable[[Work], None],
        settled: Callable[[], None],
        cannot_write: Callable[[str], None],
    ) -> None:
        self._board = board
        self._spending = spending
        self._attempts = attempts
        self._again = again
        self._settled = settled
        self._cannot_write = cannot_write
        self.closing = False
        """Whether all conversations are being ended at once: nothing begins again."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        """Whether something is still being found out, after which more may have to begin."""
        return bool(self._tasks)

    # --- one that has ended by itself

    def ended(self, running: Running, hosted: Hosted) -> None:
        """A worker has said that a conversation is over."""
        self._board.look(running)
        if _has_moved(hosted.termination):
            self._board.detach(running)
            self._await_adoption(running, hosted, hosted.termination or {})
            return
        if hosted.termination is not None:
            self._close(running, hosted.termination, hosted.totals or {}, hosted.row)
        else:
            self._unclosed(running, hosted)

    def adopted_is_over(self, running: Running, handle: EngineHandle) -> None:
        """The engine that had taken a conversation over has ended."""
        if handle.state is EngineState.CLOSED:
            transcript = handle.transcript
            if _has_moved(transcript.termination):
                self._await_adoption(running, handle, transcript.termination or {})
                return
            totals = as_object((transcript.trailer or {}).get("totals"))
            self._close(running, transcript.termination or {}, totals, self._row(running))
        else:
            self._spawn(self._lost(running, _reason(handle.error)))

    def _await_adoption(
        self, running: Running, link: ConversationLink, termination: dict[str, Any]
    ) -> None:
        """Ends a conversation with `termination` if no other engine goes on with it after all."""
        adopted = running.moving = asyncio.Event()

        async def wait() -> None:
            try:
                async with asyncio.timeout(_ADOPTED_WITHIN):
                    await adopted.wait()
            except TimeoutError:
                if running.link is link:
                    self._close(running, termination, {}, self._row(running))

        self._spawn(wait())

    def _unclosed(self, running: Running, hosted: Hosted) -> None:
        """One that could not begin, or whose log could not be written to its end."""
        error = hosted.error or {}
        reason = _reason(error)
        if running.work.parent is not None and hosted.log_path is None:
            # Its log cannot be gone on with after all.
            self._board.forget(running)
            self._again(Work(running.key, running.work.cell, attempt=running.work.attempt))
            self._settled()
            return
        unwritten = error.get("type") in ("FileError", "LogError")
        status = "crashed" if unwritten else "failed"
        self._finish(running, status, failed(reason, error), {}, hosted.row)
        if unwritten:
            self._cannot_write(reason)

    # --- one whose process has died

    def lost(self, running: Running, error: Mapping[str, Any], *, together: int = 1) -> None:
        """The worker of a conversation has died, and taken so many down `together`."""
        self._spawn(self._lost(running, _reason(error), together))

    async def _lost(self, running: Running, reason: str, together: int = 1) -> None:
        entry = self._board.entry(running.key)
        self._board.look(running)
        log = self._board.file.log_of(entry)
        left = Broken(continuable=False) if log is None else await asyncio.to_thread(look_at, log)
        row = self._row(running)
        if isinstance(left, Ended):
            self._close(running, left.termination or failed(reason), left.totals, row)
        elif self.closing:
            self.abandon(running)
        elif running.given_up or entry.deaths >= (1 if together == 1 else MOST_RERUNS):
            often = "twice" if entry.deaths == 1 else f"{entry.deaths + 1} times"
            why = running.given_up or f"its worker died {often}: {reason}"
            self._finish(running, "failed", failed(why), {}, row)
        else:
            self._board.add("rerun", key=running.key, because=reason, log=entry.log)
            self._board.forget(running)
            parent = log.name if log is not None and left.continuable else None
            work = running.work
            # In groups, each by itself: the one that is to blame is alone in the end.
            crowd = ceil(together / _PARTS)
            self._again(Work(work.key, work.cell, parent, work.attempt, crowd))
            self._settled()

    def abandon(self, running: Running) -> None:
        """Leaves one as a driver that dies would: a resume goes on with it."""
        self._board.forget(running)
        self._settled()

    # --- its end

    def refuse(self, work: Work, reason: str) -> None:
        """A conversation that cannot be run at all."""
        termination = failed(reason)
        self._board.add(
            "ended", key=work.key, log=None, status="failed", termination=termination, totals={}
        )
        self._count(termination)

    def _close(
        self,
        running: Running,
        termination: dict[str, Any],
        totals: Mapping[str, Any],
        row: Mapping[str, Any],
    ) -> None:
        stopped = running.by_batch and termination.get("kind") == "interrupted"
        self._finish(running, "stopped" if stopped else "closed", termination, totals, row)

    def _finish(
        self,
        running: Running,
        status: str,
        termination: dict[str, Any],
        totals: Mapping[str, Any],
        row: Mapping[str, Any],
    ) -> None:
        log = running.link.log_path
        self._board.add(
            "ended",
            key=running.key,
            log=None if log is None else log.name,
            status=status,
            termination=termination,
            totals=dict(totals),
            row={name: value for name, value in row.items() if name not in _ELSEWHERE},
        )
        entry = self._board.entry(running.key)
        used = Used(entry.tokens or 0, entry.cost or 0.0, entry.turns or 0)
        if totals:
            self._spending.update(entry.log or entry.key, used)
        self._board.forget(running)
        self._count(termination)
        if status == "closed" and self._attempts is not None and entry.log is not None:
            self._spawn(self._try_again(running, entry))
        else:
            self._settled()

    def _count(self, termination: Mapping[str, Any]) -> None:
        if termination.get("kind") == "failed":
            self._spending.count_failure(as_text(termination.get("reason")))

    async def _try_again(self, running: Running, entry: Entry) -> None:
        assert self._attempts is not None
        await self.attempt_after(running.work, entry)

    async def attempt_after(self, work: Work, entry: Entry) -> None:
        """Has a conversation that has ended tried again, where its ending asks for that."""
        assert self._attempts is not None
        folder: Path = self._board.file.folder
        try:
            attempt = await asyncio.to_thread(next_attempt, self._attempts, entry, folder)
        except LogError:
            attempt = None
        if attempt is not None:
            key = Key(entry.cell, entry.run, entry.attempt + 1)
            self._again(Work(str(key), work.cell, attempt=attempt))
        self._settled()

    def _row(self, running: Running) -> Mapping[str, Any]:
        return self._board.entry(running.key).row

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._settled()


def _has_moved(termination: Mapping[str, Any] | None) -> bool:
    """Whether an ending says that the conversation goes on in another log."""
    ending = termination or {}
    by_hand = ending.get("kind") == "interrupted" and ending.get("by") == "human"
    return by_hand and as_text(ending.get("reason")).startswith(_MOVED)


def _reason(error: Mapping[str, Any] | None) -> str:
    error = error or {}
    text = as_text(error.get("message")) or "it ended without a word"
    frames = [line for line in as_list(error.get("frames")) if isinstance(line, str)]
    return f"{text}: {frames[-1]}" if frames else text
