"""The steps of long logs, remembered in files of the user's cache folder.

A file is never the truth. It counts only for the program that wrote it, and for a log that begins
with the very bytes that were read: their number and their digest are compared. What is damaged or
foreign, or cannot be read or written, is as if it were not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import stat
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from convtui import __version__
from convtui.files.regular import open_regular, real_path
from convtui.log.descriptor import open_private

if TYPE_CHECKING:
    from hashlib import _Hash
    from io import BufferedReader

LIMIT: Final = 256 << 20
"""Bytes that all files may have together: those that were not used for the longest time go."""
_HEAD_SIZE: Final = 512
_SIZE: Final = struct.Struct(">I")
_PIECE: Final = 1 << 17
"""Bytes that are read at once: they stay in the processor's cache until they are digested."""
_DIGEST: Final = hashlib.sha256
"""Processors have instructions for it, which make it twice as fast as blake2b."""
_ENDING, _UNFINISHED = ".fold", ".part"
_ABANDONED: Final = 3600.0
"""Seconds after which nobody writes an unfinished file any more."""
_CODE: Final = (
    "log/*.py", "log/folding/*.py", "records/*.py", "scenario/simulators/*.py", "text/*.py",
    "text_checks/*.py", "transcript/*.py",
)  # fmt: skip
"""What decides what a log is folded to."""


class LogDigest:
    """The digest of a log up to its last complete line, from its pieces.

    A thread computes it, and does not keep the others from working.
    """

    def __init__(self, start: _Hash | None = None, size: int = 0) -> None:
        """Goes on from the digest of the first `size` bytes, if that is known."""
        self._hash = _DIGEST() if start is None else start
        self._size = size
        self._pieces: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="convtui-digest", daemon=True)
        self._thread.start()

    def add(self, piece: bytes) -> None:
        self._pieces.put(piece)

    def result(self) -> tuple[int, str]:
        """The number of bytes, and their digest. Nothing can be added any more."""
        self.close()
        return self._size, self._hash.hexdigest()

    def close(self) -> None:
        """Ends the thread, once it has taken in what was added."""
        self._pieces.put(None)
        self._thread.join()

    def _run(self) -> None:
        rest: list[bytes] = []
        while (piece := self._pieces.get()) is not None:
            end = piece.rfind(b"\n") + 1
            if end:
                for part in (*rest, piece[:end]):
                    self._hash.update(part)
                    self._size += len(part)
                rest.clear()
            rest.append(piece[end:])


class Remembered(NamedTuple):
    """The steps of a log, and what of it they are about."""

    steps: Sequence[memoryview]
    size: int
    """Bytes from the beginning of the log."""
    digest: _Hash


class FoldStore:
    """The files in one folder, at most one for each log."""

    def __init__(self, folder: Path, *, limit: int = LIMIT, program: str = "") -> None:
        self._folder = folder
        self._limit = limit
        self._program = program or program_digest()

    def path(self, log: Path) -> Path:
        """Where the steps of a log are."""
        name = hashlib.blake2b(os.fsencode(real_path(log)), digest_size=16).hexdigest()
        return self._folder / f"{name}{_ENDING}"

    def read(self, log: Path, file: BufferedReader) -> Remembered | None:
        """What is remembered of a log, whose beginning is in an open file; None if nothing is."""
        path = self.path(log)
        try:
            with open_regular(path) as saved:
                info = os.fstat(saved.fileno())
                head = self._head(saved.read(_HEAD_SIZE)) if _is_ours(info) else None
                if head is None or os.fstat(file.fileno()).st_size < head.log_size:
                    return None
                # Mapped, not read: steps go on to a pipe, and are nowhere else needed.
                mapped = mmap.mmap(saved.fileno(), 0, access=mmap.ACCESS_READ)
                comparison = _Comparison(file, head.log_size)
            content = memoryview(mapped)[_HEAD_SIZE:]
            same = _DIGEST(content).hexdigest() == head.content_digest
            digest = comparison.result()
            if not same or digest is None or digest.hexdigest() != head.log_digest:
                return None
            steps = [*_split(content)]
            os.utime(path)
        except (OSError, ValueError):
            return None
        return Remembered(steps, head.log_size, digest)

    def _head(self, data: bytes) -> _Head | None:
        try:
            head = json.loads(data)
            fields = _Head(**head)
        except (ValueError, TypeError, RecursionError):
            return None
        known = fields.program == self._program and type(fields.log_size) is int
        return fields if known and fields.log_size > 0 else None

    def write(self, log: Path) -> FoldWriter:
        """A file for the steps of a log, in place of the one that there may be."""
        return FoldWriter(self.path(log), self._program, self._make_room)

    def _make_room(self, size: int) -> bool:
        """Removes what has to go for another `size` bytes; whether there is room for them."""
        files = []
        for entry in os.scandir(self._folder):
            if entry.name.endswith(_ENDING):
                info = entry.stat(follow_symlinks=False)
                files.append((info.st_mtime, info.st_size, entry.path))
            elif entry.name.endswith(_UNFINISHED):
                age = time.time() - entry.stat(follow_symlinks=False).st_mtime
                if age > _ABANDONED:
                    Path(entry.path).unlink(missing_ok=True)
        total = size + sum(size for _, size, _ in files)
        for _, size_of_file, path in sorted(files):
            if total <= self._limit:
                break
            Path(path).unlink(missing_ok=True)
            total -= size_of_file
        return total <= self._limit


