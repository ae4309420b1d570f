"""Word diffs for drawing."""

from __future__ import annotations

from convtui.text.word_diff import word_diff
from convtui.tui.drawing.palette import Span

__all__ = ["diff_spans", "word_diff"]


def diff_spans(before: str, after: str) -> list[Span]:
    """A word diff for drawing: `[-removed-]` and `{+added+}`, marked and coloured."""
    spans: list[Span] = []
    for op, text in word_diff(before, after):
        if op == "=":
            spans.append((text, "text"))
        elif op == "-":
            spans += [("[-", "error bold"), (text, "error struck"), ("-]", "error bold")]
        else:
            spans += [("{+", "ok bold"), (text, "ok under"), ("+}", "ok bold")]
    return spans
