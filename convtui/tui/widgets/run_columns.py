"""The columns of lists of saved runs: which fit, what they say, what they sort by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from rich.cells import cell_len

from convtui.library.families import RunNode
from convtui.log.run_summary import RunSummary
from convtui.records.times import time_of_stamp
from convtui.text.boundary import span_of_time, visible_line
from convtui.text.counts import counted
from convtui.transcript.ending_words import short_ending
from convtui.tui.drawing import glyphs
from convtui.tui.drawing.fit import fit
from convtui.tui.drawing.labels import age, ending_role
from convtui.tui.drawing.palette import Span
from convtui.tui.widgets.status import short_spec

GUTTER: Final = 2
"""Cells before the first column, for the letter of a marked run."""
GAP: Final = 2
_WHO_LEAST, _WHO_MOST = 16, 36
_LOG_WIDTH: Final = 24
_LOG_MORE: Final = 16
"""Cells by which the names of logs may go over their width, where there is room."""
_NOTES_LEAST: Final = 20
OF_NEWEST: Final = ("when", "ending", "ended")
"""Columns and orders in which the one row of a closed family is about its newest run."""
_TURNS_FROM: Final = 64
"""Cells from which there is room for the number of turns."""


def state_label(run: RunSummary) -> str:
    """How a run ended, or how far a batch is, in a word or two."""
    return short_ending(run.state)


def state_role(run: RunSummary) -> str:
    """The colour role of that word."""
    if run.batch is not None and not run.damaged:
        return "warning" if run.state in ("stopped", "unfinished") else "ok"
    return ending_role(run.state)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a list: its title, the order it stands for, its width in cells."""

    name: str
    title: str
    order: str
    """The order that a first click on it means; the other direction has the other sign."""
    width: int
    right: bool = False
    """Whether its values end at its right edge."""


_WHEN = Column("when", "when", "-when", 10, right=True)
_LOG = Column("log", "log", "name", _LOG_WIDTH)
_WHO = Column("who", "persona -> provider", "persona", _WHO_LEAST)
_TURNS = Column("turns", "turns", "-turns", 7, right=True)
_ENDED = Column("ended", "ended", "ending", 13)
_NOTES = Column("notes", "", "", 0)
_EXTRA: Final = {
    "written": Column("written", "written", "-written", 10, right=True),
    "sessions": Column("sessions", "sessions", "-sessions", 10, right=True),
    "discarded": Column("discarded", "discarded", "-discarded", 11, right=True),
    "duration": Column("duration", "took", "-duration", 11, right=True),
    "tokens": Column("tokens", "tokens", "-tokens", 10, right=True),
    "cost": Column("cost", "cost", "-cost", 9, right=True),
    "latency": Column("latency", "a reply", "-latency", 9, right=True),
    "size": Column("size", "bytes", "-size", 11, right=True),
}
"""Columns that are there while the list is sorted by them."""


def columns_for(
    width: int, order: str = "", *, who: int = _WHO_MOST, log: int = _LOG_WIDTH
) -> list[Column]:
    """The columns that fit into `width` cells, with that of `order` among them.

    `who` and `log` are the cells that the longest names take.
    """
    name = order.removeprefix("-")
    extra = _TURNS if name == "turns" else _EXTRA.get(name)
    flexible = _LOG if name == "name" and width < 84 else _WHO
    columns = [_WHEN, flexible, _ENDED]
    if extra is not None and width < _TURNS_FROM:
        columns[0] = extra
    elif extra is not None and extra is not _TURNS and width < 84:
        columns.insert(2, extra)
    elif width >= _TURNS_FROM:
        columns[2:2] = [_TURNS] if extra in (None, _TURNS) else [_TURNS, extra]
    if width >= 104 or (name == "name" and width >= 84):
        columns.insert(1, replace(_LOG, width=max(8, min(log, _LOG_WIDTH))))
    left = width - GUTTER - sum(c.width + GAP for c in columns if c is not flexible) - GAP
    most = max(cell_len(flexible.title) + 2, min(who, _WHO_MOST)) if width >= 84 else left
    taken = max(_WHO_LEAST, min(left, most))
    columns[columns.index(flexible)] = replace(flexible, width=taken)
    rest = left - taken - GAP
    if columns[1].name == "log" and columns[1] is not flexible:
        # What the notes do not need shows more of the names.
        more = max(0, min(log - columns[1].width, rest - _NOTES_LEAST, _LOG_MORE))
        columns[1] = replace(columns[1], width=columns[1].width + more)
        rest -= more
    if rest >= 8:
        columns.append(Column(_NOTES.name, _NOTES.title, _NOTES.order, rest))
    return columns


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in a list, with what belongs to its place there."""

    branch: RunNode
    guide: str = ""
    """The tree lines before it."""
    opened: bool = True
    """Whether its branches are listed below it."""
    letter: str = ""
    """The letter of a marked run."""


def widths_of(rows: Iterable[RunRow]) -> tuple[int, int]:
    """The cells of the longest persona and provider, and of the longest name of a log."""
    who = log = 0
    now = datetime.now(UTC)
    for row in rows:
        who = max(who, sum(cell_len(text) for text, _ in _cell(row, "who", now)))
        log = max(log, cell_len(_TEXTS["log"](row.branch.run, now)))
    return who, log


def row_spans(row: RunRow, columns: Sequence[Column], now: datetime) -> list[Span]:
    """A run on one line."""
    spans: list[Span] = [(row.letter.ljust(GUTTER), "accent bold")]
    wide = any(column.name == "notes" for column in columns)
    for column in columns:
        cell = _cell(row, column.name, now)
        if column.name == "who" and not wide:
            cell += [("  " + text, role) for text, role in _notes(row)]
        spans += in_column(cell, column)
        spans.append((" " * GAP, "text"))
    return spans


def header_spans(columns: Sequence[Column], order: str) -> list[Span]:
    """The titles of the columns; an arrow marks the one that the list is sorted by."""
    spans: list[Span] = [(" " * GUTTER, "muted")]
    name, arrow = order.removeprefix("-"), "↓" if order.startswith("-") else "↑"
    for column in columns:
        if column.name == "who" and name in ("persona", "provider"):
            before, _, after = column.title.partition(name)
            title = [(before, "muted"), (f"{name} {arrow}", "accent bold"), (after, "muted")]
        elif column.order and column.order.removeprefix("-") == name:
            title = [(f"{column.title} {arrow}", "accent bold")]
        else:
            title = [(column.title, "muted")]
        spans += in_column(title, column)
        spans.append((" " * GAP, "muted"))
    return spans


def column_at(columns: Sequence[Column], x: int) -> Column | None:
    """The column at a cell of a row."""
    start = GUTTER
    for column in columns:
        if start <= x < start + column.width + GAP:
            return column
        start += column.width + GAP
    return None


def next_order(column: Column, order: str) -> str:
    """The order that a click on a column's title means: its own, then the reverse."""
    if order.lstrip("-") != column.order.lstrip("-"):
        return column.order
    return order.removeprefix("-") if order.startswith("-") else f"-{order}"


