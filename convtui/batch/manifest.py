"""What a batch's manifest says: `batch.jsonl` beside the logs of its conversations.

Append-only JSON Lines. The first line is the plan, `{type: batch, format, id, convtui, at, plan,
digest, cells, runs, name}`; each later one has `type` and `at`:

| type | fields |
| --- | --- |
| opened | pid, host: a process runs the batch from here on |
| resumed | finished, continued, anew, changed: counts of conversations, names of changed cells |
| cells | cells, runs, digest, plan: what a resume with another plan asks for; changed: names |
| started | key, log, worker, attempt, continues: log that it goes on from, or null |
| held, released | key; reason, hold |
| ended | key, log, status, termination, totals: both as in the log's trailer; row: its last one |
| rerun | key, because, log: until its worker died; asked: true where it had ended |
| adopted | key, log, pid: it goes on in this log, in an engine of its own |
| blocked | key, worker, seconds, where: its code blocked all others there; delayed: their keys |
| stopped | why: no conversation is started any more |
| finished | |

`log` is a file name in the folder. Reading folds the lines into a `BatchFile`; a running batch
folds what it writes with the same `apply()`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from convtui.batch.entry import CHANGES, Entry, EntryState, counts, is_asked
from convtui.batch.keys import Key
from convtui.errors import FileError, NewerError
from convtui.files.regular import read_regular
from convtui.log.lock import is_being_written
from convtui.log.names import MANIFEST
from convtui.log.run_summary import number
from convtui.records.codec import RecordDict, decode, fast_decoder
from convtui.records.times import parse_time
from convtui.records.values import as_list, as_object, as_text

__all__ = ["BatchCell", "BatchFile", "Entry", "EntryState", "counts", "read_batch"]

FORMAT: Final = 1
_MOST: Final = 1_000_000
"""Conversations that a manifest may announce; more is damage."""

_MANY: Final = 5_000
"""Lines from which the faster decoder saves more than its import takes."""


@dataclass(slots=True)
class BatchCell:
    """One cell of the plan, as the manifest keeps it."""

    number: int
    name: str
    persona: str
    provider: str
    sessions: list[str]
    settings: dict[str, Any]
    """The `set` of the plan that makes this cell; without secrets."""
    digest: str
    error: str | None = None
    """Why it cannot be run."""

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the manifest's first line."""
        data = {name: getattr(self, name) for name in self.__slots__}
        if self.error is None:
            del data["error"]
        return data

    @classmethod
    def of(cls, data: dict[str, Any]) -> BatchCell:
        """The reverse of `as_dict()`, whatever stands there."""
        at = data.get("number")
        return cls(
            number=at if isinstance(at, int) else 0,
            name=as_text(data.get("name")),
            persona=as_text(data.get("persona")),
            provider=as_text(data.get("provider")),
            sessions=[text for text in as_list(data.get("sessions")) if isinstance(text, str)],
            settings=as_object(data.get("settings")),
            digest=as_text(data.get("digest")),
            error=as_text(data.get("error")) or None,
        )


