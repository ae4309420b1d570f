"""The debugger screen: a live or recorded conversation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult

from convtui.tui.drawing.frames import ONLY
from convtui.tui.screens.debugger import footer
from convtui.tui.screens.debugger.columns import NARROW, SHORT
from convtui.tui.screens.debugger.context import DebuggerContext, ShownConversation
from convtui.tui.screens.debugger.empty_states import before_the_first_turn
from convtui.tui.screens.debugger.layout import Layout
from convtui.tui.screens.debugger.repaints import Repaints
from convtui.tui.screens.debugger.status_feed import StatusFeed
from convtui.tui.screens.debugger.widgets import CSS, DebuggerWidgets
from convtui.tui.screens.staged_screen import StagedScreen
from convtui.tui.sources.source import LiveSource, Source
from convtui.tui.textual_compat import is_open, run_while_open
from convtui.tui.widgets.maximise import Maximise
from convtui.tui.widgets.statusline import StatusLine

if TYPE_CHECKING:
    from textual.widgets import Input

    from convtui.actions.registry import Keymap
    from convtui.transcript.fold import Transcript, Turn
    from convtui.tui.screens.debugger.parts import DebuggerParts
    from convtui.tui.screens.debugger.prompts import Prompts
    from convtui.tui.screens.handlers import Handler
    from convtui.tui.sources.replay import ReplaySource
    from convtui.tui.sources.run import LiveRun
    from convtui.tui.widgets.holdbar import HoldBar
    from convtui.tui.widgets.inspector.inspector import Inspector
    from convtui.tui.widgets.keybar import KeyItem
    from convtui.tui.widgets.takeover import TakeOverInput
    from convtui.tui.widgets.transcript.outline import Outline
    from convtui.tui.widgets.transcript.transcript_view import TranscriptView

TICK = 0.25
DRAWN = 0.05
"""Seconds in which a key is drawn."""


class DebuggerScreen(StagedScreen):
    """Outline, transcript and inspector between two status lines; holds and keys below."""

    KEY_CONTEXTS = ("inspector", "outline", "search", "dead", "held", "live", "replay")
    DEFAULT_CSS = CSS
    AUTO_FOCUS: ClassVar[str | None] = "TranscriptView"

    def __init__(
        self,
        keymap: Keymap,
        source: Source,
        run: LiveRun | None = None,
        *,
        at: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(keymap)
        self.conversation = ShownConversation(source, run)
        self._unsubscribe: Callable[[], None] = lambda: None
        self._repaints = Repaints(self, self.repaint)
        widgets = self.widgets = DebuggerWidgets(keymap)
        self.view, self.outline, self.inspector = widgets.view, widgets.outline, widgets.inspector
        self.context = DebuggerContext.of(self, self.conversation, lambda: self.selected)
        self.pane_layout = Layout(
            self.context,
            self,
            widgets,
            Maximise(self, ("Outline", "TranscriptView", "Inspector")),
            known=self.capp.saved_state.last_read,
            recall=self.capp.saved_state.recall,
            remember=self.capp.saved_state.remember,
        )
        self.status = StatusFeed(self.context, self.view, (widgets.top, widgets.bottom))
        self._at = at

    # --- what the first frame does without

    @cached_property
    def parts(self) -> DebuggerParts:
        """The controllers."""
        from convtui.tui.screens.debugger.parts import DebuggerParts

        return DebuggerParts(self, self._at)

    @cached_property
    def prompts(self) -> Prompts:
        """What opens below the panes."""
        from convtui.tui.screens.debugger.prompts import Prompts

        return Prompts(self.keymap, self.capp.typed.clock.now)

    @property
    def hold_bar(self) -> HoldBar:
        return self.prompts.hold_bar

    @property
    def take_over_input(self) -> TakeOverInput:
        return self.prompts.take_over

    async def make_rest(self) -> None:
        feed, view = self.parts.feed, self.view
        view.extras_of, view.text_of, view.has_detail = feed.extra, feed.text, feed.has_detail
        view.flags_of = self.parts.notes.flags
        await self.mount(*self.prompts.widgets(), before=self.widgets.bottom)

    def handlers(self) -> Iterable[Handler]:
        return self.parts.handlers()

    def compose(self) -> ComposeResult:
        return self.widgets.compose()

    async def on_mount(self) -> None:
        self.lay_out()
        self._watch_source()
        self.set_interval(TICK, self._tick)
        if self.conversation.has_opening:
            self.view.show_empty(before_the_first_turn(self.conversation, self.keymap))
            self.status.show()
            self.refresh_footer()
        else:
            await self.complete()
        if self.replay is not None:
            self.replay.gives_way = lambda: self.capp.typed.idle_for < DRAWN
            self.replay.start()
        self.call_after_refresh(self._open)

    async def _open(self) -> None:
        """Starts the run, and makes what was not needed for the first frame."""
        self.spawn(self.pane_layout.load())
        if self.run is None:
            await self.complete()
            return
        # The process loads its code meanwhile, on another core.
        self.spawn(self.run.prepare())
        await self.complete()
        self.parts.begin()

    def on_unmount(self) -> None:
        self._unsubscribe()
        if self.is_complete:
            self.parts.feed.close()
        self.source.close()
        if self.run is not None:
            self.run.detach()

    # --- what is shown

    @property
    def source(self) -> Source:
        return self.conversation.source

    @property
    def run(self) -> LiveRun | None:
        """The live run; None for a recording."""
        return self.conversation.run

    @property
    def replay(self) -> ReplaySource | None:
        """The recording; None for a live run."""
        return self.conversation.replay

    @property
    def transcript(self) -> Transcript:
        return self.conversation.transcript

    @property
    def selected(self) -> Turn | None:
        """The selected turn, as shown."""
        view = self.view
        return view.turn_at(view.cursor) if 0 <= view.cursor < view.shown_items else None

    def attach(self, run: LiveRun) -> None:
        """Shows the current engine of the run."""
        old = self.source
        if not isinstance(old, LiveSource) or old.handle is not run.handle:
            self._unsubscribe()
            self.conversation.source = LiveSource(run.handle)
            self.parts.feed.reset()
            self.parts.whole_results.reset()
            old.close()
            self._watch_source()
        if is_open(self):
            self.parts.provider.watch_code()
            self.repaint()

    def _watch_source(self) -> None:
        self._unsubscribe = self.source.subscribe(self.source_changed)

    def source_changed(self) -> None:
        """Schedules a repaint with the next frame."""
        self._repaints.request()

    def _tick(self) -> None:
        if not self.is_complete:
            return
        if self.source.live and not self.conversation.over:
            self.status.show()
            self.refresh_footer()
        self.parts.hints.show()

    def blocked(self) -> bool:
        """Whether the conversation has to wait for something; says so in a notice."""
        # The next engine continues from this one's current state: anything that happened here after
        # that would be missing from the branch.
        return self.context.blocked()

    # --- drawing

    def repaint(self) -> None:
        self._repaints.begin()
        if not self.is_complete or self._key_bar is None:
            return
        if self.parts.transcript.hold_changed():
            self._hold_changed()
        self.parts.transcript.draw()
        self.parts.lineage.refresh()
        self.lay_out()
        self.parts.movement.go_to_start()
        self.parts.hold_bar.show()
        self.parts.hints.show()
        self.parts.warnings.show()
        self.status.show()
        self.parts.feed.refresh()
        self.refresh_footer()

    def _hold_changed(self) -> None:
        self.capp.attention.held(self.conversation.hold)
        if self.run is not None and self.conversation.at_breakpoint:
            # A one-time breakpoint is off now.
            run_while_open(self, self.run.refresh_breakpoints(), group="breakpoints")
        if self.conversation.has_turns:
            # Held tool calls are lines of their turn.
            self.source.changed.add(len(self.transcript.turns) - 1)

    def lay_out(self, width: int | None = None) -> None:
        """Shares the width between the columns, by what they have to say."""
        width = self.app.size.width if width is None else width
        self.set_class(width < NARROW, "-narrow")
        self.inspector.set_class(width < NARROW and self.inspecting, ONLY)
        self.pane_layout.share(width, inspector=not self.has_class("-no-inspector"))

    # --- showing the inspector

    @property
    def narrow(self) -> bool:
        return self.size.width < NARROW

    @property
    def inspecting(self) -> bool:
        """Whether the inspector is visible."""
        maximised = self.pane_layout.shows_inspector
        if maximised is not None:
            return maximised
        if self.narrow:
            return self.has_class("-inspecting")
        return not self.has_class("-no-inspector")

    def show_inspector(self, shown: bool) -> None:
        """Opens or closes the inspector; on a narrow screen it replaces the transcript."""
        self.pane_layout.inspector_shown(shown)
        self.set_class(shown, "-inspecting")
        self.set_class(not shown, "-no-inspector")
        self.lay_out()
        if shown:
            self.parts.feed.refresh()
        elif self.inspector.has_focus_within:
            self.view.focus()
        self.refresh_footer()

    # --- messages of the widgets

    def on_transcript_view_turn_selected(self, event: TranscriptView.TurnSelected) -> None:
        self.outline.cursor = event.turn_index
        if self.parts.search.text:
            self.status.show()  # the number of the match
        self.parts.feed.refresh()
        self.refresh_footer()

    def on_transcript_view_turn_opened(self) -> None:
        self.parts.inspector_keys.open()

    def on_fold_pane_folds_changed(self) -> None:
        self.refresh_footer()

    def on_transcript_view_search_progress(self, event: TranscriptView.SearchProgress) -> None:
        self.parts.search.show_progress(event.count, done=event.done)

    def on_inspector_tab_changed(self, event: Inspector.TabChanged) -> None:
        """Refreshes, because some tabs need more than the selected turn."""
        event.stop()
        self.parts.feed.refresh()

    async def on_outline_turn_selected(self, event: Outline.TurnSelected) -> None:
        await self.parts.movement.jump(event.turn_index)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.parts.search.submit()

    def on_take_over_input_sent(self, event: TakeOverInput.Sent) -> None:
        event.stop()
        self.spawn(self.parts.take_over.say(event.text))

    async def on_take_over_input_simulator_asked(self, event: TakeOverInput.SimulatorAsked) -> None:
        event.stop()
        await self.parts.holds.take("simulate", what="Letting the side speak for itself")

    async def on_take_over_input_draft_asked(self, event: TakeOverInput.DraftAsked) -> None:
        event.stop()
        await self.parts.take_over.make_draft()

    def on_take_over_input_editor_asked(self, event: TakeOverInput.EditorAsked) -> None:
        event.stop()
        self.spawn(self.parts.take_over.write_outside())

    def on_take_over_input_left(self, event: TakeOverInput.Left) -> None:
        event.stop()
        self.parts.take_over.leave_input()

    def on_paste(self, event: events.Paste) -> None:
        """Passes a paste outside of inputs to the take-over's input, if that is shown."""
        if self.parts.take_over.take_paste(event.text):
            event.stop()

    # --- keys

    def contexts(self) -> tuple[str, ...]:
        """That of a pane with keys of its own, `search` while matches are highlighted, then the
        debugger's state."""
        live = "held" if self.conversation.hold is not None else "live"
        states: tuple[str, ...] = ("replay",) if self.run is None else (live,)
        if self.conversation.dead:
            states = ("dead", live)
        return self.parts.contexts(states) if self.is_complete else states

    def help_contexts(self) -> tuple[str, ...]:
        """The contexts, after that of the take-over's input while it has the focus."""
        contexts = self.contexts()
        return ("take_over", *contexts) if self.take_over_input.has_focus else contexts

    def footer_ids(self) -> Sequence[str]:
        """The actions that apply now; those of the take-over's input while it has the focus."""
        return self.parts.footer_ids()

    def footer_items(self) -> list[KeyItem]:
        """The footer's keys, without those that the hold bar lists."""
        if not self.is_complete:
            shown = partial(self._shown_key, typing=False)
            return footer.opening_items(self.conversation, shown, leave=self._quit_label())
        return self.parts.footer_items(super().footer_items())

    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    def _focus_changed(self) -> None:
        if self.run is not None and self.is_complete:
            self.parts.hold_bar.show()
        self.refresh_footer()

    def back(self) -> Awaitable[None] | None:
        """Goes back to the transcript, then to the screen below; a live run is never left."""
        if self.focused is self.prompts.search:
            self.parts.search.close()
            return None
        if self.pane_layout.restore():
            return None
        covered = self.narrow and self.inspecting
        if covered:
            self.show_inspector(False)
        if covered or not self.view.has_focus:
            self.view.focus()
            return None
        return None if self.parts.leaving.stays() else super().back()

    @property
    def quit_does(self) -> str:  # type: ignore[override]
        return self.parts.leaving.does

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.height < SHORT, "-short")
        self.pane_layout.resized()
        self.lay_out(event.size.width)
        if self.is_complete:
            self.parts.feed.refresh()

    def restyle(self) -> None:
        """Applies a changed theme."""
        palette = self.capp.palette
        for widget in (self.view, self.outline, self.inspector, *self.query(StatusLine)):
            widget.palette = palette

    async def quit(self) -> None:
        """Leaves; asks first while a run is live."""
        await self.parts.leaving.leave()
