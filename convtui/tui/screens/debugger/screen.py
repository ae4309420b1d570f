"""The debugger screen: a live or recorded conversation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.widgets import Input

from convtui.actions.registry import Keymap
from convtui.transcript.fold import Transcript, Turn
from convtui.tui.drawing.frames import ONLY
from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.screens.debugger import footer
from convtui.tui.screens.debugger.columns import NARROW, SHORT
from convtui.tui.screens.debugger.context import DebuggerContext, ShownConversation
from convtui.tui.screens.debugger.parts import DebuggerParts
from convtui.tui.screens.debugger.repaints import Repaints
from convtui.tui.screens.debugger.widgets import DebuggerWidgets
from convtui.tui.screens.handlers import Handler
from convtui.tui.sources.replay import ReplaySource
from convtui.tui.sources.source import LiveSource, Source
from convtui.tui.textual_compat import is_open, run_while_open
from convtui.tui.widgets.inspector.context import DECISION
from convtui.tui.widgets.inspector.inspector import Inspector
from convtui.tui.widgets.keybar import KeyItem
from convtui.tui.widgets.statusline import StatusLine
from convtui.tui.widgets.takeover import TakeOverInput
from convtui.tui.widgets.transcript.outline import Outline
from convtui.tui.widgets.transcript.transcript_view import TranscriptView

if TYPE_CHECKING:
    from convtui.tui.sources.run import LiveRun

TICK = 0.25
DRAWN = 0.05
"""Seconds in which a key is drawn."""


class DebuggerScreen(ActionScreen):
    """Outline, transcript and inspector between two status lines; holds and keys below."""

    KEY_CONTEXTS = ("inspector", "outline", "search", "dead", "held", "live", "replay")
    DEFAULT_CSS = """
    DebuggerScreen { layout: vertical; overflow: hidden; }
    DebuggerScreen #body { height: 1fr; }
    DebuggerScreen.-short HintLine { display: none; }
    DebuggerScreen.-short HoldBar { max-height: 5; }
    DebuggerScreen.-short HoldBar.-beside-input { max-height: 3; }
    DebuggerScreen.-short HoldBar.-beside-input #hold-reason { max-height: 1; }
    DebuggerScreen.-short HoldBar.-writing { display: none; }
    DebuggerScreen.-short TakeOverInput { max-height: 3; }
    DebuggerScreen TranscriptView { width: 1fr; }
    DebuggerScreen.-no-inspector Inspector { display: none; }
    DebuggerScreen.-narrow Inspector { display: none; }
    DebuggerScreen.-narrow.-inspecting Inspector { display: block; }
    DebuggerScreen.-narrow.-inspecting TranscriptView { display: none; }
    DebuggerScreen #search { display: none; height: 1; border: none; padding: 0 1;
                             background: $panel; }
    """
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
        widgets = self.widgets = DebuggerWidgets(keymap, self.capp.typed.clock.now)
        self.view, self.outline, self.inspector = widgets.view, widgets.outline, widgets.inspector
        self.hold_bar, self.take_over_input = widgets.hold_bar, widgets.take_over
        self.context = DebuggerContext(
            conversation=self.conversation,
            keymap=keymap,
            selected=lambda: self.selected,
            notify=self.tell,
            repaint=self.repaint,
            spawn=self.spawn,
            ask=self.ask,
            open=self.open,
            mounted=lambda: is_open(self),
        )
        self.parts = DebuggerParts(self, at)

    def handlers(self) -> Iterable[Handler]:
        return self.parts.handlers()

    def compose(self) -> ComposeResult:
        return self.widgets.compose()

    def on_mount(self) -> None:
        self.lay_out()
        view = self.view
        view.extras_of = self.parts.feed.extra
        view.text_of = self.parts.feed.text
        view.has_detail = self.parts.feed.has_detail
        view.flags_of = self.parts.notes.flags
        # Enter is an action of the registry: at a hold it takes the first choice.
        view._bindings = view._bindings.copy()
        view._bindings.key_to_bindings.pop("enter", None)
        self._watch_source()
        self.set_interval(TICK, self._tick)
        self.spawn(self.parts.layout.load())
        if self.run is not None:
            # Start the process after the first frame: both need the CPU.
            self.call_after_refresh(lambda: self.spawn(self._start()))
            self.call_after_refresh(lambda: self.spawn(self.parts.hints.start()))
        elif self.replay is not None:
            self.replay.gives_way = lambda: self.capp.typed.idle_for < DRAWN
            self.replay.start()
        self.repaint()

    async def _start(self) -> None:
        await self.parts.provider.start()
        await self.parts.briefs.ask_pending()

    def on_unmount(self) -> None:
        self._unsubscribe()
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
        if self.source.live and not self.conversation.over:
            self.parts.status.show()
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
        if self._key_bar is None:
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
        self.parts.status.show()
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
        self.parts.layout.share(width, inspector=not self.has_class("-no-inspector"))

    # --- showing the inspector

    @property
    def narrow(self) -> bool:
        return self.size.width < NARROW

    @property
    def inspecting(self) -> bool:
        """Whether the inspector is visible."""
        maximised = self.parts.layout.shows_inspector
        if maximised is not None:
            return maximised
        if self.narrow:
            return self.has_class("-inspecting")
        return not self.has_class("-no-inspector")

    def show_inspector(self, shown: bool) -> None:
        """Opens or closes the inspector; on a narrow screen it replaces the transcript."""
        self.parts.layout.inspector_shown(shown)
        self.set_class(shown, "-inspecting")
        self.set_class(not shown, "-no-inspector")
        self.lay_out()
        if shown:
            self.parts.feed.refresh()
        elif self.inspector.has_focus_within:
            self.view.focus()
        self.refresh_footer()

    def show_decision(self) -> None:
        """Opens the tab that shows an old and a new decision side by side."""
        if not self.narrow:
            self.show_inspector(True)
        self.parts.feed.refresh()
        self.inspector.tab = DECISION

    # --- messages of the widgets

    def on_transcript_view_turn_selected(self, event: TranscriptView.TurnSelected) -> None:
        self.outline.cursor = event.turn_index
        if self.parts.search.text:
            self.parts.status.show()  # the number of the match
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
        first = self.parts.pane_contexts()
        return (*first, "search", *states) if self.parts.search.text else (*first, *states)

    def help_contexts(self) -> tuple[str, ...]:
        """The contexts, after that of the take-over's input while it has the focus."""
        contexts = self.contexts()
        return ("take_over", *contexts) if self.take_over_input.has_focus else contexts

    def footer_ids(self) -> Sequence[str]:
        """The actions that apply now; those of the take-over's input while it has the focus."""
        box = self.take_over_input
        if box.has_focus:
            can_draft = self.parts.reply.offers("draft") is not None
            return footer.take_over_ids(can_draft=can_draft, my_turn=box.my_turn)
        ids = footer.footer_ids(self.conversation, searching=bool(self.parts.search.text))
        if self.outline.has_focus:
            return (*footer.IN_OUTLINE, *ids)
        if self.inspector.pane.has_focus:
            return (*footer.IN_INSPECTOR, *ids)
        return (footer.WAY_BACK, *ids) if self.narrow and self.inspecting else ids

    def footer_items(self) -> list[KeyItem]:
        """The footer's keys, without those that the hold bar lists."""
        items = super().footer_items()
        inside = self.take_over_input.has_focus
        if self.focused is self.widgets.search:
            return [*footer.SEARCH_KEYS, *items]
        if self.selected is not None and self.selected.speaker == "provider":
            items = [item for item in items if item.action != "inspector.decision"]
        return items if inside else footer.beside_hold_bar(items, self.conversation)

    def on_descendant_focus(self) -> None:
        self._focus_changed()

    def on_descendant_blur(self) -> None:
        self._focus_changed()

    def _focus_changed(self) -> None:
        if self.run is not None and self._key_bar is not None:
            self.parts.hold_bar.show()
        self.refresh_footer()

    def back(self) -> Awaitable[None] | None:
        """Goes back to the transcript, then to the screen below; a live run is never left."""
        if isinstance(self.focused, Input):
            self.parts.search.close()
            return None
        if self.parts.layout.restore():
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
        self.parts.layout.resized()
        self.lay_out(event.size.width)
        self.parts.feed.refresh()

    def restyle(self) -> None:
        """Applies a changed theme."""
        palette = self.capp.palette
        for widget in (self.view, self.outline, self.inspector, *self.query(StatusLine)):
            widget.palette = palette

    async def quit(self) -> None:
        """Leaves; asks first while a run is live."""
        await self.parts.leaving.leave()
