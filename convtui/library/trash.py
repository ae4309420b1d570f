"""Runs that were deleted: their logs with all that belongs to them, to be put back at any time.

A batch is deleted as a whole: its folder.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from convtui.errors import FileError
from convtui.files.regular import is_file, open_regular
from convtui.log.lock import is_being_written
from convtui.log.names import LOCK, MANIFEST
from convtui.text.boundary import visible_line

_ORIGIN: Final = "origin.json"
_MAX_ORIGIN = 100_000


@dataclass(frozen=True, slots=True)
class Trashed:
    folder: Path
    """The folder in the trash that holds its files."""
    log: Path
    """Where its log was, and will be again; of a batch, its folder."""
    at: datetime

    @property
    def name(self) -> str:
        """The name of its log, or of its folder."""
        return self.log.name


def companions(log: Path) -> list[Path]:
    """The files that belong to a log: its wire, notes, tool results; whatever begins with its name
    and a dot, but for the lock. Raises `FileError`."""
    try:
        with os.scandir(log.parent) as entries:
            names = [e.name for e in entries if e.name.startswith(log.name + ".") and e.is_file()]
    except OSError as error:
        raise FileError(f"{log.parent}: cannot be read: {error.strerror}") from error
    return [log.with_name(name) for name in sorted(names) if name != log.name + LOCK]


class Trash:
    """The trash in `folder`, which is created with the first run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, log: Path) -> Trashed:
        """Moves a log and its companions here, or the folder of a batch: all, or none.

        Raises `FileError` for a run that is going on, one that is not there, and when a file
        cannot be moved.
        """
        log = log.absolute()
        batch = is_file(log / MANIFEST)
        if not batch and not is_file(log):
            raise FileError(f"{log}: there is no such log")
        if is_being_written(log / MANIFEST if batch else log):
            what = "batch" if batch else "run"
            raise FileError(f"{log}: this {what} is still going on: end it first")
        files = [log] if batch else [log, *companions(log)]
        now = datetime.now(UTC)
        # File systems count bytes, and a number may have to be put behind it.
        name = os.fsencode(f"{now:%Y%m%dT%H%M%SZ}_{log.stem if not batch else log.name}")[:200]
        folder = self._make_folder(name.decode("utf-8", "ignore"))
        origin = {"log": os.fspath(log), "at": now.isoformat()}
        try:
            (folder / _ORIGIN).write_text(json.dumps(origin), encoding="utf-8")
            _move_all([(file, folder / file.name) for file in files])
        except OSError as error:
            _remove(folder)
            raise FileError(
                f"{log}: was not moved to the trash: {error.strerror or error}"
            ) from error
        return Trashed(folder, log, now)

    def list(self) -> Sequence[Trashed]:
        """The runs in the trash, newest first; what cannot be read is left out."""
        try:
            with os.scandir(self.folder) as entries:
                folders = [Path(entry.path) for entry in entries if entry.is_dir()]
        except OSError:
            return []
        runs = [trashed for trashed in map(_read, folders) if trashed is not None]
        return sorted(runs, key=lambda trashed: (trashed.at, trashed.name), reverse=True)

    def restore(self, trashed: Trashed) -> Path:
        """Puts a run back where it was; returns its log. Nothing is ever overwritten.

        Raises `FileError` when something is in its place now, or a file cannot be moved.
        """
        try:
            with os.scandir(trashed.folder) as entries:
                names = sorted(entry.name for entry in entries if entry.name != _ORIGIN)
        except OSError as error:
            raise FileError(f"{trashed.name}: is not in the trash any more") from error
        if trashed.name not in names:
            raise FileError(f"{trashed.folder}: the log is not in it any more")
        moves = [(trashed.folder / name, trashed.log.with_name(name)) for name in names]
        for _, back in moves:
            if os.path.lexists(back):
                raise FileError(
                    f"{visible_line(str(back))}: is there already, and nothing is overwritten:"
                    " move it away first"
                )
        try:
            trashed.log.parent.mkdir(parents=True, exist_ok=True)
            _move_all(moves)
        except OSError as error:
            raise FileError(
                f"{trashed.log}: was not put back: {error.strerror or error}"
            ) from error
        _remove(trashed.folder)
        return trashed.log

    def _make_folder(self, name: str) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for number in range(1, 1000):
                folder = self.folder / (name if number == 1 else f"{name}_{number}")
                with contextlib.suppress(FileExistsError):
                    folder.mkdir(mode=0o700)
                    return folder
        except OSError as error:
            raise FileError(f"{self.folder}: no trash can be made: {error.strerror}") from error
        raise FileError(f"{self.folder}: there are too many runs of this name in the trash")


def _read(folder: Path) -> Trashed | None:
    try:
        with open_regular(folder / _ORIGIN) as file:
            origin = json.loads(file.read(_MAX_ORIGIN))
        log, at = Path(origin["log"]), datetime.fromisoformat(origin["at"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not log.is_absolute() or at.tzinfo is None or not (folder / log.name).exists():
        return None
    return Trashed(folder, log, at)


def _move_all(moves: Sequence[tuple[Path, Path]]) -> None:
    """Moves files; those that were moved go back when one cannot be."""
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            _move(source, target)
            done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            with contextlib.suppress(OSError):
                _move(target, source)
        raise


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_over(source, target)


def _copy_over(source: Path, target: Path) -> None:
    """Moves to another file system: the copy is whole before the original goes."""
    if source.is_dir():
        try:
            shutil.copytree(source, target)
        except OSError:
            shutil.rmtree(target, ignore_errors=True)
            raise
        shutil.rmtree(source, ignore_errors=True)
        return
    try:
        shutil.copy2(source, target)
        source.unlink()
    except OSError:
        with contextlib.suppress(OSError):
            if source.exists():
                target.unlink()
        raise


def _remove(folder: Path) -> None:
    """Takes away a folder that holds nothing but its origin."""
    with contextlib.suppress(OSError):
        if {path.name for path in folder.iterdir()} <= {_ORIGIN}:
            shutil.rmtree(folder)
