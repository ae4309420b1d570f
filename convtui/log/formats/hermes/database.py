"""hermes' database, `state.db`: opened so that nothing in it or beside it is changed.

Columns are read by name, and those that a schema does not have are done without. The file is from
somebody else: only its tables are read, never a view, and no value above `MAX_VALUE`.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from convtui.errors import FileError
from convtui.files.regular import open_regular
from convtui.files.sqlite_errors import SQLITE_ERRORS, text_of
from convtui.log.formats.chat.messages import Message, message_of
from convtui.log.formats.findings import Finding
from convtui.log.formats.hermes.sessions import Session, columns_of, in_order, link
from convtui.log.formats.registry import Imported, Listed

MAX_VALUE: Final = 64 << 20
"""Bytes that a value may have."""
_MAGIC: Final = b"SQLite format 3\x00"
_WAL: Final = 2
_TRIES: Final = 3
_PREVIEW: Final = 80


def is_database(path: Path) -> bool:
    """Whether a file is a SQLite database that has tables as hermes' has them. Never raises."""
    if not _head(path).startswith(_MAGIC):
        return False
    try:
        with closing(Database(path)):
            return True
    except FileError:
        return False


def _head(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(100)
    except OSError:
        return b""


class Database:
    """The sessions of a database. Raises `FileError` for what is none of hermes'."""

    damage: list[Finding]
    """What could not be read, while it was gone through."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage = []
        self._unchanged: tuple[Any, ...] | None = None
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        try:
            self._connection = self._open()
            self._tables = {name: self._columns(name) for name in ("sessions", "messages")}
            self.schema = self._schema()
        except BaseException as error:
            self.close()
            if isinstance(error, (*SQLITE_ERRORS, OSError)):
                problem = str(error) if isinstance(error, OSError) else text_of(error)
                raise FileError(f"{path}: cannot be read as a database: {problem}") from error
            raise
        self._sessions: dict[str, Session] | None = None

    def close(self) -> None:
        """Closes it, and removes the copy where there was one."""
        if hasattr(self, "_connection"):
            self._connection.close()
        if self._copy is not None:
            self._copy.cleanup()

    # --- opening

    def _open(self) -> sqlite3.Connection:
        """A connection that creates nothing beside the file.

        SQLite creates files beside a database that keeps a write-ahead log even to read it, unless
        it is told that the database does not change. With a log beside it somebody may be writing:
        then the index that is there is used, and without one a copy is read.
        """
        head = _head(self.path)
        if not head.startswith(_MAGIC):
            raise FileError(f"{self.path}: is no SQLite database")
        wal = self.path.with_name(self.path.name + "-wal")
        index = self.path.with_name(self.path.name + "-shm")
        journal = self.path.with_name(self.path.name + "-journal")
        if _WAL in head[18:20]:
            if not _has(wal):
                self._unchanged = _stamp(self.path, wal)
                return _connect(self.path, "mode=ro&immutable=1")
            if not index.exists():
                return self._copied(wal)
        elif _has(journal):
            return self._copied(journal)
        try:
            return _connect(self.path, "mode=ro")
        except sqlite3.OperationalError:
            return self._copied(wal if _WAL in head[18:20] else journal)

    def _copied(self, beside: Path) -> sqlite3.Connection:
        """A connection to a copy of the database and of the log beside it."""
        self._copy = tempfile.TemporaryDirectory(prefix="convtui-")
        copy = Path(self._copy.name) / "state.db"
        for _ in range(_TRIES):
            before = _stamp(self.path, beside)
            shutil.copyfile(self.path, copy)
            kept = copy.with_name(copy.name + beside.name.removeprefix(self.path.name))
            kept.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                shutil.copyfile(beside, kept)
            if _stamp(self.path, beside) == before:
                return _connect(copy, "mode=rw")
        raise FileError(f"{self.path}: is being written all the time: try again")

    def _columns(self, table: str) -> list[str]:
        """The columns of a table. Raises `FileError` where it is missing, or is no plain table."""
        row = self._connection.execute(
            "SELECT type, sql FROM sqlite_master WHERE name = ? COLLATE NOCASE", (table,)
        ).fetchone()
        if row is None:
            raise FileError(f"{self.path}: is no database of hermes: it has no table {table}")
        if row[0] != "table" or "VIRTUAL" in str(row[1]).upper().split("(", 1)[0].split():
            raise FileError(f"{self.path}: {table} is no plain table; it is not read")
        names = [
            str(column[1]) for column in self._connection.execute(f"PRAGMA table_info({table})")
        ]
        for needed in {"sessions": ("id",), "messages": ("session_id", "role")}[table]:
            if needed not in names:
                raise FileError(
                    f"{self.path}: is no database of hermes: {table} has no column {needed}"
                )
        return names

    def _schema(self) -> int | None:
        with suppress(*SQLITE_ERRORS):
            row = self._connection.execute(
                "SELECT version FROM schema_version WHERE EXISTS (SELECT 1 FROM sqlite_master"
                " WHERE name = 'schema_version' AND type = 'table') LIMIT 1"
            ).fetchone()
            return row[0] if row is not None and isinstance(row[0], int) else None
        return None

    # --- what is in it

    def listed(self) -> list[Listed]:
        """Every session, the newest first."""
        return [session.listed() for session in self.sessions().values()]

    def read(self, wanted: Collection[str] | None = None) -> Iterator[Imported]:
        """The wanted sessions, or all, parents before their children.

        Those that a session was compressed from come with it. Raises `FileError` when the file was
        written while it was read.
        """
        sessions = self.sessions()
        for session in in_order(sessions, sessions if wanted is None else wanted):
            try:
                yield session.imported()
            except SQLITE_ERRORS as error:
                message = f"session {session.id}: cannot be read: {text_of(error)}"
                self.damage.append(Finding(self.path, message, code="damaged"))
        wal = self.path.with_name(self.path.name + "-wal")
        if self._unchanged is not None and _stamp(self.path, wal) != self._unchanged:
            raise FileError(f"{self.path}: was written while it was read: import it again")

    def sessions(self) -> dict[str, Session]:
        """Every session by its id, the newest first. Raises `FileError`."""
        if self._sessions is not None:
            return self._sessions
        sessions: dict[str, Session] = {}
        order = "started_at DESC, rowid" if "started_at" in self._tables["sessions"] else "rowid"
        try:
            counts = dict(
                self._connection.execute(
                    "SELECT session_id, COUNT(*) FROM messages GROUP BY session_id"
                ).fetchall()
            )
            rows = self._connection.execute(f"SELECT * FROM sessions ORDER BY {order}")
            for row in self._rows(rows):
                id_ = str(row.get("id") or "")
                if not id_ or id_ in sessions:
                    message = "a session without an id of its own"
                    self.damage.append(Finding(self.path, message, code="no_id"))
                    continue
                sessions[id_] = self._session(id_, row, counts.get(id_, 0))
        except SQLITE_ERRORS as error:
            raise FileError(
                f"{self.path}: cannot be read as a database: {text_of(error)}"
            ) from error
        link(sessions)
        self._sessions = sessions
        return sessions

    def _session(self, id_: str, row: dict[str, Any], count: int) -> Session:
        prompt = row.get("system_prompt")
        about_file: dict[str, Any] = {"schema_version": self.schema}
        if not row.get("title"):
            about_file["preview"] = self._preview(id_)
        return Session(
            id_,
            columns_of(row, without=("system_prompt",)),
            _Messages(self, id_),
            self.path,
            {"system": {"content": prompt}} if prompt else {},
            count=count,
            about_file=about_file,
        )

    def _preview(self, session: str) -> str:
        if "content" not in self._tables["messages"]:
            return ""
        row = self._connection.execute(
            f"SELECT substr(content, 1, {_PREVIEW}) FROM messages WHERE session_id = ?"
            f" AND role = 'user' ORDER BY {self._by} LIMIT 1",
            (session,),
        ).fetchone()
        return row[0] if row is not None and isinstance(row[0], str) else ""

    @property
    def _by(self) -> str:
        return "id" if "id" in self._tables["messages"] else "rowid"

    def messages(self, session: str) -> Iterator[Message | Finding]:
        """The messages of a session in the order in which they were written."""
        try:
            rows = self._connection.execute(
                f"SELECT * FROM messages WHERE session_id = ? ORDER BY {self._by}", (session,)
            )
            for number, row in enumerate(self._rows(rows), 1):
                yield message_of(row, f"message {row.get('id', number)}")
        except SQLITE_ERRORS as error:
            message = f"the database is damaged here, the rest cannot be read: {text_of(error)}"
            yield Finding(self.path, message, code="damaged")

    @staticmethod
    def _rows(cursor: sqlite3.Cursor) -> Iterator[dict[str, Any]]:
        names = [column[0] for column in cursor.description]
        for row in cursor:
            yield dict(zip(names, row, strict=True))


class _Messages:
    """The messages of a session, read when they are asked for."""

    __slots__ = ("_database", "_session")

    def __init__(self, database: Database, session: str) -> None:
        self._database, self._session = database, session

    def __call__(self) -> Iterator[Message | Finding]:
        return self._database.messages(self._session)


def _connect(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{how}", uri=True, isolation_level=None
    )
    try:
        connection.text_factory = _decoded
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
        # What a foreign schema says about functions is not carried out.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


_decoded: Callable[[bytes], str] = lambda raw: raw.decode("utf-8", "surrogateescape")  # noqa: E731


def _has(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _stamp(*paths: Path) -> tuple[Any, ...]:
    stamps: list[Any] = []
    for path in paths:
        try:
            stat = path.stat()
            stamps.append((stat.st_size, stat.st_mtime_ns))
        except OSError:
            stamps.append(None)
    return tuple(stamps)
