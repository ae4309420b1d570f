"""Updates the hold bar."""

from __future__ import annotations

from collections.abc import Callable

from convtui.actions.hold_choices import FIRST, action_of
from convtui.actions.registry import Keymap
from convtui.records.codec import RecordDict
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.widgets.holdbar import HoldBar, calls_of, choices_of
from convtui.tui.widgets.keybar import KeyItem
from convtui.tui.widgets.takeover import TakeOverInput


class HoldBarFeed:
    """Shows the hold and its choices, unless a human is typing a turn."""

    def __init__(
        self,
        context: DebuggerContext,
        bar: HoldBar,
        box: TakeOverInput,
        *,
        enter_works: Callable[[], bool],
        show_input: Callable[[], bool],
        decision_held: Callable[[], bool],
    ) -> None:
        """`enter_works` says whether Enter takes the first choice, or has another meaning now.

        `show_input` updates the input and returns whether a human is to speak there.

        `decision_held` says whether a decision is held that can be asked for again.
        """
        self._context = context
        self._bar = bar
        self._box = box
        self._enter_works = enter_works
        self._show_input = show_input
        self._decision_held = decision_held

    def show(self) -> None:
        """Updates the bar and the input below it."""
        conversation = self._context.conversation
        # In the input letters are text: its footer lists the keys, and Escape shows the choices.
        hidden = self._show_input() or conversation.cancel_busy is not None
        hold = None if hidden else conversation.hold
        self._bar.set_class(self._box.has_class("-shown"), "-beside-input")
        self._bar.set_class(self._box.has_focus, "-writing")
        self._bar.show(hold, [] if hold is None else self._items(hold))

    def _items(self, hold: RecordDict) -> list[KeyItem]:
        keymap = self._context.keymap
        items = choice_items(hold, keymap, enter=self._enter_works())
        if self._decision_held():
            items.append(_item("hold.edit_brief", "edit the brief, ask again", keymap))
        if self._box.has_focus:
            items.insert(0, _item("take_over.leave", "first, then:", keymap))
        return items


def choice_items(hold: RecordDict, keymap: Keymap, *, enter: bool = True) -> list[KeyItem]:
    """The choices of a hold with their keys: `enter` for the first, else that of their action."""
    calls = len(calls_of(hold))
    items: list[KeyItem] = []
    for choice, label in choices_of(hold):
        action = action_of(choice, hold.get("side")) if items or not enter else FIRST
        if action is not None:
            items.append(_item(action, _specific(choice, label, hold, calls), keymap))
    return items


def _item(action: str, label: str, keymap: Keymap) -> KeyItem:
    return KeyItem(keymap.shown(action), label, action)


def _specific(choice: str, label: str, hold: RecordDict, calls: int) -> str:
    """A choice's label, specific to the calls that are held."""
    if not calls:
        return label
    target = f"all {calls}" if calls > 1 else "it"
    verb = "approve" if hold.get("reason") == "tool_approval" else "run"
    return {
        "go": f"{verb} {target}",
        "edit": "edit arguments",
        "deny": f"deny {'one or all' if calls > 1 else 'it'}",
    }.get(choice, label)
