"""The process that folds a log for another one: what it writes are a greeting and steps.

It ends when its standard input does, which belongs to the process that wants to know.
"""

from __future__ import annotations

import contextlib
import gc
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from convtui.errors import LogError
from convtui.files.regular import open_regular
from convtui.log.descriptor import write_all
from convtui.log.folding.store import FoldStore, FoldWriter, LogDigest, Remembered

if TYPE_CHECKING:
    from convtui.log.reader import LogReader

FRAME: Final = struct.Struct(">I")
"""The length of what follows."""
GREETING: Final = struct.Struct(">QQ")
"""Device and number of the file that is read."""
_TURNS: Final = 1000
_RECORDS: Final = 10_000
_SECONDS: Final = 0.1
"""What makes a step: none is more work for who takes it than a frame of the screen."""
_GROWN: Final = 16
"""A log that has grown by this part of it is remembered anew."""


def main() -> None:
    """Folds the log that the command line names; then a folder for what is remembered, or ""."""
    gc.disable()
    log, folder = sys.argv[1:3]
    store = FoldStore(Path(folder)) if folder else None
    folding = Folding(Path(log), store, _send, lambda: os.close(1))
    threading.Thread(target=_end_with_parent, args=(folding,), daemon=True).start()
    with contextlib.suppress(OSError, LogError):
        folding.run()
    folding.drop()


def _send(data: bytes | memoryview) -> None:
    write_all(1, FRAME.pack(len(data)))
    write_all(1, data)


def _end_with_parent(folding: Folding) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1024):
            pass
    folding.drop()
    os._exit(0)


class Folding:
    """Sends what is remembered of a log, reads the rest, and remembers that.

    `send` is given the greeting, then steps; `end` is called when there are no more.
    """

    def __init__(
        self,
        log: Path,
        store: FoldStore | None,
        send: Callable[[bytes | memoryview], object],
        end: Callable[[], object] = lambda: None,
    ) -> None:
        self._log = log
        self._store = store
        self._send = send
        self._end = end
        self._writer: FoldWriter | None = None

    def drop(self) -> None:
        """Leaves no unfinished file."""
        if self._writer is not None:
            self._writer.drop()

    def run(self) -> None:
        with open_regular(self._log) as file:
            info = os.fstat(file.fileno())
            self._send(GREETING.pack(info.st_dev, info.st_ino))
            known = self._store.read(self._log, file) if self._store is not None else None
        if known is not None:
            for step in known.steps:
                self._send(step)
            if known.size == info.st_size:
                return
        self._read_on(known, (info.st_dev, info.st_ino))

    def _read_on(self, known: Remembered | None, identity: tuple[int, int]) -> None:
        from convtui.log.folding.steps import take_step
        from convtui.log.reader import LogReader

        with LogReader(self._log) as reader:
            if reader.identity != identity:
                return
            for step in known.steps if known is not None else ():
                take_step(reader, step)
            self._fold(reader, known)

    def _fold(self, reader: LogReader, known: Remembered | None) -> None:
        if self._store is None or not self._worth_it(reader, known):
            for step in _steps(reader):
                self._send(step)
            self._end()
            return
        digest = LogDigest(known.digest, known.size) if known is not None else LogDigest()
        writer = self._writer = self._store.write(self._log)
        reader.on_piece = digest.add
        try:
            for old in known.steps if known is not None else ():
                writer.add(old)
            for step in _steps(reader):
                self._send(step)
                writer.add(step)
            # Nobody has to wait for the rest.
            self._end()
            size, of_log = digest.result()
            if size == reader.position:
                writer.keep(size, of_log)
        finally:
            digest.close()
            writer.drop()

    @staticmethod
    def _worth_it(reader: LogReader, known: Remembered | None) -> bool:
        return known is None or reader.size - known.size > known.size // _GROWN


def _steps(reader: LogReader) -> Iterator[bytes]:
    """Reads to the end; the first step comes at once."""
    from convtui.log.folding.steps import StepMaker

    maker = StepMaker(reader)
    transcript = reader.transcript
    records, made_at = transcript.records, 0.0
    more = True
    while more:
        more = reader.advance(0)
        new = transcript.records - records
        now = time.perf_counter()
        if more and len(reader.changed) < _TURNS and new < _RECORDS and now - made_at < _SECONDS:
            continue
        step = maker.make()
        if step is not None:
            yield step
            records, made_at = transcript.records, now


if __name__ == "__main__":
    main()
