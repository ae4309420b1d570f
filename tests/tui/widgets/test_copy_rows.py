"""What is selected of rows: without margins, with soft breaks joined."""

from __future__ import annotations

import pytest
from textual.geometry import Offset
from textual.selection import Selection

from convtui.tui.widgets.copy_rows import CopyRow, copied

ROWS = [CopyRow("| Good", 2, " "), CopyRow("| day.", 2), CopyRow("| So?", 2)]
"""From line 5 on."""


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (None, None, "Good day.\nSo?"),
        (Offset(4, 5), None, "od day.\nSo?"),
        (Offset(0, 5), Offset(4, 6), "Good da"),
    ],
)
def test_rows_are_joined_as_they_were_written(
    start: Offset | None, end: Offset | None, text: str
) -> None:
    selection = Selection(start, end)
    last = len(ROWS) if end is None else end.y - 5 + 1
    assert copied(ROWS[:last], 5, selection) == text
