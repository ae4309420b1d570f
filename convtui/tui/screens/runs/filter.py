"""Reads the saved runs of a folder, follows changes, and filters them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, Static

from convtui.batch.listing import list_batches
from convtui.errors import FilterError
from convtui.filters.filter import Filter
from convtui.library.families import RunNode, guides, only, sorted_families, walk
from convtui.library.library import Library
from convtui.library.run_order import NEWEST
from convtui.log.run_summary import RunSummary
from convtui.text.boundary import visible
from convtui.tui.screens.filter_text import is_expression, parse_filter
from convtui.tui.screens.runs.batches import BatchConversations
from convtui.tui.screens.screen_context import ScreenContext
from convtui.tui.timers import call_once
from convtui.tui.widgets.run_columns import OF_NEWEST
from convtui.tui.widgets.run_list import Row, RunList

_SYNC_LIMIT = 2000
"""Up to this many runs are filtered by words without a thread."""
_IDLE_FACTOR = 20
"""Pause between reads of the folder, as a multiple of the time a read took."""
_DEBOUNCE = 0.25
"""Seconds after the last key before an expression is evaluated."""


class RunsView(Protocol):
    """What shows the runs."""

    @property
    def alive(self) -> bool:
        """Whether it still exists."""

    @property
    def is_current(self) -> bool:
        """Whether it is the visible screen."""

    def show_empty(self, empty: bool, filtered: bool) -> None:
        """Says why there are no rows, or shows the rows."""

    def repaint_title(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Found:
    """What a filter found."""

    rows: Sequence[Row]
    matching: int
    """How many runs match."""
    searched: int
    partly: bool = False
    """Whether some could not be searched yet."""


class RunFilter:
    """Reads the runs of a folder, follows changes, and lists those that match."""

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
        """`box` holds the filter's text, `error` shows what is wrong with it."""
        self._context = context
        self._view = view
        self._listed, self._box, self._error = listed, box, error
        self.library = library
        self.everything: list[RunSummary] = []
        """Single runs and batches."""
        self._conversations = BatchConversations()
        self._placing = threading.Lock()
        self.order = NEWEST
        self.roots: list[RunNode] = []
        self.opened: frozenset[str] = frozenset()
        """Roots whose branches are shown."""
        self.matching = 0
        """The number of runs that match."""
        self.searched = 0
        """The number of runs that were looked at; with a filter also those of batches."""
        self.was_read = False
        """Whether the folder has been read."""
        self.partly = False
        """Whether runs were skipped because their turns are not indexed yet."""
        self.progress: tuple[str, int, int] | None = None
        """What is being read, how many are done, of how many."""
        self._closed = False
        """Whether the screen was closed, which stops reads in progress."""
        self._indexed = False
        self._query = 0
        self._busy = False
        self._idle_until = 0.0
        self._notice_shown = False
        self._debounce: Timer | None = None

    @property
    def alive(self) -> bool:
        """Whether the screen still exists."""
        return not self._closed and self._view.alive

    @property
    def selected(self) -> RunNode | None:
        return self._listed.branch

    def close(self) -> None:
        """Stops reads in progress."""
        self._closed = True
        self._query += 1

    @property
    def filter(self) -> str:
        return self._box.value.strip()

    # --- reading

    async def load(self) -> None:
        """Reads the folder, then indexes the turns of its runs."""
        await self._read("reading", turns=False)
        if self.alive:
            await self._read("indexing", turns=True)

    async def _read(self, what: str, *, turns: bool) -> None:
        """Reads changed runs; `turns` also indexes the turns of every run."""
        if self._busy:
            return
        self._busy = True

        def report(done: int, of: int) -> None:
            self.progress = (what, done, of)

        def read() -> list[RunSummary]:
            runs = self.library.runs(turns=turns, progress=report, stop=lambda: self._closed)
            return [*runs, *list_batches(self.library)]

        started = time.monotonic()
        try:
            runs = await asyncio.to_thread(read)
        finally:
            self._busy = False
            self.progress = None
            now = time.monotonic()
            self._idle_until = now + _IDLE_FACTOR * (now - started)
        if not self.alive:
            return
        self._indexed = self._indexed or turns
        if self.library.notice and not self._notice_shown and runs:
            self._notice_shown = True
            self._context.notify(
                f"{self.library.notice[0].upper()}{self.library.notice[1:]}.", "warning"
            )
        await self._update(runs)

    async def _update(self, runs: list[RunSummary]) -> None:
        same = [row_state(run) for run in runs] == [row_state(run) for run in self.everything]
        if self.was_read and same and not self.partly:
            self._view.repaint_title()
            return
        self.was_read = True
        self.everything = runs
        order = self.order
        self._listed.order = order
        self.roots = await asyncio.to_thread(
            lambda: sorted_families(runs, order, of_newest=OF_NEWEST)
        )
        await self.fill()

    def refresh(self) -> None:
        """Reads the folder again, unless that is too soon."""
        idle = time.monotonic() >= self._idle_until
        if idle and self._view.is_current and self.was_read and not self._busy and self._indexed:
            self._context.spawn(self._read("reading", turns=True), group="again")

    async def reload(self, paths: Sequence[Path] = ()) -> None:
        """Shows changes made here, without waiting for indexing."""

        def read() -> list[RunSummary]:
            for folder in {path.parent for path in paths}:
                inside = [path for path in paths if path.parent == folder]
                own = folder == self.library.folder
                (self.library if own else Library(folder)).changed(inside)
                self._conversations.forget([str(folder)])
            return [*self.library.runs(), *list_batches(self.library)]

        runs = await asyncio.to_thread(read)
        self.was_read = False
        if self.alive:
            await self._update(runs)

    async def sort(self, order: str) -> None:
        """Shows the runs in another order."""
        self.order = order
        await self.reload()

    # --- filtering

    async def fill(self) -> None:
        """Shows the matching runs; a result that comes too late is dropped."""
        if not self.alive:
            return
        text = self.filter
        self._query += 1
        query = self._query
        try:
            expression = parse_filter(text)
        except FilterError as error:
            self._show_error(str(error))
            return
        self._show_error("")

        def find() -> Found:
            return self._rows(text, expression, lambda: query != self._query)

        reads = any(run.batch is not None for run in self.everything) and (text or self.opened)
        if expression is None and len(self.everything) <= _SYNC_LIMIT and not reads:
            found = find()
        else:
            found = await asyncio.to_thread(find)
        if query != self._query or not self.alive:
            return
        self.matching, self.searched, self.partly = found.matching, found.searched, found.partly
        self._listed.show_rows(found.rows, None if text else self.opened)
        self._view.show_empty(not found.rows, bool(text))
        self._view.repaint_title()
        self._context.refresh_keys()

    def _rows(self, text: str, expression: Filter | None, stop: Callable[[], bool]) -> Found:
        with self._placing:
            return self._find(text, expression, stop)

    def _find(self, text: str, expression: Filter | None, stop: Callable[[], bool]) -> Found:
        runs, roots = self.everything, self.roots
        self._conversations.place(roots, self._is_open if not text else lambda _: True)
        if not text:
            return Found(list(guides(roots, self._is_open)), len(runs), len(runs))
        partly = False
        inside = [node.run for root in roots if root.run.batch for node in walk(root.children)]
        if expression is None:
            matches = [run for run in (*runs, *inside) if run.matches(text)]
        else:
            single = [run for run in runs if run.batch is None]
            partly = expression.about_turns and not self._indexed
            matches = self.library.search(expression, single, open_logs=not partly, stop=stop)
            matches += self._conversations.matches(roots, expression, stop)
        files = {run.file for run in matches}
        # Show matches even if they are branches of a closed root.
        rows = list(guides(only(roots, lambda run: run.file in files)))
        return Found(rows, len(matches), len(runs) + len(inside), partly)

    def _is_open(self, branch: RunNode) -> bool:
        return branch.depth > 0 or branch.run.file in self.opened

    def _show_error(self, message: str) -> None:
        self._error.display = bool(message)
        self._error.update(Content(visible(message)))

    def text_changed(self) -> None:
        """Filters by words at once, by an expression when the typing pauses."""
        if self._debounce is not None:
            self._debounce.stop()
            self._debounce = None
        self._query += 1
        text = self._box.value
        if is_expression(text):
            self._debounce = call_once(self._box, _DEBOUNCE, self._fill_now)
        else:
            self._fill_now()

    def _fill_now(self) -> None:
        if self._debounce is not None:
            self._debounce.stop()
            self._debounce = None
        self._context.spawn(self.fill(), group="filter")

    def submit(self) -> None:
        if self._debounce is not None:
            self._fill_now()
        self._listed.focus()


def row_state(run: RunSummary) -> tuple[object, ...]:
    """Whatever a row shows that can change."""
    return (run.file, run.modified, run.size, run.running, run.turns, run.tags)
