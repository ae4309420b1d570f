"""hermes' sessions come in: its database, its exports, its logs and its trajectories.

Sessions of a compression chain stay one: the log of a session that was begun with a summary names
the log of the session before as its parent. Messages that are in the history no more are turns that
say so. What the columns of a session say is in the header under `imported`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from convtui.errors import FileError
from convtui.log.formats.findings import EMPTY, UNREADABLE, Finding, finding_of
from convtui.log.formats.hermes import trajectory
from convtui.log.formats.hermes.database import Database, is_database
from convtui.log.formats.hermes.files import (
    Export,
    cli_log,
    gateway_log,
    is_cli_log,
    is_export,
    is_gateway_log,
    may_be_gateway_log,
)
from convtui.log.formats.hermes.sessions import Session, in_order
from convtui.log.formats.json_objects import is_empty
from convtui.log.formats.registry import Format, Imported, Listed, Source

DATABASE: Final = "state.db"


def detect(path: Path) -> bool:
    """Whether a file holds sessions of hermes, or a folder is one of its. Never raises."""
    if path.is_dir():
        return (path / DATABASE).is_file() or any(_is_file(file) for file in _files(path))
    return _is_file(path) or is_database(path)


def _is_file(path: Path) -> bool:
    return is_export(path) or is_cli_log(path) or is_gateway_log(path)


def _files(folder: Path) -> Iterator[Path]:
    for home in (folder, folder / "sessions"):
        if home.is_dir():
            yield from sorted(p for p in home.glob("*.json*") if p.is_file())


Reader: TypeAlias = Callable[[Path, list[Finding]], Iterable[Session]]
"""Gives the sessions of a file, and notes in the list what could not be read of it."""


class Sessions:
    """Sessions in files. What cannot be read, a whole file or a line, is named in `damage`."""

    damage: list[Finding]

    def __init__(self, files: list[tuple[Path, Reader]]) -> None:
        self._files = files
        self.damage = []

    def close(self) -> None:
        """Nothing is open between two calls."""

    def listed(self) -> list[Listed]:
        """Every session, in the order of the names of their files."""
        return [session.listed() for session in self._sessions()]

    def read(self, wanted: Collection[str] | None = None) -> Iterator[Imported]:
        """The wanted sessions, or all, in that order."""
        for session in self._sessions():
            if wanted is None or session.id in wanted:
                yield session.imported()

    def _sessions(self) -> Iterator[Session]:
        self.damage.clear()
        for path, read in self._files:
            try:
                yield from read(path, self.damage)
            except FileError as error:
                if len(self._files) == 1:
                    raise
                self.damage.append(finding_of(error, path, None, UNREADABLE))


def _in_export(path: Path, damage: list[Finding]) -> Iterator[Session]:
    export = Export(path)
    sessions = export.sessions()
    damage += export.damage
    yield from in_order(sessions, sessions)


def _in_cli_log(path: Path, damage: list[Finding]) -> Iterator[Session]:
    yield cli_log(path)


def _in_gateway_log(path: Path, damage: list[Finding]) -> Iterator[Session]:
    yield gateway_log(path)


def _in_empty(path: Path, damage: list[Finding]) -> Iterator[Session]:
    damage.append(Finding(path, "the file is empty", code=EMPTY))
    yield from ()


def source(path: Path) -> Source:
    """What is in a file or a folder, to choose from. Raises `FileError` for what is not known."""
    if path.is_dir():
        if (path / DATABASE).is_file():
            return Database(path / DATABASE)
        readers = [(file, _reader(file)) for file in _files(path)]
        files = [(file, read) for file, read in readers if read is not None]
        if all(read is _in_empty for _, read in files):
            raise FileError(f"{path}: no sessions of hermes in this folder")
        return Sessions(files)
    if is_export(path):
        return Export(path)
    if trajectory.may_be(path):
        return trajectory.Trajectories(path)
    read = _reader(path)
    if read is None and may_be_gateway_log(path):
        read = _in_gateway_log
    if read is not None and read is not _in_empty:
        return Sessions([(path, read)])
    if path.suffix.lower() in (".json", ".jsonl", ".gz"):
        raise FileError(
            f"{path}: is no export of hermes (sessions, one a line), no log of its command line or"
            " gateway, and no trajectories"
        )
    return Database(path)


def _reader(path: Path) -> Reader | None:
    if is_empty(path):
        return _in_empty
    if is_export(path):
        return _in_export
    if is_cli_log(path):
        return _in_cli_log
    return _in_gateway_log if is_gateway_log(path) else None


def read(path: Path) -> Iterator[Imported]:
    """Every session, parents before their children. Raises `FileError`."""
    opened = source(path)
    try:
        yield from opened.read()
    finally:
        opened.close()


FORMAT = Format(
    name="hermes",
    description="hermes' state.db, session exports (.jsonl), session logs, or a folder of them",
    detect=detect,
    read=read,
    source=source,
    keys=("session_id", "messages", "started_at", "source", "end_reason"),
)
