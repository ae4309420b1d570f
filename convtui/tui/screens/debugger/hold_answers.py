"""Answers holds: each choice by the key of its action, the first one also with Enter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from convtui.actions.hold_choices import ANSWERS, FIRST
from convtui.records.codec import RecordDict
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.debugger.hold_drafts import EDITS, HoldDrafts
from convtui.tui.screens.debugger.hold_reply import HoldReply
from convtui.tui.screens.handlers import Handler
from convtui.tui.widgets.holdbar import choices_of

_NOT_HERE = {
    "hold.edit": "There is nothing to edit at this stage.",
    "hold.undo": "Nothing to undo: nothing was edited here.",
    "hold.redo": "Nothing to redo: nothing was undone here.",
}
_NAMES = {
    "hold.ask_again": "Asking again",
    "hold.override": "Overriding",
    "hold.skip": "Skipping",
    "hold.deny": "Denying",
}
"""Names of actions in messages, where the label does not fit a sentence."""


@dataclass(frozen=True, slots=True)
class OtherAnswers:
    """Answers of other controllers, which ask for something before they release the hold."""

    answers: Sequence[Callable[[str, RecordDict], Awaitable[bool]]]
    """Each answers a hold with a choice; False if the choice is not its own."""
    write: Callable[[], Awaitable[bool]]
    """Opens the text of a take-over in the user's editor; False if there is none."""
    can_write: Callable[[], bool]
    """Whether there is a text of a take-over."""

    async def answer(self, choice: str, hold: RecordDict) -> bool:
        """Answers with a choice if one of the controllers handles it."""
        for answer in self.answers:
            if await answer(choice, hold):
                return True
        return False


class HoldAnswers:
    """Takes the choices of a hold."""

    def __init__(
        self,
        context: DebuggerContext,
        reply: HoldReply,
        drafts: HoldDrafts,
        others: OtherAnswers,
    ) -> None:
        self._context = context
        self._conversation = context.conversation
        self._reply = reply
        self._drafts = drafts
        self._others = others

    def handlers(self) -> Iterator[Handler]:
        yield Handler(FIRST, self._take_first, label=self._first_label, moves=True)
        for action, choices in ANSWERS.items():
            yield Handler(
                action,
                partial(self._answer, action),
                partial(self._offers, *choices),
                partial(self._label, *choices),
                moves=True,
            )
        yield Handler(
            "hold.open_editor",
            self._open_editor,
            lambda: self._others.can_write() or self._drafts.choice is not None,
            moves=True,
        )

    def _offers(self, *choices: str) -> bool:
        return self._reply.offers(*choices) is not None

    def _label(self, *choices: str) -> str | None:
        return self._reply.label(self._reply.offers(*choices))

    def _first_label(self) -> str | None:
        choices = choices_of(self._conversation.hold)
        return choices[0][1] if choices else None

    async def _take_first(self) -> None:
        choices = choices_of(self._conversation.hold)
        if choices:
            await self._choose(choices[0][0])
        else:
            self._reply.notify_nothing_held()

    async def _answer(self, action: str) -> None:
        await self.take(
            *ANSWERS[action],
            what=_NAMES.get(action, "This"),
            not_here=_NOT_HERE.get(action, ""),
        )

    async def take(self, *choices: str, what: str = "This", not_here: str = "") -> None:
        """Takes the first of `choices` that the hold offers.

        If it offers none of them, the notice says `not_here`, or that `what` is not possible.
        """
        choice = self._reply.offers(*choices)
        if self._conversation.hold is None:
            self._reply.notify_nothing_held()
        elif choice is not None:
            await self._choose(choice)
        elif not_here:
            self._context.notify(not_here, "warning")
        else:
            self._reply.notify_not_offered(what)

    async def _choose(self, choice: str) -> None:
        """Takes a choice, after asking for its text if it needs one."""
        hold = self._conversation.hold
        if hold is None:
            self._reply.notify_nothing_held()
        elif await self._others.answer(choice, hold):
            return
        elif choice in EDITS:
            await self._drafts.edit(choice)
        elif choice in _REVERTED:
            await self._revert(choice)
        else:
            await self._reply.release(choice)

    async def _revert(self, choice: str) -> None:
        label = self._reply.label(choice) or choice
        if await self._reply.release(choice):
            self._context.notify(f"{label.replace(choice, _REVERTED[choice], 1)}.")

    async def _open_editor(self) -> None:
        """Opens what is held, or the text of a take-over, in the user's editor."""
        if not await self._others.write():
            await self._drafts.edit(self._drafts.choice or "edit", outside=True)


_REVERTED = {"undo": "Undone:", "redo": "Redone:"}
"""What the notice says in place of a choice's verb."""
