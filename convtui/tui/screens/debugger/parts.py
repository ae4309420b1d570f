"""Creates the debugger's controllers and connects them; they do not know each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from textual.widgets import Input, TextArea

from convtui.config.paths import Paths
from convtui.errors import EngineError, UsageError
from convtui.tui.screens.debugger import footer
from convtui.tui.screens.debugger.ask_again_with import AskAgainWith
from convtui.tui.screens.debugger.branches import Branches
from convtui.tui.screens.debugger.break_marks import BreakMarks
from convtui.tui.screens.debugger.breakpoints import Breakpoints
from convtui.tui.screens.debugger.brief_editing import BriefEditing
from convtui.tui.screens.debugger.budget_raise import BudgetRaise
from convtui.tui.screens.debugger.compression import Compression
from convtui.tui.screens.debugger.copying import Copying
from convtui.tui.screens.debugger.corrections import Corrections
from convtui.tui.screens.debugger.empty_states import before_the_first_turn
from convtui.tui.screens.debugger.engine_warnings import EngineWarnings
from convtui.tui.screens.debugger.fault_injection import FaultInjection
from convtui.tui.screens.debugger.hints import Hints
from convtui.tui.screens.debugger.hold_answers import HoldAnswers, OtherAnswers
from convtui.tui.screens.debugger.hold_bar_feed import HoldBarFeed
from convtui.tui.screens.debugger.hold_drafts import HoldDrafts
from convtui.tui.screens.debugger.hold_reply import HoldReply
from convtui.tui.screens.debugger.inspector_feed import InspectorFeed
from convtui.tui.screens.debugger.inspector_keys import InspectorKeys
from convtui.tui.screens.debugger.leaving import Leaving
from convtui.tui.screens.debugger.lineage import Lineage
from convtui.tui.screens.debugger.log_evaluation import LogEvaluation
from convtui.tui.screens.debugger.movement import Movement
from convtui.tui.screens.debugger.next_run import NextRun
from convtui.tui.screens.debugger.notes import Notes
from convtui.tui.screens.debugger.outline_keys import OutlineKeys
from convtui.tui.screens.debugger.provider_reload import ProviderReload
from convtui.tui.screens.debugger.repaints import Repaints
from convtui.tui.screens.debugger.run_control import RunControl
from convtui.tui.screens.debugger.search import Search
from convtui.tui.screens.debugger.sharing import LogSharing
from convtui.tui.screens.debugger.status_feed import damage_notes
from convtui.tui.screens.debugger.take_over import TakeOver
from convtui.tui.screens.debugger.tool_approval import ToolApproval
from convtui.tui.screens.debugger.transcript_feed import TranscriptFeed
from convtui.tui.screens.debugger.transport import Transport
from convtui.tui.screens.debugger.turn_notes import TurnNotes
from convtui.tui.screens.debugger.whole_results import WholeResults
from convtui.tui.screens.external_editor import has_editor, open_at, write_outside
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.library import open_library
from convtui.tui.screens.run_again import run_again
from convtui.tui.widgets.inspector.context import DECISION
from convtui.tui.widgets.inspector.drift import drift_notes

if TYPE_CHECKING:
    from convtui.tui.screens.debugger.screen import DebuggerScreen
    from convtui.tui.widgets.keybar import KeyItem


class Controller(Protocol):
    """Carries out actions of the debugger."""

    def handlers(self) -> Iterator[Handler]:
        """One row for each action that it carries out."""


class DebuggerParts:
    """All controllers, connected to the widgets and the conversation of a screen."""

    def __init__(self, screen: DebuggerScreen, at: tuple[int, int] | None) -> None:
        """`at` is the session and turn to start at."""
        context, widgets, prompts = screen.context, screen.widgets, screen.prompts
        self._screen = screen
        view, inspector = widgets.view, widgets.inspector
        outside = partial(write_outside, screen)
        self.notes = TurnNotes(context)
        break_marks = BreakMarks(context.conversation)
        self.movement = Movement(context, view, at)
        jump = self.movement.jump
        self.search = Search(
            context, view, prompts.search, self.notes, jump=jump, refresh_keys=screen.refresh_footer
        )
        self.inspector_keys = InspectorKeys(
            context, inspector, show=screen.show_inspector, shown=lambda: screen.inspecting
        )
        self.whole_results = WholeResults(
            context,
            inspector,
            show_inspector=lambda: screen.show_inspector(True),
            refresh=self._refresh_inspector,
        )
        branches = Branches(
            context,
            view,
            attach=screen.attach,
            view_log=screen.capp.runs.replay,
            compare=screen.capp.runs.compare,
        )
        self.lineage = Lineage(
            context,
            widgets.outline,
            self._refresh_inspector,
            open_log=branches.open,
        )
        self.outline_keys = OutlineKeys(context, widgets.outline, view.focus, screen.refresh_footer)
        self.warnings = EngineWarnings(context)
        self.feed = InspectorFeed(
            context,
            inspector,
            self.notes,
            results=self.whole_results,
            lineage=self.lineage.fields,
            breakpoint=break_marks.on,
            shown=lambda: screen.inspecting,
            loaded=screen.source_changed,
            frames=partial(Repaints, screen),
        )
        reply = self.reply = HoldReply(context, widgets.view)
        self.tools = ToolApproval(context, reply, outside)
        self.take_over = TakeOver(
            context,
            reply,
            prompts.take_over,
            view,
            busy_for=lambda: screen.capp.typed.busy_for,
            write_outside=outside,
        )
        self.provider = ProviderReload(
            context,
            attach=screen.attach,
            watch_with=partial(screen.run_worker, group="code", exclusive=True),
            palette=lambda: screen.capp.palette,
            edit=lambda: partial(open_at, screen) if has_editor(screen) else None,
            in_view=lambda: (
                screen.app.screen is screen and not isinstance(screen.focused, Input | TextArea)
            ),
            acts=lambda key: screen.action_of(key) is not None,
            press=screen.press,
            leave=lambda: screen.capp.runs.leave(screen),
            fail=screen.capp.fail,
            declined=partial(_declined, screen),
        )
        others = OtherAnswers(
            answers=(
                self.provider.retry.answer,
                self.take_over.answer,
                self.tools.answer,
                BudgetRaise(context, reply).answer,
            ),
            write=self.take_over.write,
            can_write=lambda: bool(self.take_over.sides),
        )
        drafts = HoldDrafts(context, reply, outside, self.tools.edit)
        self.holds = HoldAnswers(context, reply, drafts, others)
        self.compression = Compression(context, view, screen.attach)
        self.briefs = BriefEditing(
            context,
            reply,
            view,
            attach=screen.attach,
            show_decision=self._show_decision,
            config=lambda: screen.capp.config,
            start_run=lambda spec, brief, turn: screen.capp.runs.start(spec, again=(brief, turn)),
        )
        self.leaving = Leaving(
            context,
            asks=lambda: screen.capp.config is None or screen.capp.config.confirm_quit,
            leave=lambda ended: screen.capp.runs.leave(screen, ended=ended),
        )
        self.faults = FaultInjection(context)
        self.hints = Hints(
            context,
            prompts.hint_line,
            wanted=lambda: screen.capp.config is None or screen.capp.config.hints,
            recall=screen.capp.saved_state.recall,
            remember=lambda state: screen.capp.saved_state.remember(hints=state),
        )
        breaks = Breakpoints(context)
        replay = screen.replay
        self._controllers: tuple[Controller, ...] = (
            RunControl(context, reply)
            if replay is None
            else Transport(context, replay, view, jump),
            breaks,
            self.holds,
            AskAgainWith(context, reply),
            self.tools,
            self.take_over,
            self.provider,
            self.compression,
            self.briefs,
            branches,
            self.outline_keys,
            self.faults,
            self.hints,
            self.inspector_keys,
            screen.pane_layout,
            self.whole_results,
            self.movement,
            self.search,
            Copying(context, view, inspector, screen.app.copy_to_clipboard),
            LogSharing(context, folder=lambda: _exports_folder(screen)),
            Notes(context, self.notes, jump),
            Corrections(context, self.notes),
            LogEvaluation(
                context,
                rehook=partial(_open_rehook, screen),
                profile=partial(_open_profile, screen),
            ),
            NextRun(
                context,
                library=lambda: open_library(screen.capp, recording=screen.run is None),
                again=partial(run_again, screen.capp),
                start=lambda spec, python: screen.capp.runs.start(spec, python=python),
            ),
        )
        self.transcript = TranscriptFeed(
            context.conversation,
            view,
            widgets.outline,
            self.notes,
            break_marks,
            box=prompts.take_over,
            empty=lambda: before_the_first_turn(context.conversation, context.keymap),
        )
        self.hold_bar = HoldBarFeed(
            context,
            prompts.hold_bar,
            prompts.take_over,
            enter_works=lambda: not self.pane_contexts(),
            show_input=self.take_over.show,
            decision_held=lambda: self.briefs.decision_held,
        )
        screen.status.add_notes(
            first=self.search.status,
            notes=(
                self.take_over.status,
                lambda: damage_notes(context.conversation),
                self.compression.status,
                self.tools.status,
                lambda: drift_notes(context.conversation.transcript),
                self.faults.status,
                breaks.status,
            ),
        )

    def pane_contexts(self) -> tuple[str, ...]:
        """The context of the pane with the focus, where Enter and the arrows are its own."""
        if self.inspector_keys.on_fold():
            return ("inspector",)
        return ("outline",) if self.outline_keys.inside() else ()

    # --- which keys work now

    def contexts(self, states: tuple[str, ...]) -> tuple[str, ...]:
        """`states` of the debugger, after what goes before them."""
        searching = ("search",) if self.search.text else ()
        return (*self.pane_contexts(), *searching, *states)

    def footer_ids(self) -> Sequence[str]:
        """The actions that apply now; those of the take-over's input while it has the focus."""
        screen = self._screen
        box = screen.take_over_input
        if box.has_focus:
            can_draft = self.reply.offers("draft") is not None
            return footer.take_over_ids(can_draft=can_draft, my_turn=box.my_turn)
        ids = footer.footer_ids(screen.conversation, searching=bool(self.search.text))
        if screen.outline.has_focus:
            return (*footer.IN_OUTLINE, *ids)
        if screen.inspector.pane.has_focus:
            return (*footer.IN_INSPECTOR, *ids)
        return (footer.WAY_BACK, *ids) if screen.narrow and screen.inspecting else ids

    def footer_items(self, items: list[KeyItem]) -> list[KeyItem]:
        """The keys that work now, without those that the hold bar lists."""
        screen = self._screen
        if screen.focused is screen.prompts.search:
            return [*footer.SEARCH_KEYS, *items]
        if screen.selected is not None and screen.selected.speaker == "provider":
            items = [item for item in items if item.action != "inspector.decision"]
        if screen.take_over_input.has_focus:
            return items
        return footer.beside_hold_bar(items, screen.conversation)

    def _refresh_inspector(self) -> None:
        self.feed.refresh()

    def begin(self) -> None:
        """Starts the run, and explains it."""
        self._screen.spawn(self._start())
        self._screen.spawn(self._explain())

    async def _start(self) -> None:
        await self.provider.start()
        await self.briefs.ask_pending()

    async def _explain(self) -> None:
        run = self._screen.run
        assert run is not None
        await run.planned.wait()
        await self.hints.start()

    def _show_decision(self) -> None:
        """Opens the tab that shows an old and a new decision side by side."""
        if not self._screen.narrow:
            self._screen.show_inspector(True)
        self.feed.refresh()
        self._screen.inspector.tab = DECISION

    def handlers(self) -> Iterator[Handler]:
        for controller in self._controllers:
            yield from controller.handlers()


def _exports_folder(screen: DebuggerScreen) -> Path:
    config = screen.capp.config
    return (config.paths if config is not None else Paths.find()).exports_dir


async def _open_rehook(screen: DebuggerScreen, log: Path) -> None:
    from convtui.tui.screens.rehook.provider_choice import own_provider
    from convtui.tui.screens.rehook.screen import open_rehook

    await open_rehook(screen.capp, [log], own_provider(screen.transcript.header))


def _open_profile(screen: DebuggerScreen, log: Path) -> None:
    from convtui.tui.screens.profile.screen import ProfileScreen

    screen.app.push_screen(ProfileScreen(screen.keymap, [log], opens=False))


def _declined(screen: DebuggerScreen, error: EngineError) -> None:
    """Closes a debugger that may not run its log's code; ends the app if nothing else is open."""
    if screen.app.screen_stack[0] is screen:
        screen.capp.fail(UsageError(str(error)))
    else:
        screen.capp.runs.leave(screen)
        screen.capp.runs.last_failure = ""
