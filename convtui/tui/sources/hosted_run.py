"""A conversation of a worker in the debugger: it was there before, and goes on without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from convtui.protocol import StartSpec
from convtui.tui.sources.run import ContinueRun, LiveRun

if TYPE_CHECKING:
    from convtui.client.engine_client import EngineHandle
    from convtui.client.link import ConversationLink

Adopt = Callable[["EngineHandle"], bool]
"""Called with the engine of its own in which the conversation goes on, after `R`, say; False if it
is not one of the many any more."""


class HostedRun(LiveRun):
    """One conversation of many; whoever runs them all ends it, too.

    It is watched from `start()` to `detach()`. What continues it leaves the worker: that is
    offered to `adopt`. What nobody adopts is a run like any other, and `kept` is called.
    """

    goes_on_alone = True

    def __init__(
        self,
        link: ConversationLink,
        *,
        adopt: Adopt,
        kept: Callable[[LiveRun], None] = lambda run: None,
        continue_run: ContinueRun | None = None,
    ) -> None:
        spec = link.spec or StartSpec(scenario={}, out_dir="")
        super().__init__(
            replace(spec, watched=True, paused=False),
            python=link.python,
            link=link,
            continue_run=continue_run,
        )
        self._adopt = adopt
        self._kept = kept
        self._watched: ConversationLink | None = None
        self._detached = False

    async def start(self) -> None:
        """Returns when its transcript is up to date.

        Raises `EngineError` if it could not begin.
        """
        link = self.handle
        await link.ready()
        await self._watch(link)
        await self.refresh_breakpoints()

    async def _watch(self, link: ConversationLink) -> None:
        if self._watched is not link and not self._detached:
            if self._watched is not None:
                self._watched.unwatch()
            self._watched = link
            await link.watch()

    def detach(self) -> None:
        self._detached = True
        if self._watched is not None:
            self._watched.unwatch()
            self._watched = None

    async def _moved(self, fresh: EngineHandle) -> None:
        if self.goes_on_alone and not self._adopt(fresh):
            self.goes_on_alone = False
            self._kept(self)
        await self._watch(fresh)

    async def close(self) -> None:
        """Ends it if it is nobody else's to end."""
        if not self.goes_on_alone:
            await super().close()
