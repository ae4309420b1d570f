"""Edits the drafts of a hold: what is held, or what is written in its place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from convtui.actions.hold_choices import ANSWERS
from convtui.records.codec import RecordDict
from convtui.text.boundary import visible_line
from convtui.tui.screens.debugger.context import DebuggerContext, WriteOutside
from convtui.tui.screens.debugger.hold_reply import HoldReply
from convtui.tui.screens.dialogs.questions import Edit

SHOWN_ONLY = frozenset({"estimate", "verdict"})
"""Fields of drafts that are shown but not edited."""
EDITS = ANSWERS["hold.edit"]
"""Choices that ask for a text."""


class HoldDrafts:
    """Asks for the texts of a choice and answers the hold with them."""

    def __init__(
        self,
        context: DebuggerContext,
        reply: HoldReply,
        write_outside: WriteOutside,
        other_edit: Callable[[str, bool], Awaitable[bool]],
    ) -> None:
        """`other_edit` edits what is not a text of the turn; False if it is not its own."""
        self._context = context
        self._conversation = context.conversation
        self._reply = reply
        self._write_outside = write_outside
        self._other_edit = other_edit

    @property
    def choice(self) -> str | None:
        """The choice of the current hold that edits something; None if it has none."""
        return self._reply.offers(*EDITS)

    async def edit(self, choice: str, *, outside: bool = False) -> None:
        """Edits the held draft; the engine reruns the stages in between and holds again."""
        hold = self._conversation.hold
        if hold is None:
            self._reply.notify_nothing_held()
            return
        if self._reply.offers(choice) is None:
            self._context.notify("There is nothing to edit at this stage.", "warning")
            return
        if await self._other_edit(choice, outside):
            return
        drafts = self._drafts_for(choice, hold)
        edits: dict[str, str] = {}
        while True:
            written = await (
                self._edit_outside(drafts) if outside else self._edit_inside(hold, drafts, edits)
            )
            if written == {} and choice == "supply":
                # What is there is what is wanted: the words that had arrived, or the raw reply.
                written = {field: text for field, _, text in drafts[:1] if text.strip()}
            if not written:
                return  # nothing changed
            if choice == "reply" and not written.get("raw", drafts[0][2]).strip():
                self._context.notify(
                    "An answer cannot be empty: stop or abstain instead.", "warning"
                )
                return
            if self._reply.still(hold) and await self._reply.release(choice, written):
                return
            # Keep a refused text, so that it can be tried again or copied.
            edits, outside = written, False

    def _drafts_for(self, choice: str, hold: RecordDict) -> list[tuple[str, str, str]]:
        """The drafts that a choice edits, as (field, label, text)."""
        drafts = drafts_of(hold)
        if choice == "reply":
            # For another kind of decision the text is a reason, not an answer.
            kind = next((text for field, _, text in drafts if field == "decision"), "reply")
            text = next((text for field, _, text in drafts if field == "raw"), "")
            return [("raw", "what the persona answers", text if kind == "reply" else "")]
        return drafts or [("text", "text of the turn", "")]

    async def _edit_inside(
        self, hold: RecordDict, drafts: list[tuple[str, str, str]], wrote: Mapping[str, str]
    ) -> dict[str, str] | None:
        title = f"{hold.get('session') or 1}:{hold.get('turn')}" if hold.get("turn") else "held"
        return await self._context.ask(
            Edit(f"edit {title}", drafts, check=lambda *_: self._reply.gone(hold), wrote=wrote)
        )

    async def _edit_outside(self, drafts: list[tuple[str, str, str]]) -> dict[str, str] | None:
        field, _, text = drafts[0]
        after = await self._write_outside(text)
        return {field: after} if after is not None else None


def drafts_of(hold: RecordDict) -> list[tuple[str, str, str]]:
    """The editable drafts of a hold as (field, label, text)."""
    drafts: list[tuple[str, str, str]] = []
    for draft in hold.get("drafts") or ():
        if isinstance(draft, dict) and draft.get("field") and draft["field"] not in SHOWN_ONLY:
            field = str(draft["field"])
            label = visible_line(str(draft.get("label") or field), 80)
            drafts.append((field, label, str(draft.get("text") or "")))
    return drafts
