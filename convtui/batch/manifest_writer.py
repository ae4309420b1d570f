"""Writes a batch's manifest: one process at a time, a line at once, never rewritten."""

from __future__ import annotations

import contextlib
import os
import platform
import queue
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from convtui.batch.manifest import FORMAT, BatchCell, BatchFile, read_batch
from convtui.errors import BatchLocked, FileError
from convtui.files.regular import read_regular
from convtui.log.descriptor import open_private, write_all
from convtui.log.names import MANIFEST, lock_path
from convtui.records.codec import RecordDict, encode
from convtui.secrets.redactor import Redactor

SYNC_EVERY: Final = 1.0
"""Minimum seconds between two fsyncs, as of a log."""
_LOCK_WITHIN: Final = 0.2
"""Seconds to wait for the lock: who only looks whether it is held has it for a moment."""


class ManifestWriter:
    """Appends to the manifest of a folder, which is locked until `close()`.

    Lines are written by a thread in the order in which they come, and fsynced at most once a second
    and at the end; `batch` is what they say so far. `on_error` is called, in that thread, once
    writing has failed; nothing is written after it. Thread-safe.
    """

    def __init__(self, batch: BatchFile, lock: FileLock, redactor: Redactor, size: int) -> None:
        self.batch = batch
        self.on_error: Callable[[OSError], None] = lambda _: None
        self.broken: OSError | None = None
        self._lock = lock
        self._redactor = redactor
        self._size = size
        self._fd = open_private(batch.path, os.O_CREAT | os.O_APPEND)
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="convtui-manifest", daemon=True)
        self._thread.start()

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        batch_id: str,
        name: str,
        convtui: str,
        plan: dict[str, Any],
        digest: str,
        cells: Sequence[BatchCell],
        runs: int,
        redactor: Redactor | None = None,
    ) -> ManifestWriter:
        """Begins a batch in a folder, which is made where it is missing. Blocking.

        Raises `BatchLocked`, and `FileError` when there is a batch already or nothing can be
        written there.
        """
        lock = _locked(folder)
        redactor = redactor or Redactor.of_process()
        batch = BatchFile(folder)
        if batch.path.exists():
            lock.release()
            raise FileError(f"{folder}: there is a batch in this folder already")
        head = redactor.data(
            {
                "type": "batch",
                "format": FORMAT,
                "id": batch_id,
                "name": name,
                "convtui": convtui,
                "at": _now(),
                "plan": plan,
                "digest": digest,
                "cells": [cell.as_dict() for cell in cells],
                "runs": runs,
            }
        )
        batch.begin(head)
        try:
            # Whole or not at all: without its first line nothing in the folder can be read.
            _create(batch.path, encode(head))
            writer = cls(batch, lock, redactor, batch.path.stat().st_size)
        except OSError as error:
            lock.release()
            raise FileError(f"cannot write {batch.path}: {error.strerror or error}") from error
        writer._opened()
        return writer

    @classmethod
    def reopen(cls, folder: Path, *, redactor: Redactor | None = None) -> ManifestWriter:
        """Goes on with the batch of a folder. Blocking.

        What stands after the last whole line is cut off. Raises `BatchLocked`, and `FileError`
        where there is no batch or nothing can be written.
        """
        read_batch(folder)  # Before anything is made there.
        lock = _locked(folder)
        try:
            # Read again: another process may have gone on with it before we had the lock.
            batch = read_batch(folder)
            for entry in batch.entries.values():
                if entry.state in ("running", "held"):
                    entry.state, entry.hold = "crashed", None
            size = _whole_lines(batch.path)
            os.truncate(batch.path, size)
            writer = cls(batch, lock, redactor or Redactor.of_process(), size)
        except FileError:
            lock.release()
            raise
        except OSError as error:
            lock.release()
            path = folder / MANIFEST
            raise FileError(f"cannot write {path}: {error.strerror or error}") from error
        batch.running = True
        writer._opened()
        return writer

    def _opened(self) -> None:
        self.add("opened", pid=os.getpid(), host=platform.node())

    def add(self, kind: str, **fields: Any) -> RecordDict:
        """Appends a line, and takes it into `batch`; secrets in it are masked."""
        record: RecordDict = {"type": kind, "at": _now(), **fields}
        line = encode(record)
        if self._redactor.suspects(line):
            record = self._redactor.data(record)
            line = encode(record)
        self.batch.apply(record)
        self._lines.put(line)
        return record

    def close(self) -> None:
        """Writes and syncs what is left, and releases the folder. Blocking; harmless twice."""
        if not self._thread.is_alive():
            return
        self._lines.put(None)
        self._thread.join()
        with contextlib.suppress(OSError):
            os.fsync(self._fd)
        os.close(self._fd)
        self._lock.release()
        with contextlib.suppress(OSError):
            lock_path(self.batch.path).unlink()
        self.batch.running = False

    def _write(self) -> None:
        synced = 0.0
        dirty = False
        while True:
            wait = max(0.0, synced + SYNC_EVERY - time.monotonic()) if dirty else None
            try:
                line = self._lines.get(timeout=wait)
            except queue.Empty:
                with contextlib.suppress(OSError):
                    os.fsync(self._fd)
                synced, dirty = time.monotonic(), False
                continue
            if line is None:
                return
            dirty = self._append(line) or dirty

    def _append(self, line: bytes) -> bool:
        if self.broken is not None:
            return False
        try:
            write_all(self._fd, line)
        except OSError as error:
            self.broken = error
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            self.on_error(error)
            return False
        self._size += len(line)
        return True


def _locked(folder: Path) -> FileLock:
    path = folder / MANIFEST
    lock = FileLock(str(lock_path(path)), timeout=_LOCK_WITHIN, mode=0o600, thread_local=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        try:
            other = read_batch(folder)
        except FileError:
            other = BatchFile(folder)
        raise locked_by_other(other) from None
    except OSError as error:
        raise FileError(f"cannot write a batch to {folder}: {error.strerror or error}") from error
    return lock


def locked_by_other(batch: BatchFile) -> BatchLocked:
    """The refusal of a batch that another process runs."""
    where = f" on {batch.host}" if batch.host and batch.host != platform.node() else ""
    who = f"process {batch.pid}{where}" if batch.pid is not None else "another process"
    return BatchLocked(
        f"{batch.folder}: {who} runs this batch; wait for it or end it, or begin another one with"
        " --new",
        batch.pid,
    )


def _create(path: Path, line: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    fd = open_private(part, os.O_CREAT | os.O_TRUNC)
    try:
        write_all(fd, line)
        os.fsync(fd)
    finally:
        os.close(fd)
    part.replace(path)


def _whole_lines(path: Path) -> int:
    """The length of a file up to its last line feed."""
    return read_regular(path).rfind(b"\n") + 1


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
