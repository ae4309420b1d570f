"""The branches of a conversation as a tree: look at one, compare it, go on with it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
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

Chosen = tuple[Literal["open", "compare"], RunSummary]
"""What is to be done, and with which run."""
REFRESH = 1.0
"""Seconds between two looks at a family of which another run is still written."""
MOST = 500
"""Branches that are listed."""
_ID = 4
_BAD = frozenset({"failed", "crashed", "damaged", "interrupted", "discarded", "abstained"})


class BranchesScreen(ModalScreen[Chosen | None]):
    """Lists a conversation's root and everything that goes back to it."""

    DEFAULT_CSS = """
    BranchesScreen { align: center middle; background: $background 60%; }
    BranchesScreen > Vertical { width: 96; max-width: 96%; height: auto; max-height: 92%;
                                border: round $accent; background: $surface; padding: 0 1; }
    BranchesScreen OptionList, BranchesScreen OptionList:focus {
                                height: auto; max-height: 1fr; border: none;
                                background: $surface; padding: 0; }
    BranchesScreen Static { width: 1fr; height: auto; color: $text-muted; padding: 0 1; }
    BranchesScreen #branch-about { max-height: 5; padding: 1 1 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,L", "dismiss(None)", "close"),
        Binding("c", "compare", "compare"),
        Binding("j", "down", "down", show=False),
        Binding("k", "up", "up", show=False),
    ]

    def __init__(self, path: Path, *, live: bool, hint: str) -> None:
        """`path` is the log that is open; `live` whether its conversation goes on here; `hint`
        says how a branch is made."""
        super().__init__()
        self._path = path
        self._live = live
        self._hint = hint
        self.rows: list[tuple[str, RunNode]] = []
        """The branches that are listed, each with the lines that are drawn before it."""
        self._parents: dict[Path, RunSummary] = {}
        self._changes: dict[Path, str] = {}
        """What is different in a branch, by its log, once that is known."""

    def compose(self) -> ComposeResult:
        """The tree, what is known of the selected branch, and what there is to be said."""
        box = Vertical()
        box.border_title = Content("branches of this conversation")
        box.border_subtitle = Content("enter open  c compare  esc close")
        with box:
            yield OptionList(id="branch-list")
            yield Static(id="branch-about", markup=False)
            yield Static("The runs beside this one are being read.", id="branch-note", markup=False)

    def on_mount(self) -> None:
        """Reads the family in a thread."""
        self.query_one(OptionList).display = False
        self.query_one("#branch-about").display = False
        self.run_worker(self._follow(), group="family", exclusive=True)

    async def _follow(self) -> None:
        """Reads the family; again and again while another process writes one of its runs."""
        while self.is_mounted:
            began = time.monotonic()
            try:
                root = await asyncio.to_thread(family_of, self._path)
            except OSError as error:
                self._say(f"The runs cannot be read: {error.strerror or error}.")
                return
            self._fill(root)
            if not any(each.run.running and not self._is_open(each) for _, each in self.rows):
                return
            # A folder of many runs takes its time: it is not read all the while.
            await asyncio.sleep(max(REFRESH, 10 * (time.monotonic() - began)))

    def _is_open(self, branch: RunNode) -> bool:
        return same_log(branch.run.path, self._path)

    def _say(self, text: str) -> None:
        note = self.query_one("#branch-note", Static)
        note.display = bool(text)
        note.update(Content(visible_line(text, 400)))

    def _fill(self, root: RunNode | None) -> None:
        found = list(guides([root])) if root is not None else []
        before = self.selected
        self.rows = found[:MOST]
        self._parents = {
            child.run.path: branch.run for _, branch in found for child in branch.children
        }
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options(
            [Option(row(guide, each, here=self._here(each))) for guide, each in self.rows]
        )
        listed.display = bool(self.rows)
        if len(self.rows) <= 1:
            self._say(f"No branches yet. {self._hint}")
        elif len(found) > MOST:
            self._say(f"{len(found) - MOST:,} more are not listed.")
        else:
            self._say("")
        if not self.rows:
            return
        paths = [each.run.path for _, each in self.rows]
        if before is not None and before.run.path in paths:
            listed.highlighted = paths.index(before.run.path)
        else:
            opened = [place for place, (_, each) in enumerate(self.rows) if self._is_open(each)]
            listed.highlighted = opened[0] if opened else 0
        listed.focus()
        self._about()

    def _here(self, branch: RunNode) -> str:
        if not self._is_open(branch):
            return ""
        return "live here" if self._live and branch.run.running else "open here"

    @property
    def selected(self) -> RunNode | None:
        """The selected branch."""
        place = self.query_one(OptionList).highlighted
        return self.rows[place][1] if place is not None and place < len(self.rows) else None

    # --- about the selected one

    def on_option_list_option_highlighted(self) -> None:
        """Another one is selected."""
        self._about()

    def _about(self) -> None:
        branch = self.selected
        about = self.query_one("#branch-about", Static)
        about.display = branch is not None
        if branch is None:
            return
        run = branch.run
        changes = self._changes.get(run.path)
        if changes is None and run.path in self._parents:
            self.run_worker(self._look(run), group="changes", exclusive=True)
        lines = [f"changed: {'is being looked at' if changes is None else changes}"]
        if run.path not in self._parents:
            lines = ["its parent's log is not here" if branch.orphan else "the root"]
        lines.append("the one that is open" if self._is_open(branch) else _told(run))
        lines.append(visible_line(run.path.name, 90))
        about.update(Content("\n".join(lines)))

    async def _look(self, run: RunSummary) -> None:
        parent = self._parents[run.path]
        words = await asyncio.to_thread(changed, parent.path, run.path)
        if not run.running:
            self._changes[run.path] = words
        # The list goes before the screen does.
        selected = self.selected if self.query(OptionList) else None
        if selected is not None and selected.run.path == run.path:
            self._changes[run.path] = words
            self._about()
            if run.running:
                del self._changes[run.path]

    # --- keys

    def action_down(self) -> None:
        """The next one."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """The one before."""
        self.query_one(OptionList).action_cursor_up()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Opens it."""
        event.stop()
        self._choose("open")

    def action_compare(self) -> None:
        """Compares it with the one that is open."""
        self._choose("compare")

    def _choose(self, what: Literal["open", "compare"]) -> None:
        branch = self.selected
        if branch is None:
            return
        if self._is_open(branch):
            self._say("This is the one that is open: select another one.")
        elif branch.run.damaged:
            self._say(f"This log cannot be read: {branch.run.damaged}.")
        else:
            self.dismiss((what, branch.run))


