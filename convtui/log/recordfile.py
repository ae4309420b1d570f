"""Single records of a log by their place, read when somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from convtui.errors import LogError
from convtui.records import RecordDict, decode


class RecordFile:
    """Single records of a log by their ordinal (0 is the header).

    `offsets` are those of a fold (`Transcript.offsets`), shared with it while it grows. `file` is
    an open handle to read through; without one it opens its own. Raises `LogError` when that fails.
    """

    def __init__(self, path: Path, offsets: Sequence[int], file: BinaryIO | None = None) -> None:
        self.path = path
        self._offsets = offsets
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
        return decode(self._file.readline())

    def range(self, first: int, last: int) -> Iterator[RecordDict]:
        """The readable records from `first` to `last`, both included, one at a time."""
        for ordinal in range(max(first, 0), min(last, len(self._offsets) - 1) + 1):
            try:
                record = self.read(ordinal)
            except (ValueError, IndexError):
                continue
            yield record

    def by_seq(self, seq: int) -> RecordDict:
        """The record whose `seq` this is. Raises ValueError when there is none."""
        # In a whole log the ordinal is the seq; damaged lines can only make it smaller.
        for ordinal in range(min(seq, len(self._offsets) - 1), -1, -1):
            record = self.read(ordinal)
            found = record.get("seq")
            if found == seq:
                return record
            if isinstance(found, int) and found < seq:
                break
        raise ValueError(f"there is no record {seq}")
