"""The newest saved runs, on the home screen."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from convtui.library.families import RunNode
from convtui.library.run_order import NEWEST, sort_runs
from convtui.log.run_summary import RunSummary
from convtui.tui.widgets.run_list import ColumnHeader, RunList


class RecentRuns(Vertical):
    """A list of saved runs with titles; without any it says what to do."""

    DEFAULT_CSS = """
    RecentRuns { height: 1fr; }
    RecentRuns #no-runs { color: $text-muted; height: auto; padding: 0 1; }
    """

    def __init__(self) -> None:
        super().__init__(id="recent-runs")
        self.list = RunList(id="recent-list")
        self._header = ColumnHeader(self.list)
        self._empty = Static(id="no-runs", markup=False)
        self._order = NEWEST

    def compose(self) -> ComposeResult:
        yield self._empty
        yield self._header
        yield self.list

    def on_mount(self) -> None:
        self.show([])

    @property
    def runs(self) -> Sequence[RunSummary]:
        return self.list.runs

    def show(self, runs: Sequence[RunSummary]) -> None:
        self._fill(runs)
        self._header.display = self.list.display = bool(runs)
        self._empty.display = not runs
        self._empty.update(
            Content("None yet. Start a conversation: it is saved, and listed here from then on.")
        )

    def _fill(self, runs: Sequence[RunSummary]) -> None:
        rows = [
            # One that continues another is no orphan: its parent may be older than this list.
            ("", RunNode(run, depth=1 if run.parent or run.parent_file else 0))
            for run in sort_runs(runs, self._order)
        ]
        self.list.order = self._order
        self.list.show_rows(rows, None)
        self._header.refresh()

    def on_column_header_sorted(self, event: ColumnHeader.Sorted) -> None:
        event.stop()
        self._order = event.order
        self._fill(list(self.list.runs))