def row(guide: str, branch: RunNode, *, here: str = "") -> Content:
    """A branch on one line: its place in the tree, its id, where it came from, how it stands."""
    run = branch.run
    state, role = state_of(run)
    turns = f" · {run.turns} turn{'' if run.turns == 1 else 's'}" if run.turns is not None else ""
    name = visible_line(run.id, 40)[:_ID] or visible_line(run.path.stem, 12)
    return Content.assemble(
        (guide, "$text-muted"),
        (f"{name} ", "bold"),
        (f"{visible_line(branch.origin(), 60) or 'the beginning'} · ", ""),
        (state, role),
        (turns, "$text-muted"),
        (f"  ● {here}" if here else "", "bold $text-accent"),
    )


def state_of(run: RunSummary) -> tuple[str, str]:
    """How a run stands, in words, and its colour."""
    if run.reason.startswith("continued as ") and run.ending == "interrupted":
        return "left for another branch", "$text-muted"
    if run.running:
        return "~ running", "$text-accent"
    bad = run.state in _BAD
    sign = "! " if bad else ""
    words = visible_line(run.state.replace("_", " "), 30)
    return f"{sign}{words}", "$text-error" if bad else "$text-success"


def _told(run: RunSummary) -> str:
    if run.damaged:
        return f"cannot be read: {visible_line(run.damaged, 80)}"
    if run.running:
        return "still written by a process: it can be followed, not gone on with"
    if not run.ending:
        return "crashed: the log was not closed"
    by = f" by {visible_line(run.ended_by, 20)}" if run.ended_by else ""
    why = f": {visible_line(run.reason, 100)}" if run.reason else ""
    return f"ended {visible_line(run.ending, 30)}{by}{why}".replace("_", " ")


def changed(parent: Path, child: Path) -> str:
    """What is different in a branch, in words. Reads both logs: blocking."""
    try:
        settings = setting_changes(parent, child)
        found = compare_logs(parent, child)
    except (ConvtuiError, OSError, ValueError) as error:
        return f"cannot be told: {visible_line(str(error), 120)}"
    pair = found.first[1]
    if pair is not None and pair.b is None:
        words = "nothing was said otherwise yet"
    elif pair is not None and pair.a is None:
        words = f"it goes on after its parent's last turn, from {pair.where} on"
    elif found.first_words():
        words = f"from {found.first_words()} on"
    else:
        words = "nothing was said otherwise yet"
    return visible_line("; ".join([*settings, words]), 200)
