"""Saved runs as rows of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from convtui.log.families import Branch, guides
from convtui.log.library import RunSummary
from convtui.text import visible_line
from convtui.tui.status import short_spec
from convtui.tui.words import age

_BAD = frozenset({"failed", "crashed", "damaged", "interrupted", "discarded", "abstained"})


def row(run: RunSummary, now: datetime, before: str = "", after: str = "") -> Content:
    """A run on one line: when, who with whom, how it ended; with what a tree says of it."""
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
        (f"{age(then, now):>10}  {before}", "$text-muted"),
        who,
        "  ",
        (state, style),
        (f"{turns}{why}", "$text-muted"),
        (f"  {visible_line(after, 60)}" if after else "", "$text-accent"),
    )


def branch_row(
    branch: Branch, now: datetime, guide: str, *, opened: bool, letter: str = ""
) -> Content:
    """A run of a tree on one line; a root says how many branches it has, a mark its letter."""
    guide = f"[{letter}] marked  {guide}" if letter else guide
    if branch.depth:
        return row(branch.run, now, guide, branch.origin())
    many = f"{branch.size} branch{'es' if branch.size != 1 else ''}" if branch.size else ""
    newest = branch.newest or branch.run
    if many and not opened and newest is not branch.run:
        many += f", the newest {newest.state.replace('_', ' ')}"
    mark = ("▾ " if opened else "▸ ") if branch.size else ""
    return row(
        branch.run, now, guide + mark, ", ".join(part for part in (many, branch.origin()) if part)
    )


class RunList(OptionList):
    """Saved runs; `chosen()` gives the run of a row."""

    DEFAULT_CSS = """
    RunList, RunList:focus { border: none; background: transparent; padding: 0; height: 1fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.runs: list[RunSummary] = []
        self.branches: list[Branch] = []
        self.marked: list[Path] = []
        """The runs that are marked to be compared, in a tree: A, then B."""

    def show(
        self, runs: Iterable[RunSummary], now: datetime | None = None, *, more: str = ""
    ) -> None:
        """Shows these runs, in this order; `more` is a last row that stands for all others."""
        now = now or datetime.now(UTC)
        self.runs = list(runs)
        self.branches = []
        self.clear_options()
        self.add_options([Option(row(run, now)) for run in self.runs])
        if more:
            self.add_option(Option(Content.assemble((f"{'':>12}{more}", "$text-accent"))))
        if self.runs:
            self.highlighted = 0

    def show_tree(
        self, roots: Sequence[Branch], opened: Callable[[Branch], bool], most: int
    ) -> None:
        """Shows one row per root, and the branches of those that are open; `most` rows at most.

        The run that was selected stays so where it is still shown.
        """
        now = datetime.now(UTC)
        before = self.branch
        rows = list(islice(guides(roots, lambda b: b.depth > 0 or opened(b)), most))
        self.branches = [branch for _, branch in rows]
        self.runs = [branch.run for branch in self.branches]
        self.clear_options()
        letters = dict(zip(self.marked, "AB", strict=False))
        self.add_options(
            [
                Option(
                    branch_row(b, now, guide, opened=opened(b), letter=letters.get(b.run.path, ""))
                )
                for guide, b in rows
            ]
        )
        if self.runs:
            paths = [run.path for run in self.runs]
            kept = before is not None and before.run.path in paths
            self.highlighted = paths.index(before.run.path) if before and kept else 0

    @property
    def branch(self) -> Branch | None:
        """The selected row's place in its tree; None in a plain list."""
        index = self.highlighted
        return self.branches[index] if index is not None and index < len(self.branches) else None

    def chosen(self, index: int) -> RunSummary | None:
        """The run in a row."""
        return self.runs[index] if 0 <= index < len(self.runs) else None
