"""Summarises the history and shows what was summarised."""

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
    """Continues from a summary in a new branch; shows the turns or the summary."""

    def __init__(self, context: DebuggerContext, view: TranscriptView, attach: Attach) -> None:
        self._context = context
        self._conversation = context.conversation
        self._view = view
        self._attach = attach

    def handlers(self) -> Iterator[Handler]:
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
        """Whether the summary is shown, for the status line."""
        return ["showing the summary"] if self._view.summaries else []

    async def _compress(self) -> None:
        """Summarises the history and continues from the summary, in a new branch."""
        run = self._conversation.run
        if run is None:
            self._context.notify(
                "Summarising needs a live conversation: run `convtui debug --resume LOG`."
            )
            return
        if self._conversation.busy_with:
            return
        compression: asyncio.Task[None] | None = None
        try:
            if not run.handle.over:
                self._conversation.busy_with = "waiting for the turn to finish before summarising"
                self._context.repaint()
                await run.hold()
            cancel_key = self._context.keymap.shown("run.cancel_call")
            self._conversation.busy_with = f"summarising the history ({cancel_key} cancels)"
            compression = asyncio.ensure_future(run.continue_run("compress", held=True))
            self._conversation.cancel_busy = compression.cancel
            self._context.repaint()
            await asyncio.wait({compression})
            if compression.cancelled():
                self._context.notify("Summary cancelled: nothing has changed.")
                return
            compression.result()
        except CommandRefused as refused:
            self._context.show_refusal(refused)
        except EngineError as error:
            reason = str(error).partition("\n")[0]
            reason = reason if reason.startswith("not compressed") else f"not compressed: {reason}"
            self._context.notify(f"{reason[:1].upper()}{reason[1:]}. Nothing has changed.", "error")
        else:
            self._view.follow = True
            self._notify_summarised(run)
        finally:
            if compression is not None and not compression.done():
                compression.cancel()
            self._conversation.cancel_busy = None
            self._conversation.busy_with = ""
            if self._context.mounted():
                self._attach(run)

    def _notify_summarised(self, run: LiveRun) -> None:
        summaries = summaries_of(run.handle.transcript)
        if not summaries:
            return  # a question comes first
        key = self._context.keymap.shown("context.view")
        title = summaries[-1].title
        self._context.notify(f"{title[:1].upper()}{title[1:]}; {key} shows the summary instead.")

    def _summaries(self) -> list[Summary]:
        """The summaries that replace turns in what is sent."""
        return summaries_of(self._conversation.transcript)

    def _view_summary(self) -> None:
        """Switches between the original turns and the summary."""
        view = self._view
        summaries = self._summaries()
        if not summaries:
            self._context.notify("Nothing has been summarised in this conversation.")
            return
        view.summaries = [] if view.summaries else summaries
        if view.summaries:
            self._context.notify("Showing the summary in place of its turns: this is what is sent.")
        else:
            self._context.notify("Showing the original turns.")
        self._context.repaint()


def _warning() -> str:
    return "Summarises the history and continues from the summary, in a new branch."
