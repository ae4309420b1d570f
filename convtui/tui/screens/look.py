"""The debugger's actions that only look: moving, searching, copying, views, the inspector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from textual.widgets import Input

from convtui.errors import FilterError
from convtui.transcript import Turn
from convtui.tui.screens.base import NARROW, DebuggerBase
from convtui.tui.widgets.transcript_view import Mode

MODES: tuple[Mode, ...] = ("shown", "raw", "diff")


class Looking(DebuggerBase):
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
        self.view.search(wanted)
        self.call_after_refresh(self._to_match)
        self.refresh_footer()

    def _to_match(self) -> None:
        if not self.view.next_match(1):
            self.tell(f"No turn matches {self.searching!r} so far.")
        self.repaint()

    def _wanted(self, text: str) -> str | Callable[[Turn], bool] | None:
        if not any(sign in text for sign in "~&|!()"):
            return text
        from convtui.filters import decide, parse

        try:
            found = parse(text)
        except FilterError as error:
            self.tell(str(error), "error")
            return None
        transcript = self.transcript
        return lambda turn: decide(found.on_turn(turn, transcript))

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

    def copy_repro(self, kind: Literal["python", "curl"]) -> None:
        """Copies a runnable snippet of the selected turn's last call."""
        try:
            self._copy(self.inspector.repro(kind), f"a {kind} snippet of this call")
        except ValueError as error:
            self.tell(f"No snippet: {error}.", "warning")

    def _copy(self, text: str, what: str) -> None:
        self.app.copy_to_clipboard(text)
        self.tell(f"Copied {what} ({len(text):,} characters).")
