"""Rows on their way to the clipboard."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from textual.selection import Selection


class CopyRow(NamedTuple):
    """A row for the clipboard: its text, where the content starts, what joins it to the next."""

    text: str
    indent: int = 0
    glue: str = "\n"


def copied(rows: Iterable[CopyRow], first: int, selection: Selection) -> str:
    """What is selected of consecutive rows, the first of which is on line `first`.

    Soft line breaks are joined, margins left out.
    """
    parts: list[str] = []
    glue_before = ""
    for line, (text, indent, glue) in enumerate(rows, first):
        begin, end = selection.get_span(line) or (0, -1)
        parts += [glue_before, text[max(begin, indent) : len(text) if end < 0 else end]]
        glue_before = glue
    return "".join(parts)
