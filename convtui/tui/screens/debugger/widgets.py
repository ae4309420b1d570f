"""The widgets of the debugger and their layout."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input

from convtui.actions.registry import Keymap
from convtui.tui.drawing.frames import PANE, make_pane
from convtui.tui.screens.debugger.empty_states import NO_TURN
from convtui.tui.widgets.hintline import HintLine
from convtui.tui.widgets.holdbar import HoldBar
from convtui.tui.widgets.inspector.inspector import Inspector, tab_keys
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.notice_line import NoticeLine
from convtui.tui.widgets.statusline import StatusLine
from convtui.tui.widgets.takeover import KEYS, TakeOverInput
from convtui.tui.widgets.transcript.outline import Outline
from convtui.tui.widgets.transcript.transcript_view import TranscriptView


class DebuggerWidgets:
    """Three columns between two status lines; the hold, the inputs and the keys below."""

    def __init__(self, keymap: Keymap, clock: Callable[[], float]) -> None:
        """`clock` gives the time of keys, in seconds."""
        self.top, self.bottom = StatusLine("top", id="top"), StatusLine("bottom", id="bottom")
        self.hold_bar = HoldBar(id="hold")
        self.outline = Outline(id="outline", empty_message="no session yet")
        self.view = TranscriptView(id="transcript")
        self.inspector = Inspector(id="inspector", keys=tab_keys(keymap), empty_message=NO_TURN)
        self.hold_bar.add_class(PANE, "-alert")
        make_pane(self.outline, "sessions")
        make_pane(self.view, "transcript", "-list")
        make_pane(self.inspector, "inspector", "-beside")
        self.hint_line = HintLine(id="hint", markup=False)
        self.take_over = TakeOverInput(
            id="take-over", keys={name: keymap.keys(name) for name in KEYS}, clock=clock
        )
        placeholder = "search: a text, or a filter such as ~signal or ~discard"
        self.search = Input(id="search", placeholder=placeholder)
        self.search.compact = True

    def compose(self) -> ComposeResult:
        yield self.top
        with Horizontal(id="body"):
            yield self.outline
            yield self.view
            yield self.inspector
        yield self.hint_line
        yield self.hold_bar
        yield self.take_over
        yield self.search
        yield self.bottom
        yield NoticeLine(in_place_of=self.bottom)
        yield KeyBar(id="keys")
