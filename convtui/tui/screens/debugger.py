"""The debugger: a conversation, live or recorded, on one screen."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Input

from convtui.actions import Keymap
from convtui.text import visible_line
from convtui.tui import status
from convtui.tui.details import DetailCache
from convtui.tui.drift import drift_notes
from convtui.tui.screens.base import NARROW
from convtui.tui.screens.driving import HOLD_KEYS
from convtui.tui.screens.evaluating import Evaluating
from convtui.tui.screens.injecting import Injecting
from convtui.tui.screens.inspecting import Inspecting
from convtui.tui.screens.taking_over import WHO
from convtui.tui.source import Source
from convtui.tui.timers import once
from convtui.tui.widgets.holdbar import HoldBar
from convtui.tui.widgets.inspector import Inspector
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.outline import Outline
from convtui.tui.widgets.statusline import StatusLine
from convtui.tui.widgets.takeover import KEYS as TAKE_OVER_KEYS
from convtui.tui.widgets.takeover import TakeOverInput
from convtui.tui.widgets.transcript_view import TranscriptView

if TYPE_CHECKING:
    from convtui.tui.run import LiveRun

FRAME = 0.05
"""Seconds between two repaints at the most often."""
TICK = 0.25


class DebuggerScreen(Injecting, Evaluating, Inspecting):
    """Outline, transcript and inspector between two status lines; holds and keys below."""

    DEFAULT_CSS = """
    DebuggerScreen { layout: vertical; }
    DebuggerScreen #body { height: 1fr; }
    DebuggerScreen Outline { width: 24; border-right: solid $border; padding: 0; }
    DebuggerScreen TranscriptView { width: 1fr; }
    DebuggerScreen Inspector { width: 38%; min-width: 36; border-left: solid $border; }
    DebuggerScreen.-no-inspector Inspector { display: none; }
    DebuggerScreen.-narrow Outline { display: none; }
    DebuggerScreen.-narrow Inspector { display: none; width: 1fr; border-left: none; }
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
        super().__init__(keymap, source, run)
        self._at = at
        self._forget: Callable[[], None] = lambda: None
        self._pending: Timer | None = None
        self._planned = False
        self._painted = 0.0
        self._shown_transcript: object = None
        self._shown_hold: object = None
        self._shown_limit: tuple[object, ...] = (None, None)
        self._details = DetailCache(source, self._detail_loaded)
        self._messages: dict[tuple[Path | None, int], list[Any] | str] = {}
        """By log and call; a text says why there are none yet."""
        self.forget_results()
        self._began: float | None = None
        self._followups: status.Followups | None = None

    def compose(self) -> ComposeResult:
        """The screen of the debugger."""
        yield StatusLine("top", id="top")
        with Horizontal(id="body"):
            yield Outline(id="outline", empty_message="no session yet")
            yield TranscriptView(id="transcript", empty_message=self._empty_text())
            yield Inspector(id="inspector")
        yield HoldBar(id="hold")
        yield TakeOverInput(
            id="take-over",
            keys={name: self.keymap.keys(name) for name in TAKE_OVER_KEYS},
            clock=self.capp.typed.clock.now,
        )
        search = Input(id="search", placeholder="text, or a filter such as ~signal or ~discard")
        search.compact = True
        yield search
        yield StatusLine("bottom", id="bottom")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Begins to draw."""
        self.set_class(self.app.size.width < NARROW, "-narrow")
        view = self.view
        view.extra_of = self._extra
        view.text_of = self._text
        view.knows = self._known
        view.flags_of = self.flags_by_hand
        # Enter is an action of the registry: in a hold it is the hold's first choice.
        view._bindings = view._bindings.copy()
        view._bindings.key_to_bindings.pop("enter", None)
        self._watch_source()
        self.set_interval(TICK, self._tick)
        if self.run is not None:
            # The process is started when the first frame has been drawn: both want the processor.
            self.call_after_refresh(lambda: self.spawn(self.start()))
            self.call_after_refresh(lambda: self.spawn(self.capp.hint_once()))
        elif self.replay is not None:
            self.replay.start()
        self.repaint()

    def on_unmount(self) -> None:
        """Lets go of the log."""
        self._forget()
        self._details.close()
        self.source.close()

    def _empty_text(self) -> str:
        if self.run is not None:
            return "The engine is starting. The first turn appears here."
        return "This recording has no turns."

    # --- sources

    def attach(self, run: LiveRun) -> None:
        """Shows the engine that the run has now."""
        old = self.source
        if getattr(old, "handle", None) is not run.handle:
            self._forget()
            self.source = self.live_source(run)
            self._details.close()
            self._details = DetailCache(self.source, self._detail_loaded)
            self._messages.clear()
            self.forget_results()
            self._began = None
            old.close()
            self._watch_source()
        if self.is_mounted:
            self.watch_code()
            self.repaint()

    def _watch_source(self) -> None:
        self._forget = self.source.subscribe(self.source_changed)

    def source_changed(self) -> None:
        """Something is new: it is drawn with the next frame."""
        if not self._planned and self.is_mounted:
            # Engines call from outside of Textual's context, in which no timer may be made.
            self._planned = self.call_later(self._plan)

    def _plan(self) -> None:
        wait = max(0.001, FRAME - (time.monotonic() - self._painted))
        self._pending = once(self, wait, self.repaint)

    def _tick(self) -> None:
        if self.source.live and not self.over:
            self._show_status()
            self.refresh_footer()

    # --- drawing

    def repaint(self) -> None:
        """Brings everything up to date."""
        if self._pending is not None:
            self._pending.stop()
            self._pending = None
            self._planned = False
        if not self.query(KeyBar):
            return
        self._painted = time.monotonic()
        source, view, outline = self.source, self.view, self.outline
        held = (self.hold or {}).get("hold")
        if held != self._shown_hold:
            # Calls that wait are lines of their turn.
            self._shown_hold = held
            if self.run is not None and (self.hold or {}).get("reason") == "breakpoint":
                # One that stops once only is switched off now.
                self.run_worker(self.run.refresh_breakpoints(), group="breakpoints")
            if source.transcript.turns:
                source.changed.add(len(source.transcript.turns) - 1)
        if self._shown_transcript is not source.transcript:
            self._shown_transcript = source.transcript
            source.changed.clear()
            view.set_transcript(source.transcript)
            outline.set_transcript(source.transcript)
        else:
            taken = set(source.changed)
            source.changed.clear()
            view.refresh_turns(taken)
            outline.refresh_turns(taken)
        self.show_noted()
        limit = (source.limit, source.limit_turn)
        if limit != self._shown_limit:
            self._shown_limit = limit
            view.set_limit(*limit)
            outline.set_limit(*limit)
        outline.cursor = view.cursor
        self.trace()
        self._go_to_first()
        self._show_hold()
        self._show_status()
        self.refresh_inspector()
        self.refresh_footer()

    def _go_to_first(self) -> None:
        """Where `--at` asked to begin, as soon as that turn has been read."""
        if self._at is None:
            return
        turn = self.transcript.find(*self._at)
        replay = self.replay
        if turn is not None:
            self._at = None
            self.view.go_to(turn.index)
        elif replay is not None and not replay.loading:
            self.tell(f"There is no turn {self._at[0]}:{self._at[1]} in this log.", "warning")
            self._at = None

    def _show_hold(self) -> None:
        hold = self.hold
        letters = {
            choice: self.keymap.shown(action)
            for action, choices in HOLD_KEYS.items()
            for choice in choices
        }
        more = []
        if self.decision_held:
            more.append((self.keymap.shown("hold.edit_brief"), "edit the brief, ask again"))
        # In the input digits are text: its footer has the keys, and Escape brings the choices.
        speaks = self.show_take_over()
        leave = self.keymap.shown("take_over.leave") if self.take_over_input.has_focus else ""
        self.hold_bar.show(None if speaks or self.summarising else hold, letters, more, leave)

    def _show_status(self) -> None:
        replay, handle = self.replay, self.handle
        persona, provider = status.sides(self.transcript, self.run.spec if self.run else None)
        if handle is not None:
            now = status.live_status(
                handle,
                busy_with=self.busy_with,
                kill_key=self.keymap.shown("run.kill_engine"),
            )
        else:
            assert replay is not None
            now = status.replay_status(replay)
        top = self.query_one("#top", StatusLine)
        top.show_status(now, persona=persona, provider=provider)
        scenario = self.transcript.header.get("scenario")
        self.query_one("#bottom", StatusLine).show_figures(
            status.figures(
                self.transcript,
                scenario=scenario if isinstance(scenario, dict) else {},
                followups=self._counted(scenario),
                position=self.source.limit,
                elapsed=self._elapsed(),
                notes=self._notes(),
                first=self._matched(),
            )
        )

    def _counted(self, scenario: object) -> status.Followups | None:
        """The follow-ups of the conversation that is shown."""
        if status.responder_of(scenario) is None:
            return None
        if self._followups is None or self._followups.transcript is not self.transcript:
            whole = isinstance(scenario, dict) and scenario.get("persona_memory") == "conversation"
            self._followups = status.Followups(self.transcript, whole=whole)
        return self._followups

    def _elapsed(self) -> float | None:
        if not self.source.live or self.over or not self.transcript.records:
            return None
        if self._began is None:
            self._began = time.monotonic() - self.transcript.last_t
        return time.monotonic() - self._began

    def _matched(self) -> list[str]:
        """Which match of the search is selected, of how many."""
        if not self.searching:
            return []
        if self.looking_through is not None:
            return [f"searching the log, {self.looking_through:.0%}"]
        return [f"match {self.view.search_position or '-'} of {self.view.search_count}"]

    def _notes(self) -> list[str]:
        view = self.view
        notes = []
        if view.mode != "shown":
            notes.append(f"showing {view.mode}")
        if self.source.live and not self.over and not view.follow:
            notes.append("not following")
        if self.taken_over:
            notes.append(f"you are {' and '.join(f'the {WHO[side]}' for side in self.taken_over)}")
        if self.replay is not None and self.replay.findings:
            count = len(self.replay.findings)
            notes.append(f"{count} damage{'s' if count > 1 else ''} in the log")
        if view.summaries:
            notes.append("showing the summary")
        if self.approving and not self.over and self.run is not None:
            notes.append("tools wait for approval")
        notes += drift_notes(self.transcript)
        notes += self.armed_notes()
        if self.run is not None and self.run.breakpoints:
            count = sum(item.enabled for item in self.run.breakpoints)
            notes.append(f"{count} breakpoint{'s' if count != 1 else ''}")
        return notes

    @property
    def provider_name(self) -> str:
        """The provider's name for titles."""
        spec = self.run.spec if self.run else None
        return visible_line(status.sides(self.transcript, spec)[1], 60)

    # --- the selected turn

    def on_transcript_view_turn_selected(self, event: TranscriptView.TurnSelected) -> None:
        """Another turn is selected."""
        self.outline.cursor = event.turn_index
        if self.searching:
            self._show_status()  # which match it is
        self.refresh_inspector()
        self.refresh_footer()

    def on_transcript_view_turn_opened(self, event: TranscriptView.TurnOpened) -> None:
        """A double click."""
        self.do_inspector_open()

    def on_inspector_tab_changed(self, event: Inspector.TabChanged) -> None:
        """Some tabs tell of more than the selected turn."""
        event.stop()
        self.refresh_inspector()

    async def on_outline_turn_selected(self, event: Outline.TurnSelected) -> None:
        """A click in the outline."""
        await self.jump(event.turn_index)

    # --- keys

    def on_descendant_focus(self) -> None:
        """Other keys may do something now."""
        self._refocused()

    def on_descendant_blur(self) -> None:
        """Other keys may do something now."""
        self._refocused()

    def _refocused(self) -> None:
        if self.run is not None and self.query(HoldBar):
            self._show_hold()
        self.refresh_footer()

    def action_press(self, key: str) -> None:
        """A dead engine has one key: Enter goes on from its log."""
        if key == "enter" and self.dead:
            self.spawn(self.restart())
            return
        if key == "escape" and not self.searching:
            self._step_back()
            return
        super().action_press(key)

    def _step_back(self) -> None:
        if self.narrow and self.inspecting:
            self.show_inspector(False)
        self.view.focus()

    def on_key(self, event: events.Key) -> None:
        """Escape also leaves the search line."""
        if event.key == "escape" and isinstance(self.focused, Input):
            event.stop()
            self.do_search_close()

    def on_resize(self, event: events.Resize) -> None:
        """One column, or three."""
        self.set_class(event.size.width < NARROW, "-narrow")
        self.refresh_inspector()

    def restyle(self) -> None:
        """Another theme."""
        palette = self.capp.palette
        for widget in (self.view, self.outline, self.inspector, *self.query(StatusLine)):
            widget.palette = palette
