"""A text in the user's own editor, and what is told where that cannot be."""

from __future__ import annotations

from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.screens.dialogs.questions import edit_outside, editor_command


async def write_outside(
    screen: ActionScreen, text: str, *, name: str = "draft.txt", else_: str = "write it here"
) -> str | None:
    """A text as it comes back from the user's editor; None when it is the same, or told why.

    `name` is the file's, by which editors know what it is; `else_` what can be done without one.
    """
    from textual.app import SuspendNotSupported

    command = editor_command(screen.capp.config.editor if screen.capp.config else None)
    if command is None:
        screen.tell(f"No editor is set: set VISUAL or EDITOR, or {else_}.", "warning")
        return None
    try:
        after = await edit_outside(screen.app, command, text, name=name)
    except SuspendNotSupported:
        screen.tell(f"This terminal cannot be given to an editor: {else_}.", "warning")
        return None
    except OSError as error:
        screen.tell(f"The editor could not be opened: {error}.", "error")
        return None
    screen.refresh()
    return after