@dataclass(slots=True)
class BatchFile:
    """A batch as its manifest tells it."""

    folder: Path
    id: str = ""
    name: str = ""
    convtui: str = ""
    at: datetime | None = None
    plan: dict[str, Any] = field(default_factory=dict)
    digest: str = ""
    runs: int = 1
    cells: dict[str, BatchCell] = field(default_factory=dict)
    """By name, in the order of the plan."""
    entries: dict[str, Entry] = field(default_factory=dict)
    """By key: every run of every cell in the order of the plan, and the later attempts."""
    stopped: str | None = None
    """Why no conversation was started any more; None after a resume."""
    finished: bool = False
    """Whether every conversation that the plan asks for has ended."""
    resumed: int = 0
    """How often it was resumed."""
    running: bool = False
    """Whether a process runs it now."""
    pid: int | None = None
    """The process that runs it, or ran it last."""
    host: str = ""
    findings: list[str] = field(default_factory=list)
    """Damage, one sentence for each line."""

    @property
    def path(self) -> Path:
        return self.folder / MANIFEST

    def attempts(self, entry: Entry) -> list[Entry]:
        """All attempts of the run that an entry belongs to, the first one first."""
        attempts = []
        key = Key(entry.cell, entry.run)
        while (known := self.entries.get(str(key))) is not None:
            attempts.append(known)
            key = key._replace(attempt=key.attempt + 1)
        return attempts

    def log_of(self, entry: Entry) -> Path | None:
        """Where the log of a conversation is; None before it has one."""
        return None if entry.log is None else self.folder / entry.log

    def entry_for(self, key: str) -> Entry | None:
        """The entry of a key, made where it is a later attempt that is not known yet.

        None for a key that no cell has.
        """
        known = self.entries.get(key)
        if known is not None:
            return known
        parts = Key.parse(key)
        if parts is None or parts.cell not in self.cells or parts.first not in self.entries:
            return None
        entry = self.entries[key] = Entry(key, parts.cell, parts.run, parts.attempt)
        return entry

    def apply(self, record: RecordDict) -> Entry | None:
        """Takes in one line after the first; returns the conversation that it is about."""
        at = parse_time(as_text(record.get("at")))
        kind = record.get("type")
        if kind == "blocked":
            self._delay(record)
        key = record.get("key")
        if isinstance(key, str):
            entry = self.entry_for(key)
            change = CHANGES.get(str(kind))
            if entry is not None and change is not None:
                change(entry, record, at)
                if kind == "rerun" and is_asked(record):
                    self._drop_later(entry)
            return entry
        if kind == "opened":
            pid = record.get("pid")
            self.pid = pid if isinstance(pid, int) else None
            self.host = as_text(record.get("host"))
        elif kind == "cells":
            self._replan(record)
        elif kind == "resumed":
            self.resumed += 1
            self.stopped, self.finished = None, False
        elif kind == "stopped":
            self.stopped = as_text(record.get("why")) or "no reason is given"
        elif kind == "finished":
            self.finished = True
        return None

    def _drop_later(self, entry: Entry) -> None:
        """The later attempts at a run that begins anew count no more."""
        for attempt in self.attempts(entry):
            if attempt is not entry:
                logs = (*attempt.earlier, attempt.log)
                entry.earlier += [log for log in logs if log is not None]
                del self.entries[attempt.key]

    def _delay(self, record: RecordDict) -> None:
        for key in as_list(record.get("delayed")):
            entry = self.entries.get(key) if isinstance(key, str) else None
            if entry is not None:
                entry.delayed += number(record.get("seconds")) or 0.0
                entry.delayed_by = as_text(record.get("key"))

    def _replan(self, record: RecordDict) -> None:
        """Takes in other cells: conversations of those that are gone or changed count no more."""
        self.digest = as_text(record.get("digest"))
        self.plan = as_object(record.get("plan")) or self.plan
        runs = record.get("runs")
        self.runs = runs if isinstance(runs, int) and runs > 0 else self.runs
        cells = [BatchCell.of(as_object(cell)) for cell in as_list(record.get("cells"))]
        before, self.cells = self.cells, {cell.name: cell for cell in cells if cell.name}
        entries, self.entries = self.entries, {}
        self._add_entries()
        for key, entry in entries.items():
            known, now = before.get(entry.cell), self.cells.get(entry.cell)
            if now is None or known is None or entry.run > self.runs:
                continue
            if known.digest == now.digest:
                self.entries[key] = entry
            elif key in self.entries:
                logs = [log for log in (*entry.earlier, entry.log) if log is not None]
                self.entries[key].earlier = logs

    def _add_entries(self) -> None:
        if len(self.cells) * self.runs > _MOST:
            raise FileError(f"{self.path}: {self.runs} runs of {len(self.cells)} cells: damaged?")
        for name in self.cells:
            for run in range(1, self.runs + 1):
                key = str(Key(name, run))
                self.entries[key] = Entry(key, name, run)

    def begin(self, head: RecordDict) -> None:
        """Takes in the first line. Raises `FileError` for one that is none of a manifest."""
        if head.get("type") != "batch":
            raise FileError(f"{self.path}: this is not the manifest of a batch")
        version = head.get("format")
        if isinstance(version, int) and version > FORMAT:
            raise NewerError(
                f"{self.path}: format {version} is newer than this convtui, which knows {FORMAT}"
            )
        self.id = as_text(head.get("id"))
        self.name = as_text(head.get("name")) or self.folder.name
        self.convtui = as_text(head.get("convtui"))
        self.at = parse_time(as_text(head.get("at")))
        self.plan = as_object(head.get("plan"))
        self.digest = as_text(head.get("digest"))
        runs = head.get("runs")
        self.runs = runs if isinstance(runs, int) and runs > 0 else 1
        cells = [BatchCell.of(as_object(cell)) for cell in as_list(head.get("cells"))]
        self.cells = {cell.name: cell for cell in cells if cell.name}
        self._add_entries()


def read_batch(folder: Path | str) -> BatchFile:
    """Reads a batch's manifest. Blocking; the logs themselves are not opened.

    `folder` may also be the manifest. A line that was cut off or is damaged is one of `findings`.
    Conversations that had begun and not ended are `crashed` unless a process runs the batch. Raises
    `FileError` where there is no batch.
    """
    folder = Path(folder)
    if folder.name == MANIFEST:
        folder = folder.parent
    batch = BatchFile(folder)
    try:
        data = read_regular(batch.path)
    except (FileNotFoundError, NotADirectoryError):
        raise FileError(f"{folder}: this is no folder of a batch: it has no {MANIFEST}") from None
    except OSError as error:
        raise FileError(f"{batch.path}: {error.strerror or error}") from error
    _fold(batch, data.split(b"\n"))
    batch.running = is_being_written(batch.path)
    if not batch.running:
        for entry in batch.entries.values():
            if entry.state in ("running", "held"):
                entry.state = "crashed"
                entry.hold = None
    return batch


def _fold(batch: BatchFile, lines: list[bytes]) -> None:
    torn = lines.pop()
    read = decode if len(lines) < _MANY else fast_decoder()
    head = _decoded(lines[0], read) if lines else None
    if head is None:
        raise FileError(f"{batch.path}: this is not the manifest of a batch")
    batch.begin(head)
    for count, line in enumerate(lines[1:], 2):
        record = _decoded(line, read)
        if record is None:
            batch.findings.append(f"line {count}: this is not a record")
        else:
            batch.apply(record)
    if torn:
        batch.findings.append(f"line {len(lines) + 1}: it was cut off")


def _decoded(line: bytes, read: Callable[[bytes], RecordDict]) -> RecordDict | None:
    try:
        return read(line)
    except ValueError:
        return None
