"""Reads single records of a log for what is shown of it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convtui.log.detail import TurnDetail, read_raw, read_turn, request_messages
from convtui.log.names import wire_path
from convtui.log.parents import Ancestry, parent_of
from convtui.log.recordfile import RecordFile
from convtui.log.wire import Exchange, read_wire

if TYPE_CHECKING:
    from convtui.records.codec import RecordDict
    from convtui.transcript.fold import Transcript, Turn


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
