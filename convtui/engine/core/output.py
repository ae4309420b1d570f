"""Captures what provider code prints, logs or warns.

Python's own streams are replaced by ones that know which conversation and call they belong to; the
process's file descriptors 1 and 2 are pipes read by threads, for what native code and child
processes write.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Generic, Literal, TypeVar

from convtui.secrets.redactor import Redactor
from convtui.secrets.stream import StreamRedactor

StreamName = Literal["stdout", "stderr"]
Emit = Callable[[StreamName, str, int], None]
"""Gets the stream, the text and how many characters were left out because of the cap."""

CAP = 256 * 1024
"""Characters kept of what one turn prints."""
_HOLD = 8192
_PIPE = 1 << 16
"""Bytes that a pipe holds."""
_CAN_POLL = hasattr(select, "poll")
"""Windows cannot wait for a pipe and read only what is there."""
_PATIENCE = 1.0
"""Seconds that anything waits for another thread to take one thing in."""


T = TypeVar("T")


class InOrder(Generic[T]):
    """Hands on what threads put into it, in that order, to one that takes it.

    No lock is held meanwhile: whoever takes it has locks of its own, for which a thread may wait
    that puts something in. What comes while something is being taken is handed on by the thread
    that is at it.
    """

    def __init__(self, take: Callable[[T], None]) -> None:
        self._take = take
        self._waiting: deque[T] = deque()
        self._taken = 0
        self._thread: int | None = None
        """The one that is at it."""
        # Reentrant: whatever prints when it is destroyed may do so here.
        self._changed = threading.Condition(threading.RLock())

    def put(self, item: T) -> None:
        """Adds something; `hand_on()` follows where no lock is held."""
        self._waiting.append(item)

    def hand_on(self) -> None:
        """Hands everything on, unless another thread is at it."""
        while True:
            with self._changed:
                if self._thread is not None or not self._waiting:
                    return
                self._thread = threading.get_ident()
                item = self._waiting.popleft()
            try:
                self._take(item)
            finally:
                with self._changed:
                    self._thread = None
                    self._taken += 1
                    self._changed.notify_all()

    def finish(self) -> None:
        """As `hand_on()`; what another thread is at is waited for, unless it gets stuck.

        Not where a lock is held that it may need.
        """
        with self._changed:
            end = self._taken + len(self._waiting) + (self._thread is not None)
        while True:
            self.hand_on()
            with self._changed:
                if self._taken >= end or self._thread == threading.get_ident():
                    return
                if self._thread is not None and not self._changed.wait(_PATIENCE):
                    return


class Lines:
    """Puts printed text together to complete lines, which are emitted in the writing thread."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._complete = InOrder(emit)
        self._pending = ""
        self._lock = threading.RLock()

    def write(self, text: str) -> None:
        """Takes text in; complete lines go out."""
        with self._lock:
            self._pending += text
            end = self._pending.rfind("\n") + 1
            if not end and len(self._pending) > _HOLD:
                end = len(self._pending)
            if end:
                self._complete.put(self._pending[:end])
                self._pending = self._pending[end:]
        if end:
            self._complete.hand_on()

    def flush(self) -> None:
        """Lets out what is pending."""
        if not self._pending:
            return
        with self._lock:
            if self._pending:
                self._complete.put(self._pending)
                self._pending = ""
        self._complete.hand_on()

    def finish(self) -> None:
        """Waits until the complete lines were emitted."""
        self._complete.finish()


