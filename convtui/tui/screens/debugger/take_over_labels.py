"""The labels of the input of a take-over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convtui.actions.registry import Keymap
from convtui.records.codec import RecordDict
from convtui.text.boundary import visible_line
from convtui.tui.screens.debugger.context import ShownConversation
from convtui.tui.widgets.holdbar import choices_of

SPEAKER = {"persona": "simulator", "provider": "provider"}
"""Who speaks for each side otherwise."""


def input_labels(
    conversation: ShownConversation,
    keymap: Keymap,
    *,
    sides: Sequence[str],
    drafting: str,
    inside: bool,
) -> tuple[str, str, str]:
    """Title, hint and placeholder of the input.

    `sides` are those that the human speaks for, `drafting` is the side that is drafting, `inside`
    whether the input has the focus.
    """
    hold, side = conversation.hold, conversation.speaks_for
    leave = keymap.shown("take_over.leave")
    if conversation.over:
        what = "the engine has died" if conversation.dead else "the conversation is over"
        hint = f"{leave}, then enter, continues" if conversation.dead else f"{leave} leaves it"
        return f"{what}: your text is kept", hint if inside else "", ""
    if hold is None or not side:
        who = " and ".join(f"the {side}" for side in sides)
        hint = f"{leave}: the choices of the hold" if hold is not None and inside else ""
        if drafting:
            cancel = keymap.shown("run.cancel_call")
            title = f"drafting for the {drafting}"
            return title, f"{leave}, then {cancel}, cancels it", "The draft appears here."
        title = f"you are {who}: not your turn yet" if who else "no side is taken over"
        return title, hint, "You can write ahead: the text waits here for your turn."
    title = f"you speak for the {side}"
    if side == "persona":
        title += f", {visible_line(conversation.sides[0], 40)}"
    offered = {choice for choice, _ in choices_of(hold)}
    more = "stop, abstain and more" if "stop" in offered else "all choices"
    detail = visible_line(str(hold.get("detail") or ""), 200)
    draft = draft_of(hold)
    if draft is not None and draft.get("text"):
        title += ", from a draft"
        placeholder = "Enter sends the draft unchanged; typing replaces it."
    elif draft is not None:
        placeholder = f"{detail}. Enter accepts it; typing replaces it."
    elif "simulate" in offered:
        speaker = "simulator" if side == "persona" else "provider"
        placeholder = f"Say something as the {side}, or press Enter to let the {speaker} speak"
    else:
        placeholder = f"Say something as the {side}"
    return title, f"{leave}: {more}", placeholder


def draft_of(hold: RecordDict) -> dict[str, Any] | None:
    """The draft in a hold, if it has one."""
    for draft in hold.get("drafts") or ():
        if isinstance(draft, dict) and draft.get("field") == "text" and draft.get("draft"):
            return draft
    return None
