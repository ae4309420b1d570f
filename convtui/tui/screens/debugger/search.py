"""Searches the transcript, and the log for filters that need it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.widgets import Input

from convtui.errors import FilterError, LogError
from convtui.log.filter_lookup import NoteLookup
from convtui.text.boundary import visible_line
from convtui.transcript.fold import Turn
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.debugger.turn_notes import TurnNotes
from convtui.tui.screens.handlers import Handler
from convtui.tui.sources.filter_lookup import SourceLookup
from convtui.tui.widgets.transcript.transcript_view import TranscriptView

if TYPE_CHECKING:
    from convtui.filters.filter import Filter

SLICE = 0.1
"""Seconds that a thread searches the log before progress is shown."""
_FILTER_CHARS = "~&|!()"
"""Characters that make a text a filter expression."""


class Search:
    """The search line and the highlighted matches."""

    def __init__(
        self,
        context: DebuggerContext,
        view: TranscriptView,
        box: Input,
        notes: TurnNotes,
        *,
        jump: Callable[[int], Awaitable[None]],
        refresh_keys: Callable[[], None],
    ) -> None:
        """`jump` selects a turn, also one that a recording has not come to yet."""
        self._context = context
        self._conversation = context.conversation
        self._view = view
        self._box = box
        self._notes = notes
        self._jump = jump
        self._refresh_keys = refresh_keys
        self.text = ""
        """The current search; empty if there is none."""
        self._seeking = False
        """Whether to select the first match once all turns have been searched."""
        self._count_shown = -1
        """The number of matches in the status line."""
        self._progress: float | None = None
        """The searched fraction of the log, while it is being searched."""

    def handlers(self) -> Iterator[Handler]:
        enabled = self._has_turns
        yield Handler("search.open", self._open, enabled)
        yield Handler("search.next", partial(self._go_to_match, 1), enabled)
        yield Handler("search.previous", partial(self._go_to_match, -1), enabled)
        yield Handler("search.close", self.close, enabled)

    def _has_turns(self) -> bool:
        return self._conversation.has_turns

    def status(self) -> list[str]:
        """The number of the selected match and of all, for the status line."""
        if not self.text:
            return []
        if self._progress is not None:
            return [f"searching the log, {self._progress:.0%}"]
        return [f"match {self._view.search_position or '-'} of {self._view.search_count}"]

    def _open(self) -> None:
        self._box.display = True
        self._box.focus()

    def submit(self) -> None:
        """Highlights the matches and goes to the first one."""
        text = self._box.value.strip()
        if not text:
            self.close()
            return
        matcher = self._matcher(text)
        if matcher is None:
            return
        self.text = text
        self._box.display = False
        self._view.focus()
        if not isinstance(matcher, str) and not callable(matcher):
            self._view.search(None)
            self._context.spawn(self._search_log(text, matcher), group="search")
        else:
            self._seeking = True
            self._view.search(matcher, self._highlight(text))
        self._refresh_keys()

    async def _search_log(self, text: str, wanted: Filter) -> None:
        """Searches with a filter that reads the log, in a thread, some turns at a time."""
        source, transcript = self._conversation.source, self._conversation.transcript
        from convtui.filters.filter import decide

        lookup = await asyncio.to_thread(SourceLookup, source)
        matches: set[int] = set()
        position = 0

        def some(first: int, end: int) -> None:
            deadline = time.monotonic() + SLICE
            nonlocal position
            for index in range(first, end):
                turn = transcript.turns[index]
                if decide(wanted.on_turn(turn, transcript, lookup)):
                    matches.add(index)
                position = index + 1
                if time.monotonic() > deadline:
                    return

        while position < (end := len(transcript.turns)):
            try:
                await asyncio.to_thread(some, position, end)
            except (LogError, ValueError, OSError) as error:
                self._context.notify(f"The log cannot be searched: {error}.", "error")
                return
            if self.text != text or self._conversation.source is not source:
                return
            self._progress = position / max(1, end)
            self._context.repaint()
        self._progress = None
        self._seeking = True
        self._view.search(lambda turn: turn.index in matches, self._highlight(text))

    def show_progress(self, count: int, *, done: bool) -> None:
        """Shows the number of matches; selects the nearest once every turn has been searched."""
        if not self.text:
            return
        if self._seeking and done:
            self._seeking = False
            self._context.spawn(self._go_to_match(1))
        elif count == self._count_shown:
            return
        self._count_shown = count
        self._context.repaint()

    def _matcher(self, text: str) -> str | Callable[[Turn], bool] | Filter | None:
        if not any(char in text for char in _FILTER_CHARS):
            return text
        from convtui.filters.filter import decide, parse

        try:
            expression = parse(text)
        except FilterError as error:
            self._context.notify(str(error), "error")
            return None
        transcript = self._conversation.transcript
        if expression.asks <= NoteLookup.ANSWERS and self._notes.known:
            # The screen has marks and notes, which may change during the search.
            lookup = NoteLookup(self._notes.on)
            return lambda turn: decide(expression.on_turn(turn, transcript, lookup))
        if expression.needs_raw:
            return expression
        return lambda turn: decide(expression.on_turn(turn, transcript))

    @staticmethod
    def _highlight(text: str) -> re.Pattern[str] | None:
        """The pattern to highlight for a filter; None for a plain search text."""
        if not any(char in text for char in _FILTER_CHARS):
            return None
        from convtui.filters.filter import parse

        return parse(text).highlight()

    async def _go_to_match(self, direction: int) -> None:
        index = self._view.find_match(direction)
        if index is None:
            self._context.notify(self._nothing())
        else:
            await self._jump(index)

    def _nothing(self) -> str:
        keymap = self._context.keymap
        return (
            f"No turn matches {visible_line(self.text, 60)}."
            f" {keymap.shown('search.open')} searches for something else,"
            f" {keymap.shown('search.close')} ends the search."
        )

    def close(self) -> None:
        self.text = ""
        self._progress = None
        self._box.display = False
        self._view.search(None)
        self._view.focus()
        self._context.repaint()
