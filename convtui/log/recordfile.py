"""Random access to the records of a log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from convtui.errors import LogError
from convtui.files.regular import open_regular
from convtui.records.codec import RecordDict, decode
from convtui.records.fields import FieldChecker

if TYPE_CHECKING:
    from convtui.secrets.redactor import Redactor

_HEAD = 160
"""Bytes at the beginning of a line that contain its type, after `seq` and `t`."""


class RecordFile:
    """Reads records of a log by ordinal (0 is the header).

    `offsets` is the `Transcript.offsets` of a fold, which may still grow. Without an open `file`
    it opens the log itself, and raises `LogError` when that fails. With `redactor` secrets are
    masked, for output that is given away.
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
            self._file: BinaryIO = open_regular(path) if file is None else file
        except OSError as error:
            raise LogError(f"{path}: cannot be read: {error.strerror}") from error

    def close(self) -> None:
        self._file.close()

    def read(self, ordinal: int) -> RecordDict:
        """One record. Raises IndexError for a missing one, ValueError for a damaged one."""
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
        """The record with its secrets masked, if there is a redactor; `line` is its line."""
        if self._redactor is not None and self._redactor.suspects(line):
            cleaned: RecordDict = self._redactor.data(record)
            return cleaned
        return record

    def range(
        self, first: int, last: int, only: re.Pattern[bytes] | None = None
    ) -> Iterator[RecordDict]:
        """The readable records from `first` to `last`, both included, one at a time.

        `only` is searched for in the beginning of a line; lines without it are not decoded.
        """
        first, last = max(first, 0), min(last, len(self._offsets) - 1)
        if first > last:
            return
        start = self._offsets[first]
        self._file.seek(start)
        before_last = self._offsets[last] - start
        lines = (self._file.read(before_last) + self._file.readline()).split(b"\n")
        if only is not None:
            lines = [line for line in lines if only.search(line, 0, _HEAD)]
        for line in lines:
            try:
                record = self.decoded(line)
            except ValueError:
                continue
            yield record

    def by_seq(self, seq: int) -> RecordDict:
        """The record with this `seq`. Raises ValueError when there is none."""
        # An undamaged log has ordinals equal to seqs; damaged lines only make ordinals smaller.
        for ordinal in range(min(seq, len(self._offsets) - 1), -1, -1):
            record = self.read(ordinal)
            record_seq = record.get("seq")
            if record_seq == seq:
                return record
            if isinstance(record_seq, int) and record_seq < seq:
                break
        raise ValueError(f"there is no record {seq}")
