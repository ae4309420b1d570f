"""Reads logs: whole, in slices, or while an engine writes them.

Damage is reported as findings with line numbers; the rest of the log stays readable.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from convtui.errors import LogError
from convtui.files.collecting import uncollected
from convtui.files.near import near_file
from convtui.files.regular import is_dir, open_regular
from convtui.log.lines import MAX_LINE, pieces_of
from convtui.log.lock import is_being_written
from convtui.log.recordfile import RecordFile
from convtui.records.codec import FORMAT, MAJOR, RecordDict, decode, fast_decoder
from convtui.records.fields import MAX_FAULTS, FieldChecker, FieldFault
from convtui.records.views import View
from convtui.transcript.fold import Transcript, Turn

if TYPE_CHECKING:
    from convtui.secrets.redactor import Redactor

_CHUNK = 1 << 16
"""Bytes read at once: a few milliseconds of work, and small enough for the processor's cache."""
_LONG = 1 << 20
"""Bytes of a log from which on the faster decoder is worth its import."""
_VERIFIED = ("header", "trailer", None)
"""Types of records that are not allowed everywhere in a log."""


@dataclass(slots=True, frozen=True)
class Finding:
    """Damage in a log. `line` counts from 1; `code` is stable, `message` is for people."""

    code: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message} ({self.code})"


@dataclass(slots=True, frozen=True)
class Bookmark:
    """Where a reader stands between two lines: what it needs to go on from there, beside the
    transcript. Of findings and of incomplete records it has those since another bookmark."""

    position: int
    line: int
    next_seq: int
    trailers: int
    after_trailer: bool
    body: bool
    findings: tuple[Finding, ...]
    incomplete: tuple[int, ...]


