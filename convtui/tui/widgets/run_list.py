"""Saved runs as rows of a list that draws only what is visible."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Protocol

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from convtui.library.families import RunNode
from convtui.library.run_order import NEWEST
from convtui.log.run_summary import RunSummary
from convtui.records.times import time_of_stamp
from convtui.text.boundary import visible_line
from convtui.text.counts import counted
from convtui.tui.drawing.fit import fit
from convtui.tui.drawing.labels import age
from convtui.tui.drawing.palette import Palette, Span
from convtui.tui.drawing.strips import strip_of
from convtui.tui.widgets.columned_list import ColumnedList
from convtui.tui.widgets.run_columns import (
    Column,
    RunRow,
    column_at,
    columns_for,
    header_spans,
    next_order,
    row_spans,
    state_label,
    state_role,
    widths_of,
)
from convtui.tui.widgets.status import short_spec

_MEASURED = 300
"""Rows whose names decide how wide the columns are."""
Row = tuple[str, RunNode]
"""The tree guides of a run, and the run."""


def run_spans(run: RunSummary, now: datetime) -> list[Span]:
    """A run on one line without columns: age, persona and provider, ending, tags."""
    created = run.created_at or time_of_stamp(run.modified)
    if run.damaged:
        names = visible_line(run.name, 60)
    else:
        names = f"{visible_line(run.persona, 24)} -> {visible_line(short_spec(run.provider), 40)}"
    turns = f"  {counted(run.turns, 'turn')}" if run.turns is not None else ""
    why = f"  {visible_line(run.damaged, 60)}" if run.damaged else ""
    tags = f"  #{' #'.join(run.tags)}" if run.tags else ""
    spans = [
        (f"{age(created, now):>10}  ", "muted"),
        (f"{names}  ", "text"),
        (state_label(run), state_role(run)),
        (f"{turns}{why}", "muted"),
        (visible_line(tags, 80), "tool"),
    ]
    return [(text, role) for text, role in spans if text]


class RunList(ColumnedList):
    """Saved runs in rows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "cursor_up", show=False),
        Binding("down", "cursor_down", show=False),
        Binding("home", "first", show=False),
        Binding("end", "last", show=False),
        Binding("enter", "select", show=False),
    ]

    class Selected(Message):
        """A run was chosen, with Enter or by a click on the highlighted row."""

        def __init__(self, run: RunSummary) -> None:
            super().__init__()
            self.run = run

    class Highlighted(Message):
        """Another row is highlighted, or none."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.runs: list[RunSummary] = []
        self.branches: list[RunNode] = []
        self.marked: list[Path] = []
        """The marked runs; the first of two is A, the second B."""
        self.order = NEWEST
        """The order of the runs, as the header shows it."""
        self._rows: Sequence[Row] = ()
        self._widths: tuple[int, int] | None = None
        self._opened: frozenset[str] | None = frozenset()
        self._highlighted: int | None = None
        self._now = datetime.now(UTC)

    def show_rows(self, rows: Sequence[Row], opened: frozenset[str] | None) -> None:
        """Replaces the rows; `opened` are the roots whose branches are shown, None is all.

        The selected run stays selected if it is still shown, else its row number does.
        """
        selected = self.branch
        row = self._highlighted or 0
        self._now = datetime.now(UTC)
        self._rows, self._opened, self._widths = rows, opened, None
        self.branches = [branch for _, branch in rows]
        self.runs = [branch.run for branch in self.branches]
        if len(rows) != len(self.heights):
            top = round(self.scroll_y)
            self.load(len(rows))
            self._place(top)
        self.highlighted = None
        if rows:
            file = selected.run.file if selected is not None else ""
            index = next((n for n, run in enumerate(self.runs) if run.file == file), None)
            self.highlighted = min(row, len(rows) - 1) if index is None else index
        self.refresh()

    # --- the highlighted row

    @property
    def highlighted(self) -> int | None:
        return self._highlighted

    @highlighted.setter
    def highlighted(self, index: int | None) -> None:
        if index is not None:
            index = max(0, min(index, len(self.runs) - 1)) if self.runs else None
        self._highlighted = index
        if index is not None:
            self.show_item(index)
        self.refresh()
        self.post_message(self.Highlighted())

    @property
    def branch(self) -> RunNode | None:
        """The highlighted run with its place in its tree."""
        index = self._highlighted
        return self.branches[index] if index is not None and index < len(self.branches) else None

    @property
    def place(self) -> int | None:
        return self._highlighted

    def go_to(self, place: int) -> None:
        self.highlighted = place

    def choose(self) -> None:
        branch = self.branch
        if branch is not None:
            self.post_message(self.Selected(branch.run))

    def action_cursor_up(self) -> None:
        self.move(-1)

    def action_cursor_down(self) -> None:
        self.highlighted = 0 if self._highlighted is None else self._highlighted + 1

    def action_first(self) -> None:
        self.highlighted = 0

    def action_last(self) -> None:
        self.highlighted = len(self.runs) - 1

    def action_select(self) -> None:
        self.choose()

    # --- lines

    def letter_of(self, path: Path) -> str:
        """The letter of a marked run; empty for an unmarked one."""
        if path not in self.marked:
            return ""
        return "AB"[self.marked.index(path)] if len(self.marked) <= 2 else "x"

    def columns(self, width: int = 0) -> list[Column]:
        """The columns that fit into `width` cells, by default those of the list."""
        if self._widths is None:
            shown = range(min(len(self._rows), _MEASURED))
            self._widths = widths_of(self._row(index) for index in shown)
        who, log = self._widths
        return columns_for(width or max(1, self.view_width), self.order, who=who, log=log)

    def _row(self, index: int) -> RunRow:
        guide, branch = self._rows[index]
        opened = self._opened is None or branch.run.file in self._opened
        return RunRow(branch, guide, opened, self.letter_of(branch.run.path))

    def spans_at(self, place: int) -> list[Span]:
        return row_spans(self._row(place), self.columns(), self._now)


class Sortable(Protocol):
    """A list with columns."""

    @property
    def order(self) -> str: ...

    @property
    def palette(self) -> Palette: ...

    def columns(self, width: int = 0) -> list[Column]: ...


class ColumnHeader(Widget):
    """The titles of a list's columns; a click on one sorts by it."""

    DEFAULT_CSS = """
    ColumnHeader { height: 1; width: 1fr; }
    """
    ALLOW_SELECT = False

    class Sorted(Message):
        """Another order was chosen."""

        def __init__(self, order: str) -> None:
            super().__init__()
            self.order = order

    def __init__(self, listed: Sortable) -> None:
        super().__init__()
        self._list = listed

    def _columns(self) -> list[Column]:
        # The list has a scroll bar.
        return self._list.columns(max(1, self.size.width - 1))

    def render_line(self, y: int) -> Strip:
        listed = self._list
        width = self.size.width
        spans = header_spans(self._columns(), listed.order) if width and not y else []
        strip = strip_of(fit(spans, max(1, width)), listed.palette)
        return strip.extend_cell_length(width, self.rich_style).apply_style(
            Style(bgcolor=self.rich_style.bgcolor)
        )

    def on_click(self, event: events.Click) -> None:
        column = column_at(self._columns(), event.x)
        if column is not None and column.order:
            self.post_message(self.Sorted(next_order(column, self._list.order)))
