"""Opens what a list of saved runs holds: a run, or a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convtui.log.run_summary import RunSummary

if TYPE_CHECKING:
    from convtui.tui.app import ConvtuiApp


def open_saved(app: ConvtuiApp, run: RunSummary) -> None:
    """Opens a recording, or the screen of a batch."""
    if run.batch is None:
        app.runs.replay(run.path)
        return
    from convtui.tui.screens.fleet.open import open_batch

    open_batch(app, run.path)
