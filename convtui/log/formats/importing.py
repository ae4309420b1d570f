"""Imports what a reader gives, one conversation after the other, and keeps account of it.

One that cannot be read is passed over with a finding; what was written before stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convtui.errors import FileError, LogError
from convtui.log.formats.findings import EMPTY, UNREADABLE, Finding, finding_of
from convtui.log.formats.json_objects import is_empty
from convtui.log.formats.registry import Imported
from convtui.log.formats.sound import sound
from convtui.log.formats.store import Parents, place_of, store, told_apart
from convtui.records.models import Record, Warned
from convtui.secrets.redactor import Redactor

Progress = Callable[[str, int], None]
"""Called with the file that is read and how many records of its conversation are written."""


@dataclass(slots=True)
class Outcome:
    """What became of one conversation."""

    log: Path
    id: str
    sources: list[Path]
    outcome: str
    """`imported`, `there already`, or `grown`: imported, and an earlier log holds its beginning."""
    earlier: str = ""
    """Of one that has grown, the id of that log."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        data = {
            "log": str(self.log),
            "id": self.id,
            "sources": [str(source) for source in self.sources],
            "outcome": self.outcome,
        }
        return {**data, "earlier": self.earlier} if self.earlier else data


class FileReader:
    """Reads files one after the other; unreadable ones are collected in `damage`."""

    def __init__(self, paths: list[Path], read: Callable[[Path], Iterator[Imported]]) -> None:
        self._paths = paths
        self._read = read
        self.damage: list[Finding] = []

    def read(self) -> Iterator[Imported]:
        """Yields the conversations. Raises `FileError` if the only file is unreadable."""
        self.damage.clear()
        for path in self._paths:
            if len(self._paths) > 1 and is_empty(path):
                self.damage.append(Finding(path, "the file is empty", code=EMPTY))
                continue
            try:
                yield from self._read(path)
            except FileError as error:
                if len(self._paths) == 1:
                    raise
                self.damage.append(finding_of(error, path, None, UNREADABLE))


@dataclass(slots=True)
class Import:
    """An import into a folder: `run()` writes the logs, the rest is its account so far."""

    folder: Path
    damage: list[Finding]
    """What the reader passed over; filled while it reads."""
    progress: Progress = lambda name, records: None
    outcomes: list[Outcome] = field(default_factory=list)
    unreadable: list[Finding] = field(default_factory=list)
    """Conversations that could not be read to their end, and have no log."""
    in_logs: list[Finding] = field(default_factory=list)
    """What is noted in the logs as not understood."""

    @property
    def findings(self) -> list[Finding]:
        """All of them; those of the logs first."""
        return [*self.in_logs, *self.damage, *self.unreadable]

    def run(self, conversations: Iterator[Imported]) -> Iterator[Outcome]:
        """Yields what became of each. Raises `LogError` when a log cannot be written."""
        redactor = Redactor.of_process()
        parents = Parents(self.folder, redactor)
        for imported in told_apart(conversations):
            source = imported.sources[0] if imported.sources else Path()
            watched = Watched(imported, self.progress)
            try:
                outcome = self._one(imported, redactor, parents)
            except LogError:
                raise
            except FileError as error:
                self.unreadable.append(finding_of(error, source, None, UNREADABLE))
                continue
            parents.add(imported, outcome.log)
            self.in_logs += watched.findings
            self.outcomes.append(outcome)
            yield outcome

    def _one(self, imported: Imported, redactor: Redactor, parents: Parents) -> Outcome:
        log, there = place_of(imported, self.folder)
        if there:
            return Outcome(log, imported.id, imported.sources, "there already")
        earlier = parents.earlier(imported)
        store(imported, self.folder, redactor, parents, earlier)
        if earlier is None:
            return Outcome(log, imported.id, imported.sources, "imported")
        return Outcome(log, imported.id, imported.sources, "grown", earlier.id)


class Watched:
    """Collects the findings among the records of a conversation while they are written."""

    def __init__(self, imported: Imported, progress: Progress = lambda name, records: None) -> None:
        self.findings: list[Finding] = []
        self._records = imported.records
        self._path = imported.sources[0] if imported.sources else Path()
        self._progress = progress
        imported.records = self

    def __iter__(self) -> Iterator[tuple[float, Record]]:
        self.findings.clear()
        for number, (seconds, record) in enumerate(sound(self._records), 1):
            if isinstance(record, Warned):
                error = FileError(record.message)
                self.findings.append(finding_of(error, self._path, record.line, record.code))
            if number % 256 == 0:
                self._progress(self._path.name, number)
            yield seconds, record
