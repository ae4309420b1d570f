"""rath's session files come in and go out: JSONL with a header, chunks and a trailer.

A file is gone through twice: once to see what it is and whether its rows are sound, and once while
the log is written, so that its size is no matter. Lineage, sandbox and usage (which rath keeps for
the session as a whole) are in the header under `imported`; the parents there are sessions of rath,
so they are no `parents` of the log, which are files with a digest. A file without a trailer ends
as interrupted, with a reason that says so. rath's own loader verifies neither the index of a chunk
nor the trailer's count; here what is wrong with them is a warning in the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.findings import Finding, finding_of
from convtui.log.formats.json_objects import JsonObject, file_time, files_of
from convtui.log.formats.rath.export import write
from convtui.log.formats.rath.files import PERSONA, PROVIDER
from convtui.log.formats.rath.records import Ending, RathReader
from convtui.log.formats.rath.rows import (
    LINEAGE_KINDS,
    PARTIAL,
    TRUNCATED,
    Row,
    extras_of,
    is_named,
    is_session,
    rows,
)
from convtui.log.formats.registry import Format, Imported, imported_provider
from convtui.records.models import Record
from convtui.records.times import parse_time, zone_of
from convtui.records.values import drop_none

_USAGE: Final = ("prompt_tokens", "completion_tokens", "total_tokens")
_HEADER: Final = (
    "record_type", "schema_version", "id", "created_at", "parent_session_ids",
    "lineage_operator", "lineage_kind", "lineage_extras", "sandbox_backend", "sandbox_spec",
    "sandbox_handle_id",
)  # fmt: skip
_TRAILER: Final = ("record_type", "closed_at", "final_chunk_count", "cumulative_usage", "extras")


def detect(path: Path) -> bool:
    """Whether a file is a session of rath, or a folder holds some."""
    if path.is_dir():
        return any(is_session(file) for file in _files(path))
    return is_session(path)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.jsonl*") if is_named(path) and path.is_file())


def read(path: Path) -> Iterator[Imported]:
    """The session of a file, or those of a folder's files in the order of their names.

    Raises `FileError` for a file without a row and for a newer schema.
    """
    for file in files(path):
        yield _imported(file)


def files(path: Path) -> list[Path]:
    """The files that are read for a path. Raises `FileError` for a folder without any."""
    return files_of(path, _files, is_session, "sessions of rath")


@dataclass(slots=True)
class _Session:
    """What the first way through a file finds out."""

    digest: Any = field(default_factory=hashlib.sha256)
    details: dict[str, Any] = field(default_factory=dict)
    created: datetime | None = None
    closed_at: datetime | None = None
    ending: Ending = field(default_factory=Ending)
    names: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def look(self, row: Row, path: Path) -> None:
        """Takes a header or a trailer. What is wrong with it is a finding of its line."""
        if row.type not in ("header", "trailer"):
            return
        doubts: list[FileError] = []
        fields = JsonObject(row.fields.data, row.fields.where, doubts)
        if row.type == "header":
            self._header(fields, doubts)
        else:
            self._trailer(fields, doubts)
        self.findings += [finding_of(doubt, path, row.line, "bad_value") for doubt in doubts]

    def _header(self, header: JsonObject, doubts: list[FileError]) -> None:
        session = header.text("id")
        if not session:
            doubts.append(header.wrong("id", "is missing"))
        self.created = parse_time(header.text("created_at"))
        zone = zone_of(header.text("created_at"))
        parents = header.items("parent_session_ids")
        if not all(isinstance(parent, str) for parent in parents):
            doubts.append(header.wrong("parent_session_ids", "must be a list of ids"))
        extras = extras_of(header, "lineage_extras", doubts)
        kind = header.text("lineage_kind")
        spec = header.inner("sandbox_spec")
        self.details = {
            "session_id": session,
            "created_at_zone": zone,
            "parent_session_ids": parents,
            "lineage_operator": header.text("lineage_operator"),
            "lineage_kind": kind if kind in LINEAGE_KINDS else "unknown",
            "lineage_kind_in_file": None if kind in LINEAGE_KINDS else kind,
            "lineage_extras": [list(pair) for pair in extras],
            "sandbox_backend": header.text("sandbox_backend"),
            "sandbox_spec": spec.data if spec is not None else None,
            "sandbox_handle_id": header.text("sandbox_handle_id"),
            "header": header.rest(*_HEADER) or None,
        }
        for name, value in extras:
            if name in (PERSONA, PROVIDER) and isinstance(value, str) and value:
                self.names[name] = value
            self.ending.truncated |= name == TRUNCATED and value is True

    def _trailer(self, trailer: JsonObject, doubts: list[FileError]) -> None:
        """Of several trailers the last one counts."""
        trailer.whole("final_chunk_count")
        self.closed_at = parse_time(trailer.text("closed_at"))
        usage = trailer.inner("cumulative_usage")
        used = {name: usage.whole(name) for name in _USAGE} if usage is not None else {}
        self.ending.usage = drop_none({name: used.get(name) for name in _USAGE[:2]})
        extras = extras_of(trailer, "extras", doubts)
        self.ending.closed = True
        self.ending.truncated |= any(pair == (TRUNCATED, True) for pair in extras)
        self.details |= {
            "closed_at": trailer.text("closed_at"),
            "cumulative_usage": usage.data if usage is not None else None,
            "trailer_extras": [list(pair) for pair in extras] or None,
            "trailer": trailer.rest(*_TRAILER) or None,
        }


def _imported(path: Path) -> Imported:
    session = _Session()
    for in_line, line in rows(path):
        session.digest.update(line.rstrip(b"\r\n") + b"\n")
        for row in in_line:
            if isinstance(row, Row):
                session.look(row, path)
    created = session.created if session.created is not None else file_time(path)
    if session.closed_at is not None and session.closed_at >= created:
        session.ending.seconds = (session.closed_at - created).total_seconds()
    details = {
        "format": "rath",
        "created_at_from": "created_at" if session.created is not None else "file's date",
        "closed": session.ending.closed,
        "partial_name": path.name.lower().endswith(PARTIAL) or None,
        **session.details,
    }
    imported = Imported(
        id=session.digest.hexdigest()[:32],
        created_at=created,
        persona=session.names.get(PERSONA, "unknown user"),
        provider=imported_provider(session.names.get(PROVIDER, "unknown"), None),
        records=(),
        sources=[path],
        details=drop_none(details),
    )
    imported.records = _Records(path, session.ending, imported, session.findings)
    return imported


@dataclass(slots=True)
class _Records:
    """The records of a session, made while the file is read. Every pass begins anew."""

    path: Path
    ending: Ending
    imported: Imported
    findings: list[Finding]
    """Of the header and the trailer."""

    def __iter__(self) -> Iterator[tuple[float, Record]]:
        reader = RathReader(self.ending)
        of_line: dict[int | None, list[Finding]] = {}
        for finding in self.findings:
            of_line.setdefault(finding.line, []).append(finding)
        for in_line, _ in rows(self.path):
            for row in in_line:
                if isinstance(row, Finding):
                    yield from reader.finding(row)
                    continue
                for finding in of_line.pop(row.line, ()) if row.type != "chunk" else ():
                    yield from reader.finding(finding)
                yield from reader.read(row, self.path)
        yield from reader.end()
        self.imported.termination = reader.termination


FORMAT = Format(
    name="rath",
    description="rath sessions (.jsonl, .jsonl.__partial__), single or a folder",
    detect=detect,
    read=read,
    write=write,
    files=files,
    keys=("record_type", "schema_version", "kind", "payload"),
)
