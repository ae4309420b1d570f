"""The saved runs: a list with its families, a filter, a preview."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, Static

from convtui.actions import Keymap
from convtui.errors import ConvtuiError
from convtui.log.families import Branch, walk
from convtui.log.library import RunSummary
from convtui.log.run_order import NEWEST
from convtui.text import visible_line
from convtui.tui.run_preview import preview
from convtui.tui.screens.run_changing import ORDER_WORDS
from convtui.tui.screens.run_finding import seen_as
from convtui.tui.screens.run_list import RunList
from convtui.tui.screens.run_using import RunUsing
from convtui.tui.timers import once
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.text_pane import Doc, TextPane
from convtui.tui.words import short_path

_LOOKING = 0.06
"""Seconds on a row after which its preview is read."""
_AGAIN = 3.0
"""Seconds between two looks at the folder."""
_SO_FAR = 10
"""Looks at the progress after which a filter is asked again that could not ask all runs."""
NARROW, LOW = 100, 20


class RunsScreen(RunUsing):
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
        super().__init__(keymap, folder)
        self._looking: Timer | None = None
        self._previewed: tuple[object, ...] = ()
        self._ticks = 0

    def compose(self) -> ComposeResult:
        """A title, a filter, the list, the preview."""
        yield Static(id="runs-title", markup=False)
        yield Input(placeholder="filter: words, or an expression such as ~signal & ~persona maya")
        yield Static(id="runs-error", markup=False)
        with Container(id="runs-body"):
            with Container(id="runs-list"):
                yield Static(id="runs-empty", markup=False)
                yield RunList()
            yield TextPane(id="runs-preview")
        yield KeyBar()

    def on_mount(self) -> None:
        """Reads the folder in a thread."""
        self._resized(self.app.size.width, self.app.size.height)
        self.query_one("#runs-error").display = False
        self.query_one(TextPane).can_focus = False
        self.repaint_title()
        self.spawn(self.first_look())
        self.set_interval(0.2, self._paint_progress)
        self.set_interval(_AGAIN, self.look_again)
        self.refresh_footer()

    def on_unmount(self) -> None:
        """Whatever still reads is told to stop."""
        self.gone = True
        self._asked += 1

    def on_resize(self, event: events.Resize) -> None:
        """The preview goes below the list, or away."""
        self._resized(event.size.width, event.size.height)

    def _resized(self, width: int, height: int) -> None:
        self.set_class(width < NARROW, "-narrow")
        self.set_class(width < NARROW and height < LOW, "-low")

    def on_screen_resume(self) -> None:
        """A run may have been added."""
        if self.was_read:
            self.look_again()

    def show_empty(self, empty: bool, filtered: bool) -> None:
        words = self.query_one("#runs-empty", Static)
        words.display = empty
        self.query_one(RunList).display = not empty
        if not self.was_read:
            words.update("Reading the runs ...")
        elif not self.everything:
            words.update(
                "No saved runs yet. Every conversation is saved here by itself.\n\n"
                "Go back with q and start one, or run `convtui demo` for one at once;"
                " `convtui import` brings in those of other tools."
            )
        elif filtered and self.partly:
            words.update("No run matches so far; the index is still being made.")
        elif filtered:
            words.update("No run matches this filter. Escape empties it.")
        if empty:
            self._previewed = ()
            self.query_one(TextPane).show(Doc())

    def on_key(self, event: events.Key) -> None:
        """Escape empties the filter, then leaves it."""
        if event.key != "escape":
            return
        event.stop()
        self.query_one(Input).value = ""
        self.query_one(RunList).focus()

    # --- what is shown

    def _paint_progress(self) -> None:
        if self.progress is None or not self.alive:
            return
        self.repaint_title()
        self._ticks += 1
        if self.partly and self._ticks % _SO_FAR == 0:
            self.spawn(self.fill(), group="filter")

    def repaint_title(self) -> None:
        """The title: where, how many, in what order, what is being read."""
        total = len(self.everything)
        count = f"{total:,} run{'s' if total != 1 else ''}"
        if self.query_one(Input).value.strip():
            count = f"{self.matching:,} of {count}{' so far' if self.partly else ''}"
        parts = [
            (" saved runs ", "bold"),
            (visible_line(short_path(self.library.folder), 60), "$text-muted"),
            ("  ", ""),
        ]
        if self.app.size.width < NARROW:
            parts = [(" saved runs ", "bold"), (" ", "")]
        parts.append((count if self.was_read else "", "$text-accent"))
        if self.order != NEWEST:
            parts.append((f"  {ORDER_WORDS[self.order]}", "$text-muted"))
        if self.progress is not None:
            what, done, of = self.progress
            full = 10 * done // max(1, of)
            bar = f"[{'#' * full}{'.' * (10 - full)}]"
            parts.append((f"  {what} {bar} {done:,} of {of:,}", "$text-warning"))
        self.query_one("#runs-title", Static).update(Content.assemble(*parts))

    def on_run_list_highlighted(self) -> None:
        """The preview follows when the selection rests."""
        if self._looking is not None:
            self._looking.stop()
        self._looking = once(self, _LOOKING, self._preview_now)

    def _preview_now(self) -> None:
        self._looking = None
        branch = self.selected if self.alive else None
        if branch is not None and seen_as(branch.run) != self._previewed:
            self._previewed = seen_as(branch.run)
            self.run_worker(self._preview(branch.run), group="preview", exclusive=True)

    async def _preview(self, run: RunSummary) -> None:
        turns, problem = None, ""
        if not run.damaged:
            try:
                turns = await asyncio.to_thread(self.library.turns, run)
            except ConvtuiError as error:
                problem = str(error)
        chosen = self.selected if self.alive else None
        if chosen is not None and chosen.run.file == run.file:
            self.query_one(TextPane).show(preview(run, turns, problem))

    @property
    def selected(self) -> Branch | None:
        """The lit run."""
        return self.query_one(RunList).branch

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
        """What needs a run needs one to be there."""
        if not self.is_mounted:
            return True
        branch = self.selected
        if action_id == "runs.fold":
            return branch is not None and (branch.size > 0 or branch.depth > 0)
        if action_id == "runs.undo":
            return bool(self.trashed)
        if action_id in ("profile.open", "rehook.open"):
            return bool(self.query_one(RunList).runs)
        if action_id in ("runs.open", "runs.tag", "runs.trash", "runs.mark", "runs.compare"):
            return branch is not None
        return True

    def on_run_list_selected(self, event: RunList.Selected) -> None:
        """Opens a run."""
        event.stop()
        self.capp.replay(event.run.path)

    def do_runs_open(self) -> None:
        """Opens the selected run."""
        branch = self.selected
        if branch is not None:
            self.capp.replay(branch.run.path)

    def do_runs_fold(self) -> None:
        """Shows or hides the branches of the selected run's family."""
        chosen = self.selected
        if chosen is None:
            return
        file = chosen.run.file
        root = next(
            root for root in self.roots if any(each.run.file == file for each in walk([root]))
        )
        self.opened ^= {root.run.file}
        if root.run.file not in self.opened:
            self._light(root.run.file)
        self.spawn(self.fill())

    def do_runs_tree(self) -> None:
        """Shows or hides the branches of every run."""
        everything = frozenset(root.run.file for root in self.roots if root.size)
        self.opened = frozenset() if self.opened >= everything else everything
        self.spawn(self.fill())

    def _light(self, file: str) -> None:
        listed = self.query_one(RunList)
        for index, run in enumerate(listed.runs):
            if run.file == file:
                listed.highlighted = index

    def do_runs_preview(self) -> None:
        """Shows or hides the preview."""
        self.toggle_class("-plain")

    def do_search_open(self) -> None:
        """To the filter."""
        self.query_one(Input).focus()

    def do_move_up(self) -> None:
        """The run above."""
        self.query_one(RunList).action_cursor_up()

    def do_move_down(self) -> None:
        """The run below."""
        self.query_one(RunList).action_cursor_down()

    def do_move_first(self) -> None:
        """The first run."""
        self.query_one(RunList).action_first()

    def do_move_last(self) -> None:
        """The last run."""
        self.query_one(RunList).action_last()

    def quit(self) -> None:
        """Back."""
        self.capp.leave(self)
