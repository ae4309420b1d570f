"""The library's index: an SQLite file beside the logs that answers for them. Never the source of
truth: what is in it was read from the logs and can be read again at any time.

    runs   one row a run: what a list shows, its sessions, its notes
    turns  one row a turn: what the filter language asks, without texts
    texts  shown text, raw reply where it differs, names of tools, what was printed
    batches  one row a batch in a folder of its own: what a list shows, as JSON
    said   full text of what was said, three letters at a time (FTS5); missing in some SQLites

A run that is read again gets a new number, so that the full text never has to forget anything: what
it still says of old numbers leads nowhere. Writers hold the database for a moment only; readers are
never held up (WAL). Every failure of the database is an `IndexFailure`: whoever asked reads the
logs instead.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from convtui.files.collecting import uncollected
from convtui.files.sqlite_errors import SQLITE_ERRORS
from convtui.library.index_file import (
    FILE,
    Matches,
    Stat,
    failing,
    is_damage,
    remove_index,
    scan,
    transaction,
)
from convtui.library.index_rows import (
    SUMMARY_ONLY,
    TEXT_COLUMNS,
    TURN_COLUMNS,
    WITH_TURNS,
    Wanted,
    fold_text,
    loaded,
    stored,
)
from convtui.library.index_summary import COLUMNS, from_row, to_row
from convtui.library.prefilter import ANYTHING, MATCHES, Condition
from convtui.log.lock import is_being_written
from convtui.log.names import LOCK
from convtui.log.run_summary import RunSummary

if TYPE_CHECKING:
    from convtui.library.run_rows import RunRows

VERSION: Final = 6
"""Raised with every change of what is kept: an index of another version is made again."""
_BUSY = 15.0
"""Seconds that another process may hold the database."""
_BATCH = 400
"""Runs that are written at once."""
_BATCH_TURNS = 4000
_STALE = 50_000
"""Forgotten turns that the full text may still know before it is made again."""
Progress = Callable[[int, int], None]
"""Told how many of how many runs were read."""
_ROW: Final = (
    "id", "name", "size", "mtime", "notes_size", "notes_mtime", "depth", "sessions", "notes",
    "noted", "corrected", *COLUMNS,
)  # fmt: skip
_LIST: Final = "SELECT {} FROM runs".format(
    ", ".join(("name", "size", "mtime", "notes_size", "notes_mtime", "depth", *COLUMNS))
)
_TABLES: Final = (
    f"CREATE TABLE runs ({', '.join(_ROW).replace('id, name', 'id INTEGER PRIMARY KEY, name UNIQUE', 1)})",  # noqa: E501
    f"CREATE TABLE turns ({', '.join(TURN_COLUMNS).replace('id', 'id INTEGER PRIMARY KEY', 1)})",
    f"CREATE TABLE texts ({', '.join(TEXT_COLUMNS).replace('id', 'id INTEGER PRIMARY KEY', 1)})",
    # The only number that is never given twice, also when the newest run goes.
    "CREATE TABLE numbers (last INTEGER, forgotten INTEGER)",
    "INSERT INTO numbers VALUES (0, 0)",
    "CREATE TABLE batches (name PRIMARY KEY, size, mtime, summary)",
)
_FULL_TEXT: Final = (
    "CREATE VIRTUAL TABLE said USING fts5"
    "(folded, content='', detail=none, tokenize='trigram case_sensitive 1')"
)
# Merging what each write has added takes as long as adding it, and saves a search nothing: SQLite
# still does it once there is too much to merge.
_MERGED_LATE: Final = "INSERT INTO said (said, rank) VALUES ('automerge', 0)"


class Index:
    """The index of one folder of logs. Use it in one thread, and close it.

    `full_text` False does without FTS5. Raises `IndexFailure` from everything.
    """

    def __init__(self, folder: Path, *, full_text: bool = True) -> None:
        self.folder = folder
        self.path = folder / FILE
        self._wants_full_text = full_text
        self._file = os.fspath(folder) + os.sep
        with failing():
            try:
                self._db = self._open()
            except SQLITE_ERRORS as error:
                if not is_damage(error):
                    raise
                remove_index(self.folder)
                self._db = self._open()
        self.full_text = full_text and self._has("said")

    def close(self) -> None:
        with suppress(*SQLITE_ERRORS):
            self._db.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the file

    def _open(self) -> sqlite3.Connection:
        if not self.path.exists():
            # Made here, not by SQLite, which would let others read it.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None)
        try:
            db.execute("PRAGMA synchronous = OFF")
            db.execute("PRAGMA temp_store = MEMORY")
            if db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                with suppress(sqlite3.OperationalError):
                    # Refused while another process does the same: it does it for both.
                    db.execute("PRAGMA journal_mode = WAL")
                self._make(db)
            # What is damaged shows here, not in the middle of an answer.
            db.execute("SELECT count(*) FROM (SELECT id FROM runs LIMIT 1)").fetchone()
        except BaseException:
            db.close()
            raise
        return db

    def _make(self, db: sqlite3.Connection) -> None:
        with transaction(db):
            if db.execute("PRAGMA user_version").fetchone()[0] == VERSION:
                return  # another process was faster
            tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            names = [name for (name,) in tables]
            for name in sorted(names, key=lambda name: name != "said"):
                if not name.startswith(("said_", "sqlite_")):
                    db.execute('DROP TABLE IF EXISTS "{}"'.format(name.replace('"', '""')))
            for statement in _TABLES:
                db.execute(statement)
            if self._wants_full_text:
                with suppress(sqlite3.OperationalError):
                    _make_full_text(db)
            db.execute(f"PRAGMA user_version = {VERSION}")

    def _has(self, table: str) -> bool:
        with failing():
            rows = self._db.execute(
                "SELECT 1 FROM sqlite_master WHERE name = ? AND type = 'table'", (table,)
            )
            return rows.fetchone() is not None

    # --- keeping up with the logs

    def listing(
        self,
        *,
        turns: bool = False,
        progress: Progress | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> list[RunSummary]:
        """Every run, the last written first, after the index was updated from the folder.

        With `turns` the turns of every run are indexed too. `progress` is called after each run
        that was read, `stop` before.
        """
        with uncollected():
            locks, logs, notes = scan(self.folder)
            rows, gone, wanted = self._compare(logs, notes, turns)
            if not (gone or wanted):
                return self._summaries(rows, locks)
        with failing():
            if gone:
                self._forget(gone)
            self._read(wanted, progress, stop)
        with uncollected(), failing():
            rows = self._db.execute(_LIST).fetchall()
            return self._summaries(rows, locks)

    def _compare(
        self, logs: dict[str, Stat], notes: dict[str, Stat], turns: bool
    ) -> tuple[list[tuple[Any, ...]], list[str], list[Wanted]]:
        """All rows, the runs that are gone, and the runs to read."""
        nothing = (0, 0)
        gone: list[str] = []
        wanted: list[Wanted] = []
        with failing():
            rows = self._db.execute(_LIST).fetchall()
            for row in rows:
                name = loaded(row[0])
                stat, depth = logs.pop(name, None), row[5]
                if stat is None:
                    gone.append(name)
                elif (
                    stat != row[1:3]
                    or (depth == SUMMARY_ONLY and turns)
                    or row[3:5] != notes.get(name, nothing)
                ):
                    # What was looked up once in a run is kept up to date for all of it.
                    wanted.append(Wanted(name, turns or depth != SUMMARY_ONLY, stat[0]))
        wanted += [Wanted(name, turns, size) for name, (size, _) in logs.items()]
        return rows, gone, wanted

    def _summaries(self, rows: Sequence[Sequence[Any]], locks: set[str]) -> list[RunSummary]:
        folder = self._file

        def running(file: str) -> bool:
            lock = file + LOCK
            return lock[len(folder) :] in locks and is_being_written(Path(file))

        summaries = [from_row(folder + loaded(row[0]), row[1], row[6:], running) for row in rows]
        # Twice is faster than once by both: neither makes a tuple for every run.
        summaries.sort(key=attrgetter("file"))
        summaries.sort(key=attrgetter("modified"), reverse=True)
        return summaries

    def _read(
        self,
        wanted: Sequence[Wanted],
        progress: Progress | None,
        stop: Callable[[], bool],
    ) -> None:
        # What only lists runs has nothing to read as a rule.
        from convtui.library.indexing import read_all

        batch: list[RunRows] = []
        turns = done = 0
        with closing(read_all(self.folder, wanted)) as read:
            while not stop() and (result := next(read, None)) is not None:
                count, runs = result
                batch += runs
                turns += sum(len(rows.turns) for rows in runs)
                if len(batch) >= _BATCH or turns >= _BATCH_TURNS:
                    self._write(batch)
                    batch, turns = [], 0
                done += count
                if progress is not None:
                    progress(done, len(wanted))
        self._write(batch)

    def refresh_run(self, name: str) -> None:
        """Reads one run again after its log or its notes have changed."""
        from convtui.library.run_rows import read_run, stat_of

        with failing():
            if stat_of(self.folder / name) == (0, 0):
                self._forget([name])
                return
            row = self._db.execute(
                "SELECT depth FROM runs WHERE name = ?", (stored(name),)
            ).fetchone()
            deep = row is not None and row[0] != SUMMARY_ONLY
            self._write([read_run(self.folder / name, turns=deep)])

    def _write(self, batch: Sequence[RunRows]) -> None:
        if not batch:
            return
        db = self._db
        with transaction(db):
            batch = [rows for rows in batch if not self._has_run(rows)]
            self._drop([rows.summary.name for rows in batch])
            last = db.execute("SELECT last FROM numbers").fetchone()[0]
            numbered = list(enumerate(batch, last + 1))
            self._insert("runs", len(_ROW), (_run_row(*run) for run in numbered))
            self._insert("turns", len(TURN_COLUMNS), _with_ids(numbered, attrgetter("turns")))
            self._insert("texts", len(TEXT_COLUMNS), _with_ids(numbered, attrgetter("texts")))
            if self._wants_full_text and self._has("said"):
                texts = _with_ids(numbered, attrgetter("texts"))
                db.executemany(
                    "INSERT INTO said (rowid, folded) VALUES (?, ?)",
                    ((row[0], fold_text(loaded(row[1]))) for row in texts),
                )
            db.execute("UPDATE numbers SET last = last + ?", (len(batch),))
            self._tidy()

    def _has_run(self, run: RunRows) -> bool:
        """Whether another process has written the same meanwhile."""
        row = self._db.execute(
            "SELECT 1 FROM runs WHERE (name, size, mtime, notes_size, notes_mtime)"
            " = (?, ?, ?, ?, ?) AND depth >= ?",
            (
                stored(run.summary.name),
                run.summary.size,
                run.mtime,
                *run.notes_stat,
                run.depth,
            ),
        ).fetchone()
        return row is not None

    def _insert(self, table: str, columns: int, rows: Iterable[tuple[Any, ...]]) -> None:
        values = ",".join("?" * columns)
        self._db.executemany(f"INSERT INTO {table} VALUES ({values})", rows)

    def _forget(self, names: Sequence[str] | set[str]) -> None:
        with transaction(self._db):
            self._drop(names)

    def _drop(self, names: Sequence[str] | set[str]) -> None:
        for name in names:
            numbers = self._db.execute("SELECT id FROM runs WHERE name = ?", (stored(name),))
            for (number,) in numbers.fetchall():
                self._db.execute("DELETE FROM runs WHERE id = ?", (number,))
                span = (number << 24, (number + 1) << 24)
                self._db.execute("DELETE FROM texts WHERE id >= ? AND id < ?", span)
                gone = self._db.execute("DELETE FROM turns WHERE id >= ? AND id < ?", span)
                self._db.execute("UPDATE numbers SET forgotten = forgotten + ?", (gone.rowcount,))

    def _tidy(self) -> None:
        """Rebuilds the full text when most of it is about turns that are gone."""
        if not self._has("said"):
            return
        forgotten = self._db.execute("SELECT forgotten FROM numbers").fetchone()[0]
        if forgotten < _STALE:
            return
        if forgotten < self._db.execute("SELECT count(*) FROM texts").fetchone()[0]:
            return
        self._db.execute("DROP TABLE said")
        _make_full_text(self._db)
        texts = self._db.execute("SELECT id, text FROM texts")
        self._db.executemany(
            "INSERT INTO said (rowid, folded) VALUES (?, ?)",
            ((number, fold_text(loaded(text))) for number, text in texts),
        )
        self._db.execute("UPDATE numbers SET forgotten = 0")

    # --- batches

    def batches(self) -> dict[str, tuple[Stat, str]]:
        """By folder name: the manifest's state when it was read, and what was made of it."""
        with failing():
            rows = self._db.execute("SELECT name, size, mtime, summary FROM batches").fetchall()
            return {loaded(name): ((size, mtime), loaded(text)) for name, size, mtime, text in rows}

    def keep_batches(self, read: Mapping[str, tuple[Stat, str]], gone: Iterable[str]) -> None:
        """Keeps what was read of batches, and forgets those that are gone."""
        with failing(), transaction(self._db):
            self._db.executemany(
                "DELETE FROM batches WHERE name = ?", ((stored(name),) for name in gone)
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?)",
                ((stored(name), *stat, stored(text)) for name, (stat, text) in read.items()),
            )

    # --- queries

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Queries inside see one moment, whatever others write meanwhile."""
        with failing():
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                with suppress(*SQLITE_ERRORS):
                    self._db.execute("COMMIT")

    def with_turns(self, *, sessions: bool = True) -> dict[str, tuple[int, str, str]]:
        """The runs whose turns are here: number, sessions (where wanted) and notes by file name."""
        wanted = "sessions" if sessions else "''"
        query = f"SELECT name, id, {wanted}, CASE WHEN noted THEN notes ELSE '' END FROM runs"
        with failing():
            rows = self._db.execute(f"{query} WHERE depth = ?", (WITH_TURNS,))
            return {loaded(name): (number, some, notes) for name, number, some, notes in rows}

    def candidates(
        self,
        condition: Condition,
        numbers: Iterable[int] | None,
        *,
        texts: bool,
        first: bool = False,
    ) -> Iterator[tuple[int, Sequence[Any], Sequence[Any] | None]]:
        """The turns that pass a condition, of some runs or (None) of all: the run's number, the
        turn, its texts.

        Run by run; with `first` only one turn of each.
        """
        db = self._db
        columns = [f"t.{name}" for name in TURN_COLUMNS]
        joined = "turns t JOIN texts x ON x.id = t.id"
        if texts:
            columns += [f"x.{name}" for name in TEXT_COLUMNS[1:]]
        conditions = [condition.sql] if condition.sql else []
        if numbers is not None:
            conditions.insert(0, "(t.id >> 24) IN (SELECT id FROM temp.asked)")
        where = " AND ".join(conditions) or "1"
        if first:
            source = joined if condition.texts else "turns t"
            where = f"t.id IN (SELECT min(t.id) FROM {source} WHERE {where} GROUP BY t.id >> 24)"
        source = joined if texts or (condition.texts and not first) else "turns t"
        split = len(TURN_COLUMNS)
        with failing():
            db.create_function(MATCHES, 2, Matches(), deterministic=True)
            if numbers is not None:
                db.execute("CREATE TABLE IF NOT EXISTS temp.asked (id INTEGER PRIMARY KEY)")
                db.execute("DELETE FROM temp.asked")
                db.executemany("INSERT INTO temp.asked VALUES (?)", ((n,) for n in numbers))
            query = f"SELECT {', '.join(columns)} FROM {source} WHERE {where} ORDER BY t.id"
            for row in db.execute(query, condition.values):
                yield row[0] >> 24, row, row[split:] if texts else None

    def turns_of(self, name: str) -> tuple[str, str, list[tuple[Sequence[Any], Sequence[Any]]]]:
        """Sessions, notes, and all turns of one run; empty ones where they are not here."""
        with failing():
            run_row = self._db.execute(
                "SELECT id, sessions, notes FROM runs WHERE name = ? AND depth = ?",
                (stored(name), WITH_TURNS),
            ).fetchone()
        if run_row is None:
            return "[]", "{}", []
        rows = self.candidates(ANYTHING, [run_row[0]], texts=True)
        return run_row[1], run_row[2], [(row, text or ()) for _, row, text in rows]


def _run_row(number: int, run: RunRows) -> tuple[Any, ...]:
    return (
        number, stored(run.summary.name), run.summary.size, run.mtime, *run.notes_stat, run.depth,
        run.sessions, run.notes, run.noted, run.corrected, *to_row(run.summary),
    )  # fmt: skip


def _with_ids(
    numbered: Iterable[tuple[int, RunRows]],
    rows_of: Callable[[RunRows], Iterable[tuple[Any, ...]]],
) -> Iterator[tuple[Any, ...]]:
    """The rows of runs' turns, with ids in the place of indexes."""
    for number, run in numbered:
        first = number << 24
        for row in rows_of(run):
            yield (first + row[0], *row[1:])


def _make_full_text(db: sqlite3.Connection) -> None:
    db.execute(_FULL_TEXT)
    db.execute(_MERGED_LATE)
