"""Writes records: to the log, into the engine's own fold and to listeners. Nothing else does."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from convtui.log.writer import LogWriter
from convtui.records.models import Record, RecordDict, Side
from convtui.records.payloads import payload_of
from convtui.secrets.redactor import moved
from convtui.secrets.shapes import REDACTED
from convtui.transcript.fold import Flag, Transcript

_MUCH_TO_FOLD = 60
"""Records that are folded at the next occasion: the turns of both sides have six each, and folding
many at once costs half as much as one by one."""
_MOST_UNFOLDED = 180
"""Records of which there are more only for a moment."""

Sink = Callable[[RecordDict, int, bytes], None]
"""Called with every record, its byte offset and its log line once it is in the log."""


def jsonable(value: Any, depth: int = 8) -> Any:
    """`value` as plain JSON data; anything else, or nested too deep, becomes its `repr()`."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if depth and (value.__class__ is dict or isinstance(value, Mapping)):
        return {str(key): jsonable(item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(item, depth - 1) for item in value]
    try:
        return repr(value)[:2000]
    except Exception as error:  # noqa: BLE001 - whatever somebody's __repr__ does
        return f"<{type(value).__name__}: {type(error).__name__}>"


class CurrentTurn:
    """The turn in progress, to which records and provider output are attributed."""

    __slots__ = ("_fields", "attempt", "call", "session", "side", "turn")

    def __init__(self) -> None:
        self.call: int | None = None
        self.move_to(None)

    def move_to(
        self,
        session: int | None,
        turn: int | None = None,
        side: Side | None = None,
        attempt: int | None = None,
    ) -> None:
        """Attributes everything from now on to this turn."""
        self.session, self.turn, self.side, self.attempt = session, turn, side, attempt
        self._fields = {"session": session, "turn": turn, "side": side, "attempt": attempt}

    def fields(self) -> Mapping[str, Any]:
        """The turn as envelope fields of a record."""
        return self._fields


class Journal:
    """Writes records and folds them. Thread-safe: output is captured by threads.

    Records are folded when somebody asks for the transcript, else many at once, while the engine
    waits for a reply.
    """

    def __init__(self, writer: LogWriter) -> None:
        self.writer = writer
        self.current = CurrentTurn()
        self._transcript = Transcript()
        self._unfolded: deque[tuple[RecordDict, int]] = deque()
        self._folded: Callable[[RecordDict], None] = lambda record: None
        self._sinks: list[Sink] = []
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._leave = os._exit

    def clean(self, data: Any) -> Any:
        """`data` as it is written to the log, with secrets masked."""
        return self.writer.clean(data)

    def cut(self, text: str) -> str:
        """A text that breaks off, as it is written to the log: half a secret is masked, too."""
        return self.writer.redactor.cut_text(text)

    def moved(self, start: int, end: int, text: str) -> tuple[int, int]:
        """The span from `start` to `end` of a text, in the text as it is written to the log."""
        spans = self.writer.redactor.spans(text)
        return (moved(start, spans), moved(end, spans)) if spans else (start, end)

    def restored(self, edited: str, text: str) -> str:
        """A text that was edited as it is written, with the secrets that were taken out of it.

        What was added or taken away of them by hand stays as it was edited.
        """
        spans = self.writer.redactor.spans(text) if REDACTED in edited else []
        parts = edited.split(REDACTED)
        if len(parts) != len(spans) + 1:
            return edited
        secrets = [text[first:last] for first, last in spans]
        return parts[0] + "".join(s + part for s, part in zip(secrets, parts[1:], strict=True))

    def listen(self, sink: Sink) -> None:
        """Calls `sink` for every record from now on, in the thread that emitted it."""
        self._sinks.append(sink)

    def when_folded(self, call: Callable[[RecordDict], None]) -> None:
        """Has `call` called for every record from now on, just after it was folded."""
        self._folded = call

    @property
    def transcript(self) -> Transcript:
        """The fold of all records so far."""
        if self._unfolded:
            self.fold()
        return self._transcript

    @property
    def much_to_fold(self) -> bool:
        """Whether it is worth while to fold, even if nobody has asked."""
        return len(self._unfolded) > _MUCH_TO_FOLD

    def fold(self) -> None:
        """Folds what was not folded yet."""
        with self._lock:
            while self._unfolded:
                record, offset = self._unfolded.popleft()
                self._transcript.apply(record, offset)
                self._folded(record)

    def emit(self, record: Record) -> int:
        """Writes a record and returns its `seq`. Raises `FileError` when the disk refuses it."""
        payload = record.payload()
        return self._write(payload, [payload])

    def emit_here(self, kind: type[Record], /, **fields: Any) -> int:
        """Writes a record of the turn in progress."""
        return self._write(*payload_of(kind, {**self.current.fields(), **fields}))

    def _write(self, payload: RecordDict, texts: list[Any]) -> int:
        if self.writer.forked:
            self.end_child()
        with self._lock:
            data, offset, line = self.writer.append(payload, texts)
            self._spread(data, offset, line)
        return int(data["seq"])

    def end_child(self) -> None:
        """Ends a child that provider code has forked, and that comes back: the log is not its.

        One that Python has forked is known to the writer; asking the system each time is dear.
        """
        if os.getpid() != self._process:
            self._leave(0)

    def close(self, termination: dict[str, Any] | None, totals: dict[str, Any]) -> None:
        """Writes the trailer, once."""
        with self._lock:
            truncated = any(
                turn.flags & Flag.TRUNCATED and not turn.flags & Flag.SEEDED
                for turn in self.transcript.turns
            )
            written = self.writer.close(termination, totals, truncated=truncated)
            if written is not None:
                self._spread(*written)

    def _spread(self, data: RecordDict, offset: int, line: bytes) -> None:
        self._unfolded.append((data, offset))
        if len(self._unfolded) > _MOST_UNFOLDED:
            self.fold()
        for sink in self._sinks:
            sink(data, offset, line)
