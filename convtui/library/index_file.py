"""What the library's index does with its file, its database and the folder beside it."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from convtui.errors import IndexFailure
from convtui.files.sqlite_errors import SQLITE_ERRORS, SqliteError, text_of
from convtui.library.index_rows import loaded
from convtui.log.names import LOCK, MANIFEST, NOTES
from convtui.log.run_summary import COMPANIONS

FILE: Final = ".library.sqlite3"
Stat = tuple[int, int]
"""Size and time of the last change, in nanoseconds."""
_MOST: Final = (1 << 63) - 1


class Matches:
    """`pattern_matches(pattern, text)`, as the filter language finds a pattern."""

    def __init__(self) -> None:
        self._patterns: dict[str, re.Pattern[str]] = {}

    def __call__(self, pattern: str, text: str | bytes | None) -> bool:
        compiled = self._patterns.get(pattern)
        if compiled is None:
            compiled = self._patterns[pattern] = re.compile(pattern, re.IGNORECASE)
        return text is not None and compiled.search(loaded(text)) is not None


def stamp(info: os.stat_result) -> Stat:
    """Size and time of a file, as SQLite can keep them."""
    return info.st_size, min(max(info.st_mtime_ns, -_MOST - 1), _MOST)


def remove_index(folder: Path) -> None:
    """Deletes the index of a folder: it is rebuilt from the logs."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        (folder / (FILE + suffix)).unlink(missing_ok=True)


def scan(folder: Path) -> tuple[set[str], dict[str, Stat], dict[str, Stat]]:
    """The locks in a folder, the logs with size and time, and those of their notes by log."""
    locks: set[str] = set()
    logs: dict[str, Stat] = {}
    notes: dict[str, Stat] = {}
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if not name.endswith(".jsonl"):
                if name.endswith(LOCK):
                    locks.add(name)
                continue
            if name == MANIFEST:
                continue
            companion = name.endswith(COMPANIONS)
            if companion and not name.endswith(NOTES):
                continue
            try:
                info = entry.stat()
                stat = stamp(info)
            except OSError:
                stat = (0, 0)
            if companion:
                notes[name.removesuffix(NOTES)] = stat
            else:
                logs[name] = stat
    return locks, logs, notes


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Writes all that is written inside, or nothing of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(*SQLITE_ERRORS):
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


@contextmanager
def failing() -> Iterator[None]:
    """Raises database errors as `IndexFailure`."""
    try:
        yield
    except SQLITE_ERRORS as error:
        raise IndexFailure(text_of(error), damaged=is_damage(error)) from error
    except OSError as error:
        raise IndexFailure(str(error) or type(error).__name__) from error


def is_damage(error: SqliteError) -> bool:
    """Whether rebuilding helps: the file is no database, or not one of ours."""
    if isinstance(error, UnicodeDecodeError):
        return True
    code = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return True
    return code == "SQLITE_ERROR" and "no such" in str(error)
