"""The registry of actions: bindings, footer, help, palette and keymaps are made from it.

So is the key table of the manual. A context is where the keys of an action apply. `live`, `held`
and `replay` are the three states of the debugger; `dead` is added when its engine has died;
`take_over` is the input at its bottom, `search` a search with highlighted matches, `inspector` an
inspector with the focus and something to unfold, `outline` an outline with the focus, `overlay`
anything over a screen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from convtui.actions.hold_choices import ANSWERS
from convtui.actions.key_names import display_key, normal_key
from convtui.errors import DataFileError, Problem, did_you_mean

if TYPE_CHECKING:
    from convtui.files.yaml import Lines

LIVE = frozenset({"live"})
HELD = frozenset({"held"})
REPLAY = frozenset({"replay"})
DEAD = frozenset({"dead"})
RUNNING = LIVE | HELD
DEBUGGER = LIVE | HELD | REPLAY
PICKER = frozenset({"picker"})
RUNS = frozenset({"runs"})
COMPARE = frozenset({"compare"})
REHOOK = frozenset({"rehook"})
PROFILE = frozenset({"profile"})
WARM = frozenset({"warm"})
ARMS = frozenset({"arms"})
FLEET = frozenset({"fleet"})
BATCHES = frozenset({"batches"})
TAKE_OVER = frozenset({"take_over"})
SEARCH = frozenset({"search"})
INSPECTOR = frozenset({"inspector"})
OUTLINE = frozenset({"outline"})
OVERLAY = frozenset({"overlay"})
SCREENS = DEBUGGER | PICKER | RUNS | COMPARE | REHOOK | PROFILE | WARM | ARMS | FLEET | BATCHES
PANES = DEBUGGER | REHOOK | PROFILE | WARM | ARMS | FLEET | BATCHES
"""Screens with several panes."""
EVERYWHERE = SCREENS | OVERLAY | TAKE_OVER
CONTEXTS = (
    "picker",
    "dead",
    "live",
    "held",
    "replay",
    "take_over",
    "search",
    "inspector",
    "outline",
    "runs",
    "compare",
    "rehook",
    "profile",
    "warm",
    "arms",
    "fleet",
    "batches",
    "overlay",
)
TABS = 10
"""Tabs of the inspector that have a digit: 1 to 9, then 0."""
_NUMBERED_CHOICE = re.compile(r"hold\.choice_\d")
"""Actions of older keymaps."""
_TAB = re.compile(r"inspector\.tab_(\d+)")

_SHOWS = (
    "move.", "view.", "inspector.", "outline.", "search.", "replay.", "copy.", "compare.",
    "context.view", "picker.next", "picker.previous", "runs.fold", "runs.tree", "library.",
    "fleet.next", "fleet.previous", "fleet.attempts", "fleet.results",
    "app.help", "app.manual", "app.palette", "app.notices", "app.theme", "app.back",
)  # fmt: skip

_TAKEN_BY_INPUTS = frozenset({"space", "left", "right", "home", "end", "delete", "backspace"})
"""Keys besides characters that edit a text."""


class Action(NamedTuple):
    """Something a user can do.

    `keys` are shown and can be remapped; `aliases` work too but are not shown in the footer.
    `label` (at most 12 characters) is for the footer, `help` is one sentence. `confirm` always asks
    for a second press.
    """

    id: str
    keys: tuple[str, ...]
    label: str
    help: str
    group: str
    contexts: frozenset[str]
    aliases: tuple[str, ...] = ()
    confirm: bool = False

    @property
    def acts(self) -> bool:
        """Whether it may write something, call a model or leave; others only show something."""
        return not self.id.startswith(_SHOWS)


def _actions() -> Iterator[Action]:
    group = "Run"
    yield Action(
        "run.toggle", ("space",), "pause/run", "Pause or continue the run.", group, RUNNING
    )
    yield Action("run.step_turn", ("n",), "turn", "Run one turn.", group, DEBUGGER, ("f10",))
    yield Action("run.step_stage", ("s",), "stage", "Run one stage of the turn.", group, DEBUGGER)
    yield Action(
        "run.continue",
        ("c",),
        "continue",
        "Go on, to the next breakpoint.",
        group,
        DEBUGGER,
        ("f5",),
    )
    yield Action(
        "run.cancel_call", ("x",), "cancel call", "Cancel the call in flight.", group, RUNNING
    )
    yield Action(
        "run.inject", ("I",), "inject", "Inject a fault into a side's next call.", group, RUNNING
    )
    yield Action(
        "run.kill_engine", ("K",), "kill", "Kill the engine process.", group, RUNNING, confirm=True
    )
    yield Action(
        "break.here",
        ("b",),
        "break here",
        "Set or clear a breakpoint at the selected turn.",
        group,
        DEBUGGER,
        ("f9",),
    )
    yield Action(
        "break.list", ("B",), "breakpoints", "List and edit the breakpoints.", group, DEBUGGER
    )

    group = "Held"
    yield Action("hold.first", ("enter",), "go on", "Take the hold's first choice.", group, HELD)
    yield Action(
        "hold.edit", ("e",), "edit", "Edit what is held, or write it by hand.", group, HELD
    )
    yield Action(
        "hold.open_editor",
        ("E",),
        "editor",
        "Edit what is held, or your own text, in $EDITOR.",
        group,
        HELD,
    )
    yield Action(
        "hold.ask_again",
        ("a",),
        "ask again",
        "Ask again, or let the side speak for itself.",
        group,
        RUNNING,
    )
    yield Action(
        "hold.override",
        ("o",),
        "override",
        "Override the discard or the ending, or keep the reply.",
        group,
        HELD,
    )
    yield Action("hold.deny", ("D",), "deny", "Deny the tool calls that wait.", group, HELD)
    yield Action("hold.skip", ("J",), "skip", "Jump over this turn.", group, HELD)
    yield Action("hold.wait", ("W",), "wait", "Wait as long as asked, then ask again.", group, HELD)
    yield Action("hold.raise_budget", ("dollar_sign",), "budget", "Raise the budget.", group, HELD)
    yield Action("hold.stop", ("S",), "stop", "Stop in the responder's place.", group, HELD)
    yield Action(
        "hold.abstain", ("Q",), "abstain", "Abstain in the responder's place.", group, HELD
    )
    yield Action("hold.let_end", ("X",), "let it end", "Let it end, or let it fail.", group, HELD)
    yield Action(
        "hold.undo",
        ("u",),
        "undo",
        "Undo the last edit or override that is still held.",
        group,
        HELD,
    )
    yield Action(
        "hold.redo",
        ("ctrl+r",),
        "redo",
        "Redo what was undone last.",
        group,
        HELD,
    )
    yield Action(
        "hold.ask_again_with",
        ("alt+a",),
        "ask with ...",
        "Ask the model again with other parameters, this time only.",
        group,
        HELD,
    )
    yield Action(
        "hold.edit_brief",
        ("A",),
        "edit brief",
        "Edit the responder's brief and have it decide again.",
        group,
        DEBUGGER,
        confirm=True,
    )

    group = "Conversation"
    yield Action(
        "take_over.toggle",
        ("t",),
        "take over",
        "Take over as the persona, or hand back.",
        group,
        RUNNING,
    )
    yield Action(
        "take_over.provider",
        ("T",),
        "be provider",
        "Take over as the provider, or hand back.",
        group,
        RUNNING,
    )
    yield Action(
        "branch.rewind",
        ("w",),
        "rewind",
        "Go back to the selected turn in a new branch.",
        group,
        DEBUGGER,
        confirm=True,
    )
    yield Action(
        "branch.fork",
        ("f",),
        "fork",
        "Continue after the selected turn in a new branch.",
        group,
        DEBUGGER,
        confirm=True,
    )
    yield Action(
        "branch.list",
        ("L",),
        "branches",
        "List the branches of the conversation: view, compare or continue one.",
        group,
        DEBUGGER,
    )
    yield Action("provider.reload", ("R",), "reload", "Reload the provider's code.", group, RUNNING)
    yield Action(
        "provider.restart",
        ("enter",),
        "continue",
        "Continue from the log in a new engine.",
        group,
        DEAD,
    )
    yield Action(
        "context.compress",
        ("C",),
        "compress",
        "Summarise the history and continue from the summary in a new branch.",
        group,
        RUNNING,
        confirm=True,
    )
    yield Action(
        "tools.approve",
        ("H",),
        "approve",
        "Make tool calls wait for your approval, or let them run.",
        group,
        RUNNING,
    )

    group = "Take over"
    yield Action(
        "take_over.send",
        ("enter",),
        "send",
        "Send the text; if it is empty, let the simulator speak this once.",
        group,
        TAKE_OVER,
    )
    yield Action(
        "take_over.newline",
        ("ctrl+j", "alt+enter"),
        "new line",
        "Start a new line.",
        group,
        TAKE_OVER,
    )
    yield Action(
        "take_over.draft",
        ("ctrl+g",),
        "draft",
        "Let the side you speak for write a draft.",
        group,
        TAKE_OVER | HELD,
    )
    yield Action(
        "take_over.editor",
        ("ctrl+o",),
        "editor",
        "Edit the text in $EDITOR.",
        group,
        TAKE_OVER,
    )
    yield Action(
        "take_over.leave",
        ("escape",),
        "leave",
        "Leave the input and keep its text.",
        group,
        TAKE_OVER,
    )

    group = "Look"
    yield Action(
        "view.cycle",
        ("r",),
        "raw/shown",
        "Show raw text, shown text, or the difference.",
        group,
        DEBUGGER,
    )
    yield Action(
        "inspector.toggle", ("i",), "inspector", "Show or hide the inspector.", group, DEBUGGER
    )
    yield Action(
        "inspector.open",
        ("enter",),
        "inspect",
        "Open the inspector of the selected turn.",
        group,
        LIVE | REPLAY,
    )
    yield Action(
        "inspector.next_tab",
        ("tab",),
        "next tab",
        "Go to the inspector's next tab.",
        group,
        DEBUGGER,
    )
    yield Action(
        "inspector.previous_tab",
        ("shift+tab",),
        "prev tab",
        "Go to the inspector's previous tab.",
        group,
        DEBUGGER,
    )
    for number in range(1, TABS + 1):
        yield Action(
            f"inspector.tab_{number}",
            (str(number % 10),),
            f"tab {number}",
            f"Open tab {number} of the inspector; again, go into it.",
            group,
            DEBUGGER,
        )
    yield Action(
        "inspector.fold",
        ("enter",),
        "unfold",
        "Unfold what the cursor is on in the inspector, or fold it.",
        group,
        INSPECTOR,
    )
    yield Action(
        "inspector.fold_all",
        ("asterisk",),
        "unfold all",
        "Unfold everything in the inspector, or fold it again.",
        group,
        DEBUGGER,
    )
    yield Action(
        "view.maximise",
        ("z",),
        "maximise",
        "Give the focused pane the whole screen, or show the others again.",
        group,
        PANES,
    )
    yield Action(
        "view.narrower",
        ("less_than_sign",),
        "narrower",
        "Make the inspector narrower.",
        group,
        DEBUGGER,
    )
    yield Action(
        "view.wider",
        ("greater_than_sign",),
        "wider",
        "Make the inspector wider.",
        group,
        DEBUGGER,
    )
    yield Action(
        "inspector.decision",
        ("d",),
        "decision",
        "Show the turn's decisions; again, the responder's own conversation.",
        group,
        DEBUGGER,
    )
    yield Action(
        "inspector.whole",
        ("V",),
        "full result",
        "Show cut tool results in full, or cut again.",
        group,
        DEBUGGER,
    )
    yield Action(
        "context.view",
        ("v",),
        "summary",
        "Show the summarised turns, or the summary instead.",
        group,
        DEBUGGER,
    )
    yield Action(
        "turn.correct",
        ("l",),
        "correct",
        "Correct the selected turn's flags, or whose fault it is.",
        group,
        DEBUGGER,
    )
    yield Action("turn.mark", ("m",), "mark", "Mark or unmark the selected turn.", group, DEBUGGER)
    yield Action(
        "turn.note", ("semicolon",), "note", "Write a note on the selected turn.", group, DEBUGGER
    )
    yield Action(
        "turn.notes", ("M",), "notes", "List marks and notes, and go to one.", group, DEBUGGER
    )
    yield Action("view.follow", ("F",), "follow", "Follow the newest turn.", group, DEBUGGER)
    yield Action(
        "view.outline",
        ("ctrl+b",),
        "outline",
        "Move in the outline of sessions and branches, or back in the transcript.",
        group,
        DEBUGGER,
    )
    yield Action(
        "view.hooks",
        (),
        "all hooks",
        "List every hook in the outline, or only those that were slow or failed.",
        group,
        DEBUGGER,
    )

    yield Action(
        "hints.toggle",
        (),
        "hints on/off",
        "Explain what happens, one line at a time, or stop that.",
        group,
        RUNNING,
    )

    group = "Move"
    lists = DEBUGGER | RUNS | COMPARE | REHOOK | PROFILE | WARM | ARMS | FLEET | BATCHES
    yield Action("move.up", ("up", "k"), "up", "Select the turn or row above.", group, lists)
    yield Action("move.down", ("down", "j"), "down", "Select the turn or row below.", group, lists)
    yield Action("move.first", ("g", "home"), "first", "Go to the first turn or row.", group, lists)
    yield Action("move.last", ("G", "end"), "last", "Go to the last turn or row.", group, lists)
    yield Action(
        "move.next_event",
        ("right_square_bracket", "full_stop"),
        "next event",
        "Go to the next event of interest.",
        group,
        DEBUGGER,
    )
    yield Action(
        "move.previous_event",
        ("left_square_bracket", "comma"),
        "prev event",
        "Go to the previous event of interest.",
        group,
        DEBUGGER,
    )

    group = "Outline"
    yield Action("outline.up", ("up", "k"), "up", "Go to the row above.", group, OUTLINE)
    yield Action("outline.down", ("down", "j"), "down", "Go to the row below.", group, OUTLINE)
    yield Action(
        "outline.left",
        ("left",),
        "turn before",
        "Select the turn before in the session, then its heading; fold the session there.",
        group,
        OUTLINE,
    )
    yield Action(
        "outline.right",
        ("right",),
        "turn after",
        "Select the turn after in the session; unfold the session at its heading.",
        group,
        OUTLINE,
    )
    yield Action(
        "outline.open",
        ("enter",),
        "open",
        "Open the branch, fold or unfold the session, or go to the turn in the transcript.",
        group,
        OUTLINE,
    )
    yield Action(
        "outline.leave", ("escape",), "transcript", "Go back to the transcript.", group, OUTLINE
    )

    group = "Search"
    yield Action(
        "search.open",
        ("slash",),
        "search",
        "Search with a filter expression.",
        group,
        DEBUGGER | RUNS | SEARCH | FLEET,
    )
    yield Action("search.next", ("n",), "next match", "Go to the next match.", group, SEARCH)
    yield Action(
        "search.previous", ("N",), "prev match", "Go to the previous match.", group, SEARCH
    )
    yield Action("search.close", ("escape",), "end search", "End the search.", group, SEARCH)

    group = "Replay"
    yield Action(
        "replay.toggle", ("space",), "play/pause", "Play or pause the recording.", group, REPLAY
    )
    yield Action(
        "replay.faster", ("plus",), "faster", "Play twice as fast.", group, REPLAY, ("equals_sign",)
    )
    yield Action("replay.slower", ("minus",), "slower", "Play half as fast.", group, REPLAY)
    yield Action("replay.next_turn", ("right",), "next turn", "Go to the next turn.", group, REPLAY)
    yield Action(
        "replay.previous_turn", ("left",), "prev turn", "Go to the previous turn.", group, REPLAY
    )
    yield Action(
        "replay.go_to",
        ("number_sign",),
        "go to turn",
        "Go to a turn by number, such as 7 or 2:7.",
        group,
        REPLAY,
    )

    group = "Copy"
    yield Action("copy.turn", ("y",), "copy turn", "Copy the selected turn.", group, DEBUGGER)
    yield Action("copy.transcript", ("Y",), "copy all", "Copy the transcript.", group, DEBUGGER)
    yield Action(
        "copy.python",
        ("P",),
        "copy Python",
        "Copy the turn's last model call as a Python script.",
        group,
        DEBUGGER,
    )
    yield Action(
        "copy.curl",
        ("U",),
        "copy curl",
        "Copy the turn's last model call as a curl command.",
        group,
        DEBUGGER,
    )

    yield Action(
        "share.export",
        ("ctrl+e",),
        "share",
        "Write the conversation as Markdown, a web page, chat messages or a bundle.",
        group,
        DEBUGGER,
    )

    group = "Start"
    yield Action("picker.start", ("enter",), "start", "Start the conversation.", group, PICKER)
    yield Action("picker.next_field", ("tab",), "next", "Go to the next field.", group, PICKER)
    yield Action(
        "picker.previous_field",
        ("shift+tab",),
        "previous",
        "Go to the previous field.",
        group,
        PICKER,
    )
    yield Action(
        "library.open",
        ("O",),
        "library",
        "List the saved runs: open, search, compare.",
        group,
        PICKER | DEBUGGER,
        ("f2",),
    )
    yield Action("runs.open", ("enter",), "open", "Open the selected run.", group, RUNS)
    yield Action(
        "runs.again",
        ("ctrl+n",),
        "run again",
        "Start the run again from its first turn, with the same scenario.",
        group,
        PICKER | RUNS | DEBUGGER,
    )
    yield Action(
        "runs.fold", ("space",), "branches", "Show or hide the branches of the run.", group, RUNS
    )
    yield Action("runs.tree", ("t",), "tree", "Show or hide all branches.", group, RUNS)
    yield Action(
        "runs.mark",
        ("m",),
        "mark",
        "Mark the run for a comparison, a profile or a template.",
        group,
        RUNS,
    )
    yield Action(
        "runs.compare",
        ("C",),
        "compare",
        "Compare two marked runs or batches, a marked one with this, or a branch with its parent.",
        group,
        RUNS,
    )

    yield Action("runs.sort", ("o",), "order", "Sort the runs.", group, RUNS)
    yield Action("runs.tag", ("T",), "tags", "Add or remove tags of the run.", group, RUNS)
    yield Action("runs.trash", ("d", "delete"), "delete", "Move the run to the trash.", group, RUNS)
    yield Action(
        "runs.undo", ("u",), "undelete", "Restore the run that was deleted last.", group, RUNS
    )
    yield Action("runs.preview", ("i",), "preview", "Show or hide the preview.", group, RUNS)

    group = "Compare"
    yield Action(
        "compare.next",
        ("right_square_bracket", "full_stop"),
        "next diff",
        "Go to the next difference.",
        group,
        COMPARE,
    )
    yield Action(
        "compare.previous",
        ("left_square_bracket", "comma"),
        "prev diff",
        "Go to the previous difference.",
        group,
        COMPARE,
    )
    yield Action("compare.open_a", ("a",), "open A", "Open A at the selected turn.", group, COMPARE)
    yield Action("compare.open_b", ("b",), "open B", "Open B at the selected turn.", group, COMPARE)

    group = "Rehook"
    yield Action(
        "rehook.open",
        ("h",),
        "rehook",
        "Run a provider's hooks again over recorded replies, without a model call.",
        group,
        DEBUGGER | RUNS | FLEET,
    )
    yield Action(
        "rehook.details",
        ("enter",),
        "diff",
        "Show or hide what the hooks made of the reply then and now.",
        group,
        REHOOK,
    )
    yield Action("rehook.turn", ("o",), "open run", "Open the run at that turn.", group, REHOOK)
    yield Action(
        "rehook.again",
        ("R",),
        "run again",
        "Run the hooks again with the current code.",
        group,
        REHOOK,
    )
    yield Action(
        "rehook.provider", ("p",), "provider", "Use another provider's hooks.", group, REHOOK
    )
    yield Action(
        "rehook.stop",
        ("escape",),
        "stop",
        "Stop, hide the details, or go back.",
        group,
        REHOOK,
    )

    group = "Profile"
    yield Action(
        "profile.open",
        ("p",),
        "profile",
        "Show the reliability of one or many runs: tools, errors, times, plots, compressions.",
        group,
        DEBUGGER | RUNS | FLEET,
    )
    yield Action("profile.run", ("enter",), "open run", "Open the selected run.", group, PROFILE)
    yield Action("profile.next_pane", ("tab",), "next pane", "Go to the next pane.", group, PROFILE)
    yield Action("profile.sort", ("o",), "order", "Sort tools and runs.", group, PROFILE)
    yield Action(
        "profile.report",
        ("w",),
        "HTML report",
        "Write the profile as an HTML page.",
        group,
        PROFILE,
    )
    yield Action("profile.again", ("R",), "read again", "Read the logs again.", group, PROFILE)
    yield Action("profile.stop", ("escape",), "stop", "Stop, or go back.", group, PROFILE)

    group = "Warm"
    yield Action(
        "warm.open",
        ("W",),
        "warm",
        "List the warm templates: preview, build, edit, delete.",
        group,
        PICKER | RUNS,
    )
    yield Action(
        "warm.use", ("enter",), "use", "Start the next run with the template.", group, WARM
    )
    yield Action("warm.build", ("n",), "build", "Build a template from saved runs.", group, WARM)
    yield Action("warm.edit", ("e",), "edit", "Edit the template in $EDITOR.", group, WARM)
    yield Action("warm.delete", ("d", "delete"), "delete", "Delete the template.", group, WARM)
    yield Action("warm.mark", ("m",), "mark", "Mark the template for a comparison.", group, WARM)
    yield Action(
        "warm.diff",
        ("C",),
        "diff",
        "Compare what the marked template and this one inject.",
        group,
        WARM,
    )
    yield Action("warm.next_pane", ("tab",), "next pane", "Go to the next pane.", group, WARM)
    yield Action("warm.stop", ("escape",), "stop", "Stop, leave the diff, or go back.", group, WARM)

    group = "A/B"
    yield Action(
        "ab.open",
        ("A",),
        "A/B",
        "Compare two groups of runs, such as warm and cold.",
        group,
        RUNS,
    )
    yield Action("ab.arm_a", ("a",), "arm A", "Add the run to arm A, or remove it.", group, ARMS)
    yield Action("ab.arm_b", ("b",), "arm B", "Add the run to arm B, or remove it.", group, ARMS)
    yield Action("ab.filter_a", ("A",), "filter for A", "Choose arm A with a filter.", group, ARMS)
    yield Action("ab.filter_b", ("B",), "filter for B", "Choose arm B with a filter.", group, ARMS)
    yield Action(
        "ab.clear",
        ("c",),
        "empty both",
        "Remove all runs from both arms.",
        group,
        ARMS,
        confirm=True,
    )
    yield Action("ab.run", ("enter",), "open run", "Open the selected run.", group, ARMS)
    yield Action("ab.next_pane", ("tab",), "next pane", "Go to the next pane.", group, ARMS)
    yield Action("ab.stop", ("escape",), "stop", "Stop, or go back.", group, ARMS)

    group = "Batch"
    yield Action(
        "fleet.open",
        ("enter",),
        "open",
        "Open the conversation in the debugger; the others go on.",
        group,
        FLEET,
    )
    yield Action(
        "fleet.pause",
        ("space",),
        "pause/run",
        "Pause all conversations, or let all go on.",
        group,
        FLEET,
    )
    yield Action(
        "fleet.break",
        ("b",),
        "break all",
        "Set or clear a breakpoint for all conversations.",
        group,
        FLEET,
        ("f9",),
    )
    yield Action(
        "fleet.end",
        ("x",),
        "end",
        "End the conversation after its turn.",
        group,
        FLEET,
        confirm=True,
    )
    yield Action(
        "fleet.end_all", ("X",), "end all", "End all conversations, after asking.", group, FLEET
    )
    yield Action(
        "fleet.reload",
        ("R",),
        "reload",
        "Load the provider's code again for conversations that start from now on.",
        group,
        FLEET,
    )
    yield Action("fleet.sort", ("o",), "order", "Sort the conversations.", group, FLEET)
    yield Action(
        "fleet.attempts",
        ("t",),
        "attempts",
        "Show or hide earlier attempts of each conversation.",
        group,
        FLEET,
    )
    yield Action(
        "fleet.next",
        ("right_square_bracket", "full_stop"),
        "next event",
        "Go to the next conversation that is held, has failed or has flags.",
        group,
        FLEET,
    )
    yield Action(
        "fleet.previous",
        ("left_square_bracket", "comma"),
        "prev event",
        "Go to the previous conversation that is held, has failed or has flags.",
        group,
        FLEET,
    )
    yield Action(
        "fleet.results",
        ("i",),
        "results",
        "Show or hide the results of the conversations that are over.",
        group,
        FLEET,
    )
    yield Action(
        "fleet.report", ("w",), "HTML report", "Write the results as an HTML page.", group, FLEET
    )
    yield Action("fleet.next_pane", ("tab",), "next pane", "Go to the next pane.", group, FLEET)
    group = "Two batches"
    yield Action(
        "batches.pair", ("enter",), "open pair", "Open both runs side by side.", group, BATCHES
    )
    yield Action("batches.next_pane", ("tab",), "next pane", "Go to the next pane.", group, BATCHES)
    yield Action(
        "batches.report",
        ("w",),
        "HTML report",
        "Write the comparison as an HTML page.",
        group,
        BATCHES,
    )
    yield Action("batches.again", ("R",), "read again", "Read both again.", group, BATCHES)
    yield Action("batches.stop", ("escape",), "back", "Go back.", group, BATCHES)

    group = "Everywhere"
    yield Action(
        "app.help",
        ("question_mark",),
        "help",
        "Show the keys that work here.",
        group,
        SCREENS,
    )
    yield Action(
        "app.manual",
        ("f1",),
        "manual",
        "Open the manual's page about what is on the screen.",
        group,
        SCREENS,
    )
    yield Action(
        "app.palette",
        ("colon", "ctrl+p"),
        "commands",
        "Find an action by name.",
        group,
        SCREENS,
    )
    yield Action(
        "app.back",
        ("escape",),
        "back",
        "Go back one step.",
        group,
        DEBUGGER | PICKER | RUNS | COMPARE | FLEET,
    )
    yield Action(
        "app.theme", (), "theme", "Choose a theme; it is shown while you choose.", group, SCREENS
    )
    yield Action("app.notices", (), "notices", "List the notices of this session.", group, SCREENS)
    yield Action(
        "app.photograph",
        ("ctrl+s",),
        "picture",
        "Save a picture of the screen, as SVG and as text.",
        group,
        SCREENS,
    )
    yield Action(
        "app.suspend",
        ("ctrl+z",),
        "suspend",
        "Stop the program and return to the shell; the engine goes on.",
        group,
        SCREENS,
    )
    yield Action("overlay.close", ("escape",), "close", "Close the dialog.", group, OVERLAY)
    yield Action(
        "app.quit",
        ("q",),
        "quit",
        "Go back or quit; asks while a run is live.",
        group,
        SCREENS | OVERLAY,
        ("ctrl+q",),
    )
    yield Action(
        "app.interrupt",
        ("ctrl+c",),
        "copy/quit",
        "Copy the selection; a second press quits.",
        group,
        EVERYWHERE | SEARCH,
    )


@lru_cache(maxsize=1)
def actions() -> Mapping[str, Action]:
    """Every action by id, in the order of the help."""
    return {action.id: action for action in _actions()}


@dataclass(frozen=True, slots=True)
class Keymap:
    """The keys of every action: defaults overlaid with the user's choices."""

    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    path: Path | None = None

    def keys(self, action: str | Action) -> tuple[str, ...]:
        """All keys of an action, shown ones first, without aliases that a chosen key has taken."""
        known = actions()[action] if isinstance(action, str) else action
        taken = {
            key
            for other, keys in self.chosen.items()
            if other != known.id and actions()[other].contexts & known.contexts
            for key in keys
        }
        shown = self.shown_keys(known)
        return (*shown, *(key for key in known.aliases if key not in taken and key not in shown))

    def shown_keys(self, action: str | Action) -> tuple[str, ...]:
        """The keys shown in footer and help."""
        known = actions()[action] if isinstance(action, str) else action
        return self.chosen.get(known.id, known.keys)

    def find(self, key: str, contexts: Iterable[str]) -> Action | None:
        """The action of `key` in `contexts`; the first context that has one wins."""
        for context in contexts:
            for action in actions().values():
                if context in action.contexts and key in self.keys(action):
                    return action
        return None

    def actions_in(self, *contexts: str) -> list[Action]:
        """The actions of any of `contexts`, in registry order."""
        requested = frozenset(contexts)
        return [action for action in actions().values() if action.contexts & requested]

    @staticmethod
    def display(key: str) -> str:
        """A key for display: `^p`, `space`, `?`, `F5`."""
        return display_key(key)

    def shown(self, action: str | Action) -> str:
        """An action's first shown key for display; empty if it has none."""
        keys = self.shown_keys(action)
        return self.display(keys[0]) if keys else ""

    def as_command(self, action: Action) -> str:
        """What finds an action without keys: `: theme`."""
        return f"{self.shown('app.palette')} {action.label}".strip()

    def shown_while_typing(self, action: str | Action) -> str:
        """The first key of an action that an input does not take, for display; else empty."""
        keys = (key for key in self.keys(action) if key not in _TAKEN_BY_INPUTS)
        displayed = map(self.display, keys)
        return next((key for key in displayed if len(key) > 1), "")


