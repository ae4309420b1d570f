"""Warm: the user's templates, what each injects, how two differ; built, edited, deleted here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.widgets import Static

from convtui.actions import Action, Keymap
from convtui.errors import ConvtuiError
from convtui.text import visible_line
from convtui.tui.screens.dialogs import Choose
from convtui.tui.screens.outside import write_outside
from convtui.tui.screens.picker import PickerScreen
from convtui.tui.screens.warm_building import WarmBuilding
from convtui.tui.screens.warm_list import TemplateList, entries_of
from convtui.tui.warm_doc import Entry, difference, nothing, preview
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.text_pane import TextPane
from convtui.warm_store import WarmStore

NARROW = 100
_EVERY = 0.1
"""Seconds between two pictures of the progress."""


class WarmScreen(WarmBuilding):
    """A list of templates and what the selected one injects."""

    KEY_CONTEXTS = ("warm",)
    AUTO_FOCUS = "TemplateList"
    DEFAULT_CSS = """
    WarmScreen { layout: vertical; }
    WarmScreen #warm-title { height: 1; width: 1fr; background: $panel; padding: 0 1; }
    WarmScreen #warm-note { height: auto; max-height: 4; width: 1fr; padding: 0 1; }
    WarmScreen #warm-body { layout: horizontal; height: 1fr; }
    WarmScreen TemplateList { width: 2fr; height: 1fr; }
    WarmScreen TextPane { width: 3fr; height: 1fr; padding: 0 1; border-left: solid $border; }
    WarmScreen TextPane:focus, WarmScreen TemplateList:focus { scrollbar-color: $accent; }
    WarmScreen.-narrow #warm-body { layout: vertical; }
    WarmScreen.-narrow TemplateList { width: 1fr; height: 30%; min-height: 3; }
    WarmScreen.-narrow TextPane { width: 1fr; border-left: none; border-top: solid $border; }
    WarmScreen.-none TemplateList { display: none; }
    WarmScreen.-none TextPane { border: none; }
    """

    def __init__(
        self, keymap: Keymap, folder: Path, runs_dir: Path, logs: Sequence[Path] = ()
    ) -> None:
        """`folder` holds the templates. `logs` are the runs that were chosen to build from, none
        for all of `runs_dir`."""
        super().__init__(keymap)
        self.store = WarmStore(folder)
        self.runs_dir = runs_dir
        self.logs = list(logs)
        self._previewed: Entry | None = None
        self.stop = threading.Event()

    def compose(self) -> ComposeResult:
        """Title, progress, the list, the preview."""
        yield Static(id="warm-title", markup=False)
        yield Static(id="warm-note", markup=False)
        with Container(id="warm-body"):
            yield TemplateList()
            yield TextPane()
        yield KeyBar()

    def on_mount(self) -> None:
        """Reads the folder in a thread."""
        self.set_class(self.app.size.width < NARROW, "-narrow")
        self.repaint()
        self.set_interval(_EVERY, self._show_progress)
        self.spawn(self.reload())

    def on_unmount(self) -> None:
        """Nothing goes on that nobody can see."""
        self.stop.set()

    # --- the list

    async def reload(self, select: str = "") -> None:
        """Reads the folder; selects the template of this name, else the one that was selected."""
        entries = await asyncio.to_thread(entries_of, self.store)
        if not self.is_mounted:
            return
        listed = self.query_one(TemplateList)
        wanted = select or (listed.selected.name if listed.selected is not None else "")
        before = max(0, listed.cursor)
        place = next((n for n, each in enumerate(entries) if each.name == wanted), before)
        if listed.marked not in [each.name for each in entries]:
            listed.marked = ""
        listed.show_items(entries, place)
        self.set_class(not entries, "-none")
        self._previewed = self.selected
        if not self.differs:
            self._preview()
        self.repaint()

    @property
    def selected(self) -> Entry | None:
        """The selected template."""
        return self.query_one(TemplateList).selected

    def on_row_list_selected(self) -> None:
        """Another one: it is previewed."""
        if self.selected is self._previewed:
            return
        self.differs = False
        self._preview()
        self.refresh_footer()

    def on_row_list_chosen(self) -> None:
        """The selected one was clicked."""
        self.do_warm_use()

    def _preview(self) -> None:
        entry = self._previewed = self.selected
        pane = self.query_one(TextPane)
        pane.show(preview(entry) if entry is not None else nothing(self.keymap.shown("warm.build")))

    # --- drawing

    def _show_progress(self) -> None:
        if self.running:
            self.repaint()

    def repaint(self) -> None:
        """Brings title, progress and footer up to date."""
        count = len(self.query_one(TemplateList).items)
        parts = [("warm templates ", "bold $text-accent"), (f"{count}", "bold")]
        if self.logs:
            many = f"{len(self.logs):,} run{'s' * (len(self.logs) != 1)}"
            parts.append((f"  {many} chosen to build from", "$text-muted"))
        self.query_one("#warm-title", Static).update(Content.assemble(*parts))
        note = self.query_one("#warm-note", Static)
        note.display = self.running
        done, of = self.progress
        full = 20 * done // max(1, of)
        words = f" {done:,} of {of:,} runs looked at" if of else " looking for runs"
        note.update(
            Content.assemble(
                ("█" * full, "$text-accent"), ("░" * (20 - full), "$text-muted"), words
            )
        )
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

    def enabled(self, action_id: str) -> bool:
        """Whether an action would do something now."""
        if not self.is_mounted:
            return True
        entry = self.selected
        if action_id == "warm.use":
            return entry is not None and entry.stored is not None and self._picker() is not None
        if action_id in ("warm.edit", "warm.delete", "warm.next_pane"):
            return entry is not None
        if action_id == "warm.mark":
            return entry is not None and entry.stored is not None
        if action_id == "warm.diff":
            return len(self.query_one(TemplateList).items) > 1
        return action_id != "warm.build" or not self.running

    def label(self, action: Action) -> str:
        """What an action is called now."""
        if action.id == "warm.stop":
            return "stop" if self.running else "preview" if self.differs else "back"
        return action.label

    def _picker(self) -> PickerScreen | None:
        """Home, where the template is used."""
        return next((s for s in self.app.screen_stack if isinstance(s, PickerScreen)), None)

    def do_warm_use(self) -> None:
        """Back home, with this template chosen; its slots are asked for there."""
        picker, entry = self._picker(), self.selected
        if picker is None or entry is None:
            return
        if entry.stored is None:
            self.tell("This file cannot be read as a template.", "warning")
            return
        picker.choose_warm(entry.name)
        while self.app.screen is not picker:
            self.app.pop_screen()

    async def do_warm_edit(self) -> None:
        """Opens the template in the user's editor until it is one again, or left as it was."""
        entry = self.selected
        if entry is None:
            return
        path = self.store.path(entry.name)
        try:
            text = await asyncio.to_thread(path.read_text, encoding="utf-8", errors="replace")
        except OSError as error:
            self.tell(f"{path}: cannot be read: {error.strerror or error}", "error")
            return
        while True:
            after = await write_outside(
                self, text, name=f"{entry.name}.json", else_=f"edit {path} yourself"
            )
            if after is None:
                return
            try:
                await asyncio.to_thread(self.store.rewrite, entry.name, after)
            except ConvtuiError as error:
                answers = [("again", "edit it again"), ("leave", "leave it as it was")]
                told = visible_line(str(error), 600)
                ask = Choose("this is no template", answers, told)
                if await self.app.push_screen_wait(ask) != "again":
                    self.tell(f"{entry.name} is as it was.")
                    return
                text = after
                continue
            await self.reload(entry.name)
            self.differs = False
            self._preview()
            self.tell(f"Saved: {entry.name}.")
            return

    def do_warm_delete(self) -> None:
        """Asks, then deletes."""
        entry = self.selected
        if entry is None:
            return
        path = self.store.path(entry.name)

        def answered(answer: str | None) -> None:
            if answer == "delete":
                self.spawn(self._delete(entry.name))

        answers = [("keep", "keep it"), ("delete", "delete its file")]
        text = visible_line(str(path), 300)
        self.app.push_screen(Choose(f"delete {entry.name}?", answers, text), answered)

    async def _delete(self, name: str) -> None:
        await asyncio.to_thread(self.store.delete, name)
        self.differs = False
        await self.reload()
        self.tell(f"Deleted: {visible_line(name, 60)}.")

    def do_warm_mark(self) -> None:
        """Marks the selected template, or takes the mark away."""
        entry = self.selected
        listed = self.query_one(TemplateList)
        if entry is not None and entry.stored is not None:
            listed.marked = "" if listed.marked == entry.name else entry.name
            listed.refresh()

    def do_warm_diff(self) -> None:
        """The marked template against the selected one."""
        listed = self.query_one(TemplateList)
        one = next((each for each in listed.items if each.name == listed.marked), None)
        other = self.selected
        if one is None or other is None or one is other:
            mark = self.keymap.shown("warm.mark")
            self.tell(f"Mark one template with {mark}, then select the other.", "warning")
        elif one.stored is not None and other.stored is not None:
            self.differs = True
            self.query_one(TextPane).show(difference(one.stored, other.stored))
            self.refresh_footer()
        else:
            self.tell("A file that cannot be read has nothing to compare.", "warning")

    def do_warm_next_pane(self) -> None:
        """List and preview."""
        self.next_pane()

    def do_warm_stop(self) -> None:
        """Stops it, or leaves the diff, or goes back."""
        if self.running:
            self.stop.set()
        elif self.differs:
            self.differs = False
            self._preview()
            self.refresh_footer()
        else:
            self.quit()
