"""A profile as one HTML page: tables and plots, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from convtui.analysis.profile.profile import Profile
from convtui.analysis.profile.report import RULE_OF_VERDICT, sections
from convtui.analysis.profile.series import Series, series
from convtui.analysis.report.plots import figure, in_words, resample
from convtui.errors import FileError
from convtui.secrets.redactor import Redactor
from convtui.text.boundary import visible_line

_WIDTH: Final = 720
_HEIGHT: Final = 120
_MOST: Final = 240
"""Columns of a plot."""
_STYLE: Final = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.15rem .8rem .15rem 0;vertical-align:top}
th{font-weight:600;border-bottom:1px solid #8888}
figure{margin:1rem 0}figcaption{font-size:.85rem;opacity:.8}
svg{width:100%;height:auto;background:#8881}rect{fill:#3b78c4}
footer{font-size:.85rem;opacity:.8;margin-top:2rem}
"""


def write_report(profile: Profile, path: Path) -> None:
    """Writes the page. Raises `FileError` when it cannot be written."""
    try:
        path.write_text(Redactor.of_process().text(as_html(profile)), encoding="utf-8")
    except OSError as error:
        raise FileError(f"{path}: the report cannot be written: {error.strerror}") from error


def as_html(profile: Profile) -> str:
    """The page; texts of logs are escaped and made visible."""
    if len(profile.runs) == 1:
        title = f"Profile of {profile.runs[0].path.name}"
    else:
        title = f"Profile of {len(profile.runs):,} runs"
    parts = [f"<h1>{_text(title)}</h1>"]
    for section in sections(profile):
        parts.append(_table(section.title, section.head, section.rows, section.note))
    plots = [_plot(each) for each in series(profile) if len(each.values) > 1]
    if plots:
        parts += ["<h2>Plots</h2>", *plots]
    parts.append(f"<footer>{_text(RULE_OF_VERDICT)}</footer>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _text(text: str) -> str:
    return escape(visible_line(text))


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> str:
    lines = [f"<h2>{_text(title)}</h2>"] if title else []
    lines.append("<table>")
    if head:
        cells = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in head)
        lines.append(f"<tr>{cells}</tr>")
    for row in rows:
        lines.append("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>")
    lines.append("</table>")
    if note:
        lines.append(f"<p>{_text(note)}</p>")
    return "\n".join(lines)


def _plot(plotted: Series) -> str:
    """Columns with the value of each as its title; the caption says in words what is to be seen."""
    said = in_words(plotted.values, plotted.labels, plotted.unit)
    caption = f"{plotted.name} over {len(plotted.values)} {plotted.over}: {said}"
    values = resample(plotted.values, _MOST, adds=plotted.adds)
    single = len(values) == len(plotted.values)
    top = max((value for value in values if value is not None), default=0.0)
    wide = _WIDTH / len(values)
    bars = []
    for place, value in enumerate(values):
        if value is None or value <= 0 or top <= 0:
            continue
        high = max(1.0, value / top * _HEIGHT)
        label = f"{plotted.labels[place]}: " if single else ""
        bars.append(
            f'<rect x="{place * wide:.1f}" y="{_HEIGHT - high:.1f}" width="{max(wide - 1, 1):.1f}"'
            f' height="{high:.1f}"><title>{_text(label + figure(value, plotted.unit))}</title>'
            "</rect>"
        )
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        f' aria-label="{_text(caption)}">{"".join(bars)}</svg>'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
    )
