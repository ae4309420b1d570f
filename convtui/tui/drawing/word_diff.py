"""Word diffs as styled text."""

from __future__ import annotations

from convtui.text.word_diff import word_diff
from convtui.tui.drawing.palette import Span


def diff_spans(before: str, after: str) -> list[Span]:
    """Styles a word diff: `[-removed-]` and `{+added+}`, readable without colour too."""
    spans: list[Span] = []
    for op, text in word_diff(before, after):
        if op == "=":
            spans.append((text, "text"))
        elif op == "-":
            spans += [("[-", "error bold"), (text, "error struck"), ("-]", "error bold")]
        else:
            spans += [("{+", "ok bold"), (text, "ok under"), ("+}", "ok bold")]
    return spans
