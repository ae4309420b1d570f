"""Two arms of runs against each other, as a document."""

from __future__ import annotations

from typing import Final

from rich.cells import cell_len

from convtui.analysis.compare.ab import METHOD, AbComparison, rows, verdict_words
from convtui.analysis.profile.report import interval_words
from convtui.text.boundary import visible_line
from convtui.tui.drawing.tables import Table
from convtui.tui.widgets.text_pane import Document

_ROLES: Final = {"warm": "ok", "cold": "error", "tie": "warning", "none": "warning"}
_SIGNS: Final = {"warm": "A", "cold": "B", "tie": "=", "none": "?"}


def result(found: AbComparison, width: int) -> Document:
    """The verdict, what it rests on, both arms side by side."""
    doc = Document()
    role = f"{_ROLES[found.verdict]} bold"
    doc.line((visible_line(verdict_words(found), 400), role),
             label=[(f"{_SIGNS[found.verdict]} ", role)])  # fmt: skip
    if found.improvement is not None:
        doc.line(
            ("improvement (cold minus warm)  ", "muted"),
            (f"{found.improvement * 100:+.1f} points", "text bold"),
        )
        if found.interval is not None:
            doc.line(("95 % interval  ", "muted"), (interval_words(found.interval), "text"))
    doc.blank()
    head = ("", "A: warm", "B: cold")
    cells = rows(found)
    if sum(max(map(cell_len, column)) + 2 for column in zip(head, *cells, strict=True)) - 2 > width:
        # How many of how many stands in the lines above it.
        cells = [(name, one.split(" (")[0], other.split(" (")[0]) for name, one, other in cells]
    table = Table(head, cells, width)
    for place, row in enumerate((head, *cells)):
        before, last = table.line(row)
        shown = "text" if place else "accent bold"
        doc.line((last, shown), label=[(before, shown)])
    for note in found.notes:
        doc.line((visible_line(note, 300), "warning"))
    if found.interval is not None:
        doc.blank().line((f"Interval: {METHOD}.", "muted"))
    return doc


def missing(
    counts: tuple[int, int], keys: tuple[str, str, str, str], *, runs: bool, left_out: list[str]
) -> Document:
    """What to do for a comparison; `keys` put a run into A, into B, choose A and B by filter."""
    doc = Document()
    if not runs:
        doc.line(("No saved runs yet.", "bold")).blank()
        return doc.line(
            ("Every conversation is saved by itself: start one, some with a warm template and some"
             " without; `convtui compare --ab --runs N` makes the runs of both arms.", "muted")
        )  # fmt: skip
    a, b, filter_a, filter_b = keys
    doc.line(("Two arms of runs are compared: A, the warm ones, and B, the cold ones.", "text"))
    doc.blank()
    for name, count, key, by in (
        ("A", counts[0], a, filter_a),
        ("B", counts[1], b, filter_b),
    ):
        many = f"{count:,} run{'s' * (count != 1)}"
        doc.line(
            (f"{many}  ", "ok" if count else "warning bold"),
            (key, "accent bold"), (" puts the selected run in or out, ", "muted"),
            (by, "accent bold"), (" takes all that a filter finds", "muted"),
            label=[(f"arm {name}  ", "accent bold")],
        )  # fmt: skip
    for why in left_out[:8]:
        doc.line((visible_line(why, 300), "error"))
    return doc
