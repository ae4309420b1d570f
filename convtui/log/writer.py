"""Writes a log. Only engines do, and each log has one."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from weakref import WeakSet

from convtui.errors import FileError, LogError
from convtui.log.descriptor import appended_to, open_private, write_all
from convtui.log.locking import ProcessLock
from convtui.log.names import lock_path
from convtui.log.syncing import SYNCER
from convtui.records.codec import fast_encoder
from convtui.records.models import Record, RecordDict, Termination, Trailer, encode
from convtui.secrets.harmless import HarmlessTexts
from convtui.secrets.redactor import Redactor

_encode_plain = fast_encoder()

Draft = tuple[float, RecordDict, list[Any]]
"""A record to be written: its `t`, its payload, and the values in it that may be secret."""
Written = tuple[RecordDict, int, bytes]
"""A record in the log, its byte offset and its line."""


class LogWriter:
    """Appends records to a new log file. Thread-safe.

    `write()` returns when the operating system has the record, so that it survives a killed
    process; against power loss fsync is called about once a second and at the end (`SYNCER`).
    The file is created with mode 0600 and never overwritten. `<log>.lock` is held while it is
    open. `redactor` masks the secrets in every record. Of a log that nobody needs before it is
    closed, up to `held_back` bytes wait to be written together.

    Raises `LogError` when the file exists, cannot be created, or is written by another process.
    """

    def __init__(self, path: Path, redactor: Redactor | None = None, *, held_back: int = 0) -> None:
        self.path = path
        self.redactor = redactor or Redactor()
        self._harmless = HarmlessTexts(self.redactor)
        self.count = 0
        self.size = 0
        """With what waits to be written."""
        self._written = 0
        self._held_back = held_back
        self._held: list[bytes] = []
        self._lock = threading.RLock()
        self._file_lock = ProcessLock(lock_path(path))
        self._broken: OSError | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not self._file_lock.acquire():
                raise LogError(f"{path}: another process is writing this log")
        except OSError as error:
            raise LogError(_cannot_write(path, error)) from error
        try:
            self._fd = open_private(path, os.O_CREAT | os.O_EXCL | os.O_APPEND)
        except OSError as error:
            self._release_lock()
            raise LogError(_cannot_write(path, error)) from error
        self._is_log = appended_to(self._fd)
        self._identity = os.fstat(self._fd)
        self._started = time.monotonic()
        self.created_at = datetime.now(UTC)
        self._dirty = False
        self._closed = False
        self.forked = False
        """Whether this is a child of the process that writes the log."""
        _OPEN.add(self)

    @property
    def closed(self) -> bool:
        """Whether the log was closed, with a trailer or without."""
        return self._closed

    @property
    def broken(self) -> OSError | None:
        """The error that made writing fail; nothing is written after it."""
        return self._broken

    def clean(self, data: Any) -> Any:
        """`data` as it is written, with secrets masked."""
        return data if self._harmless.make_up(data) else self.redactor.data(data)

    def start_clock(self) -> None:
        """Makes now the time zero of the log, after both sides were loaded."""
        self._started = time.monotonic()
        self.created_at = datetime.now(UTC)

    def now(self) -> float:
        """Seconds since the log was created."""
        return time.monotonic() - self._started

    def write(self, record: Record) -> Written:
        """Appends a record; returns it with `seq` and `t`, its byte offset and its line.

        Raises `FileError` when it cannot be written (full disk, closed log); a partial line is
        truncated, so that the log stays well-formed.
        """
        payload = record.payload()
        return self.append([(self.now(), payload, [payload])])[0]

    def append(self, drafts: Sequence[Draft]) -> list[Written]:
        """As `write()`, for records that are written at once: all of them, or none.

        Where several are refused, each can be tried by itself.
        """
        with self._lock:
            if self._closed:
                raise FileError(f"{self.path}: the log is closed")
            if self._broken is not None:
                raise FileError(_cannot_write(self.path, self._broken)) from self._broken
            written: list[Written] = []
            offset = self.size
            # What records that belong together say is mostly the same.
            harmless = self._harmless.make_up([texts for _, _, texts in drafts])
            for seq, (t, payload, texts) in enumerate(drafts, self.count):
                data: RecordDict = {"seq": seq, "t": round(t, 4), **payload}
                if harmless:
                    line = _encode_plain(data)
                else:
                    data, line = self._masked(data, texts)
                written.append((data, offset, line))
                offset += len(line)
            self._append([line for _, _, line in written])
            self.count += len(written)
            self.size = offset
        if not self._dirty and not self._held_back:
            self._dirty = True
            SYNCER.wrote(self)
        return written

    def _masked(self, data: RecordDict, texts: list[Any]) -> tuple[RecordDict, bytes]:
        """A record without secrets, and its line."""
        if self._harmless.make_up(texts):
            return data, _encode_plain(data)
        line = encode(data)
        if self.redactor.suspects(line):
            data = self.redactor.data(data)
            line = encode(data)
        return data, line

    def _append(self, lines: Sequence[bytes]) -> None:
        data = b"".join(lines)
        if self._held_back:
            self._held.append(data)
            if self.size + len(data) - self._written < self._held_back:
                return
            data = b"".join(self._held)
            self._held.clear()
        try:
            if not self._is_log(self._written):
                self._reopen()
            write_all(self._fd, data)
            self._written += len(data)
        except OSError as error:
            # What was held back cannot be tried again.
            if len(lines) == 1 or self._held_back:
                self._broken = error
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._written)
            raise FileError(_cannot_write(self.path, error)) from error

    def _reopen(self) -> None:
        """Opens the log again, whose descriptor provider code has closed.

        The old descriptor is not closed: it may be another file by now.
        """
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        if not os.path.samestat(os.fstat(fd), self._identity):
            os.close(fd)
            raise OSError(errno.ESTALE, "another file is in its place")
        self._fd = fd
        self._is_log = appended_to(fd)

    def close(
        self,
        termination: Termination | dict[str, Any] | None,
        totals: dict[str, Any],
        *,
        truncated: bool = False,
    ) -> Written | None:
        """Writes the trailer, syncs and closes; does nothing the second time."""
        with self._lock:
            if self._closed:
                return None
            ending = termination.as_dict() if isinstance(termination, Termination) else termination
            trailer = Trailer(
                closed_at=datetime.now(UTC).isoformat(),
                records=self.count + 1,
                termination=ending,
                totals=totals,
                truncated=truncated,
            )
            try:
                self._held_back = min(self._held_back, 1)  # the last one is written with the rest
                written = self.write(trailer)
            finally:
                self.abandon()
            return written

    def abandon(self) -> None:
        """Closes the file without a trailer; the log stays readable as an unfinished one.

        What was held back is not written. A file that not even a header could be written to is no
        log, and removed.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            _OPEN.discard(self)
            if self._is_log(self._written):
                SYNCER.close(self._fd)
            if self._broken is not None and not self.count:
                with contextlib.suppress(OSError):
                    self.path.unlink()
            self._release_lock()

    def _release_lock(self) -> None:
        self._file_lock.release()
        with contextlib.suppress(OSError):
            lock_path(self.path).unlink()

    def sync(self) -> None:
        """Calls fsync, unless the log is closed."""
        self._dirty = False
        if not self._closed and self._is_log(self._written):
            with contextlib.suppress(OSError):
                os.fsync(self._fd)

    def forget_in_child(self) -> None:
        """In a forked child: lets go of the log and its lock."""
        self.forked = True
        self._file_lock.forget_in_child()
        if not self._closed and self._is_log(self._written):
            with contextlib.suppress(OSError):
                os.close(self._fd)


def why_not_written(error: OSError) -> str:
    """Why a file cannot be written, in words."""
    return {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EFBIG: "the file would be larger than is allowed (ulimit -f)",
        errno.EACCES: "no permission to write there",
        errno.EPERM: "no permission to write there",
        errno.EROFS: "the file system is read-only",
        errno.EEXIST: "the file exists already, and logs are never overwritten",
        errno.ENOTDIR: "a part of the path is a file, not a folder",
        errno.ENAMETOOLONG: "the name is too long",
    }.get(error.errno or 0, error.strerror or str(error))


_OPEN: WeakSet[LogWriter] = WeakSet()
"""The logs that this process writes."""


def _forget_in_child() -> None:
    for writer in list(_OPEN):
        writer.forget_in_child()
    SYNCER.forget()


if hasattr(os, "register_at_fork"):
    # A child that provider code forks must not keep the lock after the engine has ended.
    os.register_at_fork(after_in_child=_forget_in_child)


def _cannot_write(path: Path, error: OSError) -> str:
    # The reason comes first: a status line may cut off a long path.
    reason = why_not_written(error)
    return f"cannot write the log: {reason}; choose another place with --out DIR ({path})"
