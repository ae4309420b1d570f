"""Rehook: a provider's hooks again over saved runs, in the background; what they change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static
from textual.worker import Worker

from convtui.actions.registry import Keymap
from convtui.analysis.rehook.rehook_process import Rehooked, rehook_logs, start_for
from convtui.analysis.rehook.report import Pace, RehookReport
from convtui.analysis.rehook.sources import sources_of
from convtui.errors import ConvtuiError, EngineError
from convtui.text.boundary import visible, visible_line
from convtui.tui.documents.rehook_details import details_of
from convtui.tui.drawing.frames import make_pane
from convtui.tui.drawing.progress import progress_bar
from convtui.tui.drawing.tables import end_of
from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.rehook.provider_choice import ask_provider, files_of, named_by_user
from convtui.tui.screens.rehook.rehook_list import RehookList, items_of
from convtui.tui.sources import watch
from convtui.tui.textual_compat import is_open, run_while_open
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.maximise import Maximise
from convtui.tui.widgets.notice_line import NoticeLine
from convtui.tui.widgets.text_pane import TextPane

if TYPE_CHECKING:
    from convtui.tui.app import ConvtuiApp

MOST_REMEMBERED = 20
"""Providers for which the one that was taken last is remembered."""
_EVERY = 0.1
"""Seconds between two pictures of the progress."""


async def open_rehook(app: ConvtuiApp, logs: Sequence[Path], own: str) -> None:
    """Asks whose hooks, then opens the screen. `own` is the provider that the runs name.

    It is the answer to begin with only where the first of the logs is this user's own: Enter runs
    its code.
    """
    # What the check of the answer needs is loaded off the event loop.
    await asyncio.to_thread(start_for, "demo")
    offered = await asyncio.to_thread(named_by_user, logs[0], own)
    remembered = (await app.saved_state.recall()).get("rehook_providers")
    remembered = remembered if isinstance(remembered, dict) else {}
    before = remembered.get(own)
    many = f"{len(logs):,} runs" if len(logs) != 1 else visible_line(logs[0].name, 50)

    def chosen(spec: str | None) -> None:
        if spec and spec.strip():
            spec = spec.strip()
            kept = {key: used for key, used in remembered.items() if key != own}
            newest = dict([*kept.items(), (own, spec)][-MOST_REMEMBERED:])
            app.run_worker(
                app.saved_state.remember(rehook_providers=newest),
            )
            app.push_screen(RehookScreen(app.keymap, logs, spec))

    app.push_screen(
        ask_provider(before if isinstance(before, str) else offered, f"over {many}"), chosen
    )


class RehookScreen(ActionScreen):
    """Progress, then totals and every reply of which the hooks make something else now."""

    KEY_CONTEXTS = ("rehook",)
    AUTO_FOCUS = "RehookList"
    DEFAULT_CSS = """
    RehookScreen { layout: vertical; }
    RehookScreen #rehook-total { height: auto; max-height: 3; width: 1fr; padding: 0 1; }
    RehookScreen #rehook-total.-problem { color: $text-error; max-height: 50%; }
    RehookScreen #rehook-notes { height: auto; max-height: 4; width: 1fr; padding: 0 1;
                                 color: $text-muted; }
    RehookScreen.-tiny #rehook-notes { max-height: 1; }
    RehookScreen RehookList { height: 1fr; }
    RehookScreen TextPane { height: 55%; display: none; }
    RehookScreen.-details TextPane { display: block; }
    """

    def __init__(self, keymap: Keymap, logs: Sequence[Path], provider: str) -> None:
        super().__init__(keymap)
        self.maximised = Maximise(self, ("RehookList", "TextPane"))
        self._logs = list(logs)
        self._provider = provider
        self._work: Worker[None] | None = None
        self._gone = False
        """Whether the screen was left."""
        self._done = 0
        self._total_logs = 0
        """The logs that are read: those of the runs, and of their parents."""
        self._pace = Pace(0)
        self._pace_words = ""
        self._shown = 0.0
        self.report: RehookReport | None = None
        """None until the first rehook has ended, or was stopped."""
        self.problem = ""
        """Why the provider's hooks cannot run."""
        self.changed: list[str] = []
        """Names of the provider's files that have changed since its hooks ran."""

    def compose(self) -> ComposeResult:
        """Title, totals or progress, notes, the list, the details of one."""
        yield Static(id="rehook-title", classes="screen-title", markup=False)
        yield Static(id="rehook-total", markup=False)
        yield Static(id="rehook-notes", markup=False)
        listed, details = RehookList(), TextPane()
        make_pane(listed, "what changes", "-list")
        make_pane(details, "the change", "-below")
        yield listed
        yield details
        yield NoticeLine()
        yield KeyBar()

    def on_mount(self) -> None:
        """Begins."""
        self.set_class(self.app.size.height < 20, "-tiny")
        self.run_again()

    def on_unmount(self) -> None:
        """Nothing goes on that nobody can see."""
        self._gone = True
        if self._work is not None:
            self._work.cancel()

    # --- the work

    @property
    def running(self) -> bool:
        """Whether hooks are being run."""
        return self._work is not None and not self._work.is_finished

    def run_again(self) -> None:
        """Runs the hooks, with the code as it is now."""
        if self.running:
            return
        self.problem, self.changed = "", []
        self._done = self._total_logs = 0
        self._pace_words = "loading the provider"
        self._work = run_while_open(self, self._rehook(), group="rehook")
        self.refresh_footer()
        self._show()

    async def _rehook(self) -> None:
        result = Rehooked()
        config = self.capp.config
        files: list[Path] = []
        stamp: watch.Stamp = {}
        try:
            start = await asyncio.to_thread(
                start_for,
                self._provider,
                env_file=config.env_file if config is not None else None,
                cwd=Path.cwd(),
            )
            files = files_of(start)
            stamp = await asyncio.to_thread(watch.stamp, files)
            result.sources = await asyncio.to_thread(sources_of, self._logs)
            self._total_logs = len(result.sources)
            self._pace = Pace(self._total_logs)
            await rehook_logs(
                start,
                result.sources,
                python=config.python if config is not None else None,
                progress=self._progress,
                into=result,
            )
        except asyncio.CancelledError:
            if self._gone:
                raise
            result.interrupted()
        except (ConvtuiError, OSError) as error:
            self.problem = str(error)
            if isinstance(error, EngineError) and result.outcomes:
                result.stopped = str(error)
        if self._gone:
            return
        if not self.problem:
            self.report = await asyncio.to_thread(RehookReport, result)
            self.query_one(RehookList).show(await asyncio.to_thread(items_of, self.report))
        self._work = None
        self._show()
        self.refresh_footer()
        modules = (result.provider.get("identity") or {}).get("modules") or []
        self._watch([*files, *(Path(str(name)) for name in modules)], stamp)

    def _progress(self, logs: int, replies: int) -> None:
        self._done, self._pace_words = logs, self._pace(logs, replies)
        if time.monotonic() - self._shown >= _EVERY and is_open(self):
            self._show()

    def _watch(self, files: Sequence[Path], stamp: watch.Stamp) -> None:
        if files:
            work = self._watch_code(list(files), stamp)
            run_while_open(self, work, group="code", exclusive=True, exit_on_error=False)

    async def _watch_code(self, files: list[Path], stamp: watch.Stamp) -> None:
        before = {**await asyncio.to_thread(watch.stamp, files), **stamp}
        await watch.changed(files, before)
        now = await asyncio.to_thread(watch.stamp, files)
        self.changed = [path.name for path in files if now.get(path) != before.get(path)]
        if not self.running and is_open(self):
            names = ", ".join(visible_line(name, 40) for name in self.changed[:3])
            self.tell(f"{names} changed: {self.keymap.shown('rehook.again')} runs the hooks again.")
            self._show()

    # --- drawing

    def _show(self) -> None:
        """Brings title, totals and notes up to date."""
        if not is_open(self):
            return
        self._shown = time.monotonic()
        many = f"{len(self._logs):,} run" + "s" * (len(self._logs) != 1)
        width = self.app.size.width
        rest = f" over {many}" + ", no model is called" * (width >= 100)
        room = max(12, width - len(rest) - len("rehook ") - 2)
        self.query_one("#rehook-title", Static).update(
            Content.assemble(
                ("rehook ", "bold $text-accent"),
                (end_of(self._provider, room), "bold"),
                (rest, "$text-muted"),
            )
        )
        total = self.query_one("#rehook-total", Static)
        total.set_class(bool(self.problem), "-problem")
        total.update(self._total())
        notes = self.query_one("#rehook-notes", Static)
        lines = self._notes()
        notes.display = bool(lines)
        notes.update(Content("\n".join(visible_line(line, 300) for line in lines)))

    def _total(self) -> Content:
        if self.problem:
            return Content(visible(self.problem))
        if self.running:
            return self._bar()
        if self.report is None:
            return Content("")
        verdict = self.report.verdict
        color = "$text-success" if verdict.tone == "good" else "$text-warning"
        words = visible_line(verdict.text, 400)
        return Content.assemble((f"{verdict.sign} ", f"bold {color}"), (words, "bold"))

    def _bar(self) -> Content:
        room = min(40, self.app.size.width - len(self._pace_words) - 4)
        return progress_bar(self._done, self._total_logs, self._pace_words, room)

    def _notes(self) -> list[str]:
        report = self.report
        notes = []
        if self.changed and not self.running:
            key = self.keymap.shown("rehook.again")
            notes.append(f"{', '.join(self.changed[:3])} changed: {key} runs the hooks again")
        if report is None or self.problem or self.running:
            return notes
        if not report.changes:
            again, other = self.keymap.shown("rehook.again"), self.keymap.shown("rehook.provider")
            notes.append(f"{again} runs hooks that you have edited, {other} takes another provider")
        # There is room for a few; the command line tells all.
        return notes + report.notes()[:6]

    def on_cursor_view_selected(self) -> None:
        """Another line is selected."""
        self._show_details()
        self.refresh_footer()

    def _show_details(self) -> None:
        item = self.query_one(RehookList).selected
        if self.has_class("-details"):
            self.query_one(TextPane).show(details_of(item.change if item is not None else None))

    def on_resize(self, event: events.Resize) -> None:
        """More or less room."""
        self.set_class(event.size.height < 20, "-tiny")
        self._show()

    # --- keys

    def footer_ids(self) -> Sequence[str]:
        """What can be done here; the way back once."""
        return (
            *(("rehook.stop",) if self._stop_label() != "back" else ()),
            "rehook.details",
            "rehook.turn",
            "rehook.again",
            "rehook.provider",
            "app.quit",
            "app.help",
        )

    def handlers(self) -> Iterable[Handler]:
        """Running the hooks, and looking at what they made."""
        yield Handler("view.maximise", self.maximised.toggle, label=self.maximised.label)
        yield Handler("rehook.stop", self._stop_or_leave, label=self._stop_label)
        yield Handler("rehook.details", self._toggle_details, enabled=self._has_details)
        yield Handler(
            "rehook.turn",
            self._open_turn,
            enabled=lambda: self.query_one(RehookList).selected is not None,
        )
        yield Handler("rehook.again", self.run_again, enabled=lambda: not self.running)
        yield Handler("rehook.provider", self._ask_provider, enabled=lambda: not self.running)
        yield Handler("move.up", lambda: self.query_one(RehookList).action_scroll_up())
        yield Handler("move.down", lambda: self.query_one(RehookList).action_scroll_down())
        yield Handler("move.first", lambda: self.query_one(RehookList).go_to(0))
        yield Handler("move.last", self._go_to_last)

    def _has_details(self) -> bool:
        selected = self.query_one(RehookList).selected
        return selected is not None and selected.change is not None

    def _stop_label(self) -> str:
        return "stop" if self.running else "hide" if self.has_class("-details") else "back"

    def _stop_or_leave(self) -> None:
        if self.maximised.restore():
            return
        if self.running and self._work is not None:
            self._work.cancel()
        elif self.has_class("-details"):
            self._toggle_details()
        else:
            self.back()

    def _toggle_details(self) -> None:
        """Shows or hides what the hooks made of the selected reply."""
        if self.has_class("-details") or self._has_details():
            self.toggle_class("-details")
            self._show_details()
            listed = self.query_one(RehookList)
            self.call_after_refresh(lambda: listed.show_item(listed.cursor))

    def _open_turn(self) -> None:
        """Opens the run at the selected turn."""
        item = self.query_one(RehookList).selected
        if item is not None:
            change = item.change
            at = (change.session, change.turn) if change is not None else None
            self.capp.runs.replay(item.log, at=at)

    def _ask_provider(self) -> None:
        """Takes another provider's hooks."""
        if self.running:
            return

        def chosen(spec: str | None) -> None:
            if spec and spec.strip():
                self._provider = spec.strip()
                self.run_again()

        self.app.push_screen(ask_provider(self._provider, "over the same runs"), chosen)

    def _go_to_last(self) -> None:
        listed = self.query_one(RehookList)
        listed.go_to(len(listed.items) - 1)

    def quit(self) -> None:
        """Back; what still runs is stopped."""
        if len(self.app.screen_stack) > 1:
            # Not the app's way back: a live run below goes on.
            self.app.pop_screen()
        else:
            self.app.exit(0)
