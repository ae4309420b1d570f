"""Word diffs as styled text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from convtui.text.word_diff import Op, word_diff
from convtui.tui.drawing.palette import Palette, Span

_SIGNS: Final = {"-": ("[-", "-]", "error", "struck"), "+": ("{+", "+}", "ok", "under")}


def diff_spans(before: str, after: str) -> list[Span]:
    """Styles a word diff: `[-removed-]` and `{+added+}`.

    The brackets have the role `sign`: what draws them leaves them out where colours tell.
    """
    return piece_spans(word_diff(before, after))


def piece_spans(pieces: Iterable[tuple[Op, str]], *, signs: bool = True) -> list[Span]:
    """Styles the pieces of a word diff; without `signs` only colour tells them apart."""
    spans: list[Span] = []
    for op, text in pieces:
        if op == "=":
            spans.append((text, "text"))
        elif not signs:
            spans.append((text, "error" if op == "-" else "ok"))
        else:
            spans += changed_spans(op, text)
    return spans


def changed_spans(op: Op, text: str) -> list[Span]:
    """A removed or added piece."""
    before, after, role, line = _SIGNS[op]
    # Nothing is seen of a struck line break: its brackets stay.
    sign = f"{role} bold sign" if text.strip() or not text.strip(" ") else f"{role} bold"
    return [(before, sign), (text, f"{role} {line}"), (after, sign)]


def legend_spans(removed: str = "removed", added: str = "added") -> list[Span]:
    """What the styles of a word diff mean."""
    return [*changed_spans("-", removed), ("  ", "text"), *changed_spans("+", added)]


def is_sign(role: str) -> bool:
    """Whether a piece of text is a bracket around a change."""
    return role.endswith(" sign")


def drawn_spans(spans: Iterable[Span], palette: Palette) -> list[Span]:
    """A word diff as drawn: without its brackets where colours tell."""
    if palette.monochrome:
        return list(spans)
    return [(text, role) for text, role in spans if not is_sign(role)]


def without_signs(
    text: str, marks: Sequence[tuple[int, int, str]]
) -> tuple[str, list[tuple[int, int, str]]]:
    """A text and its marks without the brackets around changes."""
    parts: list[str] = []
    kept: list[tuple[int, int, str]] = []
    position = dropped = 0
    for start, end, role in sorted(marks):
        if is_sign(role):
            parts.append(text[position:start])
            position = end
            dropped += end - start
        else:
            kept.append((start - dropped, end - dropped, role))
    parts.append(text[position:])
    return "".join(parts), kept
