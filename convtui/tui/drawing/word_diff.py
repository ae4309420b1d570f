"""Word diffs as styled text."""

from __future__ import annotations

from collections.abc import Iterable

from convtui.text.word_diff import Op, word_diff
from convtui.tui.drawing.palette import Span


def diff_spans(before: str, after: str) -> list[Span]:
    """Styles a word diff: `[-removed-]` and `{+added+}`, readable without colour too."""
    return piece_spans(word_diff(before, after))


def piece_spans(pieces: Iterable[tuple[Op, str]], *, signs: bool = True) -> list[Span]:
    """Styles the pieces of a word diff; without `signs` only colour tells them apart."""
    spans: list[Span] = []
    for op, text in pieces:
        if op == "=":
            spans.append((text, "text"))
        elif not signs:
            spans.append((text, "error" if op == "-" else "ok"))
        elif op == "-":
            spans += [("[-", "error bold"), (text, "error struck"), ("-]", "error bold")]
        else:
            spans += [("{+", "ok bold"), (text, "ok under"), ("+}", "ok bold")]
    return spans
