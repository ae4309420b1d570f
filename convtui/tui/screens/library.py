"""Opens the library from any screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convtui.tui.app import ConvtuiApp


def open_library(app: ConvtuiApp, *, recording: bool = False) -> None:
    """Shows the saved runs; goes back to them from a `recording` that was opened there."""
    from convtui.config.paths import Paths
    from convtui.tui.screens.runs.screen import RunsScreen

    below = app.screen_stack[-2] if len(app.screen_stack) > 1 else None
    if recording and isinstance(below, RunsScreen):
        app.runs.leave(app.screen)
        return
    folder = app.config.runs_dir if app.config is not None else Paths.find().runs_dir
    app.push_screen(RunsScreen(app.keymap, folder))
