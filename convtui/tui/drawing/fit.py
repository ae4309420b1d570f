"""Rows that are cut to a width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from convtui.tui.drawing.palette import Span


def fit(spans: Sequence[Span], width: int) -> list[Span]:
    """Cuts a row to `width` cells, with an ellipsis where something is missing."""
    left = width
    fitted: list[Span] = []
    for index, (text, role) in enumerate(spans):
        size = cell_len(text)
        if size <= left:
            fitted.append((text, role))
            left -= size
        elif left > 0 or any(rest.strip() for rest, _ in spans[index:]):
            fitted.append((text[: max(0, left)], role))
            return _with_ellipsis(fitted, width)
        else:
            break
    return fitted


def _with_ellipsis(spans: list[Span], width: int) -> list[Span]:
    used = sum(cell_len(text) for text, _ in spans)
    while spans and (used >= width or not spans[-1][0]):
        text, role = spans.pop()
        used -= cell_len(text)
        if text[:-1]:
            spans.append((text[:-1], role))
            used += cell_len(text[:-1])
    if width > 0:
        text, role = spans.pop() if spans else ("", "muted")
        spans.append((f"{text}…", role))
    return spans