def in_column(cell: Sequence[Span], column: Column) -> list[Span]:
    """What stands in a column, in exactly its width."""
    fitted = fit(cell, column.width)
    pad = (" " * (column.width - sum(cell_len(text) for text, _ in fitted)), "text")
    return [pad, *fitted] if column.right else [*fitted, pad]


def _cell(row: RunRow, name: str, now: datetime) -> list[Span]:
    run = row.branch.run
    if name == "who":
        family = (row.branch.size and not row.branch.depth) or run.batch is not None
        mark = f"{glyphs.UNFOLDED if row.opened else glyphs.FOLDED} " if family else ""
        return [(f"{row.guide}{mark}", "muted"), (_who(run), "text")]
    if name == "notes":
        notes = [span for note in _notes(row) for span in (("  ", "text"), note)]
        return notes[1:]
    if name in OF_NEWEST and not row.opened:
        run = row.branch.newest or run
    if name == "ended":
        return [(state_label(run), state_role(run))]
    text = _TEXTS[name](run, now)
    return [(text, "muted")]


def _who(run: RunSummary) -> str:
    if run.damaged:
        return visible_line(run.name, 80)
    batch = f"{run.batch.size_words}: " if run.batch is not None else ""
    return f"{batch}{visible_line(run.persona, 24)} -> {visible_line(short_spec(run.provider), 40)}"


def _notes(row: RunRow) -> list[Span]:
    """Mark, damage, tags, branches and origin."""
    branch, run = row.branch, row.branch.run
    notes: list[Span] = [(f"marked {row.letter}", "accent bold")] if row.letter else []
    if run.damaged:
        notes.append((visible_line(run.damaged, 60), "muted"))
    if run.tags:
        notes.append((visible_line(f"#{' #'.join(run.tags)}", 80), "tool"))
    if run.batch is not None:
        notes.append((run.batch.words, "accent"))
    elif branch.size and not branch.depth:
        notes.append((counted(branch.size, "branch", "branches"), "accent"))
    origin = branch.origin()
    if origin:
        notes.append((visible_line(origin, 60), "accent"))
    return notes


def _began(run: RunSummary) -> datetime:
    return run.created_at or time_of_stamp(run.modified)


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _seconds(value: float | None) -> str:
    return "" if value is None else span_of_time(value)


_TEXTS: Final[dict[str, Callable[[RunSummary, datetime], str]]] = {
    "when": lambda run, now: age(_began(run), now),
    "written": lambda run, now: age(time_of_stamp(run.modified), now),
    "log": lambda run, _: visible_line(run.name.removesuffix(".jsonl")),
    "turns": lambda run, _: _whole(run.turns),
    "sessions": lambda run, _: _whole(run.sessions),
    "discarded": lambda run, _: _whole(run.discarded),
    "duration": lambda run, _: _seconds(run.duration),
    "tokens": lambda run, _: _whole(run.tokens),
    "cost": lambda run, _: "" if run.cost is None else f"${run.cost:.4f}",
    "latency": lambda run, _: _seconds(run.latency),
    "size": lambda run, _: _whole(run.size),
}
