"""`convtui replay`: the debugger's screen on a saved log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from convtui.cli.common import (
    begin_screen,
    example,
    has_screen,
    no_screen,
    say,
    settings,
    theme_flag,
)
from convtui.cli.logs import log_named
from convtui.errors import UsageError
from convtui.text.boundary import visible

if TYPE_CHECKING:
    from convtui.log.folding.process import FoldProcess

LONG: Final = 8 << 20


@click.command(
    "replay",
    epilog=example(
        "convtui replay run.jsonl",
        "convtui replay run.jsonl --at 2:7",
        "convtui replay shared.zip",
    ),
)
@click.argument("log", metavar="LOG|BUNDLE")
@click.option("--at", metavar="TURN", help="Begin at this turn: 7, or 2:7 in session 2.")
@click.option("--speed", type=click.FloatRange(0.05, 1000), help="1 is as it happened.")
@theme_flag
def command(log: str, at: str | None, speed: float | None, theme: str | None) -> int:
    """Shows a saved log on the screen, with transport keys; follows one that is being written.

    A bundle of `convtui export --to bundle` is put among the saved runs, once.
    """
    from convtui.files.regular import is_zip
    from convtui.log.reader import LogReader
    from convtui.records.codec import parse_address

    try:
        address = parse_address(at) if at is not None else None
    except ValueError as error:
        raise UsageError(f"--at: {error}") from None
    log = log_named(log)
    if is_zip(Path(log)):
        log = _unpacked(log)
    # A file that is no log is reported before the screen opens, or that there is none.
    LogReader(log).close()
    if not has_screen():
        from convtui.cli.show import show_log

        no_screen("the log is printed, as `convtui show` does")
        return show_log(log)
    begin_screen()
    config = settings(speed=speed, theme=theme)
    folding = _folding(Path(log), config.paths.folds_dir)
    from convtui.tui.launch import run_replay

    return run_replay(Path(log), config=config, at=address, speed=config.speed, folding=folding)


def _folding(log: Path, folder: Path) -> FoldProcess | None:
    """Begins to read a long log while the screen is made."""
    if log.stat().st_size < LONG:
        return None
    from convtui.log.folding.process import FoldProcess

    try:
        return FoldProcess(log, folder)
    except OSError:
        return None


def _unpacked(bundle: str) -> str:
    """The log of a bundle, among the saved runs. Raises `LogError`."""
    from convtui.share.bundle import unpack

    unpacked = unpack(Path(bundle), settings().runs_dir)
    what = "there already" if unpacked.there else "unpacked"
    say(f"{what}: {visible(str(unpacked.log))}")
    return str(unpacked.log)
