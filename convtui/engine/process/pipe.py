"""The engine's end of the pipe to the screen: sends frames without making the engine wait."""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from convtui.log.descriptor import same_file
from convtui.protocol import QUEUE_LIMIT, Kind, pack_json, pack_record
from convtui.records.models import RecordDict
from convtui.secrets.redactor import Redactor


class FrameSender:
    """Sends frames from a thread of its own.

    When more than `QUEUE_LIMIT` bytes wait for a screen that does not read, records and deltas are
    dropped; once there is room again, one `CATCH_UP` names the record from which the screen has to
    read the log. `redactor` masks secrets in every frame except records and deltas, which are
    masked already.
    """

    def __init__(self, fd: int, redactor: Redactor | None = None) -> None:
        self.on_error: Callable[[OSError], None] = lambda error: None
        """Called in the sending thread when nothing can be sent any more."""
        self._fd = fd
        self._redactor = redactor or Redactor()
        self._is_pipe = same_file(fd)
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._missed_from: int | None = None
        self._closed = False
        self._gone = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="convtui-send", daemon=True)
        self._thread.start()

    def record(self, data: RecordDict, offset: int, line: bytes) -> None:
        """Sends a record that is in the log; dropped while the screen does not keep up."""
        with self._condition:
            if self._gone or self._missed_from is not None:
                return
            if self._size + len(line) > QUEUE_LIMIT and self._queue:
                self._missed_from = int(data["seq"])
                return
        self._put(pack_record(offset, line))

    def delta(self, fields: dict[str, Any]) -> None:
        """Sends streamed text; dropped while the screen does not keep up."""
        with self._condition:
            if self._gone or self._missed_from is not None or self._size > QUEUE_LIMIT // 2:
                return
        self._put(pack_json(Kind.DELTA, **fields))

    def send(self, kind: Kind, **fields: Any) -> None:
        """Sends any other frame; never dropped."""
        frame = pack_json(kind, **fields)
        # The log's path must stay usable, whatever it looks like.
        if kind is not Kind.READY and self._redactor.suspects(frame):
            frame = pack_json(kind, **self._redactor.data(fields))
        self._put(frame)

    def heartbeat(self, busy: float | None, wait: dict[str, Any] | None = None) -> None:
        """Sends a heartbeat, unless other frames are queued."""
        with self._condition:
            if self._queue:
                return
        self._put(pack_json(Kind.HEARTBEAT, busy=busy, wait=wait))

    def _put(self, frame: bytes) -> None:
        with self._condition:
            if self._gone or self._closed:
                return
            self._queue.append(frame)
            self._size += len(frame)
            self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._queue and not self._closed:
                    self._condition.wait()
                if not self._queue:
                    return
                frame = self._queue.popleft()
            try:
                view = memoryview(frame)
                while view:
                    if not self._is_pipe():
                        raise OSError(errno.EBADF, "the descriptor was closed")
                    view = view[os.write(self._fd, view) :]
            except OSError as error:
                with self._condition:
                    self._gone = True
                    self._queue.clear()
                    self._condition.notify_all()
                self.on_error(error)
                return
            with self._condition:
                self._size -= len(frame)
                self._condition.notify_all()
                missed = self._missed_from
                if missed is not None and self._size < QUEUE_LIMIT // 4:
                    self._missed_from = None
                    catch_up = pack_json(Kind.CATCH_UP, from_seq=missed)
                    self._queue.append(catch_up)
                    self._size += len(catch_up)

    def forget(self) -> None:
        """Stops sending, in a forked child: the pipe belongs to its parent.

        Takes no lock: a thread that the child does not have may hold it.
        """
        self._gone = True
        self._condition = threading.Condition()

    def flush(self, timeout: float = 1.0) -> None:
        """Waits until the queue is empty, at most `timeout` seconds."""
        with self._condition:
            self._condition.wait_for(lambda: self._size == 0 or self._gone, timeout)

    def close(self, timeout: float = 1.0) -> None:
        """Sends what is queued, at most for `timeout` seconds, and nothing afterwards."""
        with self._condition:
            if self._missed_from is not None:
                self._queue.append(pack_json(Kind.CATCH_UP, from_seq=self._missed_from))
                self._missed_from = None
            self._closed = True
            self._condition.notify()
            if not (self._thread.is_alive() or self._gone):
                # It died of something that provider code had replaced.
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
        self._thread.join(timeout)
