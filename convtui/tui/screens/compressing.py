"""Summarising the history, and looking at what was summarised."""

from __future__ import annotations

import asyncio
from typing import Final

from convtui.errors import CommandRefused, EngineError
from convtui.tui.screens.branching import Branching
from convtui.tui.summaries import Summary, summaries_of

_MOVING: Final = frozenset({"run", "hold", "take_over", "branch", "provider", "context", "tools"})
_ALLOWED: Final = frozenset({"run.cancel_call", "run.kill_engine", "context.view"})


class Compressing(Branching):
    """Goes on from a summary, in a branch; shows the turns or the summary in their place."""

    _compression: asyncio.Task[None] | None = None
    """The summary that is being made."""

    # --- making one

    async def do_context_compress(self) -> None:
        """Summarises the history and goes on from the summary, in a branch of its own."""
        run = self.run
        if run is None:
            self.tell("Summarising needs a live conversation: `convtui debug --resume LOG`.")
            return
        if self.busy_with:
            return
        try:
            if not run.handle.over:
                self.busy_with = "waiting for a place to summarise at"
                self.repaint()
                await run.hold()
            cancels = self.keymap.shown("run.cancel_call")
            self.busy_with = f"summarising the history, {cancels} cancels"
            self._compression = asyncio.ensure_future(run.go_on("compress", held=True))
            self.repaint()
            await asyncio.wait({self._compression})
            if self._compression.cancelled():
                self.tell("The summary was cancelled: nothing has changed.")
                return
            self._compression.result()
        except CommandRefused as refused:
            self.refused(refused)
        except EngineError as error:
            reason = str(error).partition("\n")[0]
            reason = reason if reason.startswith("not compressed") else f"not compressed: {reason}"
            self.tell(f"{reason[:1].upper()}{reason[1:]}. Nothing has changed.", "error")
        else:
            self.view.follow = True
            self._tell_summarised()
        finally:
            if self._compression is not None and not self._compression.done():
                self._compression.cancel()
            self._compression = None
            self.busy_with = ""
            if self.is_mounted:
                self.attach(run)

    def _tell_summarised(self) -> None:
        assert self.run is not None
        found = summaries_of(self.run.handle.transcript)
        if not found:
            return  # somebody is asked something first
        shows = self.keymap.shown("context.view")
        told = found[-1].title
        self.tell(f"{told[:1].upper()}{told[1:]}; {shows} shows the summary in their place.")

    @property
    def summarising(self) -> bool:
        """Whether a summary is being made."""
        return self._compression is not None

    def perform(self, action_id: str) -> None:
        """Carries an action out; what would move the conversation waits for what is being done.

        The next engine goes on from where this one stood: what happened here after that would be
        in no branch that is shown.
        """
        kind = action_id.partition(".")[0]
        if kind in _MOVING and action_id not in _ALLOWED and self.not_now():
            return
        super().perform(action_id)

    async def do_run_cancel_call(self) -> None:
        """Cancels the summary that is being made, or the call in flight."""
        if self._compression is not None:
            self._compression.cancel()
        else:
            await super().do_run_cancel_call()

    # --- looking at it

    @property
    def summaries(self) -> list[Summary]:
        """What stands in the place of turns that were summarised."""
        return summaries_of(self.transcript)

    def do_context_view(self) -> None:
        """The turns as they were said, or the summary in their place."""
        view = self.view
        found = self.summaries
        if not found:
            self.tell("Nothing was summarised in this conversation.")
            return
        view.summaries = [] if view.summaries else found
        if view.summaries:
            self.tell("The summary stands in the place of the turns: this is what is sent.")
        else:
            self.tell("The turns as they were said.")
        self.repaint()
