"""A step is what one reader has read on, for another one that reads the same log.

Taking in all steps of a log, in order, is reading it. After each a reader can go on by itself.
"""

from __future__ import annotations

import struct
from typing import Final

from msgspec import convert, to_builtins

from convtui.log.reader import Bookmark, LogReader
from convtui.records.codec import decode, encode
from convtui.transcript.deltas import DeltaMaker, apply_delta

_HEAD: Final = struct.Struct(">QI")
"""Where in the log the step begins, and the size of the bookmark at its end."""


class StepMaker:
    """Makes the steps of a reader, from where it stands on."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._deltas = DeltaMaker(reader.transcript)
        self._findings = self._incomplete = 0
        self._position = 0
        if reader.position:
            self.make()

    def make(self) -> bytes | None:
        """The step since the last one; None while the reader is inside of a record."""
        reader = self._reader
        bookmark = reader.bookmark(self._findings, self._incomplete)
        if bookmark is None:
            return None
        self._findings, self._incomplete = len(reader.findings), len(reader.incomplete)
        place = encode(to_builtins(bookmark))
        delta = self._deltas.make(reader.changed)
        reader.changed.clear()
        begin, self._position = self._position, bookmark.position
        return _HEAD.pack(begin, len(place)) + place + delta


def take_step(reader: LogReader, step: bytes | memoryview) -> None:
    """Reads on by the next step.

    Raises ValueError for one that is damaged or another; the reader stays where it is.
    """
    if len(step) < _HEAD.size:
        raise ValueError("a step that is cut off")
    begin, size = _HEAD.unpack_from(step)
    if begin != reader.position:
        raise ValueError("a step from somewhere else")
    end = _HEAD.size + size
    bookmark = convert(decode(bytes(step[_HEAD.size : end])), Bookmark)
    reader.changed.update(apply_delta(reader.transcript, memoryview(step)[end:]))
    reader.go_to(bookmark)
