"""Writes the log as something to hand on: Markdown, a page, chat messages, a bundle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from convtui.errors import ConvtuiError
from convtui.share.sharing import KINDS, Sharing, share
from convtui.text.boundary import visible
from convtui.tui.drawing.labels import short_path
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.screens.handlers import Handler

_TEXT: Final = (
    "Secrets are masked. `convtui export` can also mask what you name (--redact-text), and take"
    " some of the turns alone (--turns)."
)


class LogSharing:
    """Asks for the kind and writes a file of it; a live log as far as it has been written."""

    def __init__(self, context: DebuggerContext, *, folder: Callable[[], Path]) -> None:
        """`folder` is where the files go."""
        self._context = context
        self._folder = folder

    def handlers(self) -> Iterator[Handler]:
        yield Handler("share.export", self._share, self._has_turns)

    def _has_turns(self) -> bool:
        return self._context.conversation.has_turns

    async def _share(self) -> None:
        log = self._context.conversation.source.path
        if log is None:
            self._context.notify("There is no log yet.", "warning")
            return
        answers = [(kind, f"{kind:<7} {what}") for kind, what in KINDS.items()]
        kind = await self._context.ask(Choose("Share this conversation as", answers, _TEXT))
        if kind is None:
            return
        folder = self._folder()
        try:
            # It goes through the whole log: not here.
            shared = await asyncio.to_thread(share, log, folder, Sharing(kind), number=True)
        except (ConvtuiError, OSError) as error:
            self._context.notify(f"Nothing was shared: {visible(str(error))}", "error")
            return
        masked = "; ".join(shared.masked)
        self._context.notify(f"Wrote {visible(short_path(shared.files[0]))} ({masked}).")