class LogReader:
    """Reads a log forward and folds it; afterwards reads single records.

    `advance()` reads what has been written, up to a time limit, and can be called again for more.
    The constructor raises `LogError` for a file that is missing, a folder, unreadable, empty or no
    log. With `redactor` secrets are masked in everything that is read. `transcript` is an empty one
    to fold into. Of `many` logs each is read as a long one is, whatever its size.
    """

    def __init__(
        self,
        path: Path | str,
        redactor: Redactor | None = None,
        *,
        transcript: Transcript | None = None,
        many: bool = False,
    ) -> None:
        self.path = Path(path)
        self.transcript = Transcript() if transcript is None else transcript
        self.findings: list[Finding] = []
        self.changed: set[int] = set()
        """Indexes of turns that changed since the caller last cleared the set."""
        self.incomplete: set[int] = set()
        """Ordinals of records with a required field that is missing or damaged."""
        self._fields = FieldChecker()
        self._redactor = redactor
        self._file: BinaryIO = _open(self.path)
        self.single = RecordFile(self.path, self.transcript.offsets, self._file, redactor)
        """Reads single records up to `position`."""
        self._position = 0
        self._tail: list[bytes] = []
        self._tail_size = 0
        self._line = 0
        self._next_seq = 0
        self._trailers = 0
        self._after_trailer = False
        self._body = False
        """Whether the reader is between header and trailer."""
        self._skipping = False
        self.on_piece: Callable[[bytes], object] | None = None
        """Is given all that is read of the file, in pieces."""
        self.size = os.fstat(self._file.fileno()).st_size
        self._decode: Callable[[bytes], RecordDict] = decode
        self._typed: Callable[[bytes], View] | None = None
        self._many = many
        self._begun = False

    def __enter__(self) -> LogReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    @property
    def position(self) -> int:
        """Bytes of complete lines read so far."""
        return self._position - self._tail_size

    def advance(self, seconds: float | None = None) -> bool:
        """Reads what the file holds, for about `seconds` at most; whether there is more."""
        if seconds is None:
            with uncollected():
                return self._advance(None)
        return self._advance(time.perf_counter() + seconds)

    def _advance(self, deadline: float | None) -> bool:
        if not self._begun:
            self._begin()
        while True:
            self._file.seek(self._position)
            chunk = self._file.read(_CHUNK)
            if not chunk:
                self.size = self._position
                return False
            if self.on_piece is not None:
                self.on_piece(chunk)
            self._position += len(chunk)
            self._add_chunk(chunk)
            if deadline is not None and time.perf_counter() >= deadline:
                self.size = os.fstat(self._file.fileno()).st_size
                return self._position < self.size

    def _begin(self) -> None:
        """Makes the decoders: looking at a log, or taking another reader's steps, needs none."""
        self._begun = True
        long = self.size >= _LONG
        if long:
            self._decode = fast_decoder()
        if (self._many or long) and self._redactor is None:
            from convtui.records.typed import typed_decoder

            self._typed = typed_decoder()

    def _add_chunk(self, chunk: bytes) -> None:
        end = chunk.find(b"\n")
        if end < 0:
            self._keep(chunk)
            return
        # The file offset of the line that ends in this chunk.
        begin = self._position - len(chunk) - self._tail_size
        first = b"".join([*self._tail, chunk[:end]])
        self._tail.clear()
        self._tail_size = 0
        if self._skipping:
            self._skipping = False
        else:
            self._add_line(first, begin)
        self._add_lines(chunk, end + 1)

    def _add_lines(self, chunk: bytes, start: int) -> None:
        """Adds the lines of a chunk from `start` on, and keeps the beginning of the last."""
        base = self._position - len(chunk)
        find, take = chunk.find, self.transcript.take
        typed = self._typed if self._body else None
        number, seq = self._line, self._next_seq
        last: Turn | None = None
        while (end := find(b"\n", start)) >= 0:
            line = chunk[start:end]
            try:
                record = typed(line) if typed is not None else None
            except (ValueError, RecursionError):
                record = None
            if record is None or record.seq != seq:
                self._line, self._next_seq = number, seq
                self._add_line(line, base + start)
                number, seq = self._line, self._next_seq
                typed = self._typed if self._body else None
            else:
                number += 1
                seq += 1
                turn = take(record.record_type, record, base + start)
                if turn is not last and turn is not None:
                    last = turn
                    self.changed.add(turn.index)
            start = end + 1
        self._line, self._next_seq = number, seq
        if start < len(chunk):
            self._keep(chunk[start:])

    def _keep(self, piece: bytes) -> None:
        """Keeps the beginning of an incomplete line."""
        if not self._skipping:
            self._tail.append(piece)
        self._tail_size += len(piece)
        if self._tail_size > MAX_LINE and not self._skipping:
            self._line += 1
            self._report("huge_line", f"a record of more than {MAX_LINE >> 20} MB was passed over")
            self._skipping = True
            self._tail.clear()

    def _add_line(self, line: bytes, offset: int) -> None:
        self._line += 1
        if not line.strip():
            self._report("blank_line", "an empty line")
            return
        try:
            record = self._decode(line)
        except (ValueError, RecursionError) as error:
            if not self.transcript.records:
                raise LogError(
                    f"{self.path}: this is no convtui log: line {self._line} is not JSON"
                ) from error
            self._report("bad_json", f"this line is not a JSON record: {_short(error)}")
            self._next_seq += 1
            return
        self.add_record(record, line, offset)

    def add_record(self, record: RecordDict, line: bytes, offset: int) -> None:
        """Verifies and folds the record of a line, which was decoded; `offset` is the line's."""
        faults = self._fields.mend(record, line)
        if faults:
            self._report_faults(record, faults)
        if self._redactor is not None:
            record = self.single.clean(record, line)
        kind = record.get("type")
        if self._body and record["seq"] == self._next_seq and kind not in _VERIFIED:
            self._next_seq += 1
        else:
            self._verify(record)
        turn = self.transcript.apply(record, offset)
        if turn is not None:
            self.changed.add(turn.index)

    def _report_faults(self, record: RecordDict, faults: Sequence[FieldFault]) -> None:
        kind = str(record.get("type"))
        for fault in faults[:MAX_FAULTS]:
            self._report("bad_field", f"{kind} {fault.field}: {fault.problem}")
        if len(faults) > MAX_FAULTS:
            self._report("bad_field", f"{kind}: and {len(faults) - MAX_FAULTS} fields more")
        if any(fault.required and fault.field != "seq" for fault in faults):
            self.incomplete.add(self.transcript.records)
        if any(fault.field == "seq" for fault in faults):
            record["seq"] = self._next_seq

    def _verify(self, record: RecordDict) -> None:
        kind = record.get("type")
        if not self.transcript.records:
            self._verify_header(record)
            self._body = True
        elif kind == "header":
            self._report("second_header", "a second header")
        seq = record["seq"]
        if seq != self._next_seq:
            self._report("seq_gap", f"seq is {seq!r} where {self._next_seq} was expected")
        self._next_seq = seq + 1
        if self._after_trailer and kind != "trailer":
            self._report("after_trailer", f"a {kind} record after the trailer")
        if not isinstance(kind, str):
            self._report("no_type", "a record without a type")
        if kind == "trailer":
            self._trailers += 1
            self._after_trailer = True
            self._body = False
            if self._trailers > 1:
                self._report("two_trailers", "a second trailer")
            # A damaged line counts: it was written as a record.
            if record.get("records") != self._line:
                self._report(
                    "wrong_count",
                    f"the trailer counts {record.get('records')!r} records, there are {self._line}",
                )

    def _verify_header(self, record: RecordDict) -> None:
        if record.get("type") != "header" or record.get("format") != FORMAT:
            raise LogError(
                f"{self.path}: this is no convtui log: line {self._line} is not a convtui header"
                " (transcripts of other tools come in through `convtui import`)"
            )
        version = str(record.get("version", ""))
        major = version.split(".", maxsplit=1)[0]
        if not major.isdigit():
            self._report("bad_version", f"the header's version {version!r} is unreadable")
        elif int(major) > MAJOR:
            raise LogError(
                f"{self.path}: written by a newer convtui (log format {version}, this one reads"
                f" up to {MAJOR}.x): update convtui"
            )

    def finish(self) -> list[Finding]:
        """Checks the end of the file; returns all findings, in line order.

        While a process holds the log's lock, an unterminated last line and a missing trailer are
        no findings. Raises `LogError` for a log without a record.
        """
        live = is_being_written(self.path)
        findings = list(self.findings)
        line = self._line
        if self._tail_size and not live:
            line += 1
            findings.append(
                Finding(
                    "torn_line",
                    line,
                    f"the last line is torn ({self._tail_size} bytes without an end); it is left"
                    " out",
                )
            )
        if self.transcript.records == 0:
            why = "its header has not been written to the end" if self._tail_size else "it is empty"
            raise LogError(f"{self.path}: there is nothing to read in this log: {why}")
        if not self._trailers and not live:
            findings.append(
                Finding(
                    "no_trailer",
                    max(1, line),
                    "no trailer: the run crashed, or was killed, before it ended",
                )
            )
        return sorted(findings, key=lambda finding: finding.line)

    # --- reading on where another one stopped

    def bookmark(self, findings: int = 0, incomplete: int = 0) -> Bookmark | None:
        """Where the reader stands; None inside a record that is passed over.

        `findings` and `incomplete` are how many of them an earlier bookmark had.
        """
        if self._skipping:
            return None
        return Bookmark(
            self.position,
            self._line,
            self._next_seq,
            self._trailers,
            self._after_trailer,
            self._body,
            tuple(self.findings[findings:]),
            tuple(sorted(self.incomplete)[incomplete:]),
        )

    def go_to(self, bookmark: Bookmark) -> None:
        """Goes on from a bookmark; the transcript is that of the records before it."""
        self._position = bookmark.position
        self._tail.clear()
        self._tail_size = 0
        self._skipping = False
        self._line, self._next_seq = bookmark.line, bookmark.next_seq
        self._trailers, self._after_trailer = bookmark.trailers, bookmark.after_trailer
        self._body = bookmark.body
        self.findings += bookmark.findings
        self.incomplete.update(bookmark.incomplete)

    @property
    def identity(self) -> tuple[int, int]:
        """Device and number of the file: another one may take its name."""
        info = os.fstat(self._file.fileno())
        return info.st_dev, info.st_ino

    @property
    def running(self) -> bool:
        """Whether the log has no trailer and a live process writes it."""
        return not self._trailers and is_being_written(self.path)

    def _report(self, code: str, message: str) -> None:
        self.findings.append(Finding(code, self._line, message))

    # --- single records

    def read(self, ordinal: int) -> RecordDict:
        """The record with this ordinal.

        Raises IndexError for one beyond `position`, ValueError for a damaged one.
        """
        return self.single.read(ordinal)

    def read_range(self, first: int, last: int) -> Iterator[RecordDict]:
        """The readable records from `first` to `last`, both included."""
        return self.single.range(first, last)

    def by_seq(self, seq: int) -> RecordDict:
        """The record with this `seq`. Raises ValueError when there is none."""
        return self.single.by_seq(seq)


