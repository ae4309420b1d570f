"""The screen of saved runs: a list of run families, a filter, a preview."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from functools import partial
from pathlib import Path

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, Static

from convtui.actions.registry import Keymap
from convtui.config.paths import Paths
from convtui.errors import ConvtuiError
from convtui.library.families import walk
from convtui.library.library import Library
from convtui.library.trash import Trash
from convtui.log.run_summary import RunSummary
from convtui.text.boundary import visible_line
from convtui.text.counts import counted
from convtui.tui.drawing.frames import PANE, entitle
from convtui.tui.drawing.labels import short_path
from convtui.tui.drawing.progress import progress_bar
from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.open_saved import open_saved
from convtui.tui.screens.run_again import run_again
from convtui.tui.screens.runs.edit import RunEdits
from convtui.tui.screens.runs.filter import RunFilter, row_state
from convtui.tui.screens.runs.preview import preview
from convtui.tui.screens.runs.run_actions import RunActions
from convtui.tui.screens.screen_context import ScreenContext
from convtui.tui.textual_compat import is_open, run_while_open
from convtui.tui.timers import call_once
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.notice_line import NoticeLine
from convtui.tui.widgets.run_list import ColumnHeader, RunList
from convtui.tui.widgets.text_pane import Document, TextPane

_PREVIEW_DELAY = 0.06
"""Seconds on a row before its preview is read."""
_REFRESH = 3.0
"""Seconds between refreshes of the folder."""
_REFILTER_TICKS = 10
"""Progress updates after which an incomplete filter result is computed again."""
WIDE, LOW = 150, 20
"""Columns from which the preview is beside the list; lines below which there is none."""
NARROW = 100
_FOOTER = (
    "runs.open",
    "runs.again",
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


class RunsScreen(ActionScreen):
    """The saved runs of a folder, one row per root; Enter opens one, space shows its branches."""

    KEY_CONTEXTS = ("runs",)
    AUTO_FOCUS = "RunList"
    DEFAULT_CSS = """
    RunsScreen { layout: vertical; }
    RunsScreen Input, RunsScreen Input:focus {
        height: 1; border: none; border-left: outer $field-edge; padding: 0 1 0 0;
        background: $surface;
    }
    RunsScreen Input:focus { border-left: outer $accent; background: $panel; }
    RunsScreen #runs-error { height: auto; max-height: 6; padding: 0 1; color: $text-error;
                             background: $surface; }
    RunsScreen #runs-body { layout: vertical; height: 1fr; }
    RunsScreen #runs-list, RunsScreen #runs-preview { width: 1fr; }
    RunsScreen #runs-list { height: 1fr; }
    RunsScreen #runs-preview { height: 40%; }
    RunsScreen #runs-empty { height: auto; padding: 0 2; color: $text-muted; }
    RunsScreen.-wide #runs-body { layout: horizontal; }
    RunsScreen.-wide #runs-list { width: 3fr; }
    RunsScreen.-wide #runs-preview { width: 2fr; height: 1fr; }
    RunsScreen.-low #runs-preview { display: none; }
    RunsScreen.-plain #runs-preview { display: none; }
    """

    def __init__(self, keymap: Keymap, folder: Path) -> None:
        super().__init__(keymap)
        self._preview_timer: Timer | None = None
        self._previewed: tuple[object, ...] = ()
        self._ticks = 0
        self._on_batch = False
        """Whether a batch is selected."""
        self._frame = Vertical(id="runs-list", classes=f"{PANE} -list -below")
        self._empty = Static(id="runs-empty", markup=False)
        self._error = Static(id="runs-error", markup=False)
        hint = "filter: words, or an expression such as ~signal & ~persona maya"
        self._box = Input(placeholder=hint)
        self._listed = RunList()
        self._header = ColumnHeader(self._listed)
        self._pane = TextPane(id="runs-preview", classes=f"{PANE} -below")
        entitle(self._pane, "the selected run")
        context = ScreenContext.of(self)
        self._filter = RunFilter(
            context,
            Library(folder),
            self,
            listed=self._listed,
            box=self._box,
            error=self._error,
        )
        self._changes = RunEdits(context, self._filter, lambda: Trash(self._paths().trash_dir))
        self._actions = RunActions(
            context,
            self._filter,
            self._listed,
            self.capp.runs,
            again=partial(run_again, self.capp),
            open_saved=partial(open_saved, self.capp),
            rehook=self._rehook,
            warm_dir=lambda: self._paths().warm_dir,
        )

    def _paths(self) -> Paths:
        config = self.capp.config
        return config.paths if config is not None else Paths.find()

    async def _rehook(self, logs: Sequence[Path], provider: str) -> None:
        from convtui.tui.screens.rehook.screen import open_rehook

        await open_rehook(self.capp, logs, provider)

    def handlers(self) -> Iterator[Handler]:
        yield from self._changes.handlers()
        yield from self._actions.handlers()
        yield Handler("runs.fold", self._fold, self._can_fold, self._fold_label)
        yield Handler("runs.tree", self._toggle_tree)
        yield Handler("runs.preview", self._toggle_preview)
        yield Handler("search.open", self._open_filter)
        yield Handler("move.up", self._listed.action_cursor_up)
        yield Handler("move.down", self._listed.action_cursor_down)
        yield Handler("move.first", self._listed.action_first)
        yield Handler("move.last", self._listed.action_last)

    def compose(self) -> ComposeResult:
        yield self._box
        yield self._error
        with Container(id="runs-body"):
            with self._frame:
                yield self._empty
                yield self._header
                yield self._listed
            yield self._pane
        yield NoticeLine()
        yield KeyBar()

    def on_mount(self) -> None:
        self._resized(self.app.size.width, self.app.size.height)
        self._error.display = False
        self._pane.can_focus = False
        self.repaint_title()
        self.spawn(self._filter.load())
        self.set_interval(0.2, self._paint_progress)
        self.set_interval(_REFRESH, self._filter.refresh)
        self.refresh_footer()

    def on_unmount(self) -> None:
        self._filter.close()

    def on_resize(self, event: events.Resize) -> None:
        self._resized(event.size.width, event.size.height)

    def _resized(self, width: int, height: int) -> None:
        self.set_class(width >= WIDE, "-wide")
        self.set_class(width < WIDE and height < LOW, "-low")

    def on_screen_resume(self) -> None:
        if self._filter.was_read:
            self._filter.refresh()

    @property
    def alive(self) -> bool:
        """Whether the screen still exists."""
        return bool(self.query("#runs-list"))

    def show_empty(self, empty: bool, filtered: bool) -> None:
        """Says why there are no rows, or shows the rows."""
        message = self._empty
        message.display = empty
        self._listed.display = self._header.display = not empty
        if not self._filter.was_read:
            message.update("Reading the runs ...")
        elif not self._filter.everything:
            message.update(
                "No saved runs yet. Every conversation is saved here automatically.\n\n"
                "Press q to go back and start one, or run `convtui demo`;"
                " `convtui import` reads logs of other tools."
            )
        elif filtered and self._filter.partly:
            message.update("No run matches so far; indexing is in progress.")
        elif filtered:
            message.update("No run matches this filter. Escape clears it.")
        if empty:
            self._previewed = ()
            self._pane.show(Document())

    def on_column_header_sorted(self, event: ColumnHeader.Sorted) -> None:
        event.stop()
        self.spawn(self._filter.sort(event.order))

    def on_input_changed(self) -> None:
        self._filter.text_changed()

    def on_input_submitted(self) -> None:
        self._filter.submit()

    def back(self) -> Awaitable[None] | None:
        """Clears and leaves the filter, then the screen."""
        if self._box.value or self._box.has_focus:
            self._box.value = ""
            self._listed.focus()
            return None
        return super().back()

    def on_descendant_focus(self) -> None:
        self.refresh_footer()

    # --- what is shown

    def _paint_progress(self) -> None:
        if self._filter.progress is None or not self._filter.alive:
            return
        self.repaint_title()
        self._ticks += 1
        if self._filter.partly and self._ticks % _REFILTER_TICKS == 0:
            self.spawn(self._filter.fill(), group="filter")

    def repaint_title(self) -> None:
        """Updates the title: folder, number of runs, sort order, progress."""
        count = counted(len(self._filter.everything), "run")
        if self._filter.filter:
            count = counted(self._filter.searched, "run")
            count = (
                f"{self._filter.matching:,} of {count}{' so far' if self._filter.partly else ''}"
            )
        parts: list[str | Content | tuple[str, str]] = ["saved runs  "]
        if self.app.size.width >= NARROW:
            folder = visible_line(short_path(self._filter.library.folder), 60)
            parts.append((f"{folder}  ", "$text-muted"))
        parts.append((count if self._filter.was_read else "", "$text-accent"))
        if self._filter.progress is not None:
            what, done, of = self._filter.progress
            parts += ["  ", progress_bar(done, of, f"{what} {done:,} of {of:,}", 10)]
        self._frame.border_title = Content.assemble(*parts)
        self._header.refresh()

    def on_run_list_highlighted(self) -> None:
        """Previews the selected run after a short delay."""
        branch = self._filter.selected
        batch = branch is not None and branch.run.batch is not None
        if batch != self._on_batch:
            # Other keys apply to it.
            self._on_batch = batch
            self.refresh_footer()
        if self._preview_timer is not None:
            self._preview_timer.stop()
        self._preview_timer = call_once(self, _PREVIEW_DELAY, self._preview_now)

    def _preview_now(self) -> None:
        self._preview_timer = None
        branch = self._filter.selected if self._filter.alive else None
        if branch is not None and row_state(branch.run) != self._previewed:
            self._previewed = row_state(branch.run)
            run_while_open(self, self._preview(branch.run), group="preview", exclusive=True)

    async def _preview(self, run: RunSummary) -> None:
        turns, problem = None, ""
        if not run.damaged and run.batch is None:
            try:
                turns = await asyncio.to_thread(self._filter.library.turns, run)
            except ConvtuiError as error:
                problem = str(error)
        chosen = self._filter.selected if self._filter.alive else None
        if chosen is not None and chosen.run.file == run.file:
            self._pane.show(preview(run, turns, problem))

    # --- keys

    def footer_ids(self) -> Sequence[str]:
        if not self._listed.marked:
            return _FOOTER
        # What runs are marked for.
        first = ("runs.open", "runs.mark", "runs.compare", "profile.open", "ab.open", "warm.open")
        return tuple(dict.fromkeys((*first, *_FOOTER)))

    def enabled(self, action_id: str) -> bool:
        """Whether an action applies now; all do before the screen is mounted."""
        return not is_open(self) or super().enabled(action_id)

    def _can_fold(self) -> bool:
        branch = self._filter.selected
        return branch is not None and (
            branch.size > 0 or branch.depth > 0 or branch.run.batch is not None
        )

    def _fold_label(self) -> str | None:
        branch = self._filter.selected
        return "its runs" if branch is not None and branch.run.batch is not None else None

    def on_run_list_selected(self, event: RunList.Selected) -> None:
        event.stop()
        self._actions.open(event.run)

    def _fold(self) -> None:
        """Shows or hides the branches of the selected run's family."""
        chosen = self._filter.selected
        if chosen is None:
            return
        file = chosen.run.file
        root = next(
            root
            for root in self._filter.roots
            if any(branch.run.file == file for branch in walk([root]))
        )
        self._filter.opened ^= {root.run.file}
        if root.run.file not in self._filter.opened:
            self._highlight(root.run.file)
        self.spawn(self._filter.fill())

    def _toggle_tree(self) -> None:
        """Shows or hides the branches of every run."""
        everything = frozenset(
            root.run.file for root in self._filter.roots if root.size and root.run.batch is None
        )
        self._filter.opened = frozenset() if self._filter.opened >= everything else everything
        self.spawn(self._filter.fill())

    def _highlight(self, file: str) -> None:
        for index, run in enumerate(self._listed.runs):
            if run.file == file:
                self._listed.highlighted = index

    def _toggle_preview(self) -> None:
        self.toggle_class("-plain")

    def _open_filter(self) -> None:
        self._box.focus()

    def quit(self) -> None:
        self.capp.runs.leave(self)