class _Head(NamedTuple):
    """The beginning of a file, as a line of JSON."""

    program: str
    log_size: int
    log_digest: str
    content_digest: str


class FoldWriter:
    """Writes the steps of a log while they are made. It fails silently."""

    def __init__(self, path: Path, program: str, make_room: Callable[[int], bool]) -> None:
        self._path = path
        self._program = program
        self._make_room = make_room
        self._part = path.with_suffix(f".{os.getpid()}{_UNFINISHED}")
        self._digest = _DIGEST()
        self._size = _HEAD_SIZE
        self._file: BinaryIO | None = None
        with self._dropping():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            self._file = os.fdopen(open_private(self._part, flags), "wb")
            self._file.write(b" " * _HEAD_SIZE)

    def add(self, step: bytes | memoryview) -> None:
        """The next step."""
        with self._dropping():
            if self._file is not None:
                for data in (_SIZE.pack(len(step)), step):
                    self._digest.update(data)
                    self._file.write(data)
                    self._size += len(data)

    def keep(self, log_size: int, log_digest: str) -> None:
        """Puts the file in place: its steps are about the first `log_size` bytes of the log."""
        with self._dropping():
            if self._file is None:
                return
            head = _Head(self._program, log_size, log_digest, self._digest.hexdigest())
            line = json.dumps(head._asdict()).encode()
            self._file.seek(0)
            self._file.write(line.ljust(_HEAD_SIZE))
            self._file.close()
            if len(line) <= _HEAD_SIZE and self._make_room(self._size):
                self._part.replace(self._path)
        self.drop()

    def drop(self) -> None:
        """Leaves nothing behind, unless it was kept."""
        file, self._file = self._file, None
        with contextlib.suppress(OSError):
            if file is not None:
                file.close()
            self._part.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self.drop()


class _Comparison:
    """Computes the digest of the beginning of a file, in a thread."""

    def __init__(self, file: BufferedReader, size: int) -> None:
        self._file = file
        self._size = size
        self._digest = _DIGEST()
        self._whole = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        left = self._size
        with contextlib.suppress(OSError):
            self._file.seek(0)
            piece = memoryview(bytearray(_PIECE))
            while left and (size := self._file.readinto(piece[:left])):
                self._digest.update(piece[:size])
                left -= size
        self._whole = not left

    def result(self) -> _Hash | None:
        """None if the file was shorter, or could not be read."""
        self._thread.join()
        return self._digest if self._whole else None


def _split(content: memoryview) -> Iterator[memoryview]:
    """The steps. Raises ValueError where one is cut off."""
    begin = 0
    while begin < len(content):
        if begin + _SIZE.size > len(content):
            raise ValueError("cut off")
        (size,) = _SIZE.unpack_from(content, begin)
        begin += _SIZE.size
        if begin + size > len(content):
            raise ValueError("cut off")
        yield content[begin : begin + size]
        begin += size


def _is_ours(info: os.stat_result) -> bool:
    """Whether a file can only have been written by this user."""
    if not stat.S_ISREG(info.st_mode):
        return False
    if not hasattr(os, "getuid"):
        return True
    return info.st_uid == os.getuid() and not info.st_mode & 0o077


def program_digest() -> str:
    """A digest of the code that folds: what another version has remembered does not count."""
    digest = hashlib.blake2b(
        f"{__version__} {sys.version} {sys.byteorder}".encode(), digest_size=16
    )
    package = Path(__file__).parents[2]
    for pattern in _CODE:
        for path in sorted(package.glob(pattern)):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
