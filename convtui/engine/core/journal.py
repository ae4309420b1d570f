"""Writes records: to the log, into the engine's own fold and to listeners. Nothing else does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from convtui.log.writer import Draft, LogWriter, Written
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

_More = Callable[[int], Mapping[str, Any]]
_Waiting = tuple[int, float, type[Record], dict[str, Any], _More | None]
"""`seq`, `t`, kind and fields of a record, and what makes the other fields."""

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

    __slots__ = ("_fields", "attempt", "call", "on_leave", "on_new", "session", "side", "turn")

    def __init__(self) -> None:
        self.call: int | None = None
        self.session: int | None = None
        self.turn: int | None = None
        self.on_leave: Callable[[], None] = lambda: None
        """Called before what follows is attributed otherwise; the journal is not locked then."""
        self.on_new: Callable[[], None] = lambda: None
        """Called when another turn begins, before its first record."""
        self.move_to(None)

    def move_to(
        self,
        session: int | None,
        turn: int | None = None,
        side: Side | None = None,
        attempt: int | None = None,
    ) -> None:
        """Attributes everything from now on to this turn."""
        self.on_leave()
        if turn is not None and (session, turn) != (self.session, self.turn):
            self.on_new()
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
        self.on_committed: Callable[[], None] = lambda: None
        """Called as soon as a turn is committed, while it is the turn in progress."""
        self._sinks: list[Sink] = []
        self._waiting: list[_Waiting] = []
        """What is to be written together, in its order."""
        self._handle: asyncio.Handle | None = None
        """That of writing it, once something has waited."""
        self._failure: Exception | None = None
        """Why it could not be written, where nobody was told yet."""
        self._to_spread: deque[Written] = deque()
        self._spreading = False
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
        if self._waiting:
            self.write_out()
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

    def emit_soon(
        self,
        kind: type[Record],
        /,
        more: _More | None = None,
        **fields: Any,
    ) -> int:
        """As `emit_here()`, but the record is written together with others.

        That is before any other record, and when the event loop goes on at the latest; where code
        of the developer's runs before that, `write_out()` comes first. `more` gets the `seq` and
        makes fields that take time to be made, of nothing that changes.
        """
        if self.writer.forked:
            self.end_child()
        if self._failure is not None:
            self.raise_failure()
        with self._lock:
            waiting = self._waiting
            seq = self.writer.count + len(waiting)
            waiting.append(
                (seq, self.writer.now(), kind, {**self.current.fields(), **fields}, more)
            )
            if self._handle is None:
                self._write_out_soon()
        return seq

    def write_out(self) -> None:
        """Writes what waits to be written. Raises `FileError` when the disk refuses it."""
        if self._failure is not None:
            self.raise_failure()
        if not self._waiting:
            return
        if self.writer.forked:
            self.end_child()
        with self._lock:
            waiting, self._waiting = self._waiting, []
            drafts: list[Draft] = []
            try:
                for seq, t, kind, fields, more in waiting:
                    if more is not None:
                        fields.update(more(seq))
                    drafts.append((t, *payload_of(kind, fields)))
            finally:
                # Also where one cannot be made: those before it.
                self._append(drafts)

    def _append(self, drafts: Sequence[Draft]) -> None:
        written: Sequence[Written] = ()
        if len(drafts) > 1:
            # Raised again by the one that it is about.
            with contextlib.suppress(Exception):
                written = self.writer.append(drafts)
        if written:
            self._spread(written)
            return
        for draft in drafts:
            # As many as can be written.
            self._spread(self.writer.append([draft]))

    def postpone(self, failed: Callable[[], None]) -> None:
        """Writes what waits after what the event loop has to do by now, such as sending a request.

        `failed` is called when that fails; the next record, or `write_out()`, raises the error.
        """
        with self._lock:
            if self._waiting and self._handle is not None:
                self._handle.cancel()
                self._write_out_soon(failed)

    def _write_out_soon(self, failed: Callable[[], None] = lambda: None) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a thread, which nothing would come after
            self.write_out()
        else:
            self._handle = loop.call_soon(self._write_out_now, failed)

    def _write_out_now(self, failed: Callable[[], None]) -> None:
        with self._lock:
            self._handle = None
        try:
            self.write_out()
        except Exception as error:  # noqa: BLE001 - raised where the next record is made
            self._failure = error
            failed()

    @property
    def failed(self) -> bool:
        """Whether records could not be written when they were to be."""
        return self._failure is not None

    def raise_failure(self) -> None:
        """Raises the error of the records that could not be written, once where others can be."""
        failure = self._failure
        if self.writer.broken is None:
            self._failure = None
        if failure is not None:
            raise failure

    def _write(self, payload: RecordDict, texts: list[Any]) -> int:
        if self.writer.forked:
            self.end_child()
        with self._lock:
            self.write_out()
            written = self.writer.append([(self.writer.now(), payload, texts)])
            self._spread(written)
        return int(written[0][0]["seq"])

    def end_child(self) -> None:
        """Ends a child that provider code has forked, and that comes back: the log is not its.

        One that Python has forked is known to the writer; asking the system each time is dear.
        """
        if os.getpid() != self._process:
            self._leave(0)

    def close(self, termination: dict[str, Any] | None, totals: dict[str, Any]) -> None:
        """Writes the trailer, once."""
        with self._lock:
            self.write_out()
            # Plain numbers: operators of flags are fifty times as slow.
            cut, seeded = int(Flag.TRUNCATED), int(Flag.SEEDED)
            truncated = any(
                turn.flags & cut and not turn.flags & seeded for turn in self.transcript.turns
            )
            written = self.writer.close(termination, totals, truncated=truncated)
            if written is not None:
                self._spread([written])

    def _spread(self, written: Sequence[Written]) -> None:
        """Hands on records in their order, also those that a listener makes meanwhile."""
        self._to_spread.extend(written)
        if self._spreading:
            return
        self._spreading = True
        try:
            while self._to_spread:
                data, offset, line = self._to_spread.popleft()
                self._unfolded.append((data, offset))
                if len(self._unfolded) > _MOST_UNFOLDED:
                    self.fold()
                for sink in self._sinks:
                    sink(data, offset, line)
        finally:
            self._spreading = False