class Captured(io.TextIOBase):
    """A text stream that hands on what is written; `lines` says to whom, at each write."""

    def __init__(self, lines: Callable[[], Lines], fd: int) -> None:
        super().__init__()
        self._lines = lines
        self._fd = fd

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """UTF-8, always."""
        return "utf-8"

    @property
    def buffer(self) -> io.BufferedIOBase:
        """For code that writes bytes: goes through the process's own descriptor."""
        return _Bytes(self)

    def fileno(self) -> int:
        """The descriptor that child processes inherit."""
        return self._fd

    def writable(self) -> bool:
        """It is."""
        return True

    def isatty(self) -> bool:
        """It is no terminal."""
        return False

    def write(self, text: str) -> int:
        """Takes text in."""
        self._lines().write(text)
        return len(text)

    def flush(self) -> None:
        """Lets out what is pending."""
        self._lines().flush()

    def by_descriptor(self) -> None:
        """From here on what is written goes to the process's own descriptor, whoever reads it."""
        lines = Lines(self._write_out)
        self._lines = lambda: lines

    def _write_out(self, text: str) -> None:
        data = text.encode(errors="backslashreplace")
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._fd, data) :]


class _Bytes(io.BufferedIOBase):
    def __init__(self, owner: Captured) -> None:
        super().__init__()
        self._owner = owner

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._owner.write(bytes(data).decode("utf-8", "replace"))
        return len(data)

    def flush(self) -> None:
        self._owner.flush()


@dataclass(slots=True)
class _Source:
    name: StreamName
    text: StreamRedactor


class OutputCapture:
    """What one conversation, or one server of tools, prints: in whole lines, redacted, capped.

    `emit` is called in whichever thread the output appears in, with text that `redactor` has taken
    the secrets out of. `begin_turn()` starts a new count for the cap.
    """

    def __init__(self, emit: Emit, redactor: Redactor) -> None:
        self.emit = emit
        self.catch_up: Callable[[], None] = lambda: None
        """Takes in what was written by now where it is read in another thread."""
        self._emitted = InOrder[tuple[StreamName, str, int]](lambda output: self.emit(*output))
        self._redactor = redactor
        self._sources: dict[str, _Source] = {}
        """What comes in pieces, each from one source: a secret may be cut in two there."""
        self._kept = 0
        self._dropped = 0
        self._untold = 0
        # Reentrant: whatever prints when it is destroyed may do so here.
        self._lock = threading.RLock()
        self.stdout = Lines(partial(self.take, "stdout", source="sys.stdout"))
        self.stderr = Lines(partial(self.take, "stderr", source="sys.stderr"))

    def begin_turn(self) -> None:
        """What is printed from here on counts for a new turn."""
        with self._lock:
            self._kept = self._dropped = self._untold = 0

    def settle(self) -> None:
        """Says how much more was left out of what the turn has printed.

        Does not wait for another thread: what it takes in may be waiting for who calls this.
        """
        self._let_out_all()
        with self._lock:
            untold, self._untold = self._untold, 0
            if untold:
                self._emitted.put(("stdout", "", untold))
        self._emitted.hand_on()

    def flush(self) -> None:
        """Lets out what has been printed, also without a line end.

        Waits until all of it was emitted, in whatever thread.
        """
        self.catch_up()
        self._let_out_all()
        self.stdout.finish()
        self.stderr.finish()
        self._emitted.finish()

    def _let_out_all(self) -> None:
        self.stdout.flush()
        self.stderr.flush()
        self.let_out()

    def let_out(self) -> None:
        """Lets out what was held back because it may be half a secret."""
        with self._lock:
            for source in [*self._sources.values()]:
                self._keep(source.name, source.text.rest())
        self._emitted.hand_on()

    def take(self, name: StreamName, text: str, source: str = "") -> None:
        """Emits output as far as the cap allows; `settle()` tells how much more there was.

        `source` is where it comes from, in pieces; without one the text is whole in itself.
        """
        with self._lock:
            if self._kept >= CAP and self._dropped:
                # Whatever it is, it is not kept.
                self._dropped += len(text)
                self._untold += len(text)
                return
            if source:
                text = self._source(source, name).text.feed(text)
            else:
                text = self._redactor.text(text)
            self._keep(name, text)
        self._emitted.hand_on()

    def _source(self, source: str, name: StreamName) -> _Source:
        known = self._sources.get(source)
        if known is None:
            known = self._sources[source] = _Source(name, StreamRedactor(self._redactor))
        return known

    def _keep(self, name: StreamName, text: str) -> None:
        room = CAP - self._kept
        kept = text[:room] if room > 0 else ""
        lost = len(text) - len(kept)
        first_drop = self._dropped == 0 and lost > 0
        self._kept += len(kept)
        self._dropped += lost
        if kept or first_drop:
            self._emitted.put((name, kept, lost))
        else:
            self._untold += lost