def _open(path: Path) -> BinaryIO:
    if is_dir(path):
        raise LogError(f"{path}: this is a folder; name a log in it (*.jsonl)")
    try:
        file = open_regular(path)
    except FileNotFoundError:
        hint = near_file(path) or "; `convtui runs` lists saved ones"
        raise LogError(f"{path}: there is no such log{hint}") from None
    except OSError as error:
        raise LogError(f"{path}: cannot be read: {error.strerror}") from error
    head = file.read(64)
    if not head.strip():
        file.close()
        if is_being_written(path):
            raise LogError(f"{path}: nothing has been written to this log yet")
        raise LogError(f"{path}: this log is empty")
    if b"\0" in head or head.lstrip()[:1] != b"{":
        file.close()
        raise LogError(f"{path}: this is no convtui log (it does not begin with a JSON record)")
    return file


def _short(error: Exception) -> str:
    return str(error).split(" (char")[0][:120]


class Log:
    """A log that was read to its end: its transcript, findings and records."""

    def __init__(self, reader: LogReader) -> None:
        reader.advance()
        self._reader = reader
        self.path = reader.path
        self.transcript = reader.transcript
        self.findings = reader.finish()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()

    @property
    def reader(self) -> LogReader:
        return self._reader

    @property
    def running(self) -> bool:
        """Whether a live process writes this log."""
        return self._reader.running

    def records(self) -> Iterator[RecordDict]:
        """All readable records, in order."""
        return self._reader.read_range(0, len(self.transcript.offsets) - 1)


def open_log(path: Path | str, redactor: Redactor | None = None) -> Log:
    """Opens a log and reads it to its end; with `redactor` secrets are masked.

    Raises `LogError` when it cannot be opened at all; damage is in `findings`.
    """
    reader = LogReader(path, redactor)
    try:
        return Log(reader)
    except BaseException:
        reader.close()
        raise


def digest_until(path: Path, seq: int) -> tuple[str, int]:
    """SHA-256 and number of the bytes of a log up to and including record `seq`.

    Raises `LogError` when the log has no such record.
    """
    sha256 = hashlib.sha256()
    size = 0
    with _open(path) as file:
        file.seek(0)
        for line, whole in pieces_of(file):
            sha256.update(line)
            size += len(line)
            if not whole:
                continue
            try:
                line_seq: Any = decode(line).get("seq")
            except ValueError:
                continue
            if line_seq == seq:
                return sha256.hexdigest(), size
    raise LogError(f"{path}: there is no record {seq} in this log")
