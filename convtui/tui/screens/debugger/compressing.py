"""Summarising the history, and looking at what was summarised."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from convtui.errors import CommandRefused, EngineError
from convtui.tui.screens.debugger.context import Attach, DebuggerContext
from convtui.tui.screens.handlers import Handler
from convtui.tui.sources.run import LiveRun
from convtui.tui.widgets.transcript.summaries import Summary, summaries_of
from convtui.tui.widgets.transcript.transcript_view import TranscriptView


class Compression:
    """Goes on from a summary, in a branch; shows the turns or the summary in their place."""

    def __init__(self, context: DebuggerContext, view: TranscriptView, attach: Attach) -> None:
        self._context = context
        self._conversation = context.conversation
        self._view = view
        self._attach = attach

    def handlers(self) -> Iterator[Handler]:
        """The actions on the history."""
        yield Handler(
            "context.compress", self._compress, self._can_compress, warning=_warning, moves=True
        )
        yield Handler(
            "context.view",
            self._view_summary,
            lambda: bool(self._summaries()),
            lambda: "turns" if self._view.summaries else None,
        )

    def _can_compress(self) -> bool:
        conversation = self._conversation
        ready = conversation.has_turns and not conversation.busy_with
        return conversation.run is not None and ready

    def status(self) -> list[str]:
        """What is shown, for the status line."""
        return ["showing the summary"] if self._view.summaries else []

    async def _compress(self) -> None:
        """Summarises the history and goes on from the summary, in a branch of its own."""
        run = self._conversation.run
        if run is None:
            self._context.notify(
                "Summarising needs a live conversation: `convtui debug --resume LOG`."
            )
            return
        if self._conversation.busy_with:
            return
        compression: asyncio.Task[None] | None = None
        try:
            if not run.handle.over:
                self._conversation.busy_with = "waiting for a place to summarise at"
                self._context.repaint()
                await run.hold()
            cancels = self._context.keymap.shown("run.cancel_call")
            self._conversation.busy_with = f"summarising the history, {cancels} cancels"
            compression = asyncio.ensure_future(run.continue_run("compress", held=True))
            self._conversation.cancel_busy = compression.cancel
            self._context.repaint()
            await asyncio.wait({compression})
            if compression.cancelled():
                self._context.notify("The summary was cancelled: nothing has changed.")
                return
            compression.result()
        except CommandRefused as refused:
            self._context.refused(refused)
        except EngineError as error:
            reason = str(error).partition("\n")[0]
            reason = reason if reason.startswith("not compressed") else f"not compressed: {reason}"
            self._context.notify(f"{reason[:1].upper()}{reason[1:]}. Nothing has changed.", "error")
        else:
            self._view.follow = True
            self._tell_summarised(run)
        finally:
            if compression is not None and not compression.done():
                compression.cancel()
            self._conversation.cancel_busy = None
            self._conversation.busy_with = ""
            if self._context.mounted():
                self._attach(run)

    def _tell_summarised(self, run: LiveRun) -> None:
        made = summaries_of(run.handle.transcript)
        if not made:
            return  # somebody is asked something first
        shows = self._context.keymap.shown("context.view")
        title = made[-1].title
        self._context.notify(
            f"{title[:1].upper()}{title[1:]}; {shows} shows the summary in their place."
        )

    def _summaries(self) -> list[Summary]:
        """What stands in the place of turns that were summarised."""
        return summaries_of(self._conversation.transcript)

    def _view_summary(self) -> None:
        """The turns as they were said, or the summary in their place."""
        view = self._view
        made = self._summaries()
        if not made:
            self._context.notify("Nothing was summarised in this conversation.")
            return
        view.summaries = [] if view.summaries else made
        if view.summaries:
            self._context.notify(
                "The summary stands in the place of the turns: this is what is sent."
            )
        else:
            self._context.notify("The turns as they were said.")
        self._context.repaint()


def _warning() -> str:
    return "Summarises the history and goes on from the summary, in a new branch."
