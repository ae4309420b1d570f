"""The debugger's actions that only look: moving, searching, copying, views, the inspector."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from textual.widgets import Input

from convtui.errors import FilterError, LogError
from convtui.transcript import Turn
from convtui.tui.lookup import SourceLookup
from convtui.tui.screens.base import NARROW
from convtui.tui.screens.noting import ByHand, Noting
from convtui.tui.widgets.repro import repro
from convtui.tui.widgets.transcript_view import Mode, TranscriptView

if TYPE_CHECKING:
    from convtui.filters import Filter

SLICE = 0.1
"""Seconds that a thread reads the log before the screen is told."""
_SIGNS = "~&|!()"
"""What makes a text a filter expression."""
MODES: tuple[Mode, ...] = ("shown", "raw", "diff")


class Looking(Noting):
    """Moving, searching, copying, views, the inspector."""

    # --- moving

    def do_move_up(self) -> None:
        """The turn before."""
        self.view.move(-1)

    def do_move_down(self) -> None:
        """The next turn."""
        self.view.move(1)

    def do_move_first(self) -> None:
        """The first turn."""
        self.view.go_to(0)

    def do_move_last(self) -> None:
        """The last turn."""
        self.view.go_to(self.view.shown_items - 1)

    def do_move_next_event(self) -> None:
        """The next event of interest."""
        if not self.view.next_interesting(1):
            self.tell("No further event of interest.")

    def do_move_previous_event(self) -> None:
        """The previous event of interest."""
        if not self.view.next_interesting(-1):
            self.tell("No earlier event of interest.")

    def do_view_follow(self) -> None:
        """Follows the newest turn, or stops that."""
        self.view.follow = not self.view.follow
        self.repaint()

    # --- views

    def do_view_cycle(self) -> None:
        """Shown text, raw text, the difference."""
        view = self.view
        view.mode = MODES[(MODES.index(view.mode) + 1) % len(MODES)]
        words: dict[Mode, str] = {
            "shown": "The text as it was said.",
            "raw": "The raw replies, before post-processing.",
            "diff": "The difference between raw and shown.",
        }
        self.tell(words[view.mode])
        self.repaint()

    # --- the inspector

    @property
    def narrow(self) -> bool:
        """Whether there is room for one column only."""
        return self.size.width < NARROW

    def show_inspector(self, shown: bool) -> None:
        """Opens or closes the inspector; on a narrow screen it takes the transcript's place."""
        self.set_class(shown, "-inspecting")
        self.set_class(not shown, "-no-inspector")
        if shown:
            self.refresh_inspector()
        elif self.inspector.has_focus_within:
            self.view.focus()
        self.refresh_footer()

    @property
    def inspecting(self) -> bool:
        """Whether the inspector is on the screen."""
        if self.narrow:
            return self.has_class("-inspecting")
        return not self.has_class("-no-inspector")

    def refresh_inspector(self) -> None:
        """Brings the inspector up to date."""
        raise NotImplementedError

    def do_inspector_toggle(self) -> None:
        """Shows or hides the inspector."""
        self.show_inspector(not self.inspecting)

    def do_inspector_open(self) -> None:
        """Opens the inspector of the selected turn and puts the keys into it."""
        self.show_inspector(True)
        self.inspector.pane.focus()

    def do_inspector_next_tab(self) -> None:
        """The next tab."""
        self.show_inspector(True)
        self.inspector.next_tab(1)

    def do_inspector_previous_tab(self) -> None:
        """The tab before."""
        self.show_inspector(True)
        self.inspector.next_tab(-1)

    def do_inspector_tab(self, number: int) -> None:
        """A tab by its number."""
        self.show_inspector(True)
        self.inspector.show_tab(number)

    # --- searching

    def do_search_open(self) -> None:
        """Opens the search line."""
        box = self.query_one("#search", Input)
        box.display = True
        box.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Lights the matches up and goes to the first one."""
        if event.input.id != "search":
            return
        event.stop()
        text = event.value.strip()
        if not text:
            self.do_search_close()
            return
        wanted = self._wanted(text)
        if wanted is None:
            return
        self.searching = text
        event.input.display = False
        self.view.focus()
        if not isinstance(wanted, str) and not callable(wanted):
            self.view.search(None)
            self.spawn(self._search_log(text, wanted), group="search")
        else:
            self.seeking = True
            self.view.search(wanted, self._highlight(text))
        self.refresh_footer()

    async def _search_log(self, text: str, wanted: Filter) -> None:
        """Searches for what only the log tells, in a thread, some turns at a time."""
        source, transcript = self.source, self.transcript
        from convtui.filters import decide

        asked = await asyncio.to_thread(SourceLookup, source)
        found: set[int] = set()
        position = 0

        def some(first: int, end: int) -> None:
            deadline = time.monotonic() + SLICE
            nonlocal position
            for index in range(first, end):
                turn = transcript.turns[index]
                if decide(wanted.on_turn(turn, transcript, asked)):
                    found.add(index)
                position = index + 1
                if time.monotonic() > deadline:
                    return

        while position < (end := len(transcript.turns)):
            try:
                await asyncio.to_thread(some, position, end)
            except (LogError, ValueError, OSError) as error:
                self.tell(f"The log cannot be searched: {error}.", "error")
                return
            if self.searching != text or self.source is not source:
                return
            self.looking_through = position / max(1, end)
            self.repaint()
        self.looking_through = None
        self.seeking = True
        self.view.search(lambda turn: turn.index in found, self._highlight(text))

    def on_transcript_view_search_progress(self, event: TranscriptView.SearchProgress) -> None:
        """Shows the number of matches; the nearest is known when every turn was looked at."""
        if not self.searching:
            return
        if self.seeking and event.done:
            self.seeking = False
            if not self.view.next_match(1):
                self.tell(f"No turn matches {self.searching!r} so far.")
        elif event.count == self.matches_shown:
            return
        self.matches_shown = event.count
        self.repaint()

    def _wanted(self, text: str) -> str | Callable[[Turn], bool] | Filter | None:
        if not any(sign in text for sign in _SIGNS):
            return text
        from convtui.filters import decide, parse

        try:
            found = parse(text)
        except FilterError as error:
            self.tell(str(error), "error")
            return None
        transcript = self.transcript
        if found.asks <= ByHand.ANSWERS and self._by_hand is not None:
            # Marks and notes are at hand, and may be made while the search is lit.
            by_hand = ByHand(self.note_of)
            return lambda turn: decide(found.on_turn(turn, transcript, by_hand))
        if found.needs_raw:
            return found
        return lambda turn: decide(found.on_turn(turn, transcript))

    @staticmethod
    def _highlight(text: str) -> re.Pattern[str] | None:
        """What a filter lights up in the text; None leaves it to the search."""
        if not any(sign in text for sign in _SIGNS):
            return None
        from convtui.filters import parse

        return parse(text).highlight()

    def do_search_next(self) -> None:
        """The next match."""
        if not self.view.next_match(1):
            self.tell("No match.")

    def do_search_previous(self) -> None:
        """The match before."""
        if not self.view.next_match(-1):
            self.tell("No match.")

    def do_search_close(self) -> None:
        """Puts the search out."""
        self.searching = ""
        self.looking_through = None
        box = self.query_one("#search", Input)
        box.display = False
        self.view.search(None)
        self.view.focus()
        self.repaint()

    # --- copying

    def do_copy_turn(self) -> None:
        """Copies the selected turn, or the inspector's tab while the keys are there."""
        if self.inspector.has_focus_within:
            self._copy(self.inspector.copy_text(), f"the {self.inspector.tab} tab")
        elif self.selected is not None:
            self._copy(self.view.copy_text(), f"turn {self.selected.address}")

    def do_copy_transcript(self) -> None:
        """Copies the whole transcript."""
        self._copy(self.view.copy_transcript(), "the transcript")

    async def do_copy_python(self) -> None:
        """Copies the last model call of the selected turn as a Python script."""
        await self._copy_repro("python")

    async def do_copy_curl(self) -> None:
        """Copies the last model call of the selected turn as a curl command."""
        await self._copy_repro("curl")

    async def _copy_repro(self, kind: Literal["python", "curl"]) -> None:
        turn = self.selected
        if turn is None:
            return
        try:
            detail = await self.source.detail(turn)
            if not detail.calls:
                self.tell("No snippet: no model was called in this turn.", "warning")
                return
            request = detail.calls[-1].request
            messages = await self.source.messages(request, detail.log)
        except (LogError, ValueError, OSError, IndexError) as error:
            self.tell(f"No snippet: {error}.", "warning")
            return
        what = "a Python script" if kind == "python" else "a curl command"
        self._copy(repro(kind, request, messages), what)

    def _copy(self, text: str, what: str) -> None:
        self.app.copy_to_clipboard(text)
        self.tell(f"Copied {what} ({len(text):,} characters).")
