"""A report as a self-contained HTML page: tables and plots, no external resources."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final

from convtui.analysis.report.plots import figure, in_words, resample
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
)
from convtui.files.replacing import replace_file
from convtui.secrets.redactor import Redactor
from convtui.text.boundary import visible_line

_WIDTH: Final = 720
_HEIGHT: Final = 120
_MOST: Final = 240
"""Columns of a plot at most."""
_LABELLED: Final = 16
"""Columns of a plot that have their labels below at most; tooltips have them always."""
_LETTER: Final = 7.0
"""The width of a letter of a label, roughly."""
_SLANTED: Final = 22
"""Letters of a slanted label at most."""
_SLANT: Final = math.radians(40)
_TAGS: Final = {"=": "span", "-": "del", "+": "ins"}
_STYLE: Final = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin-top:2rem}
table{border-collapse:collapse;width:100%;display:block;overflow-x:auto}
td,th{white-space:nowrap}td:last-child{white-space:normal;width:100%}
td,th{text-align:left;padding:.15rem .8rem .15rem 0;vertical-align:top}
th{font-weight:600;border-bottom:1px solid #8888}
p{margin:.15rem 0}small,figcaption,footer{font-size:.85rem;opacity:.8}
div{margin-left:1.5rem}
figure{margin:1rem 0}
svg{width:100%;height:auto;background:#8881}rect{fill:#3b78c4}
text{font-size:11px;text-anchor:middle;fill:currentColor}
footer{margin-top:2rem}
"""


def write_html(report: Report, path: Path) -> None:
    """Writes a report as a page, with secrets redacted.

    Raises `FileError` when the file cannot be written.
    """
    replace_file(path, Redactor.of_process().text(as_html(report)))


def as_html(report: Report) -> str:
    """A report as a page; texts are escaped and made visible, secrets are not redacted."""
    title = _text(report.title)
    body = [f"<h1>{title}</h1>"]
    if report.verdict is not None:
        body.append(f"<p><strong>{_text(report.verdict.text)}</strong></p>")
    for section in report.sections:
        body += _section(section)
    plots = [_plot(plot) for plot in report.plots if len(plot.values) > 1]
    if plots:
        body += ["<h2>Plots</h2>", *plots]
    if report.closing:
        body.append(f"<footer>{_text(report.closing)}</footer>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _text(text: str) -> str:
    return escape(visible_line(text))


def _section(section: Section) -> Iterator[str]:
    if section.title:
        yield f"<h2>{_text(section.title)}{_aside(section.aside)}</h2>"
    for part in section.parts:
        yield from _part(part)


def _part(part: Part) -> Iterator[str]:
    match part:
        case Table():
            yield _table(part.head, part.rows)
        case Sides():
            yield _table(part.head, part.rows)
        case Listing(sentences):
            for sentence in sentences:
                yield from _part(sentence)
        case Sentence():
            yield f"<p>{_name(part.name)}{_text(part.text)}{_aside(part.aside)}</p>"
            if part.below:
                yield "<div>"
                for below in part.below:
                    yield from _part(below)
                yield "</div>"
        case Diff():
            pieces = "".join(
                f"<{_TAGS[op]}>{_text(text)}</{_TAGS[op]}>" for op, text in part.pieces
            )
            yield f"<p>{_name(part.name)}{pieces}</p>"


def _name(name: str) -> str:
    return f"{_text(name)}: " if name else ""


def _aside(aside: str) -> str:
    return f" <small>{_text(aside)}</small>" if aside else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["<table>"]
    if head:
        cells = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in head)
        lines.append(f"<tr>{cells}</tr>")
    for row in rows:
        lines.append("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>")
    return "\n".join([*lines, "</table>"])


def _label(name: str, x: float, level: bool) -> str:
    """The label of a column below it; not level it is slanted, and cut in its middle."""
    y = _HEIGHT + 14
    if level:
        return f'<text x="{x:.1f}" y="{y}">{escape(name)}</text>'
    half = _SLANTED // 2
    text = name if len(name) <= _SLANTED else f"{name[:half]}…{name[-half:]}"
    turned = f'transform="rotate({-math.degrees(_SLANT):.0f} {x:.1f} {y})" style="text-anchor:end"'
    return f'<text x="{x:.1f}" y="{y}" {turned}>{escape(text)}</text>'


def _plot(plot: Plot) -> str:
    """A bar chart with the values as tooltips, and a caption that describes it."""
    description = in_words(plot.values, plot.labels, plot.unit)
    caption = f"{plot.name} over {len(plot.values)} {plot.over}: {description}"
    values = resample(plot.values, _MOST, adds=plot.adds)
    single = len(values) == len(plot.values)
    top = max([plot.top or 0.0, *(value for value in values if value is not None)])
    wide = _WIDTH / len(values)
    bars = []
    names = [visible_line(label) for label in plot.labels] if single else []
    below, left = 0.0, 0.0
    if names and len(names) <= _LABELLED:
        longest = min(max(map(len, names)), _SLANTED) * _LETTER
        level = max(map(len, names)) * _LETTER < wide
        below = 20 if level else 14 + longest * math.sin(_SLANT)
        left = 0 if level else max(0.0, longest * math.cos(_SLANT) - wide / 2)
        bars += [_label(name, (index + 0.5) * wide, level) for index, name in enumerate(names)]
    for index, value in enumerate(values):
        if value is None or value <= 0 or top <= 0:
            continue
        high = max(1.0, value / top * _HEIGHT)
        label = f"{plot.labels[index]}: " if single else ""
        bars.append(
            f'<rect x="{index * wide:.1f}" y="{_HEIGHT - high:.1f}" width="{max(wide - 1, 1):.1f}"'
            f' height="{high:.1f}"><title>{_text(label + figure(value, plot.unit))}</title>'
            "</rect>"
        )
    return (
        f'<figure><svg viewBox="{-left:.0f} 0 {_WIDTH + left:.0f} {_HEIGHT + below:.0f}" role="img"'
        f' aria-label="{_text(caption)}">{"".join(bars)}</svg>'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
    )