current_output: ContextVar[OutputCapture | None] = ContextVar(
    "convtui_current_output", default=None
)
"""Whose output is printed in this context; None where it is nobody's in particular."""


class ProcessStreams:
    """Takes over descriptors 1 and 2 and Python's standard streams of this process.

    What is printed in a context that belongs to somebody goes there, all else to `rest`: what
    threads print that provider code has started by itself, native code and child processes.
    """

    def __init__(self, rest: OutputCapture) -> None:
        self._rest = rest
        self._streams: list[Captured] = []
        self._descriptors: list[_Descriptor] = []

    def install(self) -> None:
        """Replaces descriptors and streams, for good: the process ends with them."""
        rest = self._rest
        streams: tuple[tuple[int, StreamName], ...] = ((1, "stdout"), (2, "stderr"))
        for fd, name in streams:
            read_end, write_end = os.pipe()
            os.dup2(write_end, fd, inheritable=True)
            os.close(write_end)
            descriptor = _Descriptor(read_end, partial(rest.take, name, source=f"descriptor {fd}"))
            self._descriptors.append(descriptor)
            threading.Thread(target=descriptor.serve, name=f"convtui-{name}", daemon=True).start()
        rest.catch_up = self._catch_up
        stdout = Captured(lambda: (current_output.get() or rest).stdout, 1)
        stderr = Captured(lambda: (current_output.get() or rest).stderr, 2)
        self._streams = [stdout, stderr]
        sys.stdout, sys.stderr = stdout, stderr

    def forget(self) -> None:
        """In a forked child: what it prints goes to the engine as that of any other process does.

        Takes no lock: a thread that is not there any more may hold it.
        """
        for stream in self._streams:
            stream.by_descriptor()

    def _catch_up(self) -> None:
        for descriptor in self._descriptors:
            descriptor.catch_up()


class _Descriptor:
    """The end of a pipe that is read in a thread, and by whoever cannot wait for that thread.

    What a child process has printed is in the pipe when the child has ended, and belongs to the
    turn in progress then.
    """

    def __init__(self, fd: int, take: Callable[[str], None]) -> None:
        self._fd = fd
        self._pipe = os.fstat(fd)
        if _CAN_POLL:
            os.set_blocking(fd, False)
        self._take = take
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._lock = threading.RLock()
        """Held until what was read was taken in, so that it is in order."""

    def serve(self) -> None:
        """Takes in what is written until the pipe is closed."""
        if not _CAN_POLL:
            while self._read():
                pass
            return
        waiting = select.poll()
        waiting.register(self._fd, select.POLLIN)
        while waiting.poll():
            with self._lock:
                if not self._read():
                    return

    def catch_up(self) -> None:
        """Takes in what is in the pipe, unless the thread gets stuck that is at it."""
        if not _CAN_POLL or not self._lock.acquire(timeout=_PATIENCE):
            return
        try:
            self._read()
        finally:
            self._lock.release()

    def _read(self) -> bool:
        """Takes in all that a pipe can hold; whether more may come."""
        try:
            # Provider code may close every descriptor that there is, and open others.
            if not os.path.samestat(os.fstat(self._fd), self._pipe):
                return False
            data = os.read(self._fd, _PIPE)
        except BlockingIOError:
            return True
        except OSError:
            return False
        text = self._decoder.decode(data)
        if text:
            self._take(text)
        return bool(data)
