"""Prints reports: in columns with plots, or as sentences for pipes and screen readers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from convtui.analysis.report.plots import can_draw_blocks, columns, condensed, figure, in_words
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
from convtui.printing.output import Output, Piece
from convtui.printing.tables import table_lines, wrapped
from convtui.text.boundary import visible_line
from convtui.text.word_diff import Op

_BOLD: Final = "1"
_CODES: Final[Mapping[Tone, str]] = {
    "plain": "", "good": "32", "bad": "31", "doubtful": "33", "aside": "2",
}  # fmt: skip
_DIFF_CODES: Final[Mapping[Op, str]] = {"=": "", "-": "31", "+": "32"}
_PLOT_WIDTH: Final = 60
_PLOT_HEIGHT: Final = 3
_BELOW: Final = " " * 6
"""The indent of parts below a sentence of a list."""


class ReportPrinter:
    """Writes reports to a stream. Foreign text is made visible here."""

    def __init__(
        self,
        stream: Any,
        *,
        color: bool = False,
        width: int | None = None,
        ascii_only: bool = False,
    ) -> None:
        """Nothing is wrapped without a `width`."""
        self._output = Output(stream, color=color)
        self._width = width
        self._ascii = ascii_only or not can_draw_blocks(stream)
        self._empty = True

    def _line(self, *pieces: Piece) -> None:
        self._empty = False
        texts = (piece if isinstance(piece, tuple) else (piece, "") for piece in pieces)
        self._output.line(*((visible_line(text), code) for text, code in texts))

    # --- in columns

    def print(self, report: Report) -> None:
        """Prints tables and plots, for people."""
        if report.title:
            self._line(report.title)
        for section in report.sections:
            if section.title:
                self._head(section.title, section.aside)
            for part in section.parts:
                self._part(part)
        for plot in report.plots:
            if len(plot.values) > 1:
                self._plot(plot)
        verdict = report.verdict
        if verdict is not None:
            if not self._empty and any(section.title for section in report.sections):
                self._line()
            name = f"{verdict.name}: " if verdict.name else ""
            self._line((f"{name}{verdict.text}", _CODES[verdict.tone]))
        if report.closing:
            self._line()
            for line in wrapped(report.closing, self._width):
                self._line((line, _CODES["aside"]))

    def _head(self, title: str, aside: str = "") -> None:
        if not self._empty:
            self._line()
        self._line((title, _BOLD), (f"  {aside}" if aside else "", _CODES["aside"]))

    def _part(self, part: Part) -> None:
        match part:
            case Sentence():
                self._sentence(part)
            case Listing():
                size = max((len(visible_line(entry.name)) for entry in part.sentences), default=0)
                for sentence in part.sentences:
                    self.listed(sentence, size, "  ")
            case Table():
                self._table(part.rows, part.head)
            case Sides():
                self._table(part.rows, part.head)
            case Diff():
                self._diff(part, "")

    def _table(self, rows: Iterable[Sequence[str]], head: Sequence[str]) -> None:
        lines = [head, *rows] if head else list(rows)
        width = None if self._width is None else self._width - 2
        for number, row in enumerate(table_lines(lines, width=width)):
            for line in row:
                self._line((f"  {line}", _CODES["aside"] if head and not number else ""))

    def _sentence(self, sentence: Sentence, indent: str = "") -> None:
        name = f"{sentence.name}: " if sentence.name else ""
        self._worded(indent + name, sentence, indent + "  ")

    def listed(self, sentence: Sentence, size: int, indent: str = "") -> None:
        """Prints a sentence of a list, its name in a column of `size` characters."""
        self._worded(f"{indent}{visible_line(sentence.name):<{size}}  ", sentence, _BELOW)

    def _worded(self, begin: str, sentence: Sentence, below: str) -> None:
        aside = f"  {sentence.aside}" if sentence.aside else ""
        code = _CODES[sentence.tone]
        dim = _CODES["aside"]
        self._line((begin, dim if code == dim else ""), (sentence.text, code), (aside, dim))
        for part in sentence.below:
            if isinstance(part, Diff):
                self._diff(part, below)
            else:
                self._sentence(part, below)

    def _diff(self, diff: Diff, indent: str) -> None:
        name = f"{diff.name}: " if diff.name else ""
        self._line(indent + name, *((text, _DIFF_CODES[op]) for op, text in diff.signed()))

    def _plot(self, plot: Plot) -> None:
        drawn, caption = condensed(plot, _PLOT_WIDTH)
        most = max((value for value in drawn if value is not None), default=0.0)
        if most <= 0:
            self._head(f"{plot.name} {caption}: none")
            return
        self._head(f"{plot.name} {caption}")
        most = max(most, plot.top or 0.0)
        lines = columns(
            drawn, width=len(drawn), height=_PLOT_HEIGHT, ascii_only=self._ascii, top=most
        )
        axis = [figure(most, plot.unit), *[""] * (_PLOT_HEIGHT - 2), figure(0, plot.unit)]
        wall = "|" if self._ascii else "▏"
        for value, line in zip(axis, lines, strict=True):
            self._line(f"  {value:>14} {wall}{line}")

    # --- as sentences

    def print_sentences(self, report: Report) -> None:
        """Prints a line for each fact, with plots as sentences."""
        if report.title:
            self._line(report.title)
        for section in report.sections:
            for line in _in_sentences(section):
                self._line(f"{section.title}: {line}" if section.title else line)
        for plot in report.plots:
            text = in_words(plot.values, plot.labels, plot.unit)
            self._line(f"{plot.name} over {plot.over}: {text}")
        if report.verdict is not None:
            self._line(f"{report.verdict.name or 'result'}: {report.verdict.text}")
        if report.closing:
            self._line(report.closing)


def _in_sentences(section: Section) -> Iterable[str]:
    for part in section.parts:
        match part:
            case Table(head, rows):
                for row in rows:
                    yield f"{row[0]}: {', '.join(_cells(head, row))}"
            case Sides(rows):
                a, b = (name or letter for name, letter in zip(part.names, "AB", strict=True))
                for name, one, other in rows:
                    yield f"{name}: {a} {one}; {b} {other}"
            case Listing(sentences):
                for sentence in sentences:
                    yield _in_line(sentence)
            case Sentence() | Diff():
                yield _in_line(part)


def _cells(head: Sequence[str], row: Sequence[str]) -> Iterable[str]:
    if not head:
        return row[1:]
    return (
        f"{name} {cell}" if name else cell for name, cell in zip(head[1:], row[1:], strict=True)
    )


def _in_line(part: Sentence | Diff) -> str:
    name = f"{part.name}: " if part.name else ""
    if isinstance(part, Diff):
        return name + "".join(text for _, text in part.signed())
    aside = f" {part.aside}" if part.aside else ""
    return name + "; ".join([part.text + aside, *map(_in_line, part.below)])
