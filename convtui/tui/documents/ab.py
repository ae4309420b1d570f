"""What is said where two arms of runs are still to be chosen."""

from __future__ import annotations

from convtui.text.boundary import visible_line
from convtui.tui.widgets.text_pane import Document


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
