"""Opens the screen of a batch: of one that begins, or of a folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from convtui.batch.manifest import BatchFile, read_batch
from convtui.tui.screens.fleet.live import LiveFleet
from convtui.tui.screens.fleet.saved import SavedFleet
from convtui.tui.screens.fleet.screen import FleetScreen

if TYPE_CHECKING:
    from convtui.analysis.report.report import Report
    from convtui.batch.scheduler import Batch
    from convtui.tui.app import ConvtuiApp


async def open_batch(app: ConvtuiApp, folder: Path) -> None:
    """Shows a batch that is over, or that another process runs. Raises `FileError`."""
    batch = await asyncio.to_thread(read_batch, folder)
    app.push_screen(saved_screen(app, batch))


def saved_screen(app: ConvtuiApp, batch: BatchFile) -> FleetScreen:
    return FleetScreen(app.keymap, SavedFleet(batch), results=read_report)


def running_screen(app: ConvtuiApp, begin: Callable[[], Batch]) -> FleetScreen:
    """Begins a batch and shows it; the app ends it. `begin` makes it, blocking."""
    fleet = LiveFleet(begin, failed=app.fail, open_hosted=app.runs.open_hosted)
    app.runs.batch = fleet
    return FleetScreen(app.keymap, fleet, results=read_report)


def read_report(folder: Path) -> Report:
    """The results of a batch, as far as it is. Blocking. Raises `FileError`."""
    from convtui.batch.results.reading import read_results
    from convtui.batch.results.report import results_report

    # Logs of a batch that runs here are read beside it: one process is enough.
    return results_report(read_results(folder, processes=1))
