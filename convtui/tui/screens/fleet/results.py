"""What the conversations of a batch say together: endings, figures, whose fault."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from convtui.errors import ConvtuiError
from convtui.text.boundary import visible, visible_line
from convtui.tui.drawing.frames import entitle
from convtui.tui.screens.dialogs.questions import Ask, Choose
from convtui.tui.screens.fleet.view import Fleet
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.screen_context import ScreenContext
from convtui.tui.widgets.text_pane import Document, TextPane

if TYPE_CHECKING:
    from convtui.analysis.report.report import Report

ReadResults = Callable[[Path], "Report"]
"""Reads the report of a batch from its folder. Blocking."""


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
        yield Handler("fleet.results", self.toggle, self._can_read)
        yield Handler("fleet.report", self._ask_file, self._can_read)

    def close(self) -> None:
        """Stops what is being read."""
        self._closed = True

    def _can_read(self) -> bool:
        return self._read is not None

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
        if self._report is None:
            self._pane.show(Document().line(("Reading the logs ...", "muted")))
        try:
            while self._stale:
                self._stale = False
                report = await asyncio.to_thread(read, self._fleet.folder)
                if self._closed:
                    return
                self._report = report
                self.draw()
        except ConvtuiError as error:
            self._pane.show(Document().line((visible_line(str(error), 400), "error")))
        finally:
            self._reading = False

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
        here = visible_line(str(Path.cwd()), 200)

        def given(text: str | None) -> None:
            if text is not None:
                self._ask_before(Path(text.strip()).expanduser())

        hint = f"An HTML page with tables and plots; relative to {here}"
        self._context.open(
            Ask("write the report to", value="batch.html", hint=hint, check=_no_file), given
        )

    def _ask_before(self, path: Path) -> None:
        if not path.exists():
            self._context.spawn(self._write(path))
            return

        def answered(answer: str | None) -> None:
            if answer == "replace":
                self._context.spawn(self._write(path))
            elif answer is not None:
                self._ask_file()

        answers = [("other", "another file"), ("replace", "replace it")]
        name = visible_line(str(path), 200)
        self._context.open(Choose("replace this file?", answers, name), answered)

    async def _write(self, path: Path) -> None:
        from convtui.analysis.report.html import write_html

        read = self._read
        if read is None:
            return
        report = await asyncio.to_thread(read, self._fleet.folder)
        await asyncio.to_thread(write_html, report, path)
        self._context.notify(f"Written: {visible(str(path.absolute()))}")


def _no_file(text: str) -> str | None:
    path = Path(text.strip()).expanduser()
    if not text.strip() or path.is_dir():
        return "Write the name of a file, such as batch.html."
    if not path.absolute().parent.is_dir():
        return f"There is no folder {path.absolute().parent}."
    return None
