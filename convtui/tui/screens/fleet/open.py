"""Opens the screen of a batch: of one that begins, or of a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from convtui.errors import FileError
from convtui.text.boundary import visible
from convtui.tui.screens.fleet.live import LiveFleet
from convtui.tui.screens.fleet.saved import SavedFleet
from convtui.tui.screens.fleet.screen import FleetScreen

if TYPE_CHECKING:
    from convtui.analysis.report.report import Report
    from convtui.batch.scheduler import Batch
    from convtui.tui.app import ConvtuiApp


def open_batch(app: ConvtuiApp, folder: Path) -> None:
    """Shows a batch that is over, or that another process runs, or says why that cannot be."""

    def failed(error: FileError) -> None:
        if app.screen is screen:
            app.pop_screen()
        app.notify(visible(str(error)), severity="error", markup=False)

    screen = FleetScreen(app.keymap, SavedFleet(folder, failed=failed), results=read_report)
    app.push_screen(screen)


def saved_screen(app: ConvtuiApp, folder: Path) -> FleetScreen:
    """The same as the first screen: the app ends where there is no batch to show."""
    return FleetScreen(app.keymap, SavedFleet(folder, failed=app.fail), results=read_report)


def running_screen(app: ConvtuiApp, begin: Callable[[], Batch]) -> FleetScreen:
    """Begins a batch and shows it; the app ends it. `begin` makes it, blocking."""
    fleet = LiveFleet(begin, failed=app.fail, open_hosted=app.runs.open_hosted)
    app.runs.batch = fleet
    return FleetScreen(app.keymap, fleet, results=read_report)


def read_report(
    folder: Path, progress: Callable[[int, int], None], stop: Callable[[], bool]
) -> Report:
    """The results of a batch, as far as it is. Blocking. Raises `FileError`."""
    from convtui.batch.results.reading import read_results
    from convtui.batch.results.report import results_report

    return results_report(read_results(folder, progress=progress, stop=stop))
