"""Saved runs as rows of a list."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from convtui.log.library import RunSummary
from convtui.text import visible_line
from convtui.tui.status import short_spec
from convtui.tui.words import age

_BAD = frozenset({"failed", "crashed", "damaged", "interrupted", "discarded", "abstained"})


def row(run: RunSummary, now: datetime) -> Content:
    """A run on one line: when, who with whom, how it ended."""
    then = run.created_at or datetime.fromtimestamp(run.modified, UTC)
    if run.damaged:
        who = visible_line(run.path.name, 60)
    else:
        who = f"{visible_line(run.persona, 24)} -> {visible_line(short_spec(run.provider), 40)}"
    state = run.state.replace("_", " ")
    style = "$text-error" if run.state in _BAD else "$text-success"
    turns = f"  {run.turns} turns" if run.turns is not None else ""
    why = f"  {visible_line(run.damaged, 60)}" if run.damaged else ""
    return Content.assemble(
        (f"{age(then, now):>10}  ", "$text-muted"),
        who,
        "  ",
        (state, style),
        (f"{turns}{why}", "$text-muted"),
    )


class RunList(OptionList):
    """Saved runs; `chosen()` gives the run of a row."""

    DEFAULT_CSS = """
    RunList, RunList:focus { border: none; background: transparent; padding: 0; height: 1fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.runs: list[RunSummary] = []

    def show(
        self, runs: Iterable[RunSummary], now: datetime | None = None, *, more: str = ""
    ) -> None:
        """Shows these runs, in this order; `more` is a last row that stands for all others."""
        now = now or datetime.now(UTC)
        self.runs = list(runs)
        self.clear_options()
        self.add_options([Option(row(run, now)) for run in self.runs])
        if more:
            self.add_option(Option(Content.assemble((f"{'':>12}{more}", "$text-accent"))))
        if self.runs:
            self.highlighted = 0

    def chosen(self, index: int) -> RunSummary | None:
        """The run in a row."""
        return self.runs[index] if 0 <= index < len(self.runs) else None
