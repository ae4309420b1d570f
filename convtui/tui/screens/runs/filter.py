"""Reads the saved runs, keeps up with them, and finds those that a filter asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, Static

from convtui.errors import FilterError
from convtui.filters.filter import Filter
from convtui.library.families import RunNode, families, guides, only
from convtui.library.library import Library
from convtui.library.run_order import NEWEST, sort_runs
from convtui.log.run_summary import RunSummary
from convtui.text.boundary import visible
from convtui.tui.screens.screen_context import ScreenContext
from convtui.tui.timers import call_once
from convtui.tui.widgets.run_list import Row, RunList

_SIGNS = '~&|!()"'
"""What makes a text an expression of the filter language; others are words of the list."""
_AT_ONCE = 2000
"""Runs that are filtered by words without a thread."""
_REST = 20
"""How many times as long as a look took the folder is left alone, at the least."""
_TYPING = 0.25
"""Seconds without a key after which an expression is asked."""


class RunsView(Protocol):
    """What shows the runs."""

    @property
    def alive(self) -> bool:
        """Whether there is still something to show them on."""

    @property
    def is_current(self) -> bool:
        """Whether they are looked at."""

    def show_empty(self, empty: bool, filtered: bool) -> None:
        """Says why there is no row, or shows the rows."""

    def repaint_title(self) -> None:
        """Brings the title up to date."""


class RunFinder:
    """Reads the runs of a folder, keeps up with them, and lists those that the filter finds."""

    def __init__(
        self,
        context: ScreenContext,
        library: Library,
        view: RunsView,
        *,
        listed: RunList,
        box: Input,
        error: Static,
    ) -> None:
        """`box` is where the filter is written, `error` says what is wrong with it."""
        self._context = context
        self._view = view
        self._listed, self._box, self._error = listed, box, error
        self.library = library
        self.everything: list[RunSummary] = []
        self.order = NEWEST
        self.roots: list[RunNode] = []
        self.opened: frozenset[str] = frozenset()
        """Roots whose branches are shown."""
        self.matching = 0
        """Runs that the filter has found."""
        self.was_read = False
        """Whether the folder was looked at once."""
        self.partly = False
        """Whether runs were left out of an answer because their turns are not indexed yet."""
        self.progress: tuple[str, int, int] | None = None
        """What is being read, how many of how many."""
        self._gone = False
        """Whether the screen was left: whatever still reads is to stop."""
        self._indexed = False
        self._asked = 0
        self._busy = False
        self._rests_until = 0.0
        self._told = False
        self._typing: Timer | None = None

    @property
    def alive(self) -> bool:
        """Whether there is still something to show it on."""
        return not self._gone and self._view.alive

    @property
    def selected(self) -> RunNode | None:
        """The lit run."""
        return self._listed.branch

    def close(self) -> None:
        """Whatever still reads is told to stop."""
        self._gone = True
        self._asked += 1

    @property
    def filter(self) -> str:
        """The text of the filter."""
        return self._box.value.strip()

    # --- reading

    async def first_look(self) -> None:
        """Reads the folder, then brings the turns of its runs into the index."""
        await self._look("reading", turns=False)
        if self.alive:
            await self._look("indexing", turns=True)

    async def _look(self, what: str, *, turns: bool) -> None:
        """Reads what has changed; `turns` brings the turns of every run into the index, too."""
        if self._busy:
            return
        self._busy = True

        def report(done: int, of: int) -> None:
            self.progress = (what, done, of)

        def read() -> list[RunSummary]:
            return self.library.runs(turns=turns, progress=report, stop=lambda: self._gone)

        began = time.monotonic()
        try:
            runs = await asyncio.to_thread(read)
        finally:
            self._busy = False
            self.progress = None
            now = time.monotonic()
            self._rests_until = now + _REST * (now - began)
        if not self.alive:
            return
        self._indexed = self._indexed or turns
        if self.library.notice and not self._told and runs:
            self._told = True
            self._context.notify(
                f"{self.library.notice[0].upper()}{self.library.notice[1:]}.", "warning"
            )
        await self._take(runs)

    async def _take(self, runs: list[RunSummary]) -> None:
        same = [seen_as(run) for run in runs] == [seen_as(run) for run in self.everything]
        if self.was_read and same and not self.partly:
            self._view.repaint_title()
            return
        self.was_read = True
        self.everything = runs
        order = self.order
        ordered = runs if order == NEWEST else sort_runs(runs, order)
        self.roots = await asyncio.to_thread(families, ordered)
        await self.fill()

    def look_again(self) -> None:
        """Runs that go on grow, and others come."""
        rested = time.monotonic() >= self._rests_until
        if rested and self._view.is_current and self.was_read and not self._busy and self._indexed:
            self._context.spawn(self._look("reading", turns=True), group="again")

    async def reload(self, paths: Sequence[Path] = ()) -> None:
        """Shows what has been changed here, in the order that is wanted now; does not wait for
        what is being indexed."""

        def read() -> list[RunSummary]:
            self.library.changed(paths)
            return self.library.runs()

        runs = await asyncio.to_thread(read)
        self.was_read = False
        if self.alive:
            await self._take(runs)

    async def sort(self, order: str) -> None:
        """Shows the runs in another order."""
        self.order = order
        await self.reload()

    # --- filtering

    async def fill(self, selected: str = "") -> None:
        """Shows what the filter finds. An answer that comes too late is not shown."""
        if not self.alive:
            return
        text = self.filter
        self._asked += 1
        mine = self._asked
        try:
            expression = _parse(text)
        except FilterError as error:
            self._complain(str(error))
            return
        self._complain("")

        def find() -> tuple[list[Row], int, bool]:
            return self._rows(text, expression, lambda: mine != self._asked)

        if expression is None and len(self.everything) <= _AT_ONCE:
            rows, matching, partly = find()
        else:
            rows, matching, partly = await asyncio.to_thread(find)
        if mine != self._asked or not self.alive:
            return
        self.matching, self.partly = matching, partly
        self._listed.show_rows(rows, None if text else self.opened)
        self._view.show_empty(not rows, bool(text))
        self._view.repaint_title()
        self._context.refresh_keys()

    def _rows(
        self, text: str, expression: Filter | None, stop: Callable[[], bool]
    ) -> tuple[list[Row], int, bool]:
        """The rows, how many runs were found, and whether some could not be asked yet."""
        runs, roots = self.everything, self.roots
        if not text:
            return list(guides(roots, self._is_open)), len(runs), False
        partly = False
        if expression is None:
            matches = [run for run in runs if run.matches(text)]
        else:
            partly = expression.about_turns and not self._indexed
            matches = self.library.search(expression, runs, open_logs=not partly, stop=stop)
        files = {run.file for run in matches}
        # What was searched for must be seen, also where it is a branch.
        return list(guides(only(roots, lambda run: run.file in files))), len(matches), partly

    def _is_open(self, branch: RunNode) -> bool:
        return branch.depth > 0 or branch.run.file in self.opened

    def _complain(self, message: str) -> None:
        self._error.display = bool(message)
        self._error.update(Content(visible(message)))

    def typed(self) -> None:
        """Fewer, or more; an expression is asked when the typing pauses."""
        if self._typing is not None:
            self._typing.stop()
            self._typing = None
        self._asked += 1
        text = self._box.value
        if any(sign in text for sign in _SIGNS):
            self._typing = call_once(self._box, _TYPING, self._ask_now)
        else:
            self._ask_now()

    def _ask_now(self) -> None:
        if self._typing is not None:
            self._typing.stop()
            self._typing = None
        self._context.spawn(self.fill(), group="filter")

    def submit(self) -> None:
        """To the list."""
        if self._typing is not None:
            self._ask_now()
        self._listed.focus()


def _parse(text: str) -> Filter | None:
    """The expression of a text that is one. Raises `FilterError`."""
    if not any(sign in text for sign in _SIGNS):
        return None
    from convtui.filters.filter import parse

    return parse(text)


def seen_as(run: RunSummary) -> tuple[object, ...]:
    """What tells that a row has changed."""
    return (run.file, run.modified, run.size, run.running, run.turns, run.tags)
