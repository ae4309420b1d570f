"""Reads the saved runs, keeps up with them, and finds those that a filter asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, Static

from convtui.actions import Keymap
from convtui.errors import FilterError
from convtui.filters import Filter
from convtui.library import Library
from convtui.log.families import Branch, families, guides, only
from convtui.log.library import RunSummary
from convtui.log.run_order import NEWEST, sort_runs
from convtui.log.trash import Trashed
from convtui.text import visible
from convtui.tui.screens.run_changing import RunChanging
from convtui.tui.screens.run_list import Row, RunList
from convtui.tui.timers import once

_SIGNS = '~&|!()"'
"""What makes a text an expression of the filter language; others are words of the list."""
_AT_ONCE = 2000
"""Runs that are filtered by words without a thread."""
_REST = 20
"""How many times as long as a look took the folder is left alone, at the least."""
_TYPING = 0.25
"""Seconds without a key after which an expression is asked."""


class RunFinding(RunChanging):
    """The part of the list of runs that reads and filters."""

    def __init__(self, keymap: Keymap, folder: Path) -> None:
        super().__init__(keymap)
        self.library = Library(folder)
        self.everything: list[RunSummary] = []
        self.order = NEWEST
        self.trashed: list[Trashed] = []
        self.roots: list[Branch] = []
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
        self.gone = False
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
        return not self.gone and bool(self.query("#runs-title"))

    def show_empty(self, empty: bool, filtered: bool) -> None:
        """Says why there is no row, or shows the rows."""
        raise NotImplementedError

    def repaint_title(self) -> None:
        """Brings the title up to date."""
        raise NotImplementedError

    # --- reading

    async def first_look(self) -> None:
        await self._look("reading", turns=False)
        if self.alive:
            await self._look("indexing", turns=True)

    async def _look(self, what: str, *, turns: bool) -> None:
        """Reads what has changed; `turns` brings the turns of every run into the index, too."""
        if self._busy:
            return
        self._busy = True

        def told(done: int, of: int) -> None:
            self.progress = (what, done, of)

        def read() -> list[RunSummary]:
            return self.library.runs(turns=turns, progress=told, stop=lambda: self.gone)

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
            self.tell(f"{self.library.notice[0].upper()}{self.library.notice[1:]}.", "warning")
        await self._take(runs)

    async def _take(self, runs: list[RunSummary]) -> None:
        same = [seen_as(run) for run in runs] == [seen_as(run) for run in self.everything]
        if self.was_read and same and not self.partly:
            self.repaint_title()
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
        if rested and self.is_current and self.was_read and not self._busy and self._indexed:
            self.spawn(self._look("reading", turns=True), group="again")

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

    # --- filtering

    async def fill(self, selected: str = "") -> None:
        """Shows what the filter finds. An answer that comes too late is not shown."""
        if not self.alive:
            return
        text = self.query_one(Input).value.strip()
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
            rows, found, partly = find()
        else:
            rows, found, partly = await asyncio.to_thread(find)
        if mine != self._asked or not self.alive:
            return
        self.matching, self.partly = found, partly
        listed = self.query_one(RunList)
        listed.show_rows(rows, None if text else self.opened)
        self.show_empty(not rows, bool(text))
        self.repaint_title()
        self.refresh_footer()

    def _rows(
        self, text: str, expression: Filter | None, stop: Callable[[], bool]
    ) -> tuple[list[Row], int, bool]:
        """The rows, how many runs were found, and whether some could not be asked yet."""
        runs, roots = self.everything, self.roots
        if not text:
            return list(guides(roots, self._is_open)), len(runs), False
        partly = False
        if expression is None:
            found = [run for run in runs if run.matches(text)]
        else:
            partly = expression.about_turns and not self._indexed
            found = self.library.search(expression, runs, open_logs=not partly, stop=stop)
        files = {run.file for run in found}
        # What was searched for must be seen, also where it is a branch.
        return list(guides(only(roots, lambda run: run.file in files))), len(found), partly

    def _is_open(self, branch: Branch) -> bool:
        return branch.depth > 0 or branch.run.file in self.opened

    def _complain(self, message: str) -> None:
        error = self.query_one("#runs-error", Static)
        error.display = bool(message)
        error.update(Content(visible(message)))

    def on_input_changed(self) -> None:
        """Fewer, or more; an expression is asked when the typing pauses."""
        if self._typing is not None:
            self._typing.stop()
            self._typing = None
        self._asked += 1
        text = self.query_one(Input).value
        if any(sign in text for sign in _SIGNS):
            self._typing = once(self, _TYPING, self._ask_now)
        else:
            self._ask_now()

    def _ask_now(self) -> None:
        if self._typing is not None:
            self._typing.stop()
            self._typing = None
        self.spawn(self.fill(), group="filter")

    def on_input_submitted(self) -> None:
        """To the list."""
        if self._typing is not None:
            self._ask_now()
        self.query_one(RunList).focus()


def _parse(text: str) -> Filter | None:
    """The expression of a text that is one. Raises `FilterError`."""
    if not any(sign in text for sign in _SIGNS):
        return None
    from convtui.filters import parse

    return parse(text)


def seen_as(run: RunSummary) -> tuple[object, ...]:
    """What tells that a row has changed."""
    return (run.file, run.modified, run.size, run.running, run.turns, run.tags)
