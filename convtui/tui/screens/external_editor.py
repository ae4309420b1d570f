"""Editing a text, or the provider's code, in the user's own editor."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.screens.dialogs.questions import edit_outside, editor_command
from convtui.tui.textual_compat import can_suspend

_AT_LINE: Final[dict[str, str]] = {
    name: shape
    for shape, names in {
        "+{line} {path}": "vi vim nvim view gvim nano pico emacs emacsclient micro kak joe mg jed",
        "--goto {path}:{line}": "code code-insiders codium cursor windsurf",
        "{path}:{line}": "subl zed hx helix lapce",
        "--line {line} {path}": "idea pycharm charm",
    }.items()
    for name in names.split()
}
"""How editors are told the line, by the name of the program."""


def at_line(command: Sequence[str], path: Path, line: int) -> list[str]:
    """The command that opens a file at a line; at its beginning in an editor that is not known."""
    shape = _AT_LINE.get(Path(command[0]).stem, "{path}")
    return [*command, *(word.format(path=path, line=line) for word in shape.split())]


def has_editor(screen: ActionScreen) -> bool:
    """Whether an editor is set, and may have the terminal."""
    config = screen.capp.config
    return can_suspend(screen.app) and bool(editor_command(config.editor if config else None))


def _run(command: Sequence[str]) -> None:
    subprocess.call(command)


async def open_at(screen: ActionScreen, path: Path, line: int) -> None:
    """Opens a file in the user's editor and waits for it."""
    config = screen.capp.config
    command = editor_command(config.editor if config else None)
    if command is None:
        return
    try:
        with screen.app.suspend():
            # Blocking is fine: the terminal is the editor's, there is nothing to draw.
            _run(at_line(command, path, line))
    except OSError as error:
        screen.tell(f"The editor could not be started: {error}.", "error")
    await asyncio.sleep(0)
    screen.app.refresh(layout=True)


async def write_outside(
    screen: ActionScreen, text: str, *, name: str = "draft.txt", else_: str = "write it here"
) -> str | None:
    """Edits a text in the user's editor; None if it is unchanged or, after a notice, on a problem.

    `name` is the file's name, by which editors recognise the type; `else_` is the alternative to
    suggest.
    """
    from textual.app import SuspendNotSupported

    command = editor_command(screen.capp.config.editor if screen.capp.config else None)
    if command is None:
        screen.tell(f"No editor is set: set VISUAL or EDITOR, or {else_}.", "warning")
        return None
    try:
        after = await edit_outside(screen.app, command, text, name=name)
    except SuspendNotSupported:
        screen.tell(f"This terminal cannot run an editor: {else_}.", "warning")
        return None
    except OSError as error:
        screen.tell(f"The editor could not be started: {error}.", "error")
        return None
    screen.refresh()
    return after
