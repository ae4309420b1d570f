"""Lines for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from convtui.text.boundary import harmless
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
