"""Evidence that stands in another log: the turns that a continued conversation began with.

A child log carries what was said by value and names its parent by file and digest; raw text,
stages and the wire are read from the parent when it is found as it was.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from convtui.errors import LogError
from convtui.log.detail import TurnDetail, read_turn, request_messages
from convtui.log.reader import LogReader, digest_until
from convtui.log.recordfile import RecordFile
from convtui.records import RecordDict
from convtui.transcript import Transcript, Turn

_DEPTH = 100
"""Generations that are gone back at most."""


class Ancestry:
    """Finds seeded turns in the logs that a log goes back to. Thread-safe; logs stay open.

    `problem` says in words why evidence is missing: a parent that is gone, moved or altered.
    """

    def __init__(self) -> None:
        self.problem = ""
        self._logs: dict[str, tuple[LogReader, RecordFile] | None] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Closes every log that was opened."""
        with self._lock:
            for found in self._logs.values():
                if found is not None:
                    found[0].close()
                    found[1].close()
            self._logs.clear()

    def find(self, transcript: Transcript, turn: Turn) -> tuple[Path, TurnDetail] | None:
        """The log in which a seeded turn was said, and everything it says about it."""
        header = transcript.header
        with self._lock:
            for _ in range(_DEPTH):
                found = self._parent(header)
                if found is None:
                    return None
                reader, file = found
                there = reader.transcript.find(turn.session, turn.number)
                if there is None:
                    return None
                if there.first >= 0:
                    return reader.path, read_turn(file, there)
                header = reader.transcript.header
        return None

    def messages(self, log: Path, request: RecordDict) -> list[Any]:
        """The exact messages of an `llm.request` of a log that `find()` has named.

        Raises ValueError for a broken chain.
        """
        with self._lock:
            for found in self._logs.values():
                if found is not None and found[0].path == log:
                    return request_messages(found[1], request)
        raise ValueError(f"the parent log {log} is not open")

    def _parent(self, header: RecordDict) -> tuple[LogReader, RecordFile] | None:
        parents = header.get("parents")
        parent: Any = parents[0] if isinstance(parents, list) and parents else None
        if not isinstance(parent, dict) or not isinstance(parent.get("file"), str):
            return None
        file = parent["file"]
        if file not in self._logs:
            self._logs[file] = self._open(Path(file), parent)
        return self._logs[file]

    def _open(self, path: Path, parent: dict[str, Any]) -> tuple[LogReader, RecordFile] | None:
        try:
            sha256, _ = digest_until(path, int(parent.get("seq", -1)))
            if sha256 != parent.get("sha256"):
                self.problem = f"the parent log {path} has been altered since"
                return None
            reader = LogReader(path)
            try:
                reader.advance()
            except BaseException:
                reader.close()
                raise
            return reader, RecordFile(path, reader.transcript.offsets)
        except (LogError, OSError, ValueError) as error:
            self.problem = f"the parent log is not there: {error}"
            return None
