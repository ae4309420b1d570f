"""`convtui` without a command: choose on the screen."""

from __future__ import annotations

from convtui.cli.common import begin_screen, has_screen, settings
from convtui.errors import UsageError


def pick(theme: str | None = None) -> int:
    """Opens the picker; returns the exit code. Raises `UsageError` without a terminal."""
    if not has_screen():
        raise UsageError(
            "no terminal to draw the picker on; `convtui run SCENARIO` needs none,"
            " `convtui --help` lists the commands"
        )
    begin_screen()
    from convtui.tui.launch import run_picker

    return run_picker(config=settings(theme=theme))
