"""What opens below the debugger's panes: a hint, a hold, the inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input

from convtui.tui.drawing.frames import PANE
from convtui.tui.widgets.hintline import HintLine
from convtui.tui.widgets.holdbar import HoldBar
from convtui.tui.widgets.takeover import KEYS, TakeOverInput

if TYPE_CHECKING:
    from convtui.actions.registry import Keymap


class Prompts:
    """Hidden until there is something to say or to ask; made after the first frame."""

    def __init__(self, keymap: Keymap, clock: Callable[[], float]) -> None:
        """`clock` gives the time of keys, in seconds."""
        self.hint_line = HintLine(id="hint", markup=False)
        self.hold_bar = HoldBar(id="hold")
        self.hold_bar.add_class(PANE, "-alert", update=False)
        self.take_over = TakeOverInput(
            id="take-over", keys={name: keymap.keys(name) for name in KEYS}, clock=clock
        )
        placeholder = "search: a text, or a filter such as ~signal or ~discard"
        self.search = Input(id="search", placeholder=placeholder)
        self.search.compact = True

    def widgets(self) -> tuple[Widget, ...]:
        """From the top to the bottom."""
        return self.hint_line, self.hold_bar, self.take_over, self.search
