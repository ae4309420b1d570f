"""The saved runs: a list with its families, a filter, a preview."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, Static

from convtui.actions import Keymap
from convtui.errors import ConvtuiError, FilterError
from convtui.filters import Filter
from convtui.library import Library
from convtui.log.families import Branch, families, guides, only, walk
from convtui.log.library import RunSummary
from convtui.log.run_order import NEWEST, sort_runs
from convtui.log.trash import Trashed
from convtui.text import visible
from convtui.tui.run_preview import preview
from convtui.tui.screens.run_changing import ORDER_WORDS, RunChanging
from convtui.tui.screens.run_list import Row, RunList
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.text_pane import Doc, TextPane
from convtui.tui.words import short_path

_SIGNS = '~&|!()"'
"""What makes a text an expression of the filter language; others are words of the list."""
_AT_ONCE = 2000
"""Runs that are filtered by words without a thread."""
_TYPING = 0.25
"""Seconds without a key after which an expression is asked."""
_LOOKING = 0.06
"""Seconds on a row after which its preview is read."""
_AGAIN = 3.0
"""Seconds between two looks at the folder."""
NARROW, LOW = 100, 20


class RunsScreen(RunChanging):
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
        self._folder = folder
        self.library = Library(folder)
        self.everything: list[RunSummary] = []
        self.order = NEWEST
        self.trashed: list[Trashed] = []
        self._roots: list[Branch] = []
        self._opened: frozenset[str] = frozenset()
        self._matching = 0
        """Runs that the filter has found."""
        self._read = False
        """Whether the folder was looked at once."""
        self._indexed = False
        """Whether the index has the turns of every run."""
        self._partly = False
        """Whether runs were left out of an answer because their turns are not indexed yet."""
        self._asked = 0
        """Counts questions; an answer to an older one is not shown."""
        self._progress: tuple[str, int, int] | None = None
        self._busy = False
        self._gone = False
        self._told = False
        self._typing: Timer | None = None
        self._looking: Timer | None = None
        self._previewed: tuple[object, ...] = ()

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
        self._paint()
        self.spawn(self._first_look())
        self.set_interval(0.2, self._paint_progress)
        self.set_interval(_AGAIN, self._look_again)
        self.refresh_footer()

    def on_unmount(self) -> None:
        """Whatever still reads is told to stop."""
        self._gone = True
        self._asked += 1

    def on_resize(self, event: events.Resize) -> None:
        """The preview goes below the list, or away."""
        self._resized(event.size.width, event.size.height)

    def _resized(self, width: int, height: int) -> None:
        self.set_class(width < NARROW, "-narrow")
        self.set_class(width < NARROW and height < LOW, "-low")

    # --- reading

    async def _first_look(self) -> None:
        await self._look("reading", turns=False)
        if not self._gone:
            await self._look("indexing", turns=True)

    async def _look(self, what: str, *, turns: bool) -> None:
        """Reads what has changed; `turns` brings the turns of every run into the index, too."""
        if self._busy:
            return
        self._busy = True

        def told(done: int, of: int) -> None:
            self._progress = (what, done, of)

        def read() -> list[RunSummary]:
            return self.library.runs(turns=turns, progress=told, stop=lambda: self._gone)

        try:
            runs = await asyncio.to_thread(read)
        finally:
            self._busy = False
            self._progress = None
        if self._gone:
            return
        self._indexed = self._indexed or turns
        if self.library.notice and not self._told and runs:
            self._told = True
            self.tell(f"{self.library.notice[0].upper()}{self.library.notice[1:]}.", "warning")
        await self._take(runs)

    async def _take(self, runs: list[RunSummary]) -> None:
        same = [_seen(run) for run in runs] == [_seen(run) for run in self.everything]
        if self._read and same and not self._partly:
            self._paint()
            return
        self._read = True
        self.everything = runs
        order = self.order
        ordered = runs if order == NEWEST else sort_runs(runs, order)
        self._roots = await asyncio.to_thread(families, ordered)
        await self._fill()

    def _look_again(self) -> None:
        """Runs that go on grow, and others come."""
        if self.is_current and self._read and not self._busy and self._indexed:
            self.spawn(self._look("reading", turns=True), group="again")

    async def reload(self, paths: Sequence[Path] = ()) -> None:
        """Shows what has been changed here, in the order that is wanted now; does not wait for
        what is being indexed."""

        def read() -> list[RunSummary]:
            self.library.changed(paths)
            return self.library.runs()

        runs = await asyncio.to_thread(read)
        self._read = False
        if not self._gone:
            await self._take(runs)

    def on_screen_resume(self) -> None:
        """A run may have been added."""
        if self._read:
            self._look_again()

    # --- filtering

    async def _fill(self, selected: str = "") -> None:
        """Shows what the filter finds. An answer that comes too late is not shown."""
        text = self.query_one(Input).value.strip()
        self._asked += 1
        mine = self._asked
        try:
            expression = _parse(text)
        except FilterError as error:
            self._complain(str(error))
            return
        self._complain("")

        def find() -> tuple[list[Row], int, bool]:
            return self._rows(text, expression, lambda: mine != self._asked)

        if expression is None and len(self.everything) <= _AT_ONCE:
            rows, found, partly = find()
        else:
            rows, found, partly = await asyncio.to_thread(find)
        if mine != self._asked or self._gone:
            return
        self._matching, self._partly = found, partly
        listed = self.query_one(RunList)
        listed.show_rows(rows, None if text else self._opened)
        self._show_empty(not rows, bool(text))
        self._paint()
        self.refresh_footer()

    def _rows(
        self, text: str, expression: Filter | None, stop: Callable[[], bool]
    ) -> tuple[list[Row], int, bool]:
        """The rows, how many runs were found, and whether some could not be asked yet."""
        runs, roots = self.everything, self._roots
        if not text:
            return list(guides(roots, self._is_open)), len(runs), False
        partly = False
        if expression is None:
            found = [run for run in runs if run.matches(text)]
        else:
            partly = expression.about_turns and not self._indexed
            found = self.library.search(expression, runs, open_logs=not partly, stop=stop)
        files = {run.file for run in found}
        # What was searched for must be seen, also where it is a branch.
        return list(guides(only(roots, lambda run: run.file in files))), len(found), partly

    def _is_open(self, branch: Branch) -> bool:
        return branch.depth > 0 or branch.run.file in self._opened

    def _complain(self, message: str) -> None:
        error = self.query_one("#runs-error", Static)
        error.display = bool(message)
        error.update(Content(visible(message)))

    def _show_empty(self, empty: bool, filtered: bool) -> None:
        words = self.query_one("#runs-empty", Static)
        words.display = empty
        self.query_one(RunList).display = not empty
        if not self._read:
            words.update("Reading the runs ...")
        elif not self.everything:
            words.update(
                "No saved runs yet. Every conversation is saved here by itself.\n\n"
                "Go back with q and start one, or run `convtui demo` for one at once;"
                " `convtui import` brings in those of other tools."
            )
        elif filtered and self._partly:
            words.update("No run matches so far; the index is still being made.")
        elif filtered:
            words.update("No run matches this filter. Escape empties it.")
        if empty:
            self._previewed = ()
            self.query_one(TextPane).show(Doc())

    def on_input_changed(self) -> None:
        """Fewer, or more; an expression is asked when the typing pauses."""
        if self._typing is not None:
            self._typing.stop()
            self._typing = None
        self._asked += 1
        text = self.query_one(Input).value
        if any(sign in text for sign in _SIGNS):
            self._typing = self.set_timer(_TYPING, self._ask_now)
        else:
            self._ask_now()

    def _ask_now(self) -> None:
        if self._typing is not None:
            self._typing.stop()
            self._typing = None
        self.spawn(self._fill(), group="filter")

    def on_input_submitted(self) -> None:
        """To the list."""
        if self._typing is not None:
            self._ask_now()
        self.query_one(RunList).focus()

    def on_key(self, event: events.Key) -> None:
        """Escape empties the filter, then leaves it."""
        if event.key != "escape":
            return
        event.stop()
        self.query_one(Input).value = ""
        self.query_one(RunList).focus()

    # --- what is shown

    def _paint_progress(self) -> None:
        if self._progress is not None:
            self._paint()

    def _paint(self) -> None:
        """The title: where, how many, in what order, what is being read."""
        total = len(self.everything)
        count = f"{total:,} run{'s' if total != 1 else ''}"
        if self.query_one(Input).value.strip():
            count = f"{self._matching:,} of {count}{' so far' if self._partly else ''}"
        parts = [(" saved runs ", "bold"), (short_path(self._folder), "$text-muted"), ("  ", "")]
        if self.app.size.width < NARROW:
            parts = [(" saved runs ", "bold"), (" ", "")]
        parts.append((count if self._read else "", "$text-accent"))
        if self.order != NEWEST:
            parts.append((f"  {ORDER_WORDS[self.order]}", "$text-muted"))
        if self._progress is not None:
            what, done, of = self._progress
            full = 10 * done // max(1, of)
            bar = f"[{'#' * full}{'.' * (10 - full)}]"
            parts.append((f"  {what} {bar} {done:,} of {of:,}", "$text-warning"))
        self.query_one("#runs-title", Static).update(Content.assemble(*parts))

    def on_run_list_highlighted(self) -> None:
        """The preview follows when the selection rests."""
        if self._looking is not None:
            self._looking.stop()
        self._looking = self.set_timer(_LOOKING, self._preview_now)

    def _preview_now(self) -> None:
        self._looking = None
        branch = self.selected
        if branch is not None and _seen(branch.run) != self._previewed:
            self._previewed = _seen(branch.run)
            self.run_worker(self._preview(branch.run), group="preview", exclusive=True)

    async def _preview(self, run: RunSummary) -> None:
        turns, problem = None, ""
        if not run.damaged:
            try:
                turns = await asyncio.to_thread(self.library.turns, run)
            except ConvtuiError as error:
                problem = str(error)
        chosen = self.selected
        if chosen is not None and chosen.run.file == run.file and not self._gone:
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
            root for root in self._roots if any(each.run.file == file for each in walk([root]))
        )
        self._opened ^= {root.run.file}
        if root.run.file not in self._opened:
            self._light(root.run.file)
        self.spawn(self._fill())

    def do_runs_tree(self) -> None:
        """Shows or hides the branches of every run."""
        everything = frozenset(root.run.file for root in self._roots if root.size)
        self._opened = frozenset() if self._opened >= everything else everything
        self.spawn(self._fill())

    def _light(self, file: str) -> None:
        listed = self.query_one(RunList)
        for index, run in enumerate(listed.runs):
            if run.file == file:
                listed.highlighted = index

    def do_runs_preview(self) -> None:
        """Shows or hides the preview."""
        self.toggle_class("-plain")

    def do_runs_mark(self) -> None:
        """Marks the selected run, or takes its mark away; of two marks the older one goes."""
        listed = self.query_one(RunList)
        branch = listed.branch
        if branch is None:
            return
        path = branch.run.path
        if path in listed.marked:
            listed.marked.remove(path)
        else:
            listed.marked = [*listed.marked[-1:], path]
        listed.refresh()

    def do_runs_compare(self) -> None:
        """Two that are marked, a marked one and the selected one, or a branch and its parent."""
        listed = self.query_one(RunList)
        branch = listed.branch
        wanted = list(listed.marked)
        if branch is not None and len(wanted) < 2 and branch.run.path not in wanted:
            wanted.append(branch.run.path)
        if len(wanted) == 1 and branch is not None and not listed.marked:
            file = branch.run.file
            parent = next(
                (b for b in walk(self._roots) if any(c.run.file == file for c in b.children)),
                None,
            )
            wanted = [parent.run.path, branch.run.path] if parent is not None else []
        if len(wanted) == 2:
            self.capp.compare(wanted[0], wanted[1])
        else:
            key = self.keymap.shown("runs.mark")
            self.tell(f"Mark one run with {key}, then select or mark the other.", "warning")

    async def do_rehook_open(self) -> None:
        """Runs hooks again over the marked runs, else all that a filter lists, or the selected."""
        from convtui.tui.screens.rehooking import open_rehook

        listed = self.query_one(RunList)
        run = listed.chosen(listed.highlighted or 0)
        logs = list(listed.marked)
        if not logs and self.query_one(Input).value.strip():
            logs = [run.path for run in listed.runs]
        elif not logs and run is not None:
            logs = [run.path]
        if logs:
            await open_rehook(self.capp, logs, run.provider if run is not None else "")

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

    def do_app_quit(self) -> None:
        """Back."""
        self.capp.leave(self)


def _parse(text: str) -> Filter | None:
    """The expression of a text that is one. Raises `FilterError`."""
    if not any(sign in text for sign in _SIGNS):
        return None
    from convtui.filters import parse

    return parse(text)


def _seen(run: RunSummary) -> tuple[object, ...]:
    """What tells that a row has changed."""
    return (run.file, run.modified, run.size, run.running, run.turns, run.tags)
