"""The actions that the debugger's footer offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from convtui.actions.registry import Action, actions
from convtui.tui.widgets.keybar import KeyItem

if TYPE_CHECKING:
    from convtui.tui.screens.debugger.context import ShownConversation

_LIVE = (
    "run.toggle", "run.step_turn", "run.step_stage", "take_over.toggle", "run.cancel_call",
    "break.here", "inspector.decision", "context.view", "inspector.whole", "provider.reload",
    "view.cycle", "inspector.toggle",
    "search.open", "take_over.provider", "app.quit", "app.help",
)  # fmt: skip
_HELD = (
    "run.toggle", "run.step_turn", "run.step_stage", "hold.edit", "hold.ask_again",
    "hold.override", "take_over.toggle", "inspector.decision", "provider.reload", "branch.rewind",
    "context.view", "inspector.whole", "view.cycle", "break.here", "search.open",
    "take_over.provider", "app.quit", "app.help",
)  # fmt: skip
_REPLAY = (
    "replay.toggle", "replay.previous_turn", "replay.next_turn", "context.view",
    "inspector.whole", "run.step_stage", "replay.faster", "move.next_event", "runs.again",
    "library.open", "inspector.decision", "hold.edit_brief", "view.cycle", "inspector.toggle",
    "search.open", "replay.go_to", "app.quit", "app.help",
)  # fmt: skip
_OVER = (
    "provider.reload", "runs.again", "library.open", "branch.rewind", "context.view",
    "move.next_event", "inspector.decision", "hold.edit_brief", "view.cycle",
    "inspector.toggle", "search.open", "copy.transcript",
    "app.quit", "app.help",
)  # fmt: skip

_OPENING_LIVE = (
    "run.toggle", "run.step_turn", "run.step_stage", "take_over.toggle", "provider.reload",
    "take_over.provider", "app.quit", "app.help",
)  # fmt: skip
_OPENING_REPLAY = ("runs.again", "library.open", "app.quit", "app.help")
"""What applies before there is a turn."""

SEARCH_KEYS = (KeyItem("enter", "search", "search.open"), KeyItem("esc", "close", "app.back"))
"""The keys of the search line, which are its own."""

WAY_BACK = "view.maximise"
"""The action that shows the transcript again where the inspector is in its place."""
IN_INSPECTOR = ("inspector.fold", "inspector.fold_all", WAY_BACK)
IN_OUTLINE = (
    "outline.up", "outline.down", "outline.left", "outline.right", "outline.open",
    "outline.leave",
)  # fmt: skip
"""The actions that come first while a pane has the focus."""


def footer_ids(conversation: ShownConversation, *, searching: bool) -> Sequence[str]:
    """The actions that apply now, most important first."""
    handle = conversation.handle
    if conversation.replay is not None:
        ids: tuple[str, ...] = _REPLAY
    elif conversation.dead:
        ids = ("provider.restart", *(name for name in _OVER if name != "provider.reload"))
    elif conversation.over:
        ids = _OVER
    else:
        ids = _HELD if conversation.hold is not None else _LIVE
    if handle is not None and handle.silent_for > 0 and not conversation.over:
        ids = ("run.kill_engine", *ids)
    if conversation.run is not None and conversation.run.goes_on_alone:
        ids = ("app.quit", *(name for name in ids if name != "app.quit"))
    if searching:
        ids = ("search.next", "search.previous", "search.close", *ids)
    return ids


def opening_items(
    conversation: ShownConversation, shown_key: Callable[[Action], str], *, leave: str
) -> list[KeyItem]:
    """The keys of a conversation that has not begun; `leave` is what quitting does."""
    labels = {"run.toggle": "pause", "app.quit": leave}
    ids = _OPENING_LIVE if conversation.replay is None else _OPENING_REPLAY
    known = [actions()[name] for name in ids]
    return [
        KeyItem(key, labels.get(action.id, action.label), action.id)
        for action in known
        if (key := shown_key(action))
    ]


def take_over_ids(*, can_draft: bool, my_turn: bool) -> Sequence[str]:
    """The actions that apply in the take-over's input."""
    ids = ["take_over.newline", "take_over.editor", "take_over.leave"]
    if can_draft:
        ids.insert(0, "take_over.draft")
    if my_turn:
        ids.insert(0, "take_over.send")
    return ids


def beside_hold_bar(items: list[KeyItem], conversation: ShownConversation) -> list[KeyItem]:
    """`items` without those that the hold bar lists."""
    if conversation.hold is None:
        return items
    return [item for item in items if not item.action.startswith("hold.")]
