"""Wraps text to a width in terminal cells, and counts the resulting lines without wrapping.

Both use one rule: a line breaks at the last space that leaves at most `width` cells before it, that
space is dropped, and a word longer than a line is cut where the line is full. The text that is
wrapped is what `visible()` shows.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from rich.cells import get_character_cell_size

from convtui.text.boundary import visible, visible_length
from convtui.tui.drawing.clusters import JOINED, cluster_end

# Characters that `visible()` keeps and a terminal draws in one cell: length equals width. More
# characters would qualify; these cover text in Latin, Greek and Cyrillic scripts.
_PLAIN: Final = re.compile(
    "[\n\x20-\x7e\xa0-\xac\xae-\u02ff\u0391-\u03a1\u03a3-\u03c9\u0400-\u0482\u2010-\u2027\u2030-\u205e"
    "\u20a0-\u20bf\u2190-\u21ff\u2500-\u257f]*"
)
MAX_CHARS: Final = 32_768
"""Characters of a turn that are wrapped; the rest shows when the turn is opened."""
MAX_LINES: Final = 200


def is_plain(text: str) -> bool:
    """Whether `visible()` keeps `text` unchanged and all but newlines take one cell each."""
    if text.isascii() and text.isprintable():
        return True
    return _PLAIN.fullmatch(text) is not None


def count_lines(text: str, width: int, max_lines: int = 0) -> int:
    """Counts the lines of `Wrapped(text, width)`, up to `max_lines` unless that is 0."""
    if text.isascii() and text.isprintable():
        count = _count_plain(text, width)
    elif _PLAIN.fullmatch(text) is not None:
        count = sum(_count_plain(line, width) for line in text.split("\n"))
    else:
        return len(Wrapped(text, width, max_lines))
    return min(count, max_lines) if max_lines else count


def count_capped(text: str, width: int) -> int:
    """Counts the lines drawn for a turn: up to `MAX_LINES`, plus one that says what is left out."""
    size = len(text)
    if size <= MAX_CHARS:
        count = count_lines(text, width, MAX_LINES + 1)
        return count if count <= MAX_LINES else MAX_LINES + 1
    return min(count_lines(text[:MAX_CHARS], width, MAX_LINES), MAX_LINES) + 1


def _count_plain(line: str, width: int) -> int:
    rfind = line.rfind
    size = len(line)
    last = size - width
    position = lines = 0
    reach = width + 1
    while position < last:
        cut = rfind(" ", position, position + reach)
        position = cut + 1 if cut > position else position + width
        lines += 1
    return lines + 1 if position < size or not lines else lines


class Wrapped:
    """Text wrapped to `width` cells, in at most `max_lines` lines unless that is 0.

    `source` is the stored text and `text` what is shown of it; lines are spans of `text`.
    """

    __slots__ = (
        "_resume",
        "cut",
        "ends",
        "max_lines",
        "plain",
        "source",
        "starts",
        "text",
        "width",
    )

    def __init__(self, source: str, width: int, max_lines: int = 0) -> None:
        self.width = max(1, width)
        self.max_lines = max_lines
        self.source = ""
        self.text = ""
        self.plain = True
        self.cut = 0
        """How many characters of `text` do not fit in `max_lines`."""
        self.starts: array[int] = array("l")
        self.ends: array[int] = array("l")
        self._resume = 0
        self._wrap_all(source)

    def __len__(self) -> int:
        return len(self.starts)

    def line(self, number: int) -> str:
        return self.text[self.starts[number] : self.ends[number]]

    def lines(self) -> list[str]:
        return [self.line(number) for number in range(len(self))]

    def is_soft(self, number: int) -> bool:
        """Whether the line continues in the next one without a newline."""
        return (
            number + 1 < len(self)
            and "\n" not in self.text[self.ends[number] : self.starts[number + 1]]
        )

    def at(self, offset: int) -> int:
        """Converts an offset in the source to one in the shown text.

        This holds for any prefix of a text, except in the middle of a line end or of a run of
        combining marks.
        """
        if self.plain:
            return min(offset, len(self.text))
        return min(visible_length(self.source, offset), len(self.text))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Converts a span of the source to one in the shown text."""
        return self.at(start), self.at(end)

    def grow(self, source: str) -> int:
        """Replaces the source by a longer one; rewraps only the tail if the start is the same.

        Returns the number of the first line that may have changed.
        """
        old = self.source
        if self.cut or not old or len(source) < len(old) or not source.startswith(old):
            self._wrap_all(source)
            return 0
        added = source[len(old) :]
        if self.plain and is_plain(added):
            # A greedy line break depends only on its own line.
            keep = max(0, len(self) - 1)
            position = self.starts[keep]
            self.source = self.text = source
            self._drop_from(keep)
            self._wrap_plain(position)
            return keep
        line_start = old.rfind("\n") + 1
        shown = len(old[:line_start]) if self.plain else self._resume
        if line_start == 0:
            self._wrap_all(source)
            return 0
        keep = bisect_left(self.starts, shown)
        self.source = source
        self.text = self.text[:shown] + visible(source[line_start:])
        self.plain = False
        self._drop_from(keep)
        self._wrap_cells(shown)
        return keep

    def _drop_from(self, number: int) -> None:
        del self.starts[number:]
        del self.ends[number:]

    def _wrap_all(self, source: str) -> None:
        self._drop_from(0)
        self.source = source
        self.cut = 0
        self.plain = is_plain(source)
        self.text = source if self.plain else visible(source)
        if self.plain:
            self._wrap_plain(0)
        else:
            self._wrap_cells(0)

    def _full(self, position: int) -> bool:
        if self.max_lines and len(self.starts) >= self.max_lines:
            self.cut = max(1, len(self.text) - position)
            return True
        return False

    def _wrap_plain(self, position: int) -> None:
        text, width = self.text, self.width
        starts, ends = self.starts, self.ends
        find, rfind = text.find, text.rfind
        reach = width + 1
        while True:
            stop = find("\n", position)
            size = len(text) if stop < 0 else stop
            begin = position
            while size - position > width:
                if self._full(position):
                    return
                cut = rfind(" ", position, position + reach)
                starts.append(position)
                if cut > position:
                    ends.append(cut)
                    position = cut + 1
                else:
                    position += width
                    ends.append(position)
            if position < size or position == begin:
                if self._full(position):
                    return
                starts.append(position)
                ends.append(size)
            if stop < 0:
                return
            position = stop + 1

    def _wrap_cells(self, position: int) -> None:
        text = self.text
        while True:
            stop = text.find("\n", position)
            size = len(text) if stop < 0 else stop
            if not self._wrap_logical(position, size):
                return
            if stop < 0:
                self._resume = position
                return
            position = stop + 1

    def _wrap_logical(self, position: int, size: int) -> bool:
        """Wraps one logical line; False once `max_lines` is reached."""
        text, width = self.text, self.width
        begin = position
        joined = JOINED.search(text, position, size) is not None
        while position < size:
            cells = 0
            space = -1
            index = position
            while index < size:
                char = text[index]
                if char == " ":
                    space = index
                after = index + 1
                if joined:
                    after, own = cluster_end(text, index)
                    cells += own
                else:
                    cells += get_character_cell_size(char)
                if cells > width:
                    break
                index = after
            if self._full(position):
                return False
            self.starts.append(position)
            if index >= size:
                self.ends.append(size)
                return True
            if space > position:
                self.ends.append(space)
                position = space + 1
            else:
                # A character wider than the line is still drawn, so that no text is lost.
                position = index if index > position else after
                self.ends.append(position)
        if begin == size:
            if self._full(position):
                return False
            self.starts.append(position)
            self.ends.append(size)
        return True


def paint(
    start: int, end: int, marks: Iterable[tuple[int, int, str]], base: str
) -> list[tuple[int, int, str]]:
    """Splits `start..end` at the edges of `marks` (start, end, role); later marks win."""
    pieces = [(start, end, base)]
    for left, right, role in marks:
        low, high = max(left, start), min(right, end)
        if low >= high:
            continue
        split: list[tuple[int, int, str]] = []
        for first, last, old in pieces:
            if last <= low or first >= high:
                split.append((first, last, old))
                continue
            if first < low:
                split.append((first, low, old))
            split.append((max(first, low), min(last, high), role))
            if last > high:
                split.append((high, last, old))
        pieces = split
    return pieces