def load_keymap(path: Path | None) -> Keymap:
    """The keymap in a YAML file, `action.id: key` or a list of keys; the defaults for None.

    An empty list removes all keys of an action. Raises `FileError`, or `DataFileError` with every
    mistake: unknown actions, invalid keys, keys that two actions share in a context.
    """
    if path is None:
        return Keymap()
    from convtui.files.yaml import load_yaml

    document = load_yaml(path)
    chosen, problems = read_keymap(document.data, document.lines, path)
    if problems:
        raise DataFileError(problems)
    return Keymap(chosen, path)


def read_keymap(
    data: object, lines: Lines, path: Path | None
) -> tuple[dict[str, tuple[str, ...]], list[Problem]]:
    """The chosen keys in a keymap's data, and its mistakes in line order."""
    if data is None:
        return {}, []
    if not isinstance(data, dict):
        message = "a keymap is a mapping of action ids to keys, as in run.toggle: space"
        return {}, [Problem(message, path=path, line=lines.get(()))]
    chosen: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    for name, value in data.items():
        line = lines.get((name,))
        if _NUMBERED_CHOICE.fullmatch(str(name)):
            message = "choices of a hold have no numbers; each has a key of its own, such as "
            message += ", ".join([*ANSWERS][:3])
            problems.append(Problem(message, path=path, line=line, key=str(name)))
            continue
        if name not in actions():
            near = did_you_mean(str(name), actions())
            problems.append(Problem(f"unknown action{near}", path=path, line=line, key=str(name)))
            continue
        keys: list[str] = []
        for item in value if isinstance(value, list) else [] if value is None else [value]:
            try:
                # YAML reads a bare digit as a number; here it is a key.
                number = isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= 9
                if not isinstance(item, str) and not number:
                    raise ValueError(f"{item!r} is not a key; put it in quotes")
                key = normal_key(str(item))
                if key == "ctrl+c" and name != "app.interrupt":
                    raise ValueError("ctrl+c is reserved for copying and quitting")
                keys.append(key)
            except ValueError as error:
                problems.append(Problem(str(error), path=path, line=line, key=str(name)))
        chosen[name] = tuple(dict.fromkeys(keys))
    problems.extend(_clashes(chosen, lines, path))
    return chosen, sorted(problems, key=lambda problem: problem.line or 0)


