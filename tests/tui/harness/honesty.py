"""Whether a screen says of its keys what they do: in the footer, in the help, in the palette."""

from __future__ import annotations

from typing import Any

import pytest

from convtui.actions.registry import Keymap, actions
from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.screens.dialogs.commands import Commands
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.help import HelpScreen
from convtui.tui.widgets.holdbar import HoldBar
from convtui.tui.widgets.keybar import KeyItem, Keys


def check_keys(screen: ActionScreen, patch: pytest.MonkeyPatch) -> None:
    """Fails for a key whose label is not what it does, in the current state of a screen."""
    items = [item for bar in screen.query(HoldBar) for item in bar.query_one(Keys).items]
    items += screen.footer_items()
    shown = {(item.key, item.action) for item in items}
    assert len({key for key, _ in shown}) == len(shown), sorted(shown)
    for item in items:
        assert _performed(screen, item) == [item.action], item
    available = [action for action in screen.available() if action.id != "app.interrupt"]
    palette, dialog = _opened(screen, "app.palette", patch), _opened(screen, "app.help", patch)
    assert isinstance(palette, Commands)
    offered = {command.action: command.key for command in palette._commands}
    assert set(offered) == {action.id for action in available} - {"app.palette"}
    for action_id, key in offered.items():
        heard = screen.action_of(_key(screen.keymap, key)) if key else None
        assert not key or (heard is not None and heard.id == action_id), (action_id, key)
    assert isinstance(dialog, HelpScreen)
    rows = {row for _, group in dialog._groups() for row in group}
    sentences = " ".join(sentence for _, sentence in rows)
    keys = [key for shown, _ in rows for key in shown.split("  ") if key and " to " not in key]
    assert len(set(keys)) == len(keys), sorted(keys)
    for action in available:
        # One row stands for all tabs.
        tab = action.id.startswith("inspector.tab_")
        assert tab or action.help.rstrip(".") in sentences, action.id


def _key(keymap: Keymap, shown: str) -> str:
    """The key that is shown in this way."""
    return next(
        key
        for action in actions().values()
        for key in keymap.keys(action)
        if keymap.display(key) == shown
    )


def _performed(screen: ActionScreen, item: KeyItem) -> list[str]:
    """The actions that a key of the screen performs, as it is pressed until one is."""
    ran: list[str] = []
    table = screen.table
    kept = dict(table)

    def recorder(handler: Handler) -> Handler:
        return handler._replace(run=lambda: ran.append(handler.action))

    try:
        table.update({name: recorder(handler) for name, handler in kept.items()})
        assert screen.enabled(item.action), item
        for _ in range(2):
            if not ran:
                screen.action_press(_key(screen.keymap, item.key))
    finally:
        table.update(kept)
    return ran


def _opened(screen: ActionScreen, action: str, patch: pytest.MonkeyPatch) -> Any:
    """The dialog that an action would open."""
    opened: list[Any] = []
    with patch.context() as context:
        context.setattr(screen.app, "push_screen", lambda dialog, *_: opened.append(dialog))
        screen.perform(action)
    (dialog,) = opened
    return dialog
