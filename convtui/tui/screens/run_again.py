"""Starts a saved run again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from convtui.text.boundary import visible, visible_line

if TYPE_CHECKING:
    from convtui.tui.app import ConvtuiApp


async def run_again(app: ConvtuiApp, path: Path) -> None:
    """Starts the run of a log again, after asking about code that only the log names.

    Raises `ConvtuiError` if it cannot be started.
    """
    from convtui.tui.screens.dialogs.consent import Consent
    from convtui.tui.sources.start import again_spec

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
    await app.runs.start(spec, python=app.config.python if app.config is not None else None)
    if notes:
        app.notify("\n".join(visible(note) for note in notes), severity="warning")
