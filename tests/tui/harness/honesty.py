"""Whether a screen says of its keys what they do: in the footer, in the help, in the palette."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from convtui.tui.screens.action_screen import ActionScreen
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
    available = list(screen.available())
    for action in available:
        for key in screen._working_keys(action):
            assert screen.action_of(key) is action
    commands = list(screen.capp.get_system_commands(screen))
    assert len(commands) >= len(available) - 2
    text = _help(screen, patch)
    for action in available:
        # One row stands for all tabs.
        tab = action.id.startswith("inspector.tab_")
        assert tab or action.help.rstrip(".")[:40] in text, action.id


def _performed(screen: ActionScreen, item: KeyItem) -> list[str]:
    """The actions that a key of the screen performs, as it is pressed until one is."""
    ran: list[str] = []
    key = next(
        key
        for action in screen.keymap.actions_in(*screen.contexts(), "take_over")
        for key in screen.keymap.keys(action)
        if screen.keymap.display(key) == item.key
    )
    table = screen.table
    kept = dict(table)

    def recorder(handler: Handler) -> Handler:
        return replace(handler, run=lambda: ran.append(handler.action))

    try:
        table.update({name: recorder(handler) for name, handler in kept.items()})
        assert screen.enabled(item.action), item
        for _ in range(2):
            if not ran:
                screen.action_press(key)
    finally:
        table.update(kept)
    return ran


def _help(screen: ActionScreen, patch: pytest.MonkeyPatch) -> str:
    """The keys in the help that would be opened."""
    opened: list[Any] = []
    with patch.context() as context:
        context.setattr(screen.app, "push_screen", opened.append)
        screen.perform("app.help")
    (dialog,) = opened
    assert isinstance(dialog, HelpScreen)
    return " ".join(str(dialog.table()).split())
