"""oharness' event files: event JSONL of schema 1.x in, the same out.

A run is one conversation; a file may hold several. It is gone through twice: once to see what it
is and whether its lines are whole, and once while the log is written, so that its size is no
matter. Events that have no place in a log of ours stand in it as `oharness.<type>`, with their
`data`; fields that are not known stand beside those that are, as `more`. The first words of the
user have no event there: they are taken from the first request, or from the task's instruction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError, NewerError
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_objects import JsonObject, Line, file_time, files_of, lines
from convtui.log.formats.oharness.events import (
    MAJOR,
    NAMESPACE,
    Event,
    envelope_of,
    events,
    events_in,
    is_events,
)
from convtui.log.formats.oharness.export import write
from convtui.log.formats.oharness.records import OharnessReader, opening_of
from convtui.log.formats.oharness.turns import Opening
from convtui.log.formats.registry import Format, Imported, imported_provider
from convtui.records.models import Record
from convtui.records.values import drop_none

MAX_RUNS: Final = 1000
"""Runs that a file may hold: each is a way through the file of its own."""
_NAMING: Final = {"llm.request": "provider", "llm.response": "model"}
"""Whose names these give."""
_LATER: Final = ("llm.response", "turn.finished", "user.simulated.message")
"""After these the first words have been said."""


def detect(path: Path) -> bool:
    """Whether a file holds events, or a folder such files."""
    if path.is_dir():
        return any(is_events(file) for file in _files(path))
    return is_events(path)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.jsonl") if path.is_file())


def read(path: Path) -> Iterator[Imported]:
    """The runs of a file, or of a folder's files in the order of their names.

    Raises `FileError` for a file without an event and for a newer major version.
    """
    for file in files(path):
        yield from _runs(file)


def files(path: Path) -> list[Path]:
    """The files that are read for a path. Raises `FileError` for a folder without any."""
    return files_of(path, _files, is_events, "event files of oharness")


@dataclass(slots=True)
class _Run:
    """What the first way through a file finds out about a run."""

    id: str
    digest: Any = field(default_factory=hashlib.sha256)
    created: datetime | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    instruction: str | None = None
    task: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    opening: Opening | None = None
    finished: dict[str, Any] | None = None

    def add(self, line: Line) -> None:
        self.digest.update(line.raw.rstrip(b"\r\n") + b"\n")

    def has_seen(self, kind: str) -> bool:
        """Whether an event of a kind has nothing new."""
        if self.created is None or self.opening is None:
            return False
        if kind.startswith("user.simulated."):
            return "simulator" in self.names
        if kind == "meta":
            return bool(self.meta)
        if kind == "run.finished":
            return self.finished is not None
        return kind not in _NAMING or _NAMING[kind] in self.names

    def look(self, event: Event) -> None:
        if self.created is None:
            self.created = event.at
        try:
            self._look(event)
        except NewerError:
            raise
        except FileError:
            # It is a finding when the events are read.
            return

    def _look(self, event: Event) -> None:
        if event.kind == "meta" and not self.meta:
            self._meta(event.payload)
        elif event.kind == "llm.request":
            self._request(event.payload)
        elif event.kind == "llm.response":
            response = event.payload.inner("response")
            self._name("model", response.text("model") if response is not None else None)
        elif event.kind.startswith("user.simulated."):
            name = event.payload.text("simulator")
            self._name("simulator", name if name != "human" else None)
        elif event.kind == "run.finished" and self.finished is None:
            self.finished = event.payload.data
        if event.kind in _LATER and self.opening is None:
            self.opening = self.first()

    def _meta(self, meta: JsonObject) -> None:
        version = meta.text("schema_version")
        major = (version or "1").split(".")[0]
        if major.isdigit() and len(major) < 5 and int(major) > MAJOR:
            raise NewerError(
                f"{meta.where}: written by a newer oharness (event schema {version}, this convtui"
                f" reads {MAJOR}.x): update convtui"
            )
        self.meta = meta.data
        task = meta.inner("task_snapshot")
        if task is None:
            return
        self.instruction, self.task = task.text("instruction"), task.text("id")
        metadata = task.inner("metadata")
        if metadata is not None:
            self._name("persona", metadata.text(f"{NAMESPACE}persona"))
            self._name("provider", metadata.text(f"{NAMESPACE}provider"))

    def _request(self, payload: JsonObject) -> None:
        self._name("provider", payload.text("provider"))
        request = payload.inner("request")
        if request is not None and self.opening is None:
            self.opening = opening_of(request) or self.first()

    def first(self) -> Opening:
        return [("persona", self.instruction)] if self.instruction else []

    def _name(self, of: str, name: str | None) -> None:
        if name:
            self.names.setdefault(of, name)


def _runs(path: Path) -> Iterator[Imported]:
    runs: dict[str, _Run] = {}
    first: Finding | None = None
    run: _Run | None = None
    for line in lines(path):
        envelope = envelope_of(line)
        known = runs.get(envelope.run_id) if envelope is not None else None
        if envelope is not None and known is not None and known.has_seen(envelope.type):
            run = known
            run.add(line)
            continue
        in_line = events_in(line, path)
        for event in in_line:
            if isinstance(event, Finding):
                first = first or event
                if run is not None and len(in_line) == 1:
                    run.add(line)
                continue
            run = runs.setdefault(event.run, _Run(event.run))
            if len(runs) > MAX_RUNS:
                raise FileError(f"{path}: line {event.line}: more than {MAX_RUNS} runs in one file")
            run.add(line)
            run.look(event)
    if not runs:
        because = f" ({first.placed})" if first is not None else ""
        raise FileError(f"{path}: no events of oharness in this file{because}")
    for number, run in enumerate(runs.values()):
        yield _imported(path, run, first=not number)


def _imported(path: Path, run: _Run, *, first: bool) -> Imported:
    names = run.names
    model = names.get("model")
    details = {
        "format": "oharness",
        "created_at_from": "timestamp" if run.created is not None else "file's date",
        "run_id": run.id,
        "meta": run.meta or None,
        "finished": run.finished,
    }
    created = run.created if run.created is not None else file_time(path)
    persona = names.get("persona") or names.get("simulator") or run.task or "unknown user"
    imported = Imported(
        id=run.digest.hexdigest()[:32],
        created_at=created,
        persona=persona,
        provider=imported_provider(names.get("provider") or model or "unknown", model),
        records=(),
        sources=[path],
        details=drop_none(details),
    )
    opening = run.opening if run.opening is not None else run.first()
    imported.records = _Records(path, run.id, opening, imported, first)
    return imported


@dataclass(slots=True)
class _Records:
    """The records of a run, made while the file is read. Every pass begins anew."""

    path: Path
    run: str
    opening: Opening
    imported: Imported
    first: bool
    """Whether the file begins with this run: what is wrong before any event is its own."""

    def __iter__(self) -> Iterator[tuple[float, Record]]:
        reader = OharnessReader(self.imported.created_at, self.opening)
        last = self.run if self.first else None
        for event in events(self.path):
            if isinstance(event, Finding):
                if last == self.run:
                    yield from reader.finding(event)
                continue
            last = event.run
            if event.run == self.run:
                yield from reader.read(event, self.path)
        yield from reader.end()
        self.imported.termination = reader.termination


FORMAT = Format(
    name="oharness",
    description="oharness event files (.jsonl), single or a folder",
    detect=detect,
    read=read,
    write=write,
    files=files,
    keys=("run_id", "seq", "type", "ts"),
)
