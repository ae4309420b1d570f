"""The saved runs, with a filter."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input, OptionList, Static

from convtui.actions import Keymap
from convtui.log.families import Branch, families, only, walk
from convtui.log.library import RunSummary, list_runs
from convtui.tui.keys import KeyScreen
from convtui.tui.screens.run_list import RunList
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.words import short_path

MOST_ROWS = 2000


class RunsScreen(KeyScreen):
    """Every saved run of a folder, one row per root; Enter opens one, space shows its branches."""

    KEY_CONTEXTS = ("runs",)
    AUTO_FOCUS = "RunList"
    DEFAULT_CSS = """
    RunsScreen { layout: vertical; }
    RunsScreen #runs-title { height: 1; width: 1fr; background: $panel; padding: 0 1; }
    RunsScreen Input { height: 1; border: none; padding: 0 1; background: $surface; }
    RunsScreen RunList { padding: 1 0; }
    RunsScreen #runs-empty { height: auto; padding: 1 2; color: $text-muted; }
    """

    def __init__(self, keymap: Keymap, folder: Path) -> None:
        super().__init__(keymap)
        self._folder = folder
        self._all: list[RunSummary] = []
        self._roots: list[Branch] = []
        self._opened: set[Path] = set()

    def compose(self) -> ComposeResult:
        """A title, a filter, the list."""
        yield Static(id="runs-title", markup=False)
        yield Input(placeholder="filter: words of the persona, provider, ending or file name")
        yield Static(id="runs-empty", markup=False)
        yield RunList()
        yield KeyBar()

    def on_mount(self) -> None:
        """Reads the folder in a thread."""
        self.query_one("#runs-empty").display = False
        self.query_one("#runs-title", Static).update(
            Content.assemble((" saved runs ", "bold"), (short_path(self._folder), "$text-muted"))
        )
        self.spawn(self._load())
        self.refresh_footer()

    async def _load(self) -> None:
        self._all, self._roots = await asyncio.to_thread(self._read)
        self._fill(self.query_one(Input).value)

    def _read(self) -> tuple[list[RunSummary], list[Branch]]:
        runs = list(list_runs(self._folder))
        return runs, families(runs)

    def _fill(self, text: str) -> None:
        searching = bool(text.strip())
        found = only(self._roots, lambda run: run.matches(text)) if searching else self._roots
        # What was searched for must be seen, also where it is a branch.
        self.query_one(RunList).show_tree(
            found, lambda b: searching or b.run.path in self._opened, MOST_ROWS
        )
        empty = self.query_one("#runs-empty", Static)
        empty.display = not found
        empty.update(
            "No run matches this filter."
            if self._all
            else "No saved runs yet. Every conversation is saved here by itself."
        )

    def on_input_changed(self, event: Input.Changed) -> None:
        """Fewer, or more."""
        self._fill(event.value)

    def on_input_submitted(self) -> None:
        """To the list."""
        self.query_one(RunList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Opens a run."""
        event.stop()
        run = self.query_one(RunList).chosen(event.option_index)
        if run is not None:
            self.capp.replay(run.path)

    # --- keys

    def footer_ids(self) -> Sequence[str]:
        """What can be done here."""
        return (
            "runs.open",
            "runs.fold",
            "search.open",
            "runs.mark",
            "runs.compare",
            "rehook.open",
            "app.quit",
            "app.help",
        )

    def do_runs_open(self) -> None:
        """Opens the selected run."""
        listed = self.query_one(RunList)
        run = listed.chosen(listed.highlighted or 0)
        if run is not None:
            self.capp.replay(run.path)

    def do_runs_fold(self) -> None:
        """Shows or hides the branches of the selected run's family."""
        chosen = self.query_one(RunList).branch
        if chosen is None:
            return
        path = next(
            root.run.path
            for root in self._roots
            if root is chosen or any(b.run.path == chosen.run.path for b in walk([root]))
        )
        self._opened ^= {path}
        self._refill(path)

    def do_runs_tree(self) -> None:
        """Shows or hides the branches of every run."""
        everything = {root.run.path for root in self._roots if root.size}
        self._opened = set() if self._opened >= everything else everything
        chosen = self.query_one(RunList).branch
        self._refill(chosen.run.path if chosen is not None else None)

    def do_runs_mark(self) -> None:
        """Marks the selected run, or takes its mark away; of two marks the older one goes."""
        listed = self.query_one(RunList)
        run = listed.chosen(listed.highlighted or 0)
        if run is None:
            return
        if run.path in listed.marked:
            listed.marked.remove(run.path)
        else:
            listed.marked = [*listed.marked[-1:], run.path]
        self._refill(run.path)

    def do_runs_compare(self) -> None:
        """Two that are marked, a marked one and the selected one, or a branch and its parent."""
        listed = self.query_one(RunList)
        run = listed.chosen(listed.highlighted or 0)
        wanted = list(listed.marked)
        if run is not None and len(wanted) < 2 and run.path not in wanted:
            wanted.append(run.path)
        if len(wanted) == 1 and run is not None and not listed.marked:
            parent = next(
                (b for b in walk(self._roots) if any(c.run.path == run.path for c in b.children)),
                None,
            )
            wanted = [parent.run.path, run.path] if parent is not None else []
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

    def _refill(self, selected: Path | None) -> None:
        self._fill(self.query_one(Input).value)
        listed = self.query_one(RunList)
        for index, run in enumerate(listed.runs):
            if run.path == selected:
                listed.highlighted = index

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
        """The newest run."""
        self.query_one(RunList).action_first()

    def do_move_last(self) -> None:
        """The oldest run."""
        self.query_one(RunList).action_last()

    def do_app_quit(self) -> None:
        """Back."""
        self.capp.leave(self)

    def on_screen_resume(self) -> None:
        """A run may have been added."""
        if self._all:
            self.spawn(self._load())
