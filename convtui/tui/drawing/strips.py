"""Lines for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from convtui.text.boundary import harmless
from convtui.tui.drawing.clusters import separated
from convtui.tui.drawing.palette import Palette


def strip_of(spans: Sequence[tuple[str, str]], palette: Palette) -> Strip:
    """A line of text pieces with roles.

    The last check before the terminal: text that bypassed `visible()` is sanitised here too.
    """
    return Strip([Segment(harmless(text), palette.style(role)) for text, role in spans if text])


def restyled(strip: Strip, start: int, end: int, style: Style) -> Strip:
    """The strip with the characters from `start` to `end` (-1: to its end) in `style`."""
    segments: list[Segment] = []
    position = 0
    for text, own, _ in strip:
        low = min(max(start - position, 0), len(text))
        high = len(text) if end < 0 else min(max(end - position, 0), len(text))
        high = max(low, high)
        if low:
            segments.append(Segment(text[:low], own))
        if high > low:
            segments.append(Segment(text[low:high], own + style if own else style))
        if high < len(text):
            segments.append(Segment(text[high:], own))
        position += len(text)
    return Strip(segments, strip.cell_length)


def placed(strip: Strip, base: Style, width: int, line: int) -> Strip:
    """The strip over `base` in `width` cells, each piece with its place for selecting text."""
    return strip.apply_style(base).crop_extend(0, width, base).apply_offsets(0, line)


class PlacedStrips:
    """The lines that were drawn last: a strip that is the same one again is not placed again."""

    _MOST = 150

    def __init__(self) -> None:
        self._kept: dict[tuple[int, Style, int, int], tuple[Strip, Strip]] = {}
        self._kept_before: dict[tuple[int, Style, int, int], tuple[Strip, Strip]] = {}

    def get(self, strip: Strip, base: Style, width: int, line: int) -> Strip:
        """As `placed()`, with joiners that follow letters in segments of their own."""
        key = (id(strip), base, width, line)
        pair = self._kept.get(key)
        if pair is None:
            pair = self._kept_before.get(key)
            if pair is None:
                # A copy: strips keep all that was made of them, and `strip` may stay for long.
                fresh = separated(Strip(strip, strip.cell_length))
                # An id is unique only among what exists, so the strip is kept, too.
                pair = strip, placed(fresh, base, width, line)
            if len(self._kept) >= self._MOST:
                self._kept, self._kept_before = {}, self._kept
            self._kept[key] = pair
        return pair[1]
