"""The saved runs: a list with its families, a filter, a preview."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, Static

from convtui.actions.registry import Keymap
from convtui.config.paths import Paths
from convtui.errors import ConvtuiError
from convtui.library.families import walk
from convtui.library.library import Library
from convtui.library.run_order import NEWEST
from convtui.library.trash import Trash
from convtui.log.run_summary import RunSummary
from convtui.text.boundary import visible_line
from convtui.tui.drawing.labels import short_path
from convtui.tui.drawing.progress import progress_bar
from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.runs.edit import ORDER_WORDS, RunChanges
from convtui.tui.screens.runs.filter import RunFinder, seen_as
from convtui.tui.screens.runs.preview import preview
from convtui.tui.screens.runs.run_actions import RunUses
from convtui.tui.screens.screen_context import ScreenContext
from convtui.tui.timers import call_once
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.run_list import RunList
from convtui.tui.widgets.text_pane import Document, TextPane

_LOOKING = 0.06
"""Seconds on a row after which its preview is read."""
_AGAIN = 3.0
"""Seconds between two looks at the folder."""
_SO_FAR = 10
"""Looks at the progress after which a filter is asked again that could not ask all runs."""
NARROW, LOW = 100, 20


class RunsScreen(ActionScreen):
    """Every saved run of a folder, one row per root; Enter opens one, space shows its branches."""

    KEY_CONTEXTS = ("runs",)
    AUTO_FOCUS = "RunList"
    DEFAULT_CSS = """
    RunsScreen { layout: vertical; }
    RunsScreen #runs-title { height: 1; width: 1fr; background: $panel; padding: 0 1; }
    RunsScreen Input, RunsScreen Input:focus {
        height: 1; border: none; padding: 0 1; background: $surface;
    }
    RunsScreen Input:focus { background: $panel; }
    RunsScreen #runs-error { height: auto; max-height: 6; padding: 0 1; color: $text-error;
                             background: $surface; }
    RunsScreen #runs-body { layout: horizontal; height: 1fr; padding: 1 0 0 0; }
    RunsScreen #runs-list { width: 3fr; height: 1fr; }
    RunsScreen #runs-preview { width: 2fr; height: 1fr; border-left: solid $border; padding: 0 1; }
    RunsScreen #runs-empty { height: auto; padding: 0 2; color: $text-muted; }
    RunsScreen.-narrow #runs-body { layout: vertical; padding: 0; }
    RunsScreen.-narrow #runs-list { width: 1fr; }
    RunsScreen.-narrow #runs-preview { width: 1fr; height: 40%; border-left: none;
                                       border-top: solid $border; }
    RunsScreen.-low #runs-preview { display: none; }
    RunsScreen.-plain #runs-preview { display: none; }
    """

    def __init__(self, keymap: Keymap, folder: Path) -> None:
        super().__init__(keymap)
        self._looking: Timer | None = None
        self._previewed: tuple[object, ...] = ()
        self._ticks = 0
        self._title = Static(id="runs-title", markup=False)
        self._empty = Static(id="runs-empty", markup=False)
        self._error = Static(id="runs-error", markup=False)
        hint = "filter: words, or an expression such as ~signal & ~persona maya"
        self._box = Input(placeholder=hint)
        self._listed = RunList()
        self._pane = TextPane(id="runs-preview")
        context = ScreenContext.of(self)
        self._finder = RunFinder(
            context,
            Library(folder),
            self,
            listed=self._listed,
            box=self._box,
            error=self._error,
        )
        self._changes = RunChanges(context, self._finder, self._trash)
        self._uses = RunUses(context, self._finder, self._listed, self.capp)

    def _trash(self) -> Trash:
        config = self.capp.config
        return Trash((config.paths if config is not None else Paths.find()).trash_dir)

    def handlers(self) -> Iterator[Handler]:
        """The rows of every part, and of the list."""
        yield from self._changes.handlers()
        yield from self._uses.handlers()
        yield Handler("runs.fold", self._fold, self._can_fold)
        yield Handler("runs.tree", self._toggle_tree)
        yield Handler("runs.preview", self._toggle_preview)
        yield Handler("search.open", self._open_filter)
        yield Handler("move.up", self._listed.action_cursor_up)
        yield Handler("move.down", self._listed.action_cursor_down)
        yield Handler("move.first", self._listed.action_first)
        yield Handler("move.last", self._listed.action_last)

    def compose(self) -> ComposeResult:
        """A title, a filter, the list, the preview."""
        yield self._title
        yield self._box
        yield self._error
        with Container(id="runs-body"):
            with Container(id="runs-list"):
                yield self._empty
                yield self._listed
            yield self._pane
        yield KeyBar()

    def on_mount(self) -> None:
        """Reads the folder in a thread."""
        self._resized(self.app.size.width, self.app.size.height)
        self._error.display = False
        self._pane.can_focus = False
        self.repaint_title()
        self.spawn(self._finder.first_look())
        self.set_interval(0.2, self._paint_progress)
        self.set_interval(_AGAIN, self._finder.look_again)
        self.refresh_footer()

    def on_unmount(self) -> None:
        """Whatever still reads is told to stop."""
        self._finder.close()

    def on_resize(self, event: events.Resize) -> None:
        """The preview goes below the list, or away."""
        self._resized(event.size.width, event.size.height)

    def _resized(self, width: int, height: int) -> None:
        self.set_class(width < NARROW, "-narrow")
        self.set_class(width < NARROW and height < LOW, "-low")

    def on_screen_resume(self) -> None:
        """A run may have been added."""
        if self._finder.was_read:
            self._finder.look_again()

    @property
    def alive(self) -> bool:
        """Whether there is still something to show the runs on."""
        return bool(self.query("#runs-title"))

    def show_empty(self, empty: bool, filtered: bool) -> None:
        """Says why there is no row, or shows the rows."""
        words = self._empty
        words.display = empty
        self._listed.display = not empty
        if not self._finder.was_read:
            words.update("Reading the runs ...")
        elif not self._finder.everything:
            words.update(
                "No saved runs yet. Every conversation is saved here by itself.\n\n"
                "Go back with q and start one, or run `convtui demo` for one at once;"
                " `convtui import` brings in those of other tools."
            )
        elif filtered and self._finder.partly:
            words.update("No run matches so far; the index is still being made.")
        elif filtered:
            words.update("No run matches this filter. Escape empties it.")
        if empty:
            self._previewed = ()
            self._pane.show(Document())

    def on_input_changed(self) -> None:
        """Fewer, or more."""
        self._finder.typed()

    def on_input_submitted(self) -> None:
        """To the list."""
        self._finder.submit()

    def on_key(self, event: events.Key) -> None:
        """Escape empties the filter, then leaves it."""
        if event.key != "escape":
            return
        event.stop()
        self._box.value = ""
        self._listed.focus()

    # --- what is shown

    def _paint_progress(self) -> None:
        if self._finder.progress is None or not self._finder.alive:
            return
        self.repaint_title()
        self._ticks += 1
        if self._finder.partly and self._ticks % _SO_FAR == 0:
            self.spawn(self._finder.fill(), group="filter")

    def repaint_title(self) -> None:
        """The title: where, how many, in what order, what is being read."""
        total = len(self._finder.everything)
        count = f"{total:,} run{'s' if total != 1 else ''}"
        if self._finder.filter:
            count = (
                f"{self._finder.matching:,} of {count}{' so far' if self._finder.partly else ''}"
            )
        parts: list[str | Content | tuple[str, str]] = [
            (" saved runs ", "bold"),
            (visible_line(short_path(self._finder.library.folder), 60), "$text-muted"),
            ("  ", ""),
        ]
        if self.app.size.width < NARROW:
            parts = [(" saved runs ", "bold"), (" ", "")]
        parts.append((count if self._finder.was_read else "", "$text-accent"))
        if self._finder.order != NEWEST:
            parts.append((f"  {ORDER_WORDS[self._finder.order]}", "$text-muted"))
        if self._finder.progress is not None:
            what, done, of = self._finder.progress
            parts += ["  ", progress_bar(done, of, f"{what} {done:,} of {of:,}", 10)]
        self._title.update(Content.assemble(*parts))

    def on_run_list_highlighted(self) -> None:
        """The preview follows when the selection rests."""
        if self._looking is not None:
            self._looking.stop()
        self._looking = call_once(self, _LOOKING, self._preview_now)

    def _preview_now(self) -> None:
        self._looking = None
        branch = self._finder.selected if self._finder.alive else None
        if branch is not None and seen_as(branch.run) != self._previewed:
            self._previewed = seen_as(branch.run)
            self.run_worker(self._preview(branch.run), group="preview", exclusive=True)

    async def _preview(self, run: RunSummary) -> None:
        turns, problem = None, ""
        if not run.damaged:
            try:
                turns = await asyncio.to_thread(self._finder.library.turns, run)
            except ConvtuiError as error:
                problem = str(error)
        chosen = self._finder.selected if self._finder.alive else None
        if chosen is not None and chosen.run.file == run.file:
            self._pane.show(preview(run, turns, problem))

    # --- keys

    def footer_ids(self) -> Sequence[str]:
        """What can be done here."""
        return (
            "runs.open",
            "runs.fold",
            "search.open",
            "runs.sort",
            "runs.tag",
            "runs.trash",
            "runs.undo",
            "runs.mark",
            "runs.compare",
            "profile.open",
            "ab.open",
            "warm.open",
            "rehook.open",
            "runs.preview",
            "app.quit",
            "app.help",
        )

    def enabled(self, action_id: str) -> bool:
        """Whether an action would do something now; everything, until the screen is there."""
        return not self.is_mounted or super().enabled(action_id)

    def _can_fold(self) -> bool:
        branch = self._finder.selected
        return branch is not None and (branch.size > 0 or branch.depth > 0)

    def on_run_list_selected(self, event: RunList.Selected) -> None:
        """Opens a run."""
        event.stop()
        self.capp.replay(event.run.path)

    def _fold(self) -> None:
        """Shows or hides the branches of the selected run's family."""
        chosen = self._finder.selected
        if chosen is None:
            return
        file = chosen.run.file
        root = next(
            root
            for root in self._finder.roots
            if any(branch.run.file == file for branch in walk([root]))
        )
        self._finder.opened ^= {root.run.file}
        if root.run.file not in self._finder.opened:
            self._light(root.run.file)
        self.spawn(self._finder.fill())

    def _toggle_tree(self) -> None:
        """Shows or hides the branches of every run."""
        everything = frozenset(root.run.file for root in self._finder.roots if root.size)
        self._finder.opened = frozenset() if self._finder.opened >= everything else everything
        self.spawn(self._finder.fill())

    def _light(self, file: str) -> None:
        for index, run in enumerate(self._listed.runs):
            if run.file == file:
                self._listed.highlighted = index

    def _toggle_preview(self) -> None:
        self.toggle_class("-plain")

    def _open_filter(self) -> None:
        self._box.focus()

    def quit(self) -> None:
        """Back."""
        self.capp.leave(self)
