"""The branches of a conversation as a tree: view, compare or continue one."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from convtui.analysis.compare.comparison import compare_logs
from convtui.analysis.compare.lineage import setting_changes
from convtui.errors import ConvtuiError
from convtui.library.families import RunNode, family_of, guides, same_log
from convtui.log.run_summary import RunSummary
from convtui.text.boundary import visible_line
from convtui.text.counts import counted
from convtui.transcript.ending_words import short_ending
from convtui.tui.drawing import glyphs
from convtui.tui.drawing.labels import ending
from convtui.tui.screens.dialogs.box import DialogBox
from convtui.tui.textual_compat import is_open, run_while_open

Chosen = tuple[Literal["open", "compare"], RunSummary]
"""The chosen action and run."""
REFRESH = 1.0
"""Seconds between refreshes while another process writes a run of the family."""
MAX_BRANCHES = 500
"""Maximum number of branches listed."""
_WIDEST = 96
_ID = 4
_BAD = frozenset({"failed", "crashed", "damaged", "interrupted", "discarded", "abstained"})


class BranchesScreen(ModalScreen[Chosen | None]):
    """Lists the root of a conversation and all its branches."""

    DEFAULT_CSS = """
    BranchesScreen { align: center middle; background: $background 60%; }
    BranchesScreen OptionList, BranchesScreen OptionList:focus {
                                height: auto; max-height: 1fr; border: none;
                                background: $surface; padding: 0; }
    BranchesScreen .said { width: 1fr; height: auto; color: $text-muted; padding: 0 1; }
    BranchesScreen #branch-about { max-height: 5; padding: 1 1 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,L", "dismiss(None)", "close"),
        Binding("c", "compare", "compare"),
        Binding("j", "down", "down", show=False),
        Binding("k", "up", "up", show=False),
    ]

    def __init__(self, path: Path, *, live: bool, hint: str) -> None:
        """`path` is the open log, `hint` how to create a branch.

        `live` says whether the conversation of `path` runs on this screen.
        """
        super().__init__()
        self._path = path
        self._live = live
        self._hint = hint
        self.rows: list[tuple[str, RunNode]] = []
        """The listed branches, each with its tree guides."""
        self._parents: dict[Path, RunSummary] = {}
        self._changes: dict[Path, str] = {}
        """What differs in a branch, by log, once it is known."""
        self._comparing: Path | None = None
        """The branch that is being compared with its parent."""

    def compose(self) -> ComposeResult:
        with DialogBox("branches of this conversation", "enter open  c compare  esc close"):
            yield OptionList(id="branch-list")
            yield Static(id="branch-about", classes="said", markup=False)
            yield Static(
                "Reading the runs in this folder ...",
                id="branch-note",
                classes="said",
                markup=False,
            )

    def on_mount(self) -> None:
        self.query_one(OptionList).display = False
        self.query_one("#branch-about").display = False
        run_while_open(self, self._follow(), group="family", exclusive=True)

    async def _follow(self) -> None:
        """Reads the family, repeatedly while another process writes one of its runs."""
        while is_open(self):
            started = time.monotonic()
            try:
                root = await asyncio.to_thread(family_of, self._path)
            except OSError as error:
                self._show_note(f"The runs cannot be read: {error.strerror or error}.")
                return
            self._fill(root)
            if not any(node.run.running and not self._is_open(node) for _, node in self.rows):
                return
            # A folder of many runs takes long to read: leave pauses.
            await asyncio.sleep(max(REFRESH, 10 * (time.monotonic() - started)))

    def _is_open(self, branch: RunNode) -> bool:
        return same_log(branch.run.path, self._path)

    def _show_note(self, text: str) -> None:
        note = self.query_one("#branch-note", Static)
        note.display = bool(text)
        note.update(Content(visible_line(text, 400)))

    def _fill(self, root: RunNode | None) -> None:
        rows = list(guides([root])) if root is not None else []
        selected = self.selected
        self.rows = rows[:MAX_BRANCHES]
        self._parents = {
            child.run.path: branch.run for _, branch in rows for child in branch.children
        }
        listed = self.query_one(OptionList)
        listed.clear_options()
        lines = [branch_row(guide, node, here=self._here(node)) for guide, node in self.rows]
        names = (node.run.path.name for _, node in self.rows)
        self.query_one(DialogBox).hold((*(line.plain for line in lines), *names), widest=_WIDEST)
        listed.add_options([Option(line) for line in lines])
        listed.display = bool(self.rows)
        if len(self.rows) <= 1:
            self._show_note(f"No branches yet. {self._hint}")
        elif len(rows) > MAX_BRANCHES:
            self._show_note(f"{len(rows) - MAX_BRANCHES:,} more are not listed.")
        else:
            self._show_note("")
        if not self.rows:
            return
        paths = [node.run.path for _, node in self.rows]
        if selected is not None and selected.run.path in paths:
            listed.highlighted = paths.index(selected.run.path)
        else:
            opened = [index for index, (_, node) in enumerate(self.rows) if self._is_open(node)]
            listed.highlighted = opened[0] if opened else 0
        listed.focus()
        self._show_details()

    def _here(self, branch: RunNode) -> str:
        if not self._is_open(branch):
            return ""
        return "live here" if self._live and branch.run.running else "open here"

    @property
    def selected(self) -> RunNode | None:
        index = self.query_one(OptionList).highlighted
        return self.rows[index][1] if index is not None and index < len(self.rows) else None

    # --- the selected branch

    def on_option_list_option_highlighted(self) -> None:
        self._show_details()

    def _show_details(self) -> None:
        branch = self.selected
        about = self.query_one("#branch-about", Static)
        about.display = branch is not None
        if branch is None:
            return
        run = branch.run
        changes = self._changes.get(run.path)
        if changes is None and run.path in self._parents and self._comparing != run.path:
            self._comparing = run.path
            run_while_open(self, self._load_changes(run), group="changes", exclusive=True)
        lines = [f"changed: {'comparing ...' if changes is None else changes}"]
        if run.path not in self._parents:
            lines = ["its parent log is missing" if branch.orphan else "the root"]
        lines.append("it is on the screen" if self._is_open(branch) else _state_details(run))
        lines.append(visible_line(run.path.name, 90))
        about.update(Content("\n".join(lines)))

    async def _load_changes(self, run: RunSummary) -> None:
        parent = self._parents[run.path]
        changes = await asyncio.to_thread(branch_changes, parent.path, run.path)
        self._comparing = None
        if not run.running:
            self._changes[run.path] = changes
        # The list is removed before the screen.
        selected = self.selected if self.query(OptionList) else None
        if selected is not None and selected.run.path == run.path:
            self._changes[run.path] = changes
            self._show_details()
            if run.running:
                del self._changes[run.path]

    # --- keys

    def action_down(self) -> None:
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        self.query_one(OptionList).action_cursor_up()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._choose("open")

    def action_compare(self) -> None:
        """Compares the selected branch with the open one."""
        self._choose("compare")

    def _choose(self, what: Literal["open", "compare"]) -> None:
        branch = self.selected
        if branch is None:
            return
        if self._is_open(branch):
            self._show_note("This branch is already open: select another one.")
        elif branch.run.damaged:
            self._show_note(f"This log cannot be read: {branch.run.damaged}.")
        else:
            self.dismiss((what, branch.run))


