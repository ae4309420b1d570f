"""The lines of a log, read one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

MAX_LINE: Final = 256 << 20
"""Bytes of the longest line that is read; a longer one is damage and is not kept in memory."""


def pieces_of(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """All bytes from where a file stands, in pieces, each with whether it is a line with its end.

    A line that is too long comes in several pieces, none of which is one; nor is a torn last line.
    """
    begun = False
    while piece := file.readline(MAX_LINE):
        ended = piece.endswith(b"\n")
        yield piece, ended and not begun
        begun = not ended
