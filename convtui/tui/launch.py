"""Opens the screens for the command line; each function returns the exit code."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from convtui.tui.app import ConvtuiApp, First

if TYPE_CHECKING:
    from convtui.batch.scheduler import Batch
    from convtui.config.settings import Config
    from convtui.log.folding.process import FoldProcess
    from convtui.protocol import StartSpec
    from convtui.tui.screens.fleet.screen import FleetScreen
    from convtui.tui.sources.run import Plan

SWITCH: Final = 0.0005
"""Seconds for which a thread that is ready to run waits for another one."""


def run_picker(*, config: Config | None = None) -> int:
    from convtui.tui.screens.home.picker import PickerScreen

    return _run(lambda app: PickerScreen(app.keymap), config)


def run_debug(
    spec: StartSpec,
    *,
    config: Config | None = None,
    python: str | None = None,
    plan: Plan | None = None,
) -> int:
    """Opens the debugger on a new run; the exit code is 3 if it could not start.

    A `plan` makes the whole spec after the first frame; `spec` is what is known before. Raises what
    the plan raises.
    """
    return _run(lambda app: app.runs.debugger(spec, python=python, plan=plan), config)


def run_replay(
    path: Path,
    *,
    config: Config | None = None,
    at: tuple[int, int] | None = None,
    speed: float = 1.0,
    folding: FoldProcess | None = None,
) -> int:
    """Opens a saved log, which `folding` may read already. Raises `LogError` if it is none."""
    return _run(lambda app: app.runs.recording(path, at=at, speed=speed, folding=folding), config)


def run_batch(begin: Callable[[], Batch], *, config: Config | None = None) -> int:
    """Runs a batch on its screen; `begin` makes it, after the first frame. Blocking.

    Raises what `begin` and the batch raise.
    """

    def first(app: ConvtuiApp) -> FleetScreen:
        from convtui.tui.screens.fleet.open import running_screen

        return running_screen(app, begin)

    return _run(first, config, parting=False)


def run_saved_batch(folder: Path, *, config: Config | None = None) -> int:
    """Opens a batch that is over, or that another process runs.

    Raises `FileError` where there is none.
    """

    def first(app: ConvtuiApp) -> FleetScreen:
        from convtui.tui.screens.fleet.open import saved_screen

        return saved_screen(app, folder)

    return _run(first, config, parting=False)


def run_compare(path_a: Path, path_b: Path, *, config: Config | None = None) -> int:
    """Opens two saved logs side by side."""
    return _run(lambda app: app.runs.comparison(path_a, path_b), config)


def _run(first: First, config: Config | None, *, parting: bool = True) -> int:
    """`parting` says afterwards which log was open last."""
    app = ConvtuiApp(first, config=config)
    mouse = config.mouse if config is not None else True
    # Almost nothing becomes garbage before the first frame.
    gc.disable()
    # A frame is written by a thread that waits for this one, which has always more to do.
    sys.setswitchinterval(SWITCH)
    try:
        status = app.run(mouse=mouse)
    finally:
        gc.enable()
        log = app.runs.log_of_last()
        if parting and (log is not None or app.runs.last_failure):
            from convtui.printing.parting import print_parting

            print_parting(log, _usual_folder(app.config), failure=app.runs.last_failure)
    if app.failed_with is not None:
        raise app.failed_with
    return status if status is not None else app.return_code or 0


def _usual_folder(config: Config | None) -> Path | None:
    """Where commands look for saved runs, unless a flag says otherwise."""
    by_flag = config is None or config.origin("out_dir").layer == "flag"
    return None if config is None or by_flag else config.runs_dir
