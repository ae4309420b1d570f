"""Ways to saved runs that several screens have: the library, and a run again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from convtui.text.boundary import visible, visible_line
from convtui.tui.sources.start import again_spec

if TYPE_CHECKING:
    from convtui.tui.app import ConvtuiApp


def open_library(app: ConvtuiApp, *, recording: bool = False) -> None:
    """Shows the saved runs; goes back to them from a `recording` that was opened there."""
    from convtui.config.paths import Paths
    from convtui.tui.screens.runs.screen import RunsScreen

    below = app.screen_stack[-2] if len(app.screen_stack) > 1 else None
    if recording and isinstance(below, RunsScreen):
        app.leave(app.screen)
        return
    folder = app.config.runs_dir if app.config is not None else Paths.find().runs_dir
    app.push_screen(RunsScreen(app.keymap, folder))


async def run_again(app: ConvtuiApp, path: Path) -> None:
    """Starts the run of a log again, after asking about code that only the log names.

    Raises `ConvtuiError` if it cannot be started.
    """
    from convtui.tui.screens.dialogs.consent import Consent

    spec, notes, question = await asyncio.to_thread(again_spec, path, app.config)
    if question is not None:
        yes = await app.push_screen_wait(
            Consent(
                "Run what this log names?",
                f"{visible_line(question.log)}: {question.why}. Running it again would",
                question.would,
                yes="Yes, do all of that",
                no="No, run nothing",
            )
        )
        if not yes:
            return
    await app.start_run(spec, python=app.config.python if app.config is not None else None)
    if notes:
        app.notify("\n".join(visible(note) for note in notes), severity="warning")
