"""What the parts of the debugger screen share."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any

from convtui.actions import Keymap
from convtui.errors import CommandRefused
from convtui.records import RecordDict
from convtui.transcript import Transcript, Turn
from convtui.tui.keys import KeyScreen
from convtui.tui.replay import ReplaySource
from convtui.tui.screens.handlers import Handler, rows_of_methods
from convtui.tui.source import LiveSource, Source
from convtui.tui.widgets.holdbar import HoldBar
from convtui.tui.widgets.inspector import Inspector
from convtui.tui.widgets.outline import Outline
from convtui.tui.widgets.takeover import TakeOverInput
from convtui.tui.widgets.transcript_view import TranscriptView

if TYPE_CHECKING:
    from convtui.client import EngineHandle
    from convtui.tui.run import LiveRun

NARROW = 100
"""Columns below which the inspector is a page of its own and the outline is left out."""


class DebuggerBase(KeyScreen):
    """The debugger's state and its widgets. One of `run` and a replayed log is what it shows."""

    KEY_CONTEXTS = ("search", "held", "live", "replay")

    def __init__(self, keymap: Keymap, source: Source, run: LiveRun | None = None) -> None:
        super().__init__(keymap)
        self.source = source
        self.run = run
        self.busy_with = ""
        """What is being waited for, in words for the status line."""
        self.searching = ""
        self.seeking = False
        """Whether the first match is to be selected once all turns were looked at."""
        self.matches_shown = -1
        """The number of matches that the status line shows."""
        self.looking_through: float | None = None
        """How much of the log has been searched, while it is being read."""

    def handlers(self) -> Iterator[Handler]:
        """The actions of every part."""
        yield from rows_of_methods(self, self.warning)

    def warning(self, action_id: str) -> str | None:
        """What a second press will do; None where none is needed now."""
        raise NotImplementedError

    # --- widgets

    @property
    def view(self) -> TranscriptView:
        """The transcript."""
        return self.query_one(TranscriptView)

    @property
    def outline(self) -> Outline:
        """The outline."""
        return self.query_one(Outline)

    @property
    def inspector(self) -> Inspector:
        """The inspector."""
        return self.query_one(Inspector)

    @property
    def hold_bar(self) -> HoldBar:
        """The bar of a hold."""
        return self.query_one(HoldBar)

    @property
    def take_over_input(self) -> TakeOverInput:
        """Where a human speaks."""
        return self.query_one(TakeOverInput)

    # --- state

    @property
    def handle(self) -> EngineHandle | None:
        """The engine that runs now."""
        return self.run.handle if self.run is not None else None

    @property
    def replay(self) -> ReplaySource | None:
        """The recording, when one is shown."""
        return self.source if isinstance(self.source, ReplaySource) else None

    @property
    def transcript(self) -> Transcript:
        """The fold that is shown."""
        return self.source.transcript

    @property
    def hold(self) -> RecordDict | None:
        """What the engine waits for, when it can still be answered."""
        handle = self.handle
        return None if handle is None or handle.over else handle.hold

    @property
    def over(self) -> bool:
        """Whether the live conversation has ended, one way or another."""
        handle = self.handle
        return handle is not None and handle.over

    @property
    def dead(self) -> bool:
        """Whether the engine ended without closing its log."""
        handle = self.handle
        return handle is not None and handle.state.value == "dead"

    @property
    def selected(self) -> Turn | None:
        """The selected turn, as it is shown."""
        view = self.view
        if 0 <= view.cursor < view.shown_items:
            return view.turn_at(view.cursor)
        return None

    def contexts(self) -> tuple[str, ...]:
        """Search while its matches are lit, then one of the debugger's three states."""
        live = "held" if self.hold is not None else "live"
        state = "replay" if self.handle is None else live
        return ("search", state) if self.searching else (state,)

    def help_contexts(self) -> tuple[str, ...]:
        """The input of a take-over comes first while it has the focus."""
        contexts = self.contexts()
        return ("take_over", *contexts) if self.take_over_input.has_focus else contexts

    # --- talking to the engine

    def command(self, work: Coroutine[Any, Any, Any]) -> None:
        """Sends a command; a refusal is told with its reason."""

        async def sent() -> None:
            try:
                await work
            except CommandRefused as refused:
                self.tell(str(refused)[:1].upper() + str(refused)[1:] + ".", "warning")

        self.spawn(sent())

    def attach(self, run: LiveRun) -> None:
        """Shows the engine that the run has now."""
        raise NotImplementedError

    def repaint(self) -> None:
        """Brings everything up to date."""
        raise NotImplementedError

    def live_source(self, run: LiveRun) -> LiveSource:
        """A source of the engine that the run has now."""
        return LiveSource(run.handle)
