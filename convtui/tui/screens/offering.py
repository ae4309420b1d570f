"""What the debugger offers now: which actions would do something, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence

from convtui.actions import Action, actions
from convtui.transcript import Flag
from convtui.tui.screens.briefs import Briefs
from convtui.tui.widgets.holdbar import choices_of
from convtui.tui.widgets.keybar import KeyItem

_LIVE = (
    "run.toggle", "run.step_turn", "run.step_stage", "take_over.toggle", "run.cancel_call",
    "break.here", "inspector.decision", "context.view", "inspector.whole", "provider.reload",
    "view.cycle", "inspector.toggle",
    "search.open", "take_over.provider", "app.quit", "app.help",
)  # fmt: skip
_HELD = (
    "run.toggle", "run.step_turn", "run.step_stage", "hold.edit", "hold.ask_again",
    "hold.override", "take_over.toggle", "inspector.decision", "provider.reload", "branch.rewind",
    "context.view", "inspector.whole", "view.cycle", "break.here", "search.open",
    "take_over.provider", "app.quit", "app.help",
)  # fmt: skip
_REPLAY = (
    "replay.toggle", "replay.previous_turn", "replay.next_turn", "context.view",
    "inspector.whole", "run.step_stage", "replay.faster", "move.next_event", "inspector.decision",
    "hold.edit_brief", "view.cycle", "inspector.toggle", "search.open", "replay.go_to",
    "app.quit", "app.help",
)  # fmt: skip
_OVER = (
    "provider.reload", "branch.rewind", "context.view", "move.next_event", "inspector.decision",
    "hold.edit_brief", "view.cycle", "inspector.toggle", "search.open", "copy.transcript",
    "app.quit", "app.help",
)  # fmt: skip


_PASSABLE = ("pause", "step", "breakpoint", "ending")
"""Reasons of holds that need no decision: running and stepping answer them."""


class Offering(Briefs):
    """The footer, the names of actions, and whether they would do something."""

    def footer_ids(self) -> Sequence[str]:
        """What can be done now."""
        if self.replay is not None:
            ids: tuple[str, ...] = _REPLAY
        elif self.over:
            ids = _OVER
        else:
            ids = _HELD if self.hold is not None else _LIVE
        if self.handle is not None and self.handle.silent_for > 0 and not self.over:
            ids = ("run.kill_engine", *ids)
        if self.searching:
            ids = ("search.next", "search.previous", "search.close", *ids)
        return ids

    def footer_items(self) -> list[KeyItem]:
        """Without what the hold bar lists; the take-over's keys while its input has the focus."""
        if self.take_over_input.has_focus:
            ids = ["take_over.newline", "take_over.editor", "take_over.leave"]
            if self.offers("draft") is not None:
                ids.insert(0, "take_over.draft")
            if self.take_over_input.my_turn:
                ids.insert(0, "take_over.send")
            return [
                KeyItem(self.keymap.shown(name), self.label(actions()[name]), name) for name in ids
            ]
        items = super().footer_items()
        if self.hold is not None:
            # The hold bar lists these, with the same keys.
            items = [item for item in items if not item.action.startswith("hold.")]
        if self.dead:
            items = [item for item in items if item.action != "provider.reload"]
            items.insert(0, KeyItem("enter", "go on from the log", "provider.reload"))
        return items

    def label(self, action: Action) -> str:
        """What an action does now."""
        if action.id == "run.toggle":
            handle = self.handle
            held = self.hold is not None or (handle and handle.state.value == "pausing")
            return "run" if held else "pause"
        if action.id == "replay.toggle" and self.replay is not None:
            return "pause" if self.replay.playing else "play"
        if action.id == "take_over.toggle":
            return "hand back" if "persona" in self.taken_over else "take over"
        if action.id == "take_over.provider" and "provider" in self.taken_over:
            return "hand back"
        if action.id == "take_over.draft" and self.drafted:
            return "other draft"
        if action.id == "provider.reload" and self.over:
            return "go on from the log"
        if action.id == "tools.approve":
            return "stop approving" if self.approving else "approve tools"
        if action.id == "context.view" and self.view.summaries:
            return "turns"
        if action.id == "run.cancel_call" and self.summarising:
            return "cancel summary"
        return action.label

    def enabled(self, action_id: str) -> bool:
        """Whether an action would do something now."""
        hold, turn = self.hold, self.selected
        kind = action_id.partition(".")[0]
        if action_id == "provider.reload":
            return self.run is not None and (not self.over or self.dead)
        if action_id == "branch.rewind":
            return self.run is not None and turn is not None and turn.first > 0
        if kind == "break":
            return self.run is not None and not self.over and turn is not None
        if action_id == "context.view":
            return bool(self.summaries)
        if action_id == "context.compress":
            return self.run is not None and bool(self.transcript.turns) and not self.busy_with
        if action_id == "tools.approve":
            return self.run is not None and not self.over
        if action_id == "inspector.whole":
            return turn is not None and bool(turn.flags & Flag.TOOL)
        if action_id == "run.cancel_call" and self.summarising:
            return True
        if action_id == "run.cancel_call":
            return not self.over and hold is None and self.transcript.current is not None
        if action_id in ("run.step_turn", "run.step_stage", "run.continue") and self.replay:
            return bool(self.transcript.turns)
        going = ("run.toggle", "run.step_turn", "run.step_stage", "run.continue")
        if action_id in going and hold is not None and hold.get("reason") not in _PASSABLE:
            return False
        if kind in ("run", "take_over"):
            return self.run is not None and not self.over
        if action_id == "hold.open_editor" and self.taken_over:
            return True
        if action_id in ("hold.edit", "hold.open_editor"):
            return self.offers("edit", "supply", "reply") is not None
        if action_id == "inspector.decision":
            return self.deciding
        if action_id == "hold.edit_brief":
            return self.decision_held or (
                bool(self.brief) and turn is not None and bool(turn.flags & Flag.DECISION)
            )
        if action_id == "hold.ask_again":
            return self.offers("again", "retry") is not None
        if action_id in ("hold.undo", "hold.redo"):
            return self.offers(action_id.partition(".")[2]) is not None
        if action_id == "hold.ask_again_with":
            return self.offers("again") is not None
        if action_id == "hold.override":
            return self.offers("override", "keep") is not None
        if action_id.startswith("hold.choice_"):
            return int(action_id[-1]) <= len(choices_of(hold))
        if kind in ("move", "copy", "view", "search", "inspector", "replay"):
            return bool(self.transcript.turns)
        return True

    def warning(self, action_id: str) -> str | None:
        """What the second press will do; asking again for what is still held takes nothing away."""
        action = actions()[action_id]
        held = action.id == "hold.edit_brief" and self.decision_held
        if held or not action.confirm or action.id == "hold.ask_again":
            return None
        turn = self.selected
        if action.id == "branch.rewind" and turn is not None:
            return f"Goes back to before turn {turn.address}, in a new branch."
        if action.id == "hold.edit_brief" and turn is not None:
            return f"Edits the brief and asks again at turn {turn.address}, in a new branch."
        if action.id == "context.compress":
            return "Summarises the history and goes on from the summary, in a new branch."
        return action.help
