"""What an analysis reports, as data: sentences, tables, plots, one verdict.

Made once, and rendered as text (`convtui.printing.report_printer`), as a document on the screen
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
    """A text that changed, in pieces that are the same, removed and added."""

    pieces: Sequence[tuple[Op, str]]
    name: str = ""
    signs: bool = True
    """Whether what is removed and added has signs, where colours alone do not tell."""

    def signed(self) -> list[tuple[Op, str]]:
        """The pieces as plain text shows them: `[-removed-]` and `{+added+}`."""
        if not self.signs:
            return list(self.pieces)
        return [(op, _SIGNS[op].format(text)) for op, text in self.pieces]


@dataclass(slots=True, frozen=True)
class Sentence:
    """`name: text  aside`, and what belongs to it below."""

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
    """Rows below a head; without one, of a name and what it is."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(slots=True, frozen=True)
class Sides:
    """Two sides, A and B, row by row: what it is, what it is in A and in B."""

    rows: Sequence[tuple[str, str, str]]
    names: tuple[str, str] = ("", "")
    """What A and B are, where that has a name."""

    @property
    def head(self) -> tuple[str, str, str]:
        """`A: warm`, `B: cold`; the letters alone where the sides have no names."""
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
    """Of each point: a turn's address, a log's name. Foreign text."""
    values: Sequence[float | None]
    """None: not on record."""
    adds: bool = False
    """Whether several points together are their sum, and not the greatest of them."""


Part = Sentence | Listing | Table | Sides | Diff


@dataclass(slots=True, frozen=True)
class Section:
    """Parts below a title, which is empty where there is none."""

    title: str
    parts: Sequence[Part]
    aside: str = ""
    """Goes with the title."""


@dataclass(slots=True, frozen=True)
class Verdict:
    """What it comes to, in one sentence."""

    text: str
    tone: Tone = "plain"
    name: str = ""
    sign: str = ""
    """Stands for it where there is little room."""


@dataclass(slots=True, frozen=True)
class Report:
    """Everything that an analysis has to say."""

    sections: Sequence[Section]
    plots: Sequence[Plot] = ()
    title: str = ""
    verdict: Verdict | None = None
    closing: str = ""
    """How it is to be read."""
