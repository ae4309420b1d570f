"""One conversation among the many of a worker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from convtui.client.link import ConversationLink, EngineState
from convtui.errors import CommandRefused
from convtui.files.regular import open_regular
from convtui.protocol import Commands, Kind, StartSpec, pack_json, pack_of
from convtui.records.codec import RecordDict

END_WITHIN = 5.0
"""Seconds that a conversation gets to close its log when it is told to end."""
_CHUNK = 1 << 18
"""Bytes of a log that are read at a time."""
_SLICE = 0.005
"""Seconds that records are folded without a pause."""


class Host(Protocol):
    """What a conversation needs of the worker that hosts it."""

    python: str

    @property
    def silent_for(self) -> float:
        """Seconds without a heartbeat; 0.0 while that is normal."""

    @property
    def running(self) -> int:
        """Number of conversations that are not over."""

    @property
    def blocked(self) -> tuple[Hosted | None, str] | None:
        """Whose code blocks the event loop now, if that is known, and where."""

    def send(self, frame: bytes) -> None:
        """Sends a frame, without waiting."""

    def kill(self) -> None:
        """Kills the process, with all of its conversations."""


class Hosted(ConversationLink):
    """A conversation in a worker.

    `state`, `hold` and `row` are always kept up to date. `transcript` is only while somebody
    watches it: its records are read from the log, and then come as frames.
    """

    def __init__(self, number: int, spec: StartSpec, host: Host) -> None:
        super().__init__()
        self.number = number
        self.spec = spec
        self.state = EngineState.STARTING
        self.armed = {side: dict(item) for side, item in spec.faults.items()}
        self.row: dict[str, Any] = {}
        """As `protocol.Row`; empty before the first has come."""
        self.exit_status: int | None = None
        """What `run` would end with; None before it is over, and if its worker has died."""
        self.termination: dict[str, Any] | None = None
        """How it ended, once its log is closed."""
        self.totals: dict[str, Any] | None = None
        """Usage by side, as in the trailer of its log."""
        self.python = host.python
        self._host = host
        self._watchers = 0
        self._reader: asyncio.Task[None] | None = None
        self._read_again = False
        self._ahead: deque[tuple[int, bytes]] = deque()
        """Records that have come before those in front of them were read."""

    @property
    def silent_for(self) -> float:
        """Seconds without a heartbeat of its worker; 0.0 while that is normal."""
        return 0.0 if self.over or self.state is EngineState.STARTING else self._host.silent_for

    @property
    def blocked_by(self) -> str:
        blocked = self._host.blocked
        if blocked is None:
            return ""
        hosted, where = blocked
        return (
            f"{'its code' if hosted is self else 'another conversation'} blocks the worker, {where}"
        )

    # --- watching

    @property
    def watching(self) -> bool:
        """Whether its transcript is kept up to date."""
        return self._watchers > 0

    async def watch(self) -> None:
        """Keeps `transcript` up to date from now on; returns when it holds what the log does.

        Each call needs one of `unwatch()`.
        """
        self._watchers += 1
        if self._watchers == 1 and not self.over:
            self._send_watch(on=True)
        self.catch_up()
        if self._reader is not None:
            await asyncio.shield(self._reader)

    def unwatch(self) -> None:
        """Takes back one `watch()`. The transcript stays as it is after the last."""
        if self._watchers == 0:
            return
        self._watchers -= 1
        if self._watchers == 0 and not self.over:
            self._send_watch(on=False)
            self.busy = self.retry_wait = None

    def _send_watch(self, *, on: bool) -> None:
        self._host.send(pack_json(Kind.WATCH, conversation=self.number, on=on))

    def catch_up(self) -> None:
        """Begins to read what is in the log and not in the transcript; its `notify()` follows."""
        if not self.watching or self.log_path is None:
            return
        if self._reader is None:
            self._reader = asyncio.ensure_future(self._read(self.log_path))
        else:
            self._read_again = True

    async def _read(self, log: Path) -> None:
        """Reads the log to its end, in a thread, and folds it in slices."""
        try:
            while True:
                self._read_again = False
                records = await asyncio.to_thread(self._chunk, log, self._next_offset)
                await self._fold(records)
                self._apply_ahead()
                self.notify()
                if not (records or self._read_again):
                    return
        finally:
            self._reader = None
            if self.state is EngineState.DEAD:
                self._abandon()
                self.notify()

    def _chunk(self, log: Path, offset: int) -> list[tuple[RecordDict, int]]:
        """The next records of the log, and the size of their lines. Blocking."""
        records: list[tuple[RecordDict, int]] = []
        with contextlib.suppress(OSError), open_regular(log) as file:
            file.seek(offset)
            for line in file.readlines(_CHUNK):
                if not line.endswith(b"\n"):
                    break
                try:
                    records.append((self._decoded(line), len(line)))
                except ValueError:
                    # Another program has written into it; opening the log reports where.
                    break
        return records

    async def _fold(self, records: list[tuple[RecordDict, int]]) -> None:
        pause = time.perf_counter() + _SLICE
        for record, size in records:
            self._apply(record, self._next_offset, size)
            if time.perf_counter() > pause:
                self.notify()
                await asyncio.sleep(0)
                pause = time.perf_counter() + _SLICE

    def _take_record(self, offset: int, line: bytes) -> None:
        self._ahead.append((offset, line))
        if self._reader is None and not self._apply_ahead():
            self.catch_up()

    def _apply_ahead(self) -> bool:
        """Folds the records that have come as far as they follow on; False if some do not."""
        while self._ahead:
            offset, line = self._ahead[0]
            if offset > self._next_offset:
                return False
            self._ahead.popleft()
            if offset == self._next_offset:
                self._apply(self._decoded(line), offset, len(line))
        return True

    # --- orders

    def _send_command(self, fields: Mapping[str, Any]) -> None:
        body = json.dumps(fields, separators=(",", ":")).encode()
        self._host.send(pack_of(self.number, Kind.COMMAND, body))

    async def close(self) -> None:
        """Ends the conversation, and no other one; it is killed if that takes over 5 s."""
        with contextlib.suppress(CommandRefused, TimeoutError):
            async with asyncio.timeout(END_WITHIN):
                await self.command(Commands.STOP, reason="ended by hand")
                await self.wait()
        if not self.over:
            self.kill()
            await self.wait()

    @property
    def killed_along(self) -> int:
        return self._host.running - 1 if self._host.silent_for and not self.over else 0

    def kill(self) -> None:
        """Ends the conversation at once, as failed.

        If provider code blocks the worker, that is the end of the worker with all that it hosts.
        """
        if self.over:
            return
        if self._host.silent_for:
            self._host.kill()
            return
        self._order(Commands.GIVE_UP, "killed by hand")

    def stop(self, reason: str) -> None:
        """Tells it to end, without waiting for an answer."""
        if not self.over:
            self._order(Commands.STOP, reason)

    def _order(self, do: str, reason: str) -> None:
        self._command_id += 1
        self._send_command({"id": self._command_id, "do": do, "reason": reason})

    # --- the end

    def take_end(self, end: Mapping[str, Any]) -> None:
        """Takes in the ENDED frame: the log is closed, nothing more will come."""
        self.row = end["row"] or self.row
        self.exit_status = end["status"]
        self.termination = end["termination"]
        self.totals = end["totals"]
        if end["log"]:
            self.log_path = Path(end["log"])
        self.catch_up()
        error = {"type": "EngineError", "message": "the log could not be closed"}
        self._finish(closed=self.termination is not None, error=error)

    def lose(self, error: Mapping[str, Any]) -> None:
        """The worker has died of `error`."""
        if self.watching and self._reader is None:
            # What it had logged last, before the turn in progress is given up.
            super().catch_up()
        self._finish(closed=self.transcript.complete, error=dict(error))
