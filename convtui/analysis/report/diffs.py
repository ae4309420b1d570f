"""Word diffs, shortened for reports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from convtui.text.word_diff import Op

_AROUND: Final = 60
"""Characters of equal text that are kept on each side of a difference."""
_MOST: Final = 2_000
"""Characters of one removed or added piece that are kept."""


def clipped(diff: Iterable[tuple[Op, str]]) -> list[tuple[Op, str]]:
    """A word diff in which equal text is reduced to the context of the differences."""
    pieces = list(diff)
    kept: list[tuple[Op, str]] = []
    for index, (op, text) in enumerate(pieces):
        if op != "=":
            kept.append((op, text if len(text) <= _MOST else f"{text[:_MOST]}…"))
            continue
        head = _AROUND if index else 0
        tail = _AROUND if index < len(pieces) - 1 else 0
        short = len(text) <= head + tail + 20
        end = text[len(text) - tail :] if tail else ""
        kept.append((op, text if short else f"{text[:head]} … {end}"))
    return kept
