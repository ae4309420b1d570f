"""The report of an analysis as data: sentences, tables, diffs, plots, one verdict.

It is rendered as text (`convtui.printing.report_printer`), as a document on the screen
(`convtui.tui.documents.report`) and as an HTML page (`html`). Texts are exact: renderers make them
visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from convtui.text.word_diff import Op

Tone = Literal["plain", "good", "bad", "doubtful", "aside"]
_SIGNS: Final[dict[Op, str]] = {"=": "{}", "-": "[-{}-]", "+": "{{+{}+}}"}


@dataclass(slots=True, frozen=True)
class Diff:
    """A changed text, as pieces that are equal, removed or added."""

    pieces: Sequence[tuple[Op, str]]
    name: str = ""
    signs: bool = True
    """Whether plain text marks removed and added pieces with brackets."""

    def signed(self) -> list[tuple[Op, str]]:
        """The pieces marked for plain text: `[-removed-]` and `{+added+}`."""
        if not self.signs:
            return list(self.pieces)
        return [(op, _SIGNS[op].format(text)) for op, text in self.pieces]


@dataclass(slots=True, frozen=True)
class Sentence:
    """`name: text  aside`, with details below."""

    text: str
    name: str = ""
    tone: Tone = "plain"
    aside: str = ""
    below: Sequence[Sentence | Diff] = ()


@dataclass(slots=True, frozen=True)
class Listing:
    """Sentences with their names in a column."""

    sentences: Sequence[Sentence]


@dataclass(slots=True, frozen=True)
class Table:
    """Rows below a head; with an empty head, rows of a name and a value."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(slots=True, frozen=True)
class Sides:
    """A table of two sides: each row is a name, and the values of A and B."""

    rows: Sequence[tuple[str, str, str]]
    names: tuple[str, str] = ("", "")
    """Names of A and B; empty where the letters suffice."""

    @property
    def head(self) -> tuple[str, str, str]:
        """The head of the table: `("", "A: warm", "B: cold")`, or only the letters."""
        a, b = self.names
        return ("", f"A: {a}" if a else "A", f"B: {b}" if b else "B")


@dataclass(slots=True, frozen=True)
class Plot:
    """A value for each turn of a run, or for each of several runs."""

    name: str
    unit: str
    """`s`, `tokens`, `errors`, `%`, `$`."""
    over: str
    """What the points are: `turns of the provider`, `turns`, `runs`, `tool calls`."""
    labels: Sequence[str]
    """Labels of the points: addresses of turns or names of logs. Foreign text."""
    values: Sequence[float | None]
    """None where a value is not on record."""
    adds: bool = False
    """Whether resampling adds points up, instead of taking the greatest."""
    top: float | None = None
    """What the full height stands for, where several plots have one scale; None is the greatest."""


Part = Sentence | Listing | Table | Sides | Diff


@dataclass(slots=True, frozen=True)
class Section:
    """Parts below a title, which may be empty."""

    title: str
    parts: Sequence[Part]
    aside: str = ""
    """A remark beside the title."""


@dataclass(slots=True, frozen=True)
class Verdict:
    """The conclusion of a report, in one sentence."""

    text: str
    tone: Tone = "plain"
    name: str = ""
    sign: str = ""
    """A symbol that precedes the text on screens and in tables."""


@dataclass(slots=True, frozen=True)
class Report:
    """A whole report: sections, then plots, then the closing note."""

    sections: Sequence[Section]
    plots: Sequence[Plot] = ()
    title: str = ""
    verdict: Verdict | None = None
    closing: str = ""
    """A note on how to read the figures."""
