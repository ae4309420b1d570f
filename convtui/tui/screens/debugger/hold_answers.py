"""Answers holds: by choice, by editing, by asking again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from convtui.actions.registry import Keymap
from convtui.records.codec import RecordDict
from convtui.scenario.params_text import parse_params
from convtui.text.boundary import visible_line
from convtui.tui.screens.debugger.context import DebuggerContext, WriteOutside
from convtui.tui.screens.debugger.hold_reply import HoldReply
from convtui.tui.screens.dialogs.questions import Ask, Edit
from convtui.tui.screens.handlers import Handler
from convtui.tui.widgets.holdbar import choices_of

HOLD_KEYS = {
    "hold.edit": ("edit", "supply", "reply"),
    "hold.ask_again": ("again", "retry"),
    "hold.override": ("override", "keep"),
    "hold.undo": ("undo",),
    "hold.redo": ("redo",),
}
"""Choices of a hold that have a key of their own besides their number."""
SHOWN_ONLY = frozenset({"estimate", "verdict"})
"""Fields of drafts that are shown but not edited."""
EDITS = frozenset({"edit", "supply", "reply"})
"""Choices that ask for a text."""


@dataclass(frozen=True, slots=True)
class OtherAnswers:
    """Answers of other controllers, which ask for something before they release the hold."""

    answers: Sequence[Callable[[str, RecordDict], Awaitable[bool]]]
    """Each answers a hold with a choice; False if the choice is not its own."""
    edit: Callable[[str, bool], Awaitable[bool]]
    """Edits what is held, optionally in the user's editor; False if it is not its own."""
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
    """Choices by number and by key, edits of drafts, other parameters."""

    def __init__(
        self,
        context: DebuggerContext,
        reply: HoldReply,
        others: OtherAnswers,
        write_outside: WriteOutside,
    ) -> None:
        self._context = context
        self._conversation = context.conversation
        self._reply = reply
        self._others = others
        self._write_outside = write_outside
        self._last_params = ""
        """The parameters used last, as typed."""

    def handlers(self) -> Iterator[Handler]:
        yield Handler("hold.first", partial(self._choose_number, 1), moves=True)
        for number in range(1, 10):
            yield Handler(
                f"hold.choice_{number}",
                partial(self._choose_number, number),
                partial(self._has_choice, number),
                moves=True,
            )
        edits = partial(self._offers, *HOLD_KEYS["hold.edit"])
        yield Handler("hold.edit", self._edit, edits, moves=True)
        yield Handler(
            "hold.open_editor",
            self._open_editor,
            lambda: self._others.can_write() or edits(),
            moves=True,
        )
        yield Handler(
            "hold.ask_again",
            partial(self.take, "again", "retry", what="Asking again"),
            partial(self._offers, "again", "retry"),
            # Asking again for what is held loses nothing.
            warning=lambda: None,
            moves=True,
        )
        yield Handler(
            "hold.ask_again_with", self._ask_again_with, partial(self._offers, "again"), moves=True
        )
        yield Handler(
            "hold.override",
            partial(self.take, "override", "keep", what="Overriding"),
            partial(self._offers, "override", "keep"),
            moves=True,
        )
        undo = "Nothing to undo: nothing was edited here."
        redo = "Nothing to redo: nothing was undone here."
        yield Handler(
            "hold.undo",
            partial(self._revert, "undo", undo),
            partial(self._offers, "undo"),
            moves=True,
        )
        yield Handler(
            "hold.redo",
            partial(self._revert, "redo", redo),
            partial(self._offers, "redo"),
            moves=True,
        )

    def _offers(self, *choices: str) -> bool:
        return self._reply.offers(*choices) is not None

    def _has_choice(self, number: int) -> bool:
        return number <= len(choices_of(self._conversation.hold))

    async def _edit(self) -> None:
        await self._edit_held(self._reply.offers(*HOLD_KEYS["hold.edit"]) or "edit")

    async def _open_editor(self) -> None:
        """Opens what is held, or the text of a take-over, in the user's editor."""
        if not await self._others.write():
            choice = self._reply.offers(*HOLD_KEYS["hold.edit"]) or "edit"
            await self._edit_held(choice, outside=True)

    async def _choose_number(self, number: int) -> None:
        choices = choices_of(self._conversation.hold)
        if 1 <= number <= len(choices):
            await self._choose(choices[number - 1][0])
        elif self._conversation.hold is not None:
            self._context.notify(f"This hold has {len(choices)} choices.")

    async def _choose(self, choice: str) -> None:
        """Takes a choice, after asking for its text if it needs one."""
        hold = self._conversation.hold
        if hold is None:
            self._reply.notify_nothing_held()
        elif not await self._others.answer(choice, hold):
            if choice in EDITS:
                await self._edit_held(choice)
            else:
                await self._reply.release(choice)

    async def take(self, *choices: str, what: str) -> None:
        """Takes the first of `choices` that the hold offers; `what` names it in messages."""
        if self._conversation.hold is None:
            self._reply.notify_nothing_held()
            return
        choice = self._reply.offers(*choices)
        if choice is None:
            labels = ", ".join(label for _, label in choices_of(self._conversation.hold))
            self._context.notify(
                f"{what} is not possible here; this hold offers: {labels}.", "warning"
            )
        else:
            await self._choose(choice)

    async def _revert(self, choice: str, empty_message: str) -> None:
        hold = self._conversation.hold
        if hold is None:
            self._reply.notify_nothing_held()
            return
        label = next((label for identity, label in choices_of(hold) if identity == choice), None)
        if label is None:
            self._context.notify(empty_message, "warning")
        elif await self._reply.release(choice):
            prefix = {"undo": "Undone:", "redo": "Redone:"}[choice]
            self._context.notify(f"{label.replace(choice, prefix, 1)}.")

    async def _ask_again_with(self) -> None:
        """Asks the model again with other parameters, this time only."""
        hold = self._conversation.hold
        if hold is None:
            self._reply.notify_nothing_held()
            return
        if self._reply.offers("again") is None:
            await self.take("again", what="Asking again")
            return

        def ask(wrote: str | None) -> Ask:
            return Ask(
                "ask again with other parameters",
                value=self._last_params,
                hint="key=value, separated by spaces: temperature=0.2 model=openai/gpt-4o. Values"
                " are JSON or text. They apply to this attempt only, and are recorded.",
                check=lambda text: self._reply.gone(hold) or parse_params(text)[1],
                wrote=wrote,
            )

        answer = await self._reply.answer_with_text(
            hold, ask, lambda text: ("again", {"params": parse_params(text)[0]})
        )
        if answer is not None:
            self._last_params = answer
            params, _ = parse_params(answer)
            given = ", ".join(f"{name}={value}" for name, value in params.items())
            self._context.notify(f"Asked again with {visible_line(given, 200)}.")

    async def _edit_held(self, choice: str, *, outside: bool = False) -> None:
        """Edits the held draft; the engine reruns the stages in between and holds again."""
        hold = self._conversation.hold
        if hold is None:
            self._reply.notify_nothing_held()
            return
        if self._reply.offers(choice) is None:
            self._context.notify("There is nothing to edit at this stage.", "warning")
            return
        if await self._others.edit(choice, outside):
            return
        drafts = self._drafts_for(choice, hold)
        edits: dict[str, str] = {}
        while True:
            written = await (
                self._edit_outside(drafts) if outside else self._edit_inside(hold, drafts, edits)
            )
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


def choice_keys(keymap: Keymap) -> dict[str, str]:
    """The keys of choices that have one of their own, by choice."""
    return {
        choice: keymap.shown(action) for action, choices in HOLD_KEYS.items() for choice in choices
    }


def drafts_of(hold: RecordDict) -> list[tuple[str, str, str]]:
    """The editable drafts of a hold as (field, label, text)."""
    drafts: list[tuple[str, str, str]] = []
    for draft in hold.get("drafts") or ():
        if isinstance(draft, dict) and draft.get("field") and draft["field"] not in SHOWN_ONLY:
            field = str(draft["field"])
            label = visible_line(str(draft.get("label") or field), 80)
            drafts.append((field, label, str(draft.get("text") or "")))
    return drafts
