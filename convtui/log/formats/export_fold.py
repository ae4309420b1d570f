"""What every exporter reads in a log: turns with their rounds, usage, and what is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from io import BufferedWriter
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.left_out import left_out
from convtui.log.reader import Log
from convtui.log.requests import rebuild
from convtui.records.codec import RecordDict
from convtui.records.times import EPOCH, later, parse_time
from convtui.records.values import as_list, as_object
from convtui.text.counts import counted_phrase

_LONGEST: Final = 1e9
"""Seconds; a time beyond is that of a damaged record."""
_WRONG_SHAPE: Final = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What comes of reading a record that is not as its type says."""


@dataclass(slots=True)
class Round:
    """A reply of the provider and what stands after it, in the log's order."""

    reply: RecordDict | None = None
    """None where only its tools are on record."""
    after: list[RecordDict] = field(default_factory=list)
    """Calls, results, and kept events between them."""

    @property
    def has_results(self) -> bool:
        """Whether a tool has returned in it."""
        return any(record.get("type") == "tool.returned" for record in self.after)


class ExportFold:
    """One way through a log for an exporter, which handles records after they are folded here.

    `placed` is what the format has a place for, of what stands in `left_out`: the rest is counted.
    """

    def __init__(self, log: Log, format: str, placed: Iterable[str] = ()) -> None:
        self.log = log
        self.header = log.transcript.header
        imported = as_object(self.header.get("imported"))
        same = self.header.get("origin") == "import" and imported.get("format") == format
        self.imported: dict[str, Any] = imported if same else {}
        """What the file said that the log was imported from, if it was of this very format."""
        self.provider = as_object(self.header.get("provider"))
        self.seconds = 0.0
        """Since the log began, at the record that was read last."""
        self.rounds: list[Round] = []
        """Those of the provider's turn so far."""
        self._placed = frozenset(placed)
        if self.header.get("origin") == "import":
            # They are about the file that it was imported from.
            self._placed |= {"warning"}
        self._counts: dict[str, int] = {}

    def run(
        self, handlers: Mapping[str, Callable[[RecordDict], None]], *, tolerant: bool = False
    ) -> None:
        """Goes through the log with a handler for each type of record that matters.

        With `tolerant` a damaged log goes out as far as it goes; `check` names what is wrong.
        """
        for record in self.log.records():
            kind = str(record.get("type"))
            self._take(kind, record)
            handler = handlers.get(kind)
            if handler is None:
                continue
            try:
                handler(record)
            except _WRONG_SHAPE:
                if not tolerant:
                    raise
                self.count("records of a wrong shape left out")

    def _take(self, kind: str, record: RecordDict) -> None:
        seconds = record.get("t")
        if isinstance(seconds, (int, float)) and 0 <= seconds < _LONGEST:
            self.seconds = max(self.seconds, seconds)
        for words in left_out(kind, record, self._placed):
            self.count(f"{words} left out")
        if kind in ("turn.started", "turn.discarded", "turn.inactive"):
            self.rounds = []
        elif kind == "llm.response" and is_provider(record):
            if (record.get("round") or 1) == 1:
                self.rounds = []
            self.rounds.append(Round(record))
        elif kind in ("tool.called", "tool.returned"):
            if not self.rounds:
                self.rounds.append(Round())
            self.rounds[-1].after.append(record)

    def take_rounds(self) -> list[Round]:
        """The rounds of a turn that is over."""
        rounds, self.rounds = self.rounds, []
        return rounds

    # --- what records say

    @property
    def created(self) -> datetime:
        """When the log began."""
        return parse_time(self.header["created_at"]) or EPOCH

    @property
    def now(self) -> datetime:
        """When the record that was read last was written."""
        return later(self.created, self.seconds)

    def source(self, record: RecordDict) -> dict[str, Any]:
        """What else the file said about a record, if it was of this very format."""
        return as_object(record.get("source")) if self.imported else {}

    def messages(self, request: RecordDict) -> list[Any] | None:
        """The messages of a request; None where the log no longer has them in full."""
        try:
            return rebuild(request, self.log.reader.by_seq)
        except ValueError:
            return None

    # --- what has no place

    def count(self, what: str, times: int = 1) -> None:
        """Notes something that the format has no place for."""
        if times:
            self._counts[what] = self._counts.get(what, 0) + times

    def notes(self) -> Iterator[str]:
        """What was noted, and how often."""
        for what, count in self._counts.items():
            yield counted_phrase(count, what)


def is_provider(record: RecordDict) -> bool:
    """Whether a record is of a call to the provider's model."""
    return record.get("side") in (None, "provider")


def system_prompt(messages: list[Any]) -> str | None:
    """The system prompt that messages begin with, if they do."""
    first = as_object(messages[0]) if messages else {}
    content = first.get("content")
    return content if first.get("role") == "system" and isinstance(content, str) else None


def seeded_turns(record: RecordDict) -> list[dict[str, Any]]:
    """The turns of a `history.seeded`, which were said before the log began."""
    return [as_object(turn) for turn in as_list(record.get("turns"))]


def add_usage(total: dict[str, Any], figures: Mapping[str, Any]) -> None:
    """Adds the figures of a reply to those of its turn or session."""
    for name, value in figures.items():
        total[name] = total.get(name, 0) + value


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raises `FileError` where one of the files is there already: nothing is overwritten."""
    for path in paths:
        if path.exists() or path.is_symlink():
            raise FileError(f"{path}: is there already, and nothing is overwritten; see --out DIR")


@contextmanager
def new_file(path: Path) -> Iterator[BufferedWriter]:
    """A file that was not there before, and is gone again when it could not be written whole.

    Raises `FileError` when it is there already or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        refuse_existing([path])
        file = path.open("xb")
        try:
            with file:
                yield file
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise not_written(path, error) from error


def not_written(path: Path, error: OSError) -> FileError:
    """The error for a file that cannot be written."""
    return FileError(f"{path}: cannot be written: {error.strerror}")
