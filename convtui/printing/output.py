"""The only way to standard output and standard error.

Output may come from models and from files. All of it is written through `Output`, which passes
every text through `visible()` once more, so that no field can be forgotten. The only escape
sequences that reach a terminal are its own: colours and the progress line.
"""

from __future__ import annotations

import sys
from typing import Any, Final, TextIO

from convtui.text.boundary import json_text, visible, visible_line

Piece = str | tuple[str, str]
"""A text, or a text and its SGR code, such as `1;36`."""
STDOUT: Final = "standard output"
"""The name of the file in errors."""
BOLD, DIM, RED, YELLOW, CYAN, GREEN = "1", "2", "31", "33", "36", "32"
_CODES: Final = frozenset("0123456789;")
_BACK: Final = "\r\x1b[K"
"""Moves to the beginning of the line and clears it."""


class Output:
    """Writes lines of text, JSON, and a progress line that the next output replaces.

    `color` says whether the codes of pieces are written. Progress is for terminals; the caller
    checks whether the stream is one.
    """

    def __init__(self, stream: TextIO, *, color: bool = False) -> None:
        self._stream = stream
        self._color = color
        self._in_progress = False

    def line(self, *pieces: Piece) -> None:
        """Writes pieces side by side as one line, without trailing white space.

        Newlines inside a piece are kept.
        """
        self.clear()
        painted: list[str] = []
        for piece in reversed(pieces):
            text, code = piece if isinstance(piece, tuple) else (piece, "")
            text = visible(text) if painted else visible(text).rstrip()
            if text:
                painted.append(self._paint(text, code))
        self._write("".join(reversed(painted)) + "\n")

    def json(self, data: Any) -> None:
        """Writes a JSON document with invisible characters escaped."""
        self.clear()
        self._write(json_text(data) + "\n")

    def progress(self, text: str, *, code: str = "") -> None:
        """Replaces the progress line, without a newline."""
        self._write(_BACK + self._paint(visible_line(text), code))
        self._stream.flush()
        self._in_progress = True

    def prompt(self, text: str) -> None:
        """Writes a question without a newline: the answer is typed behind it."""
        self.clear()
        self._write(visible_line(text))
        self._stream.flush()

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except OSError as error:
            if self._stream is sys.stdout:
                # Else nobody can tell which file is on a full disk.
                error.filename = STDOUT
            raise

    def clear(self) -> None:
        """Removes the progress line, if there is one."""
        if self._in_progress:
            self._in_progress = False
            self._write(_BACK)
            self._stream.flush()

    def flush(self) -> None:
        self._stream.flush()

    def _paint(self, text: str, code: str) -> str:
        if not self._color or not code or not _CODES.issuperset(code):
            return text
        return f"\x1b[{code}m{text}\x1b[0m"
