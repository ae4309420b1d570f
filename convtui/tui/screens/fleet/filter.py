"""Narrows a batch's conversations by words, or by the filter language over what they said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, Static

from convtui.errors import FilterError
from convtui.text.boundary import visible
from convtui.tui.screens.filter_text import parse_filter
from convtui.tui.screens.fleet.order import FleetOrder
from convtui.tui.screens.fleet.view import Fleet, FleetRow
from convtui.tui.screens.screen_context import ScreenContext
from convtui.tui.timers import call_once

if TYPE_CHECKING:
    from convtui.filters.filter import Filter

_DEBOUNCE = 0.25
"""Seconds after the last key before an expression is evaluated."""


class FleetFilter:
    """What is asked for, and which conversations match it.

    Running conversations are matched where they run, ended ones by their logs.
    """

    def __init__(
        self,
        context: ScreenContext,
        fleet: Fleet,
        order: FleetOrder,
        *,
        box: Input,
        error: Static,
        show: Callable[[], None],
    ) -> None:
        """`box` holds the text, `error` shows what is wrong with it; `show` draws the list."""
        self._context, self._fleet, self._order = context, fleet, order
        self._box, self._error, self._show = box, error, show
        self._expression: Filter | None = None
        self._told = ""
        """What running conversations are matched against."""
        self._logs: dict[str, bool | None] = {}
        """Whether the logs of ended conversations match the expression; None where not known yet.

        Those of conversations that ended before they were matched where they ran.
        """
        self._waiting: list[str] = []
        """Logs that are still to be read."""
        self._query = 0
        self._reading = False
        self._debounce: Timer | None = None

    @property
    def text(self) -> str:
        return self._box.value.strip()

    @property
    def partly(self) -> bool:
        """Whether logs of ended conversations are still being read."""
        return self._reading

    def close(self) -> None:
        self._query += 1
        self._tell("")

    def text_changed(self) -> None:
        """Filters by words at once, by an expression when the typing pauses."""
        if self._debounce is not None:
            self._debounce.stop()
        self._debounce = call_once(self._box, _DEBOUNCE, self.apply)

    def apply(self) -> None:
        """Shows the conversations that match the text as it is now."""
        if self._debounce is not None:
            self._debounce.stop()
            self._debounce = None
        text = self.text
        self._query += 1
        try:
            expression = parse_filter(text)
        except FilterError as error:
            self._say(str(error))
            return
        self._say("")
        self._expression = expression
        self._logs.clear()
        self._waiting.clear()
        if expression is not None:
            self._tell(text)
            self._order.accepts = self._matches
            self._look_into(row for row in self._fleet.rows if row.over)
        else:
            self._tell("")
            words = text.casefold().split()
            self._order.accepts = (lambda row: _has(row, words)) if words else None
        self._order.refill()
        self._show()

    def changed(self, rows: Iterable[int]) -> None:
        """Looks into the logs of what has ended meanwhile, unless its worker has matched it."""
        if self._expression is not None:
            ended = (self._fleet.rows[index] for index in rows)
            self._look_into(row for row in ended if row.over and row.match is None)

    def _tell(self, text: str) -> None:
        controls = self._fleet.controls
        if controls is None or text == self._told:
            return
        self._told = text
        controls.filter(text)

    def _say(self, message: str) -> None:
        self._error.display = bool(message)
        self._error.update(Content(visible(message)))

    def _matches(self, row: FleetRow) -> bool:
        if row.over and row.log in self._logs:
            return self._logs[row.log] is True
        return row.match is True

    def _is_old(self, query: int) -> bool:
        return query != self._query

    # --- logs

    def _look_into(self, rows: Iterable[FleetRow]) -> None:
        new = [row.log for row in rows if row.log is not None and row.log not in self._logs]
        self._logs.update(dict.fromkeys(new))
        self._waiting += new
        if self._waiting and not self._reading:
            self._reading = True
            self._context.spawn(self._read())

    async def _read(self) -> None:
        """Reads the logs that wait, and those that come meanwhile, in one thread."""
        try:
            while self._waiting and self._expression is not None:
                expression, query = self._expression, self._query
                logs, self._waiting = self._waiting, []
                stop = partial(self._is_old, query)
                found = await asyncio.to_thread(
                    _matching, expression, self._fleet.folder, logs, stop
                )
                if query == self._query:
                    self._logs.update(dict.fromkeys(logs, False) | dict.fromkeys(found, True))
                    self._order.refill()
                    self._show()
        finally:
            self._reading = False
        self._show()


def _matching(
    expression: Filter, folder: Path, logs: Sequence[str], stop: Callable[[], bool]
) -> set[str]:
    """The logs that match, by the index of their folder. Blocking."""
    from convtui.library.library import Library

    wanted = set(logs)
    library = Library(folder)
    runs = [run for run in library.runs(turns=True, stop=stop) if run.path.name in wanted]
    matches = library.search(expression, runs, stop=stop)
    return {run.path.name for run in matches}


def _has(row: FleetRow, words: Sequence[str]) -> bool:
    """Whether each word stands somewhere in a row."""
    reason = str((row.termination or {}).get("reason", "")) if row.over else ""
    hold = str((row.hold or {}).get("reason", ""))
    text = " ".join(
        (row.key, row.persona, row.provider, row.state, row.kind, row.words, reason, hold)
    ).casefold()
    return all(word in text for word in words)
