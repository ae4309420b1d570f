"""Summaries of saved runs, read from the first and the last lines of their logs."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Final

from convtui.files.regular import open_regular
from convtui.filters.runs import RunFacts, header_tags
from convtui.log.batch_counts import BatchCounts
from convtui.log.lock import is_being_written
from convtui.log.names import MANIFEST, NOTES, TOOLS, WIRE
from convtui.log.notes import Notes
from convtui.records.codec import FORMAT, RecordDict, decode
from convtui.records.times import parse_zoned_time
from convtui.records.values import as_list, as_object, as_text

_HEAD = 1 << 16
_HEAD_LIMIT = 4 << 20
_TAIL = 4096
_HUGE = 1e15
_OWN_ID: Final = re.compile(r"[0-9a-f]{6,}")
_SHORT_ID: Final = 6
COMPANIONS: Final = (WIRE, NOTES, TOOLS)
"""Suffixes of files that belong to a log and also end in `.jsonl`."""


@dataclass(slots=True, eq=False)
class RunSummary:
    """One saved run, as a list shows it. Its texts are raw: draw them through `visible()`.

    Read-only by convention. Not frozen, and with a lazy `path`, because ten thousand are made at
    once.
    """

    file: str
    """Path of its log."""
    id: str = ""
    persona: str = ""
    provider: str = ""
    origin: str = ""
    created_at: datetime | None = None
    modified: float = 0.0
    """Seconds since the epoch at which the file was last written."""
    size: int = 0
    ending: str = ""
    """Kind of the termination; empty for a run that is running or crashed."""
    ended_by: str = ""
    reason: str = ""
    turns: int | None = None
    records: int | None = None
    parent: str = ""
    """Id of the run that this one continues."""
    parent_file: str = ""
    """The log of that run, as its header names it."""
    change: str = ""
    """What continued its parent: resume, restart, reload, rewind, fork, ...; empty for a root."""
    at: tuple[int, int] | None = None
    """Session and turn at which it continues its parent."""
    running: bool = False
    damaged: str = ""
    """Why it cannot be opened; empty for a readable log."""
    provider_name: str = ""
    model: str = ""
    created: str = ""
    """`created_at` as written in the header."""
    tags: tuple[str, ...] = ()
    """Tags of its scenario and those given by hand."""
    sessions: int | None = None
    discarded: int | None = None
    duration: float | None = None
    """Seconds from beginning to end."""
    tokens: int | None = None
    """Prompt and completion tokens of all sides."""
    cost: float | None = None
    """US dollars, of all sides."""
    latency: float | None = None
    """Mean seconds of the provider's calls."""
    closed: bool = False
    """Whether it has a trailer, after which nothing is written."""
    batch: BatchCounts | None = None
    """Of a batch, whose `file` is its folder; None for a single run."""
    _path: Path | None = field(default=None, repr=False)
    _when: float | None = field(default=None, init=False, repr=False)

    @property
    def path(self) -> Path:
        if self._path is None:
            self._path = Path(self.file)
        return self._path

    @property
    def name(self) -> str:
        return self.file.rpartition(os.sep)[2]

    @property
    def log(self) -> Path:
        """The file that records it: its log, or the manifest of a batch."""
        return self.path if self.batch is None else self.path / MANIFEST

    @property
    def state(self) -> str:
        """One word: the ending's kind, `running`, `crashed` or `damaged`.

        Of a batch: `running`, `finished`, `stopped`, `unfinished` or `damaged`.
        """
        if self.damaged:
            return "damaged"
        if self.running:
            return "running"
        return self.ending or ("crashed" if self.batch is None else "unfinished")

    @property
    def when(self) -> float:
        """When it began, else when it was last written; seconds since the epoch."""
        if self._when is None:
            self._when = self.modified if self.created_at is None else self.created_at.timestamp()
        return self._when

    def facts(self) -> RunFacts:
        """What filters on runs evaluate."""
        return RunFacts(
            self.persona,
            (self.provider_name, self.provider),
            self.model,
            self.created_at or self.created,
            self.tags,
        )

    def matches(self, text: str) -> bool:
        """Whether every word of `text` occurs in the texts that a list shows."""
        shown = " ".join(
            (
                self.name,
                self.persona,
                self.provider,
                self.state,
                self.reason,
                self.origin,
                self.change,
                *self.tags,
            )
        ).lower()
        return all(word in shown for word in text.lower().split())


