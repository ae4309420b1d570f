"""The only way to standard output and standard error.

What a command says may come from models and from files. It is written through `Output`, which makes
every text visible once more, whatever was done to it before: no field can be forgotten. Escape
sequences reach a terminal only from here, as the colours and the line of progress of our own.
"""

from __future__ import annotations

from typing import Any, Final, TextIO

from convtui.text.boundary import json_text, visible, visible_line

Piece = str | tuple[str, str]
"""A text, or a text and its SGR code."""
_CODES: Final = frozenset("0123456789;")
_BACK: Final = "\r\x1b[K"
"""To the beginning of the line, and clears it."""


class Output:
    """Writes lines of text, JSON, and a line of progress that the next one takes away.

    `color` says whether the codes of pieces are written. Progress is for terminals: it is for the
    caller to find out whether the stream is one.
    """

    def __init__(self, stream: TextIO, *, color: bool = False) -> None:
        self._stream = stream
        self._color = color
        self._in_progress = False

    def line(self, *pieces: Piece) -> None:
        """Pieces side by side and the end of the line; white space before it is left out.

        Newlines inside of a piece are kept.
        """
        self.clear()
        painted: list[str] = []
        for piece in reversed(pieces):
            text, code = piece if isinstance(piece, tuple) else (piece, "")
            text = visible(text) if painted else visible(text).rstrip()
            if text:
                painted.append(self._paint(text, code))
        self._stream.write("".join(reversed(painted)) + "\n")

    def json(self, data: Any) -> None:
        """A JSON document in which nothing is invisible."""
        self.clear()
        self._stream.write(json_text(data) + "\n")

    def progress(self, text: str, *, code: str = "") -> None:
        """A line in place of the last one of this kind, without an end."""
        self._stream.write(_BACK + self._paint(visible_line(text), code))
        self._stream.flush()
        self._in_progress = True

    def prompt(self, text: str) -> None:
        """A question, whose answer is typed behind it."""
        self.clear()
        self._stream.write(visible_line(text))
        self._stream.flush()

    def clear(self) -> None:
        """Takes the line of progress away, if there is one."""
        if self._in_progress:
            self._in_progress = False
            self._stream.write(_BACK)
            self._stream.flush()

    def flush(self) -> None:
        """Hands on what has been written."""
        self._stream.flush()

    def _paint(self, text: str, code: str) -> str:
        if not self._color or not code or not _CODES.issuperset(code):
            return text
        return f"\x1b[{code}m{text}\x1b[0m"
