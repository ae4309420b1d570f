"""What the conversations of a batch say together: endings, figures, whose fault."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from convtui.errors import ConvtuiError
from convtui.text.boundary import visible_line
from convtui.tui.drawing.frames import entitle
from convtui.tui.screens.fleet.view import Fleet
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.report_file import ask_report_file
from convtui.tui.screens.screen_context import ScreenContext
from convtui.tui.widgets.text_pane import Document, TextPane

if TYPE_CHECKING:
    from convtui.analysis.report.report import Report


class ReadResults(Protocol):
    """Reads the report of a batch from its folder. Blocking.

    `progress` is told how many of how many logs were read; `stop` ends that early.
    """

    def __call__(
        self, folder: Path, progress: Callable[[int, int], None], stop: Callable[[], bool]
    ) -> Report: ...


_EVERY: Final = 0.2
"""Seconds between two pictures of the progress."""


class FleetResults:
    """Reads the results in a thread and shows them in their pane, or writes them as a page."""

    def __init__(
        self,
        context: ScreenContext,
        fleet: Fleet,
        pane: TextPane,
        read: ReadResults | None,
        *,
        shown: Callable[[bool], None],
    ) -> None:
        """`shown` shows or hides the pane."""
        self._context, self._fleet, self._pane = context, fleet, pane
        self._read, self._show_pane = read, shown
        self.shown = False
        self._report: Report | None = None
        self._stale = True
        self._reading = False
        self._closed = False
        self._drawn: tuple[object, int] = (None, 0)
        entitle(pane, "results")

    def handlers(self) -> Iterator[Handler]:
        yield Handler("fleet.results", self.toggle, self._can_read, self._label)
        yield Handler("fleet.report", self._ask_file, self._can_read)

    def close(self) -> None:
        """Stops what is being read."""
        self._closed = True

    def _can_read(self) -> bool:
        return self._read is not None

    def _label(self) -> str | None:
        return "hide results" if self.shown else None

    def changed(self) -> None:
        """Rows have changed: what was read is old."""
        self._stale = True
        if self.shown and self._fleet.over:
            self._context.spawn(self._load(), group="results")

    def toggle(self) -> None:
        """Shows the results so far, or hides them."""
        if self._read is None:
            return
        self.shown = not self.shown
        self._show_pane(self.shown)
        if self.shown and self._stale:
            self._context.spawn(self._load(), group="results")

    async def _load(self) -> None:
        read = self._read
        if read is None or self._reading:
            return
        self._reading = True
        try:
            while self._stale and not self._closed:
                self._stale = False
                await self._read_once(read)
        except ConvtuiError as error:
            self._pane.show(Document().line((visible_line(str(error), 400), "error")))
        finally:
            self._reading = False

    async def _read_once(self, read: ReadResults) -> None:
        done = [0, 0]

        def progress(read_so_far: int, of: int) -> None:
            done[:] = read_so_far, of

        work = asyncio.ensure_future(
            asyncio.to_thread(read, self._fleet.folder, progress, lambda: self._closed)
        )
        while not (await asyncio.wait([work], timeout=_EVERY))[0]:
            if self._closed:
                break
            words = f"reading {done[0]:,} of {done[1]:,} logs" if done[1] else "reading the logs"
            entitle(self._pane, "results", words)
        report = await work
        if not self._closed:
            entitle(self._pane, "results")
            self._report = report
            self.draw()

    def draw(self) -> None:
        """Lays the report out for the room that the pane has."""
        from convtui.tui.documents.report import report_document

        width = max(20, self._pane.view_width - 1)
        if self._report is None or not self.shown or self._drawn == (self._report, width):
            return
        again = self._drawn[0] is not None
        self._drawn = (self._report, width)
        self._pane.show(report_document(self._report, width), keep_place=again)

    # --- the page

    def _ask_file(self) -> None:
        read = self._read
        if read is None:
            return

        def report() -> Report:
            return read(self._fleet.folder, _untold, lambda: self._closed)

        ask_report_file(self._context, "batch.html", report)


def _untold(done: int, of: int) -> None:
    """For progress that nobody watches."""