def _clashes(
    chosen: Mapping[str, tuple[str, ...]], lines: Lines, path: Path | None
) -> Iterator[Problem]:
    keymap = Keymap(chosen)
    for name in chosen:
        for other in actions().values():
            # Report a clash of two chosen keys once, at the later line.
            later = (lines.get((other.id,)) or 0) <= (lines.get((name,)) or 0)
            if other.id == name or (other.id in chosen and not later):
                continue
            shared = sorted(actions()[name].contexts & other.contexts)
            for key in chosen[name]:
                if shared and key in keymap.shown_keys(other):
                    default = (
                        "" if other.id in chosen else " by default; give that action another key"
                    )
                    message = (
                        f"{Keymap.display(key)!r} is also the key of {other.id}"
                        f" ({', '.join(shared)}){default}"
                    )
                    yield Problem(message, path=path, line=lines.get((name,)), key=name)


def key_table_markdown(keymap: Keymap | None = None) -> str:
    """The manual's key table: a heading and a table per group, ending in a newline."""
    keymap = keymap or Keymap()
    groups: dict[str, list[Action]] = {}
    for action in actions().values():
        groups.setdefault(action.group, []).append(action)
    parts: list[str] = []
    for group, members in groups.items():
        rows = ["| key | does | id |", "|---|---|---|"]
        for action in members:
            tab = _TAB.fullmatch(action.id)
            if tab and tab[1] != "1":
                continue
            keys = " ".join(_code(keymap.display(key)) for key in keymap.keys(action))
            keys = keys or _code(keymap.as_command(action))
            does, name = action.help, f"`{action.id}`"
            if tab:
                last = actions()[f"inspector.tab_{TABS}"]
                if not {action.id, last.id} & set(keymap.chosen):
                    keys = f"{keys} ... `9` `0`"
                does, name = does.replace(" 1 ", f" 1 to {TABS} "), f"{name} ... `{last.id}`"
            if action.confirm:
                does = does.rstrip(".") + " (asks for a second press)."
            rows.append(f"| {keys} | {does} | {name} |")
        parts.append(f"**{group}**\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`".replace("|", "\\|")