def short_id(run_id: str) -> str:
    """The start of an id by which commands find its run; empty for an id from elsewhere."""
    return run_id[:_SHORT_ID] if _OWN_ID.fullmatch(run_id) else ""


def log_files(folder: Path) -> list[os.DirEntry[str]]:
    """The logs of a folder, the last written first; empty when there is no such folder.

    The manifest of a batch is none.
    """
    try:
        with os.scandir(folder) as entries:
            logs = [
                entry
                for entry in entries
                if entry.name.endswith(".jsonl")
                and not entry.name.endswith(COMPANIONS)
                and entry.name != MANIFEST
            ]
    except OSError:
        return []
    return sorted(logs, key=lambda entry: (-_written(entry), entry.name))


def _written(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat().st_mtime
    except OSError:
        return 0.0


def list_runs(folder: Path | str) -> Iterator[RunSummary]:
    """The saved runs of a folder, newest first. Blocking.

    Only the header and the last few kilobytes of each log are read. An unreadable log has `damaged`
    set; nothing is raised.
    """
    for entry in log_files(Path(folder)):
        yield summarise(Path(entry.path))


def summarise(path: Path, notes: Notes | None = None) -> RunSummary:
    """The summary of one log. Blocking; an unreadable log has `damaged` set.

    Its `notes` are read where they are not given.
    """
    try:
        with open_regular(path) as file:
            stat = os.fstat(file.fileno())
            header = _header(file, stat.st_size)
            tail = _Tail(file, stat.st_size)
    except (OSError, ValueError) as error:
        modified, size = 0.0, 0
        with contextlib.suppress(OSError):
            stat = path.stat()
            modified, size = stat.st_mtime, stat.st_size
        reason = error.strerror if isinstance(error, OSError) else str(error)
        damaged = reason or type(error).__name__
        return RunSummary(file=str(path), modified=modified, size=size, damaged=damaged)
    trailer = tail.trailer
    ending = _ending(tail)
    provider = as_object(header.get("provider"))
    parent = as_object(next(iter(as_list(header.get("parents"))), None))
    change = as_object(header.get("change"))
    return RunSummary(
        file=str(path),
        id=str(header.get("id", "")),
        persona=str(header.get("persona", "")),
        provider=str(provider.get("spec") or provider.get("name") or ""),
        provider_name=str(provider.get("name") or ""),
        model=str(provider.get("model") or ""),
        origin=str(header.get("origin", "run")),
        created_at=_time(header.get("created_at")),
        created=str(header.get("created_at", "")),
        modified=stat.st_mtime,
        size=stat.st_size,
        ending=str(ending.get("kind", "")),
        ended_by=str(ending.get("by", "")),
        reason=str(ending.get("reason", "")),
        turns=_turns(tail),
        records=_records(tail),
        parent=as_text(parent.get("id")),
        parent_file=as_text(parent.get("file")),
        change=as_text(change.get("kind")),
        at=_address(change.get("session"), change.get("turn")),
        running=trailer is None and is_being_written(path),
        closed=trailer is not None,
        tags=(Notes(path) if notes is None else notes).tags(header_tags(header)),
        **_totals(trailer),
    )


def _totals(trailer: RecordDict | None) -> dict[str, Any]:
    """The summary's fields that are totals of the trailer."""
    totals = as_object((trailer or {}).get("totals"))
    usage = as_object(totals.get("usage"))
    sides = [as_object(side) for side in usage.values()]
    return {
        "sessions": _whole(totals.get("sessions")),
        "discarded": _whole(totals.get("discarded")),
        "duration": number(totals.get("seconds")),
        "tokens": _whole(total(side.get("tokens") for side in sides)),
        "cost": total(side.get("cost") for side in sides),
        "latency": mean_latency(as_object(usage.get("provider"))),
    }


def mean_latency(side: Mapping[str, Any]) -> float | None:
    """Mean seconds of a side's calls, from its totals; None without any."""
    seconds, calls = number(side.get("seconds")), number(side.get("calls"))
    return seconds / calls if seconds and calls else None


def total(values: Iterable[Any]) -> float | None:
    """The sum of the numbers among `values`; None when there are none."""
    known = [value for value in map(number, values) if value is not None]
    return sum(known) if known else None


def number(value: Any) -> float | None:
    """`value` if it is a number of a plausible size, else None."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _HUGE:
        return value
    return None


def _whole(value: Any) -> int | None:
    whole = number(value)
    return None if whole is None else int(whole)


def header_of(path: Path) -> RecordDict:
    """The header of a log. Raises OSError, and ValueError for a file that is no log."""
    with open_regular(path) as file:
        return _header(file, os.fstat(file.fileno()).st_size)


def trailer_of(path: Path) -> RecordDict | None:
    """The trailer of a log that was closed, else None. Raises OSError."""
    with open_regular(path) as file:
        return _Tail(file, os.fstat(file.fileno()).st_size).trailer


def _header(file: BinaryIO, size: int) -> RecordDict:
    if size == 0:
        raise ValueError("empty")
    line = file.readline(_HEAD)
    if not line.endswith(b"\n") and len(line) == _HEAD:
        line += file.readline(_HEAD_LIMIT)
    try:
        header = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("line 1 is not JSON") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError("not a convtui log")
    return header


class _Tail:
    """The last few kilobytes of a log. A trailer says all that there is to say of most logs: what
    stands before it is decoded only where it does not."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        start = max(0, size - _TAIL)
        file.seek(start)
        lines = file.read(_TAIL).split(b"\n")
        # The first piece may be cut, and the last one has no newline.
        self._lines = lines[1 if start else 0 : -1]
        self.last = next(self._backwards(), None)
        """The last complete record."""
        is_trailer = self.last is not None and self.last.get("type") == "trailer"
        self.trailer = self.last if is_trailer else None

    def _backwards(self) -> Iterator[RecordDict]:
        for line in reversed(self._lines):
            with contextlib.suppress(ValueError):
                yield decode(line)

    @cached_property
    def records(self) -> list[RecordDict]:
        """The complete records, the last one first."""
        return [*self._backwards()]


def _ending(tail: _Tail) -> dict[str, Any]:
    termination = (tail.trailer or {}).get("termination")
    if isinstance(termination, dict):
        return termination
    for record in tail.records:
        termination = record.get("termination")
        if record.get("type") == "conversation.ended" and isinstance(termination, dict):
            return termination
    return {}


def _turns(tail: _Tail) -> int | None:
    totals = (tail.trailer or {}).get("totals")
    if isinstance(totals, dict) and isinstance(totals.get("turns"), int):
        return _whole(totals["turns"])
    last = [r["turn"] for r in tail.records if _whole(r.get("turn")) is not None]
    sessions = [r["session"] for r in tail.records if isinstance(r.get("session"), int)]
    # Turns are numbered per session: with several sessions the highest number is too low.
    return max(last) if last and max(sessions, default=1) == 1 else None


def _records(tail: _Tail) -> int | None:
    if tail.trailer is not None and isinstance(tail.trailer.get("records"), int):
        return _whole(tail.trailer["records"])
    seq = _whole(tail.last.get("seq")) if tail.last is not None else None
    return seq + 1 if seq is not None else None


def _time(text: Any) -> datetime | None:
    return parse_zoned_time(text) if isinstance(text, str) else None


def _address(session: Any, turn: Any) -> tuple[int, int] | None:
    whole = isinstance(session, int) and isinstance(turn, int)
    return (session, turn) if whole and max(abs(session), abs(turn)) < _HUGE else None
