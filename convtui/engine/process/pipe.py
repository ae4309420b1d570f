"""The engine's end of the pipe to the screen: sends frames without making the engine wait.

One thread sends what all conversations of the process have queued; each has a `Channel` of its own.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from convtui.log.descriptor import same_file
from convtui.protocol import QUEUE_LIMIT, Kind, json_body, pack, pack_of, record_body
from convtui.records.models import RecordDict
from convtui.secrets.redactor import Redactor


class FrameSender:
    """Sends frames from a thread of its own.

    When more than `QUEUE_LIMIT` bytes wait for a screen that does not read, records and deltas are
    dropped; once there is room again, one `CATCH_UP` for each conversation names the record from
    which the screen has to read its log. `redactor` masks secrets in frames of the process itself.
    """

    def __init__(self, fd: int, redactor: Redactor | None = None) -> None:
        self.on_error: Callable[[OSError], None] = lambda error: None
        """Called in the sending thread when nothing can be sent any more."""
        self._fd = fd
        self._redactor = redactor or Redactor()
        self._is_pipe = same_file(fd)
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._missed_from: dict[Channel, int] = {}
        self._closed = False
        self._gone = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="convtui-send", daemon=True)
        self._thread.start()

    def record(self, channel: Channel, seq: int, body: bytes) -> None:
        """Sends a record that is in the log; dropped while the screen does not keep up."""
        with self._condition:
            if self._gone or channel in self._missed_from:
                return
            if self._size + len(body) > QUEUE_LIMIT and self._queue:
                self._missed_from[channel] = seq
                return
        self.put(channel.frame(Kind.RECORD, body))

    def delta(self, channel: Channel, body: bytes) -> None:
        """Sends streamed text; dropped while the screen does not keep up."""
        with self._condition:
            late = channel in self._missed_from or self._size > QUEUE_LIMIT // 2
            if self._gone or late:
                return
        self.put(channel.frame(Kind.DELTA, body))

    def send(self, kind: Kind, **fields: Any) -> None:
        """Sends a frame of the process itself; never dropped."""
        self.put(pack(kind, public_body(fields, self._redactor)))

    def heartbeat(self, busy: float | None, wait: dict[str, Any] | None = None) -> None:
        """Sends a heartbeat, unless the screen does not keep up: what goes on is to be seen there
        as it is seen here, or a command is sent to a loop that is taken to be alive."""
        with self._condition:
            if self._size > QUEUE_LIMIT // 2:
                return
        self.put(pack(Kind.HEARTBEAT, json_body(busy=busy, wait=wait)))

    def put(self, frame: bytes) -> None:
        """Queues a whole frame; never dropped."""
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
                if self._missed_from and self._size < QUEUE_LIMIT // 4:
                    self._let_catch_up()

    def _let_catch_up(self) -> None:
        for channel, seq in self._missed_from.items():
            catch_up = channel.frame(Kind.CATCH_UP, json_body(from_seq=seq))
            self._queue.append(catch_up)
            self._size += len(catch_up)
        self._missed_from.clear()

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
            self._let_catch_up()
            self._closed = True
            self._condition.notify()
            if not (self._thread.is_alive() or self._gone):
                # It died of something that provider code had replaced.
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
        self._thread.join(timeout)


class Channel:
    """Sends the frames of one conversation.

    With a `number` they are wrapped as those of one conversation among many. `redactor` masks
    secrets in every frame except records and deltas, which are masked already.
    """

    def __init__(self, sender: FrameSender, redactor: Redactor, number: int | None = None) -> None:
        self.number = number
        self.watched = number is None
        """Whether records and deltas are sent."""
        self._sender = sender
        self._redactor = redactor

    def frame(self, kind: Kind, body: bytes) -> bytes:
        """A frame of this conversation."""
        return pack(kind, body) if self.number is None else pack_of(self.number, kind, body)

    def record(self, data: RecordDict, offset: int, line: bytes) -> None:
        """Sends a record that is in the log; dropped while the screen does not keep up."""
        if self.watched:
            self._sender.record(self, int(data["seq"]), record_body(offset, line))

    def delta(self, fields: dict[str, Any]) -> None:
        """Sends streamed text; dropped while the screen does not keep up."""
        if self.watched:
            self._sender.delta(self, json_body(**fields))

    def send(self, kind: Kind, **fields: Any) -> None:
        """Sends any other frame; never dropped."""
        # The log's path must stay usable, whatever it looks like.
        redactor = None if kind is Kind.READY else self._redactor
        self._sender.put(self.frame(kind, public_body(fields, redactor)))


def public_body(fields: dict[str, Any], redactor: Redactor | None) -> bytes:
    """The body of a JSON frame, without what `redactor` takes for secrets."""
    body = json_body(**fields)
    if redactor is not None and redactor.suspects(body):
        return json_body(**redactor.data(fields))
    return body
