"""The records of turns that a continued conversation began with, read from its parent logs.

A child log has the texts of those turns, and names its parent by file and digest. Raw replies,
stages and HTTP exchanges are read from the parent, as long as its digest matches.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from convtui.errors import LogError
from convtui.log.detail import TurnDetail, read_turn, request_messages
from convtui.log.reader import LogReader, digest_until
from convtui.log.recordfile import RecordFile
from convtui.log.run_summary import log_files, summarise
from convtui.records.codec import REFLEXION, RecordDict
from convtui.text.boundary import visible_line
from convtui.transcript.fold import Transcript, Turn

MAX_GENERATIONS: Final = 100
"""Parent logs that are followed at most."""

_Open = tuple[LogReader, RecordFile]


def parent_of(header: RecordDict) -> dict[str, Any] | None:
    """The parent that a log continues, `{id, file, seq, sha256}`; None without one.

    A second attempt at a conversation continues nothing: it begins anew.
    """
    change = header.get("change")
    anew = isinstance(change, dict) and change.get("kind") == REFLEXION
    return None if anew else named_parent(header)


def named_parent(header: RecordDict) -> dict[str, Any] | None:
    """The parent that a header names, also that of another attempt; None without one."""
    parents = header.get("parents")
    parent = parents[0] if isinstance(parents, list) and parents else None
    return parent if isinstance(parent, dict) and isinstance(parent.get("file"), str) else None


def find_parent(parent: dict[str, Any], beside: Path | None = None) -> Path:
    """The unaltered parent log: the file that is named, else one in the folder of `beside`.

    `beside` is the child log. A log that was moved is found by its file name or its id; the digest
    must match in any case. Raises `LogError` when the parent is missing or altered.
    """
    return ParentFinder().find(parent, beside)


class ParentFinder:
    """Finds the parents of many logs; what it has read of a file or folder is not read again."""

    def __init__(self) -> None:
        self._digests: dict[tuple[Path, int], str] = {}
        self._ids: dict[Path, dict[str, list[Path]]] = {}
        """The logs of a folder by the id of their run."""

    def find(self, parent: dict[str, Any], beside: Path | None = None) -> Path:
        """As `find_parent()`."""
        named = Path(parent["file"])
        altered: Path | None = None
        for path in self._candidates(named, str(parent.get("id") or ""), beside):
            try:
                sha256 = self._digest(path, int(parent.get("seq", -1)))
            except (LogError, OSError, ValueError, TypeError):
                altered = altered or path
                continue
            if sha256 == parent.get("sha256"):
                return path
            altered = altered or path
        if altered is not None:
            raise LogError(f"the parent log {visible_line(str(altered))} has been altered since")
        raise LogError(f"the parent log is not there: {visible_line(str(named))}")

    def _digest(self, path: Path, seq: int) -> str:
        if (path, seq) not in self._digests:
            self._digests[path, seq], _ = digest_until(path, seq)
        return self._digests[path, seq]

    def _candidates(self, named: Path, run_id: str, beside: Path | None) -> Iterator[Path]:
        seen: set[Path] = set()
        for path in (named, beside.parent / named.name if beside is not None else named):
            if path not in seen and _is_file(path):
                seen.add(path)
                yield path
        if beside is None or not run_id:
            return
        folder = beside.parent
        if folder not in self._ids:
            self._ids[folder] = defaultdict(list)
            for entry in log_files(folder):
                self._ids[folder][summarise(Path(entry.path)).id].append(Path(entry.path))
        for path in self._ids[folder].get(run_id, ()):
            if path not in seen and path != beside:
                yield path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


class Ancestry:
    """Finds the records of seeded turns in parent logs. Thread-safe; the logs stay open.

    `problem` says why the last search found none: a parent is missing or altered.
    """

    def __init__(self) -> None:
        self.problem = ""
        self.absent = False
        """Whether the parent log could be read, and does not have the turn of the last search."""
        self._logs: dict[tuple[Any, ...], _Open | str] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            for log in self._logs.values():
                if not isinstance(log, str):
                    log[0].close()
                    log[1].close()
            self._logs.clear()

    def find(
        self, transcript: Transcript, turn: Turn, path: Path | None = None
    ) -> tuple[Path, TurnDetail] | None:
        """The log in which a seeded turn was recorded, and everything it records about it.

        `path` is the transcript's own log; a parent that was moved is searched for in its folder.
        """
        header = transcript.header
        self.problem, self.absent = "", False
        with self._lock:
            for _ in range(MAX_GENERATIONS):
                parent = self._parent(header, path)
                if parent is None:
                    return None
                reader, file = parent
                original = reader.transcript.find(turn.session, turn.number)
                if original is None:
                    name = visible_line(str(reader.path))
                    self.problem = f"the parent log {name} does not have this turn"
                    self.absent = True
                    return None
                if original.first >= 0:
                    return reader.path, read_turn(file, original)
                header, path = reader.transcript.header, reader.path
        return None

    def messages(self, log: Path, request: RecordDict) -> list[Any]:
        """All messages of an `llm.request` in a log that `find()` returned.

        Raises ValueError for a broken chain, or a log that is not open.
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
        # A log can be the parent of several, each up to another record.
        key = (parent["file"], str(parent.get("seq")), str(parent.get("sha256")))
        if key not in self._logs:
            self._logs[key] = self._open(parent, beside)
        opened = self._logs[key]
        if isinstance(opened, str):
            self.problem = opened
            return None
        return opened

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
    """Why the parent of the log at `path` cannot be read; empty when it can, or without one.

    Reads the parent up to the record where the child began. Blocking.
    """
    parent = parent_of(header)
    if parent is None:
        return ""
    try:
        find_parent(parent, path)
    except LogError as error:
        return str(error)
    return ""
