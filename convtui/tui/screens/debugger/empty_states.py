"""What stands where turns will be: what is awaited, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convtui.actions.registry import Keymap
    from convtui.tui.screens.debugger.context import ShownConversation

NO_TURN = "The stages, texts and calls of a turn appear here."


def before_the_first_turn(conversation: ShownConversation, keymap: Keymap) -> str:
    """The message of a transcript without turns."""
    replay, handle = conversation.replay, conversation.handle
    if replay is not None:
        if replay.loading:
            return "Reading the log ..."
        if replay.running:
            return "Another process is writing this log. Its first turn appears here."
        return f"This recording has no turns. {keymap.shown('app.quit')} goes back."
    assert handle is not None
    reload, leave = keymap.shown("provider.reload"), keymap.shown("app.quit")
    if conversation.dead:
        return f"The engine died before the first turn. {reload} starts another one."
    if conversation.over:
        return f"It ended before the first turn. {leave} goes back."
    hold = conversation.hold
    if hold is None:
        waits = handle.state.value in ("new", "starting")
        what = "The engine is starting." if waits else "The conversation begins."
        return f"{what} The first turn appears here."
    if hold.get("reason") == "error":
        return f"There is no turn yet. Fix the code; {reload} loads it again."
    if hold.get("reason") == "human":
        return "Write the first turn below."
    step, run = keymap.shown("run.step_turn"), keymap.shown("run.toggle")
    return f"Held before the first turn. {step} runs one turn, {run} runs on."
