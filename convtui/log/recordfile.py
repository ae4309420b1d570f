"""Single records of a log by their place, read when somebody asks for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from convtui.errors import LogError
from convtui.records.codec import RecordDict, decode
from convtui.records.fields import FieldChecker
from convtui.secrets.redactor import Redactor

_HEAD = 160
"""Bytes of a line in which its type stands: `seq`, `t` and `type` come first."""


class RecordFile:
    """Single records of a log by their ordinal (0 is the header).

    `offsets` are those of a fold (`Transcript.offsets`), shared with it while it grows. `file` is
    an open handle to read through; without one it opens its own. Raises `LogError` when that fails.
    With `redactor` records come without secrets: for what is made to be given away.
    """

    def __init__(
        self,
        path: Path,
        offsets: Sequence[int],
        file: BinaryIO | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self.path = path
        self._redactor = redactor
        self._offsets = offsets
        self._fields = FieldChecker()
        try:
            self._file: BinaryIO = path.open("rb") if file is None else file
        except OSError as error:
            raise LogError(f"{path}: cannot be read: {error.strerror}") from error

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def read(self, ordinal: int) -> RecordDict:
        """One record. Raises IndexError or ValueError for one that is not there or damaged."""
        if ordinal < 0:
            raise IndexError(ordinal)
        self._file.seek(self._offsets[ordinal])
        return self.decoded(self._file.readline())

    def decoded(self, line: bytes) -> RecordDict:
        """The record in a line. Raises ValueError when there is none."""
        record = decode(line)
        self._fields.mend(record, line)
        return self.clean(record, line)

    def clean(self, record: RecordDict, line: bytes) -> RecordDict:
        """A record of a line as it may be given away, where this reads for that."""
        if self._redactor is not None and self._redactor.suspects(line):
            cleaned: RecordDict = self._redactor.data(record)
            return cleaned
        return record

    def range(
        self, first: int, last: int, only: re.Pattern[bytes] | None = None
    ) -> Iterator[RecordDict]:
        """The readable records from `first` to `last`, both included, one at a time.

        With `only`, lines in whose beginning it is not found are left out without being decoded.
        """
        first, last = max(first, 0), min(last, len(self._offsets) - 1)
        if first > last:
            return
        start = self._offsets[first]
        self._file.seek(start)
        # The last one ends where the next begins, or with its line.
        inside = self._offsets[last] - start
        lines = (self._file.read(inside) + self._file.readline()).split(b"\n")
        if only is not None:
            matches = only.search
            lines = [line for line in lines if matches(line, 0, _HEAD)]
        for line in lines:
            try:
                record = self.decoded(line)
            except ValueError:
                continue
            yield record

    def by_seq(self, seq: int) -> RecordDict:
        """The record whose `seq` this is. Raises ValueError when there is none."""
        # In a whole log the ordinal is the seq; damaged lines can only make it smaller.
        for ordinal in range(min(seq, len(self._offsets) - 1), -1, -1):
            record = self.read(ordinal)
            seq_there = record.get("seq")
            if seq_there == seq:
                return record
            if isinstance(seq_there, int) and seq_there < seq:
                break
        raise ValueError(f"there is no record {seq}")
