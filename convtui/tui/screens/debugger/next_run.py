"""What comes after a run: the library, or the same run again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from convtui.protocol import StartSpec
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.handlers import Handler
from convtui.tui.sources.start import session_again


class NextRun:
    """Opens the saved runs, and starts the shown run again."""

    def __init__(
        self,
        context: DebuggerContext,
        *,
        library: Callable[[], None],
        again: Callable[[Path], Awaitable[None]],
        start: Callable[[StartSpec, str | None], Awaitable[None]],
    ) -> None:
        """`again` starts the run of a log again, `start` a spec with an interpreter."""
        self._conversation = context.conversation
        self._library = library
        self._log_again = again
        self._start = start

    def handlers(self) -> Iterator[Handler]:
        yield Handler("library.open", self._library)
        yield Handler("runs.again", self._again, self._can_start)

    def _can_start(self) -> bool:
        conversation = self._conversation
        return not conversation.going and conversation.source.path is not None

    async def _again(self) -> None:
        run, log = self._conversation.run, self._conversation.source.path
        if not self._can_start() or log is None:
            return
        if run is not None:
            await self._start(session_again(run.spec), run.python)
        else:
            await self._log_again(log)
