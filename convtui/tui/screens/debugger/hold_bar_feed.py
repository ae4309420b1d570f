"""Updates the hold bar."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.widgets.holdbar import HoldBar
from convtui.tui.widgets.takeover import TakeOverInput


class HoldBarFeed:
    """Shows the hold and its choices, unless a human is typing a turn."""

    def __init__(
        self,
        context: DebuggerContext,
        bar: HoldBar,
        box: TakeOverInput,
        *,
        choice_keys: Mapping[str, str],
        show_input: Callable[[], bool],
        decision_held: Callable[[], bool],
    ) -> None:
        """`choice_keys` are the keys of choices that have one of their own.

        `show_input` updates the input and returns whether a human is to speak there.
        `decision_held` says whether a decision is held that can be asked for again.
        """
        self._context = context
        self._bar = bar
        self._box = box
        self._choice_keys = dict(choice_keys)
        self._show_input = show_input
        self._decision_held = decision_held

    def show(self) -> None:
        """Updates the bar and the input below it."""
        conversation, keymap = self._context.conversation, self._context.keymap
        more = []
        if self._decision_held():
            more.append((keymap.shown("hold.edit_brief"), "edit the brief, ask again"))
        # In the input digits are text: its footer lists the keys, and Escape shows the choices.
        hidden = self._show_input() or conversation.cancel_busy is not None
        leave = keymap.shown("take_over.leave") if self._box.has_focus else ""
        hold = None if hidden else conversation.hold
        self._bar.show(hold, self._choice_keys, more, leave)
