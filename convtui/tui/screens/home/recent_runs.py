"""The most recent saved runs, in the picker."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from convtui.log.run_summary import RunSummary
from convtui.tui.widgets.run_list import run_spans

_STYLES = {"muted": "$text-muted", "error": "$text-error", "ok": "$text-success",
           "accent": "$text-accent"}  # fmt: skip


class RecentRuns(OptionList):
    """A list of saved runs; `chosen()` returns the run of a row."""

    DEFAULT_CSS = """
    RecentRuns, RecentRuns:focus {
        border: none; background: transparent; padding: 0; height: 1fr;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.runs: list[RunSummary] = []

    def show(
        self, runs: Iterable[RunSummary], now: datetime | None = None, *, more: str = ""
    ) -> None:
        """Shows `runs` in this order; `more` labels a last row that stands for all others."""
        now = now or datetime.now(UTC)
        self.runs = list(runs)
        self.clear_options()
        self.add_options([Option(_row(run, now)) for run in self.runs])
        if more:
            self.add_option(Option(Content.assemble((f"{'':>12}{more}", "$text-accent"))))
        if self.runs:
            self.highlighted = 0

    def chosen(self, index: int) -> RunSummary | None:
        """The run of a row; None for the last row."""
        return self.runs[index] if 0 <= index < len(self.runs) else None


def _row(run: RunSummary, now: datetime) -> Content:
    return Content.assemble(*((text, _STYLES.get(role, "")) for text, role in run_spans(run, now)))
