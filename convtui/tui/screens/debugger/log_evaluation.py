"""Opens a profile or a rehook of the whole log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.handlers import Handler


class LogEvaluation:
    """Opens other screens on the log; a live log as far as it has been written."""

    def __init__(
        self,
        context: DebuggerContext,
        *,
        rehook: Callable[[Path], Awaitable[None]],
        profile: Callable[[Path], None],
    ) -> None:
        self._context = context
        self._open_rehook = rehook
        self._open_profile = profile

    def handlers(self) -> Iterator[Handler]:
        yield Handler("rehook.open", self._rehook)
        yield Handler("profile.open", self._profile)

    def _log(self) -> Path | None:
        path = self._context.conversation.source.path
        if path is None:
            self._context.notify("There is no log yet.", "warning")
        return path

    async def _rehook(self) -> None:
        path = self._log()
        if path is not None:
            await self._open_rehook(path)

    def _profile(self) -> None:
        path = self._log()
        if path is not None:
            self._open_profile(path)
