"""One report of every part, rendered as text, as sentences, on the screen and as HTML."""

from __future__ import annotations

import io
import re

import pytest

from convtui.analysis.report.html import as_html
from convtui.analysis.report.report import (
    Diff,
    Listing,
    Plot,
    Report,
    Section,
    Sentence,
    Sides,
    Table,
    Verdict,
)
from convtui.printing.report_printer import ReportPrinter
from convtui.tui.documents.report import plots_document, report_document

HOSTILE = "\x1b[31m<b>"
REPORT = Report(
    [
        Section("", [Table((), [("log", f"a {HOSTILE}"), ("turns", "4")])]),
        Section("tools", [Table(("tool", "calls"), [("find", "3")])], "all of them"),
        Section("", [Sides([("errors", "1", "2")], ("warm", "cold")), Sentence("few", "note")]),
        Section(
            "turns",
            [
                Listing(
                    [
                        Sentence("nothing differs", "1:1", "aside"),
                        Sentence(
                            "text",
                            "1:2 provider",
                            "bad",
                            "(0.5 s)",
                            [
                                Diff([("=", "a "), ("-", "b"), ("+", "c")]),
                                Diff([("-", "x"), ("=", " -> "), ("+", "y")], "signals", False),
                            ],
                        ),
                    ]
                )
            ],
        ),
    ],
    [Plot("latency", "s", "turns", ["1:1", "1:2"], [1.0, 2.0])],
    title="A title",
    verdict=Verdict("b is worse", "bad", "result", "B"),
    closing="How it is to be read.",
)


def printed(*, sentences: bool = False, color: bool = False, width: int | None = None) -> str:
    stream = io.StringIO()
    printer = ReportPrinter(stream, color=color, width=width, ascii_only=True)
    (printer.print_sentences if sentences else printer.print)(REPORT)
    return stream.getvalue()


def test_as_text() -> None:
    assert (
        printed()
        == """A title
  log    a ␛[31m<b>
  turns  4

tools  all of them
  tool  calls
  find  3
          A: warm  B: cold
  errors  1        2
note: few

turns
  1:1           nothing differs
  1:2 provider  text  (0.5 s)
      a [-b-]{+c+}
      signals: x -> y

latency over 2 turns
          2.00 s | @
                 |=@
          0.00 s |@@

result: b is worse

How it is to be read.
"""
    )
    assert "\x1b[31mresult: b is worse\x1b[0m" in printed(color=True)
    assert "How it is to be\nread.\n" in printed(width=18)


def test_as_sentences() -> None:
    assert (
        printed(sentences=True)
        == """A title
log: a ␛[31m<b>
turns: 4
tools: find: calls 3
errors: warm 1; cold 2
note: few
turns: 1:1: nothing differs
turns: 1:2 provider: text (0.5 s); a [-b-]{+c+}; signals: x -> y
latency over turns: 2 values: first 1.00 s, last 2.00 s, lowest 1.00 s at 1:1, highest 2.00 s at 1:2
result: b is worse
How it is to be read.
"""
    )


def test_on_the_screen() -> None:
    assert (
        str(report_document(REPORT, 60))
        == """B b is worse
log    a ␛[31m<b>
turns  4

tools  all of them
tool  calls
find      3

        A: warm  B: cold
errors        1        2

note              few

turns
1:1           nothing differs
1:2 provider  text  (0.5 s)
a [-b-]{+c+}
signals: x -> y

How it is to be read.
"""
    )
    assert "2.00 s │" in str(plots_document(REPORT.plots, 60))


def test_as_html() -> None:
    page = as_html(REPORT)
    page_text = re.sub(r"\s+", " ", re.sub(r"<(?!svg|rect)[^>]*>", " ", page))
    for text in (
        "A title b is worse log a ␛[31m&lt;b&gt; turns 4 tools all of them tool calls find 3",
        "A: warm B: cold errors 1 2 note: few turns 1:1: nothing differs",
        "1:2 provider: text (0.5 s) a b c signals: x -&gt; y",
        "latency over 2 turns: 2 values",
        "How it is to be read.",
    ):
        assert text in page_text
    assert "<del>b</del><ins>c</ins>" in page


@pytest.mark.parametrize("width", [10, 30, 80])
def test_narrow_screens(width: int) -> None:
    assert str(report_document(REPORT, width)).count("\n") >= 18
