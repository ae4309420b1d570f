"""Explains what happens, one line at a time, in the demo and in the first runs."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from convtui.tui.hints.guide import LAST, Guide
from convtui.tui.hints.table import TurnMoments, hold_moment, sentence
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.handlers import Handler
from convtui.tui.widgets.hintline import HintLine


class Hints:
    """Shows the sentence that fits the moment, and remembers which were shown."""

    def __init__(
        self,
        context: DebuggerContext,
        line: HintLine,
        *,
        wanted: Callable[[], bool],
        recall: Callable[[], Awaitable[Mapping[str, Any]]],
        remember: Callable[[dict[str, Any]], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`wanted` is the setting; `recall` and `remember` keep what was shown."""
        self._context = context
        self._line = line
        self._wanted = wanted
        self._recall = recall
        self._remember = remember
        self._clock = clock
        self._guide: Guide | None = None
        self._moments = TurnMoments()

    def handlers(self) -> Iterator[Handler]:
        yield Handler("hints.toggle", self._toggle, self._can_toggle, self._label)

    @property
    def on(self) -> bool:
        """Whether the run is explained."""
        return self._guide is not None and self._guide.on

    def _can_toggle(self) -> bool:
        return self._guide is not None

    def _label(self) -> str:
        return "hints off" if self.on else "hints on"

    async def start(self) -> None:
        """Begins to explain a run, if that is wanted."""
        guide = Guide.of_state(await self._recall())
        if not self._wanted():
            guide.off = True
        self._guide = guide
        if guide.off:
            return
        demo = str(self._context.conversation.sides[1]) == "demo"
        guide.begin(demo=demo)
        await self._keep()
        self.show()

    async def _toggle(self) -> None:
        guide = self._guide
        assert guide is not None
        guide.toggle()
        self._draw()
        self.show()
        self._context.notify("Hints are on." if guide.on else "Hints are off.")
        await self._keep()

    async def _keep(self) -> None:
        assert self._guide is not None
        await self._remember(self._guide.state())

    def show(self) -> None:
        """Updates the line."""
        guide, conversation = self._guide, self._context.conversation
        if guide is None or not guide.on:
            return
        hold = conversation.hold
        happened = self._moments.of(conversation.transcript)
        if conversation.over and not conversation.dead and conversation.has_turns:
            happened.add(LAST)
        known = len(guide.seen)
        near = self._moments.near(conversation.transcript) if hold else None
        if guide.look(self._clock(), hold_moment(hold) if hold else None, happened, near):
            self._draw()
        if len(guide.seen) != known:
            self._context.spawn(self._keep())

    def _draw(self) -> None:
        moment = self._guide.shown if self._guide is not None else None
        self._line.show(sentence(moment, self._context.keymap) if moment else "")
