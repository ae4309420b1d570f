"""What the debugger screen shows: a live or a saved conversation behind one interface.

A source holds a transcript and says when it changes. A replay source (`convtui.tui.sources.replay`)
adds a cursor that hides what comes after it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from convtui.log.detail import TurnDetail, read_raw, read_turn, request_messages
from convtui.log.names import wire_path
from convtui.log.parents import Ancestry, parent_of
from convtui.log.recordfile import RecordFile
from convtui.log.wire import Exchange, read_wire
from convtui.records.codec import RecordDict
from convtui.transcript.fold import Transcript, Turn

if TYPE_CHECKING:
    from convtui.client.link import ConversationLink

Notify = Callable[[], None]


class Source(Protocol):
    """What a screen needs of a conversation."""

    @property
    def live(self) -> bool:
        """Whether an engine is behind it."""

    @property
    def transcript(self) -> Transcript:
        """The fold of the log."""

    @property
    def changed(self) -> set[int]:
        """Indexes of turns that have changed; whoever draws them clears the set."""

    @property
    def path(self) -> Path | None:
        """The log's path, once it is known."""

    @property
    def limit(self) -> int | None:
        """Index of the last shown turn; None shows all."""

    @property
    def limit_turn(self) -> Turn | None:
        """The last shown turn as of the cursor; None shows it whole."""

    def subscribe(self, callback: Notify) -> Callable[[], None]:
        """Calls `callback` on the event loop after changes; returns the unsubscribe function."""

    async def detail(self, turn: Turn) -> TurnDetail:
        """Everything the log records about a turn. Raises `LogError` without a log."""

    async def messages(self, request: RecordDict, log: Path | None = None) -> list[Any]:
        """The exact messages of an `llm.request`; `log` is the log it is in, if not this one.

        Raises ValueError for a broken chain.
        """

    def records(self, turn: Turn) -> TurnDetail:
        """What the log records about a turn, without the wire. Blocking."""

    def raw(self, turn: Turn) -> str | None:
        """The raw reply of a turn. Blocking."""

    def close(self) -> None:
        """Closes the log."""


class Records:
    """Reads single records of a log, in threads, one reader at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._file: RecordFile | None = None
        self._closed = False
        self._ancestry = Ancestry()
        self._exchanges: tuple[Path, int, list[Exchange]] | None = None

    async def detail(self, path: Path | None, transcript: Transcript, turn: Turn) -> TurnDetail:
        if path is None:
            return TurnDetail(turn.session, turn.number, turn.speaker, [])
        return await asyncio.to_thread(self._detail, path, transcript, turn)

    def _open(self, path: Path, transcript: Transcript) -> RecordFile:
        if self._closed:
            # A thread that was waiting when the screen closed must not reopen the file.
            raise ValueError("the log was closed")
        if self._file is None or self._file.path != path:
            self._close()
            self._file = RecordFile(path, transcript.offsets)
        return self._file

    def read(self, path: Path | None, transcript: Transcript, turn: Turn) -> TurnDetail:
        """What the log, or a parent of it, records about a turn. Blocking."""
        if path is None:
            return TurnDetail(turn.session, turn.number, turn.speaker, [])
        with self._lock:
            return self._read(path, transcript, turn)

    def raw(self, path: Path | None, transcript: Transcript, turn: Turn) -> str | None:
        """All raw replies of a turn, in this log or a parent of it. Blocking."""
        if path is None or turn.first < 0:
            return self.read(path, transcript, turn).all_raw
        with self._lock:
            return read_raw(self._open(path, transcript), turn)

    def _read(self, path: Path, transcript: Transcript, turn: Turn) -> TurnDetail:
        detail = read_turn(self._open(path, transcript), turn)
        if turn.first < 0:
            parent = self._ancestry.find(transcript, turn, path)
            if parent is None:
                detail.missing = self._ancestry.problem
                return detail
            log, detail = parent
            detail.log = log
        elif detail.decided and parent_of(transcript.header) is not None:
            parent = self._ancestry.find(transcript, turn, path)
            if parent is not None and parent[1].decided:
                detail.parent = parent[1]
                detail.parent.log = parent[0]
            elif parent is None and not self._ancestry.absent:
                # A turn that is new in a branch has no earlier decision.
                detail.parent_missing = self._ancestry.problem
        return detail

    def _detail(self, path: Path, transcript: Transcript, turn: Turn) -> TurnDetail:
        with self._lock:
            detail = self._read(path, transcript, turn)
            path = detail.log or path
            calls = {call.seq for call in detail.calls}
            if calls:
                detail.wire = [exchange for exchange in self._wire(path) if exchange.call in calls]
            return detail

    def _wire(self, log: Path) -> list[Exchange]:
        """The HTTP exchanges kept for a log; cached by the file's size."""
        path = wire_path(log)
        try:
            size = path.stat().st_size
        except OSError:
            return []
        if self._exchanges is None or self._exchanges[:2] != (path, size):
            try:
                self._exchanges = (path, size, read_wire(path))
            except OSError:
                return []
        return self._exchanges[2]

    async def messages(
        self,
        path: Path | None,
        transcript: Transcript,
        request: RecordDict,
        log: Path | None = None,
    ) -> list[Any]:
        if path is None:
            return []

        def read() -> list[Any]:
            with self._lock:
                if log is not None and log != path:
                    return self._ancestry.messages(log, request)
                return request_messages(self._open(path, transcript), request)

        return await asyncio.to_thread(read)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._close()
            self._ancestry.close()


class LiveSource:
    """The conversation of an engine."""

    live = True

    def __init__(self, handle: ConversationLink) -> None:
        self.handle = handle
        self._records = Records()

    @property
    def transcript(self) -> Transcript:
        return self.handle.transcript

    @property
    def changed(self) -> set[int]:
        return self.handle.changed

    @property
    def path(self) -> Path | None:
        return self.handle.log_path

    @property
    def limit(self) -> int | None:
        return None

    @property
    def limit_turn(self) -> Turn | None:
        return None

    def subscribe(self, callback: Notify) -> Callable[[], None]:
        return self.handle.subscribe(callback)

    async def detail(self, turn: Turn) -> TurnDetail:
        return await self._records.detail(self.path, self.transcript, turn)

    async def messages(self, request: RecordDict, log: Path | None = None) -> list[Any]:
        return await self._records.messages(self.path, self.transcript, request, log)

    def records(self, turn: Turn) -> TurnDetail:
        return self._records.read(self.path, self.transcript, turn)

    def raw(self, turn: Turn) -> str | None:
        return self._records.raw(self.path, self.transcript, turn)

    def close(self) -> None:
        """Closes the log; the engine keeps running."""
        self._records.close()
