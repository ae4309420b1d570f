"""A profile as documents: tables, plots, what a compression did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Final

from rich.cells import cell_len

from convtui.analysis.profile.compress_check import CompressionCheck
from convtui.analysis.profile.compress_report import ANSWERS, lines
from convtui.analysis.profile.profile import Profile, RunProfile, ToolStats
from convtui.analysis.profile.reading import Reading
from convtui.analysis.profile.report import RULE_OF_VERDICT, Section, sections
from convtui.analysis.profile.series import Series, series
from convtui.analysis.report.plots import columns, figure, in_words, resample
from convtui.text.boundary import visible_line
from convtui.tui.drawing.tables import Table, end_of
from convtui.tui.widgets.text_pane import Document

ORDERS: Final = {
    "": "tools most called first, runs as listed",
    "rate": "highest error rate first",
    "calls": "most calls first",
    "slow": "slowest first",
    "name": "by name",
}
_WIDEST: Final = 4
"""Cells that one value of a plot has at most."""
_LOST: Final = 8
"""Logs that could not be read that are named."""
_ANSWER_ROLES: Final = {True: "ok bold", False: "error bold", None: "warning bold"}


def tables(reading: Reading, width: int, order: str = "") -> Document:
    """What was counted, and what compressions did."""
    profile = replace(reading.profile, tools=sorted_tools(reading.profile.tools, order))
    doc = Document()
    found = sections(profile)
    for section in found[:1]:
        rows = list(section.rows)
        if len(profile.runs) == 1 and not reading.checks and not reading.stopped:
            rows.append(("compressed", "no: no history was summarised"))
        _section(doc, replace(section, rows=rows), width)
    for check in reading.checks:
        _check(doc, check)
    if reading.unchecked:
        doc.line((f"and {reading.unchecked:,} more that go on from a summary", "muted"))
    for section in found[1:]:
        # The runs have a list of their own.
        if section.title != "runs":
            _section(doc, section, width)
    if reading.left_out:
        doc.head("left out", f"{len(reading.left_out):,} that cannot be read")
        for why in reading.left_out[:_LOST]:
            doc.line((visible_line(why, 300), "error"))
        if len(reading.left_out) > _LOST:
            doc.line((f"and {len(reading.left_out) - _LOST:,} more", "muted"))
    if profile.tally.calls:
        doc.blank().line((RULE_OF_VERDICT, "muted"))
    return doc


def _section(doc: Document, section: Section, width: int) -> None:
    if section.title:
        doc.head(section.title)
    if section.head:
        table = Table(section.head, section.rows, width)
        for place, row in enumerate((section.head, *section.rows)):
            before, last = table.line(row)
            role = "text" if place else "muted"
            doc.line((last, role), label=[(before, role)])
    else:
        size = max(cell_len(visible_line(row[0])) for row in section.rows)
        for row in section.rows:
            name, said = visible_line(row[0]), visible_line(", ".join(row[1:]))
            doc.line((said, "text"), label=[(f"{name:<{min(size, 20)}}  ", "muted")])
    if section.note:
        doc.line((section.note, "muted"))


def _check(doc: Document, check: CompressionCheck) -> None:
    answer = ANSWERS[check.preserved] if check.has_compression else "unknown"
    role = _ANSWER_ROLES[check.preserved if check.has_compression else None]
    doc.head("before and after its history was summarised")
    doc.line((f"{answer}  ", role), (end_of(check.path.name, 60), "muted"))
    for name, said in lines(check):
        doc.line((visible_line(said, 400), "text"), label=[(f"{name:<16}  ", "muted")])


# --- plots


def plots(profile: Profile, width: int, height: int = 4) -> Document:
    """Latency, tokens and errors, each with its axis, and in words below."""
    doc = Document()
    for each in series(profile):
        if len(each.values) > 1:
            _plot(doc, each, max(10, width), height)
        else:
            doc.head(each.name)
            doc.line((f"{in_words(each.values, each.labels, each.unit)}", "text"))
    if not doc.pieces:
        doc.nothing("No turn has a latency or tokens on record.")
    return doc


def _plot(doc: Document, each: Series, width: int, height: int) -> None:
    known = [value for value in each.values if value is not None]
    # The sum of several points may be more than any of them: its label is as wide.
    label = max(cell_len(figure(max(known), each.unit)), cell_len(figure(sum(known), each.unit)))
    room = max(4, width - label - 2)
    # As many points in every column, as far as they go.
    many = ceil(len(each.values) / room)
    drawn = resample(each.values, ceil(len(each.values) / many), adds=each.adds)
    top = max(value for value in drawn if value is not None)
    label = max(cell_len(figure(value, each.unit)) for value in (0.0, top))
    note = f"over {len(each.values):,} {each.over}"
    if many > 1 and top > 0:
        note += f", a column is the {'sum' if each.adds else 'highest'} of {many}"
    doc.head(each.name, note)
    if top <= 0:
        doc.line(("none", "ok"))
        return
    size = max(1, min(_WIDEST, room // len(drawn)))
    role = _role(each)
    for place, line in enumerate(columns(drawn, width=len(drawn), height=height)):
        gap = size > 1
        bars = "".join(sign * (size - gap) + " " * gap for sign in line)
        axis = figure(top, each.unit) if place == 0 else ""
        doc.line((f"{axis:>{label}} │", "muted"), (bars.rstrip(), role))
    doc.line((f"{figure(0, each.unit):>{label}} └{'─' * (len(drawn) * size)}", "muted"))
    _ends(doc, each, label + 2, len(drawn) * size)
    doc.line((visible_line(in_words(each.values, each.labels, each.unit)), "muted"))


def _ends(doc: Document, each: Series, indent: int, size: int) -> None:
    """Where the axis begins and ends, where both names have room."""
    first, last = visible_line(each.labels[0]), visible_line(each.labels[-1])
    between = size - cell_len(first) - cell_len(last)
    if between > 0:
        doc.line((" " * indent + first + " " * between + last, "muted"))


def _role(each: Series) -> str:
    if each.unit in ("errors", "%") or "error" in each.name:
        return "error"
    side = each.name.split()[0]
    return side if side in ("persona", "provider") else "accent"


# --- orders


def sorted_tools(tools: Sequence[ToolStats], order: str) -> list[ToolStats]:
    """The tools in an order of `ORDERS`."""
    if order == "rate":
        return sorted(tools, key=lambda tool: _descending(tool.tally.error_rate))
    if order == "slow":
        return sorted(tools, key=lambda tool: _descending(_seconds(tool)))
    if order == "name":
        return sorted(tools, key=lambda tool: tool.name)
    return list(tools)


def sorted_runs(runs: Sequence[RunProfile], order: str) -> list[RunProfile]:
    """The runs in an order of `ORDERS`."""
    if order == "rate":
        return sorted(runs, key=lambda run: _descending(run.tally.error_rate))
    if order == "calls":
        return sorted(runs, key=lambda run: -run.tally.calls)
    if order == "slow":
        return sorted(runs, key=lambda run: _descending(_latency(run)))
    if order == "name":
        return sorted(runs, key=lambda run: run.path.name)
    return list(runs)


def _seconds(tool: ToolStats) -> float | None:
    return None if tool.seconds is None else tool.seconds.p50


def _latency(run: RunProfile) -> float | None:
    """The median seconds of a provider's turn."""
    return next((s.latency.p50 for s in run.sides if s.side == "provider" and s.latency), None)


def _descending(value: float | None) -> float:
    """The greatest first, what is not known last."""
    return float("inf") if value is None else -value
