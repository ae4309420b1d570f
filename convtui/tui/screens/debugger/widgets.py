"""The widgets of the debugger and their layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal

from convtui.tui.drawing.frames import make_pane
from convtui.tui.screens.debugger.empty_states import NO_TURN
from convtui.tui.textual_compat import all_like_the_first
from convtui.tui.widgets.inspector.inspector import Inspector, tab_keys
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.notice_line import NoticeLine
from convtui.tui.widgets.statusline import StatusLine
from convtui.tui.widgets.transcript.outline import Outline
from convtui.tui.widgets.transcript.transcript_view import TranscriptView

if TYPE_CHECKING:
    from textual.geometry import Region
    from textual.strip import Strip

    from convtui.actions.registry import Keymap

CSS = """
DebuggerScreen { layout: vertical; overflow: hidden; }
DebuggerScreen #body { height: 1fr; }
DebuggerScreen.-short HintLine { display: none; }
DebuggerScreen.-short HoldBar { max-height: 5; }
DebuggerScreen.-short HoldBar.-beside-input { max-height: 3; }
DebuggerScreen.-short HoldBar.-beside-input #hold-reason { max-height: 1; }
DebuggerScreen.-short HoldBar.-writing { display: none; }
DebuggerScreen.-short TakeOverInput { max-height: 3; }
DebuggerScreen TranscriptView { width: 1fr; }
DebuggerScreen.-no-inspector Inspector { display: none; }
DebuggerScreen.-narrow Inspector { display: none; }
DebuggerScreen.-narrow.-inspecting Inspector { display: block; }
DebuggerScreen.-narrow.-inspecting TranscriptView { display: none; }
DebuggerScreen #search { display: none; height: 1; border: none; padding: 0 1;
                         background: $panel; }
"""


class Body(Horizontal):
    """The panes side by side, which cover all of it."""

    def render_lines(self, crop: Region) -> list[Strip]:
        return all_like_the_first(super().render_lines, crop)


class DebuggerWidgets:
    """Three columns between two status lines; the keys below.

    What opens above the lower status line is in `prompts`.
    """

    def __init__(self, keymap: Keymap) -> None:
        self.top, self.bottom = StatusLine("top", id="top"), StatusLine("bottom", id="bottom")
        self.outline = Outline(id="outline", empty_message="no session yet")
        self.view = TranscriptView(id="transcript")
        # Enter is an action of the registry: at a hold it takes the first choice.
        self.view._bindings = self.view._bindings.copy()
        self.view._bindings.key_to_bindings.pop("enter", None)
        self.inspector = Inspector(id="inspector", keys=tab_keys(keymap), empty_message=NO_TURN)
        make_pane(self.outline, "sessions")
        make_pane(self.view, "transcript", "-list")
        make_pane(self.inspector, "inspector", "-beside")

    def compose(self) -> ComposeResult:
        yield self.top
        with Body(id="body"):
            yield self.outline
            yield self.view
            yield self.inspector
        yield self.bottom
        yield NoticeLine(in_place_of=self.bottom)
        yield KeyBar(id="keys")
