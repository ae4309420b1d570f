"""Editing a text in the user's own editor."""

from __future__ import annotations

from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.screens.dialogs.questions import edit_outside, editor_command


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
