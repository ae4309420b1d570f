"""Warm: the user's templates, what each injects, how two differ; built, edited, deleted here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.widgets import Static

from convtui.actions.registry import Keymap
from convtui.tui.documents.warm import Entry, difference, nothing, preview
from convtui.tui.drawing.frames import make_pane
from convtui.tui.drawing.progress import progress_bar
from convtui.tui.screens.external_editor import write_outside
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.panes import PaneScreen
from convtui.tui.screens.screen_context import ScreenContext
from convtui.tui.screens.warm.building import TemplateBuilder
from convtui.tui.screens.warm.editing import TemplateEditing
from convtui.tui.screens.warm.warm_list import TemplateList, entries_of
from convtui.tui.textual_compat import is_open
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.maximise import Maximise
from convtui.tui.widgets.notice_line import NoticeLine
from convtui.tui.widgets.text_pane import Document, TextPane
from convtui.warm.store import WarmStore

NARROW = 100
_EVERY = 0.1
"""Seconds between two pictures of the progress."""


@runtime_checkable
class ChoosesTemplate(Protocol):
    """A screen on which a template is chosen for the next conversation."""

    def choose_warm(self, name: str) -> None:
        """Takes the template of this name."""


class WarmScreen(PaneScreen):
    """A list of templates and what the selected one injects."""

    KEY_CONTEXTS = ("warm",)
    AUTO_FOCUS = "TemplateList"
    DEFAULT_CSS = """
    WarmScreen { layout: vertical; }
    WarmScreen #warm-note { height: auto; max-height: 4; width: 1fr; padding: 0 1; }
    WarmScreen #warm-body { layout: horizontal; height: 1fr; }
    WarmScreen TemplateList { width: 2fr; height: 1fr; }
    WarmScreen TextPane { width: 3fr; height: 1fr; }
    WarmScreen.-narrow #warm-body { layout: vertical; }
    WarmScreen.-narrow TemplateList { width: 1fr; height: 30%; min-height: 3; }
    WarmScreen.-narrow TextPane { width: 1fr; }
    WarmScreen.-none TemplateList { display: none; }
    """

    def __init__(
        self, keymap: Keymap, folder: Path, runs_dir: Path, logs: Sequence[Path] = ()
    ) -> None:
        """`folder` holds the templates. `logs` are the runs that were chosen to build from, none
        for all of `runs_dir`."""
        super().__init__(keymap)
        self.maximised = Maximise(self, ("TemplateList", "TextPane"))
        self.logs = list(logs)
        self.differs = False
        """Whether the pane shows a diff or a report, and not the selected template."""
        self._previewed: Entry | None = None
        self._listed, self._pane = TemplateList(), TextPane()
        make_pane(self._listed, "templates", "-list")
        make_pane(self._pane, "what it says", "-beside")
        context, store = ScreenContext.of(self), WarmStore(folder)
        self._store = store
        self._builder = TemplateBuilder(
            context,
            store,
            runs_dir,
            self.logs,
            start=partial(self.run_worker, group="build"),
            repaint=self.repaint,
            built=self._show_report,
            mounted=lambda: is_open(self),
        )
        self._editing = TemplateEditing(
            context,
            store,
            selected=lambda: self.selected,
            reload=self._reload_changed,
            write_outside=partial(write_outside, self),
        )

    def handlers(self) -> Iterator[Handler]:
        """What is done with templates."""
        yield from super().handlers()
        yield from self._editing.handlers()
        yield Handler("warm.use", self._use, self._can_use)
        yield Handler("warm.build", self._builder.build, lambda: not self._builder.running)
        yield Handler("warm.mark", self._mark, self._can_mark)
        yield Handler("warm.diff", self._diff, lambda: len(self._listed.items) > 1)
        yield Handler("warm.next_pane", self.next_pane, lambda: self.selected is not None)
        yield Handler("view.maximise", self.maximised.toggle, label=self.maximised.label)
        yield Handler("warm.stop", self._stop_or_leave, label=self._stop_label)

    def _can_use(self) -> bool:
        return self._can_mark() and self._user() is not None

    def _can_mark(self) -> bool:
        entry = self.selected
        return entry is not None and entry.stored is not None

    def _stop_label(self) -> str:
        if self._builder.running:
            return "stop"
        shown = "preview" if self.selected is not None else "close report"
        return shown if self.differs else "back"

    def compose(self) -> ComposeResult:
        """Title, progress, the list, the preview."""
        yield Static(id="warm-title", classes="screen-title", markup=False)
        yield Static(id="warm-note", markup=False)
        with Container(id="warm-body"):
            yield self._listed
            yield self._pane
        yield NoticeLine()
        yield KeyBar()

    def on_mount(self) -> None:
        """Reads the folder in a thread."""
        self.set_class(self.app.size.width < NARROW, "-narrow")
        self.repaint()
        self.set_interval(_EVERY, self._show_progress)
        self.spawn(self.reload())

    def on_unmount(self) -> None:
        """Nothing goes on that nobody can see."""
        self._builder.stop()

    # --- the list

    async def reload(self, select: str = "") -> None:
        """Reads the folder; selects the template of this name, else the one that was selected."""
        entries = await asyncio.to_thread(entries_of, self._store)
        if not is_open(self):
            return
        listed = self._listed
        wanted = select or (listed.selected.name if listed.selected is not None else "")
        before = max(0, listed.cursor)
        index = next((n for n, entry in enumerate(entries) if entry.name == wanted), before)
        if listed.marked not in [entry.name for entry in entries]:
            listed.marked = ""
        listed.show_items(entries, index)
        self.set_class(not entries, "-none")
        self._previewed = self.selected
        if not self.differs:
            self._preview()
        self.repaint()

    async def _reload_changed(self, select: str) -> None:
        self.differs = False
        await self.reload(select)
        self._preview()

    async def _show_report(self, report: Document, select: str) -> None:
        self.differs = True
        await self.reload(select)
        self._pane.show(report)
        self.refresh_footer()

    @property
    def selected(self) -> Entry | None:
        """The selected template."""
        return self._listed.selected

    def on_cursor_view_selected(self) -> None:
        """Another one: it is previewed."""
        if self.selected is self._previewed:
            return
        self.differs = False
        self._preview()
        self.refresh_footer()

    def on_row_list_chosen(self) -> None:
        """The selected one was clicked."""
        self._use()

    def _preview(self) -> None:
        entry = self._previewed = self.selected
        self._pane.show(
            preview(entry)
            if entry is not None
            else nothing(self.keymap.shown("warm.build"), self._builder.of_what)
        )

    # --- drawing

    def _show_progress(self) -> None:
        if self._builder.running:
            self.repaint()

    def repaint(self) -> None:
        """Brings title, progress and footer up to date."""
        count = len(self._listed.items)
        parts = [("warm templates ", "bold $text-accent"), (f"{count}", "bold")]
        if self.logs:
            many = f"{len(self.logs):,} run{'s' * (len(self.logs) != 1)}"
            parts.append((f"  {many} chosen to build from", "$text-muted"))
        self.query_one("#warm-title", Static).update(Content.assemble(*parts))
        note = self.query_one("#warm-note", Static)
        note.display = self._builder.running
        done, of = self._builder.progress
        words = f"{done:,} of {of:,} runs looked at" if of else "looking for runs"
        note.update(progress_bar(done, of, words))
        self.refresh_footer()

    def on_resize(self, event: events.Resize) -> None:
        """The preview goes below the list."""
        self.set_class(event.size.width < NARROW, "-narrow")

    # --- keys

    def footer_ids(self) -> Sequence[str]:
        """What can be done here."""
        return (
            "warm.use",
            "warm.build",
            "warm.edit",
            "warm.delete",
            "warm.mark",
            "warm.diff",
            "warm.next_pane",
            "warm.stop",
            "app.quit",
            "app.help",
        )

    def _user(self) -> ChoosesTemplate | None:
        """The screen below this one that takes a template: home."""
        return next((s for s in self.app.screen_stack if isinstance(s, ChoosesTemplate)), None)

    def _use(self) -> None:
        """Back home, with this template chosen; its slots are asked for there."""
        user, entry = self._user(), self.selected
        if user is None or entry is None:
            return
        if entry.stored is None:
            self.tell("This file cannot be read as a template.", "warning")
            return
        user.choose_warm(entry.name)
        while not isinstance(self.app.screen, ChoosesTemplate):
            self.app.pop_screen()

    def _mark(self) -> None:
        """Marks the selected template, or takes the mark away."""
        entry = self.selected
        listed = self._listed
        if entry is not None and entry.stored is not None:
            listed.marked = "" if listed.marked == entry.name else entry.name
            listed.refresh()

    def _diff(self) -> None:
        """The marked template against the selected one."""
        listed = self._listed
        one = next((item for item in listed.items if item.name == listed.marked), None)
        other = self.selected
        if one is None or other is None or one is other:
            mark = self.keymap.shown("warm.mark")
            self.tell(f"Mark one template with {mark}, then select the other.", "warning")
        elif one.stored is not None and other.stored is not None:
            self.differs = True
            self._pane.show(difference(one.stored, other.stored))
            self.refresh_footer()
        else:
            self.tell("A file that cannot be read has nothing to compare.", "warning")

    def _stop_or_leave(self) -> None:
        """Stops it, or leaves the diff, or goes back."""
        if self.maximised.restore():
            return
        if self._builder.running:
            self._builder.stop()
        elif self.differs:
            self.differs = False
            self._preview()
            self.refresh_footer()
        else:
            self.back()
