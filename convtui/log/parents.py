"""Evidence that stands in another log: the turns that a continued conversation began with.

A child log carries what was said by value and names its parent by file and digest; raw text,
stages and the wire are read from the parent when it is found as it was.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convtui.errors import LogError
from convtui.log.detail import TurnDetail, read_turn, request_messages
from convtui.log.reader import LogReader, digest_until
from convtui.log.recordfile import RecordFile
from convtui.log.run_summary import log_files, summarise
from convtui.records.codec import RecordDict
from convtui.text.boundary import visible_line
from convtui.transcript.fold import Transcript, Turn

_DEPTH = 100
"""Generations that are gone back at most."""

_Open = tuple[LogReader, RecordFile]


def parent_of(header: RecordDict) -> dict[str, Any] | None:
    """What a header says about its parent, `{id, file, seq, sha256}`; None for a run of its own."""
    parents = header.get("parents")
    parent = parents[0] if isinstance(parents, list) and parents else None
    return parent if isinstance(parent, dict) and isinstance(parent.get("file"), str) else None


def find_parent(parent: dict[str, Any], beside: Path | None = None) -> Path:
    """The parent log, as it was: where it is named, or else in the folder of its child `beside`.

    A log that was moved is known by its file name or by its id, and by its digest in any case.
    Raises `LogError` that says why there is none: it is gone, or it was altered.
    """
    named = Path(parent["file"])
    altered: Path | None = None
    for path in _candidates(named, str(parent.get("id") or ""), beside):
        try:
            sha256, _ = digest_until(path, int(parent.get("seq", -1)))
        except (LogError, OSError, ValueError, TypeError):
            altered = altered or path
            continue
        if sha256 == parent.get("sha256"):
            return path
        altered = altered or path
    if altered is not None:
        raise LogError(f"the parent log {visible_line(str(altered))} has been altered since")
    raise LogError(f"the parent log is not there: {visible_line(str(named))}")


def _candidates(named: Path, run_id: str, beside: Path | None) -> Iterator[Path]:
    seen: set[Path] = set()
    for path in (named, beside.parent / named.name if beside is not None else named):
        if path not in seen and _is_file(path):
            seen.add(path)
            yield path
    if beside is None or not run_id:
        return
    for entry in log_files(beside.parent):
        path = Path(entry.path)
        if path not in seen and path != beside and summarise(path).id == run_id:
            yield path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


class Ancestry:
    """Finds seeded turns in the logs that a log goes back to. Thread-safe; logs stay open.

    `problem` says in words why evidence is missing: a parent that is gone or altered.
    """

    def __init__(self) -> None:
        self.problem = ""
        self._logs: dict[tuple[Any, ...], _Open | str] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Closes every log that was opened."""
        with self._lock:
            for log in self._logs.values():
                if not isinstance(log, str):
                    log[0].close()
                    log[1].close()
            self._logs.clear()

    def find(
        self, transcript: Transcript, turn: Turn, path: Path | None = None
    ) -> tuple[Path, TurnDetail] | None:
        """The log in which a seeded turn was said, and everything it says about it.

        `path` is where the transcript's own log is: a parent that was moved is looked for there.
        """
        header = transcript.header
        self.problem = ""
        with self._lock:
            for _ in range(_DEPTH):
                parent = self._parent(header, path)
                if parent is None:
                    return None
                reader, file = parent
                there = reader.transcript.find(turn.session, turn.number)
                if there is None:
                    name = visible_line(str(reader.path))
                    self.problem = f"the parent log {name} does not have this turn"
                    return None
                if there.first >= 0:
                    return reader.path, read_turn(file, there)
                header, path = reader.transcript.header, reader.path
        return None

    def messages(self, log: Path, request: RecordDict) -> list[Any]:
        """The exact messages of an `llm.request` of a log that `find()` has named.

        Raises ValueError for a broken chain.
        """
        with self._lock:
            for opened in self._logs.values():
                if not isinstance(opened, str) and opened[0].path == log:
                    return request_messages(opened[1], request)
        raise ValueError(f"the parent log {log} is not open")

    def _parent(self, header: RecordDict, beside: Path | None) -> _Open | None:
        parent = parent_of(header)
        if parent is None:
            return None
        # A log can be the parent of several, each as far as it went then.
        key = (parent["file"], str(parent.get("seq")), str(parent.get("sha256")))
        if key not in self._logs:
            self._logs[key] = self._open(parent, beside)
        log = self._logs[key]
        if isinstance(log, str):
            self.problem = log
            return None
        return log

    @staticmethod
    def _open(parent: dict[str, Any], beside: Path | None) -> _Open | str:
        try:
            path = find_parent(parent, beside)
            reader = LogReader(path)
            try:
                reader.advance()
                return reader, RecordFile(path, reader.transcript.offsets)
            except BaseException:
                reader.close()
                raise
        except (LogError, OSError, ValueError) as error:
            return str(error)


def parent_problem(header: RecordDict, path: Path) -> str:
    """Why what comes before the log at `path` cannot be shown in full; empty where it can.

    Reads the parent up to where its child began: blocking.
    """
    parent = parent_of(header)
    if parent is None:
        return ""
    try:
        find_parent(parent, path)
    except LogError as error:
        return str(error)
    return ""
