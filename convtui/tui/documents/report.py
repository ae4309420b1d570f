"""A report as documents: what it says, and its plots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.cells import cell_len

from convtui.analysis.report.plots import columns, condensed, figure, in_words
from convtui.analysis.report.report import (
    Diff,
    Listing,
    Part,
    Plot,
    Report,
    Section,
    Sentence,
    Sides,
    Table,
    Tone,
)
from convtui.text.boundary import visible_line
from convtui.tui.drawing.palette import Span
from convtui.tui.drawing.tables import TableLayout
from convtui.tui.drawing.word_diff import piece_spans
from convtui.tui.widgets.text_pane import Document

_ROLES: Final[Mapping[Tone, str]] = {
    "plain": "text", "good": "ok", "bad": "error", "doubtful": "warning", "aside": "muted",
}  # fmt: skip
_LONGEST: Final = 400
"""Characters of a sentence."""
_WIDEST_NAME: Final = 20
"""Cells of a name in a column of names."""
_NAME: Final = 16
"""Cells that the name of a sentence has at least."""
_WIDEST: Final = 4
"""Cells that one value of a plot has at most."""


def report_document(report: Report, width: int = 80) -> Document:
    """The verdict, the sections, how they are to be read."""
    doc = Document()
    verdict = report.verdict
    if verdict is not None:
        role = f"{_ROLES[verdict.tone]} bold"
        sign: list[Span] = [(f"{verdict.sign} ", role)] if verdict.sign else []
        doc.line((visible_line(verdict.text, _LONGEST), role), label=sign)
    for section in report.sections:
        add_section(doc, section, width)
    if report.closing:
        doc.blank().line((report.closing, "muted"))
    return doc


def add_section(doc: Document, section: Section, width: int) -> None:
    """Writes a section below what is there."""
    if section.title:
        doc.head(visible_line(section.title, _LONGEST), visible_line(section.aside, _LONGEST))
    for part in section.parts:
        _part(doc, part, width)


def _part(doc: Document, part: Part, width: int) -> None:
    match part:
        case Table(head, rows) if head:
            _table(doc, head, rows, width)
        case Table(rows=rows):
            _named(doc, [(row[0], ", ".join(row[1:])) for row in rows])
        case Sides():
            _sides(doc, part, width)
        case Listing(sentences):
            size = _name_size(sentence.name for sentence in sentences)
            for sentence in sentences:
                _sentence(doc, sentence, size)
        case Sentence():
            _sentence(doc, part, _NAME)
        case Diff():
            _diff(doc, part)


def _table(
    doc: Document,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    head_role: str = "muted",
) -> None:
    layout = TableLayout(head, rows, width)
    for number, row in enumerate((head, *rows)):
        before, last = layout.line(row)
        role = "text" if number else head_role
        doc.line((last, role), label=[(before, role)])


def _sides(doc: Document, sides: Sides, width: int) -> None:
    rows: Sequence[tuple[str, str, str]] = sides.rows
    sizes = (max(map(cell_len, column)) for column in zip(sides.head, *rows, strict=True))
    if sum(sizes) + 2 * (len(sides.head) - 1) > width:
        # How many of how many stands in other rows.
        rows = [(name, one.split(" (")[0], other.split(" (")[0]) for name, one, other in rows]
    doc.blank()
    _table(doc, sides.head, rows, width, "accent bold")
    doc.blank()


def _name_size(names: Iterable[str]) -> int:
    return min(max((cell_len(visible_line(name)) for name in names), default=0), _WIDEST_NAME)


def _named(doc: Document, rows: Sequence[tuple[str, str]]) -> None:
    size = _name_size(name for name, _ in rows)
    for name, words in rows:
        doc.line((visible_line(words), "text"), label=_label(name, size))


def _label(name: str, size: int) -> list[Span]:
    return [(f"{visible_line(name):<{size}}  ", "muted")]


def _sentence(doc: Document, sentence: Sentence, size: int, indent: int = 0) -> None:
    text = visible_line(sentence.text, _LONGEST)
    aside = visible_line(sentence.aside, _LONGEST)
    spans: list[Span] = [(text, _ROLES[sentence.tone])]
    if aside:
        spans.append((f"  {aside}", "muted"))
    label = _label(sentence.name, size) if sentence.name else ()
    doc.line(*spans, indent=indent, label=label)
    for part in sentence.below:
        below = size + 2 if sentence.name else indent + 2
        if isinstance(part, Diff):
            _diff(doc, part, below)
        else:
            _sentence(doc, part, size, below)


def _diff(doc: Document, diff: Diff, indent: int = 0) -> None:
    name: list[Span] = [(f"{diff.name}: ", "muted")] if diff.name else []
    doc.spans([*name, *piece_spans(diff.pieces, signs=diff.signs)], indent=indent)


# --- plots


def plots_document(plots: Sequence[Plot], width: int, height: int = 4) -> Document:
    """Each plot with its axis, and in words below."""
    doc = Document()
    for plot in plots:
        if len(plot.values) > 1:
            _plot(doc, plot, max(10, width), height)
        else:
            doc.head(plot.name)
            doc.line((in_words(plot.values, plot.labels, plot.unit), "text"))
    return doc


def _plot(doc: Document, plot: Plot, width: int, height: int) -> None:
    known = [value for value in plot.values if value is not None]
    # The sum of several points may be more than any of them: its label is as wide.
    label = max(cell_len(figure(max(known), plot.unit)), cell_len(figure(sum(known), plot.unit)))
    room = max(4, width - label - 2)
    drawn, words = condensed(plot, room)
    top = max(value for value in drawn if value is not None)
    label = max(cell_len(figure(value, plot.unit)) for value in (0.0, top, plot.top or 0.0))
    doc.head(plot.name, words)
    if top <= 0:
        doc.line(("none", "ok"))
        return
    top = max(top, plot.top or 0.0)
    size = max(1, min(_WIDEST, room // len(drawn)))
    role = _role(plot)
    for number, line in enumerate(columns(drawn, width=len(drawn), height=height, top=top)):
        gap = size > 1
        bars = "".join(sign * (size - gap) + " " * gap for sign in line)
        axis = figure(top, plot.unit) if number == 0 else ""
        doc.line((f"{axis:>{label}} │", "muted"), (bars.rstrip(), role))
    doc.line((f"{figure(0, plot.unit):>{label}} └{'─' * (len(drawn) * size)}", "muted"))
    _ends(doc, plot, label + 2, len(drawn) * size)
    doc.line((visible_line(in_words(plot.values, plot.labels, plot.unit)), "muted"))


def _ends(doc: Document, plot: Plot, indent: int, size: int) -> None:
    """Where the axis begins and ends, where both names have room."""
    first, last = visible_line(plot.labels[0]), visible_line(plot.labels[-1])
    between = size - cell_len(first) - cell_len(last)
    if between > 0:
        doc.line((" " * indent + first + " " * between + last, "muted"))


def _role(plot: Plot) -> str:
    if plot.unit in ("errors", "%") or "error" in plot.name:
        return "error"
    side = plot.name.split()[0]
    return side if side in ("persona", "provider") else "accent"