def branch_row(guide: str, branch: RunNode, *, here: str = "") -> Content:
    """A branch on one line: tree guides, id, origin, state."""
    run = branch.run
    state, role = state_of(run)
    turns = f" · {counted(run.turns, 'turn')}" if run.turns is not None else ""
    if here and run.running:
        # The mark says where it is; it may be held.
        state, role = f"{glyphs.WORKING} not ended", "$text-accent"
    name = visible_line(run.id, 40)[:_ID] or visible_line(run.path.stem, 12)
    return Content.assemble(
        (guide, "$text-muted"),
        (f"{name} ", "bold"),
        (f"{visible_line(branch.origin(), 60) or 'the beginning'} · ", ""),
        (state, role),
        (turns, "$text-muted"),
        (f"  {glyphs.HERE} {here}" if here else "", "bold $text-accent"),
    )


def state_of(run: RunSummary) -> tuple[str, str]:
    """A run's state as text, and its colour."""
    if run.reason.startswith("continued as ") and run.ending == "interrupted":
        return "left for another branch", "$text-muted"
    if run.running:
        return f"{glyphs.WORKING} running", "$text-accent"
    bad = run.state in _BAD
    sign = "! " if bad else ""
    text = short_ending(run.state)
    return f"{sign}{text}", "$text-error" if bad else "$text-success"


def _state_details(run: RunSummary) -> str:
    if run.damaged:
        return f"cannot be read: {visible_line(run.damaged, 80)}"
    if run.running:
        return "another process is still writing it: it can be followed, not continued"
    if not run.ending:
        return "crashed: the log was not closed"
    return ending({"kind": run.ending, "by": run.ended_by, "reason": run.reason})


def branch_changes(parent: Path, child: Path) -> str:
    """What differs in a branch, as a phrase. Reads both logs: blocking."""
    try:
        settings = setting_changes(parent, child)
        comparison = compare_logs(parent, child)
    except (ConvtuiError, OSError, ValueError) as error:
        return f"unknown: {visible_line(str(error), 120)}"
    pair = comparison.first[1]
    if pair is not None and pair.b is None:
        difference = "no turn differs yet"
    elif pair is not None and pair.a is None:
        difference = f"continues after its parent's last turn, from {pair.where} on"
    elif comparison.first_words():
        difference = f"the first difference: {comparison.first_words()}"
    else:
        difference = "no turn differs yet"
    return visible_line("; ".join([*settings, difference]), 200)
