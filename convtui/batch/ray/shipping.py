"""Logs on their way from a node to the batch's folder, as they grow."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from convtui.log.descriptor import open_private, write_all

_NOT_SHIPPED: Final = ".lock"
_PIECE: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file; one with `whole` takes the place of what there was."""

    name: str
    offset: int
    data: bytes
    whole: bool = False


class FolderWatch:
    """Reads what has been added to the files of a folder since the last time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, tuple[int, int]] = {}
        """By name: which file it is (its inode), and how much of it was read."""

    def growth(self) -> list[Piece]:
        """The pieces that are new. A file that was replaced, or cut, begins again. Blocking."""
        pieces: list[Piece] = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                if not entry.name.endswith(_NOT_SHIPPED) and entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):
                        pieces += self._of(entry)
        return pieces

    def _of(self, entry: os.DirEntry[str]) -> Iterator[Piece]:
        # DirEntry.stat() would be as of the scan; a log grows all the time.
        stat = os.stat(entry.path)  # noqa: PTH116 - thousands of times a second
        inode, start = self._seen.get(entry.name, (stat.st_ino, -1))
        whole = not (inode == stat.st_ino and 0 <= start <= stat.st_size)
        start = 0 if whole else start
        if start == stat.st_size and not whole:
            return
        with open(entry.path, "rb") as file:  # noqa: PTH123
            file.seek(start)
            while (data := file.read(min(_PIECE, stat.st_size - start))) or whole:
                yield Piece(entry.name, start, data, whole)
                start, whole = start + len(data), False
        self._seen[entry.name] = stat.st_ino, start


class Inbound:
    """Writes pieces into a folder, under the names that they are to have there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, pieces: Iterable[Piece]) -> None:
        """Writes them. Blocking; raises OSError, and ValueError for what is no file's name."""
        for piece in pieces:
            name = piece.name
            if not name or name in (".", "..") or set(name) & {"/", "\\", "\0"}:
                raise ValueError(f"a node sent a file with the name {name!r}")
            fd = open_private(self._folder / name, os.O_CREAT | os.O_WRONLY)
            try:
                if piece.whole:
                    os.ftruncate(fd, 0)
                os.lseek(fd, piece.offset, os.SEEK_SET)
                write_all(fd, piece.data)
            finally:
                os.close(fd)
