"""The debugger's actions of a human who speaks for a side, or decides in a responder's place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convtui.protocol import Commands
from convtui.records import RecordDict
from convtui.text import visible_line
from convtui.tui import status
from convtui.tui.screens.answering import Answering
from convtui.tui.screens.dialogs import Ask
from convtui.tui.widgets.holdbar import choices_of
from convtui.tui.widgets.takeover import TakeOverInput

if TYPE_CHECKING:
    from typing import Any

WHO = {"persona": "user", "provider": "provider"}
"""What a side is called to people."""


class TakingOver(Answering):
    """Taking over and handing back, drafts, decisions by hand."""

    _drafting = ""
    """The side whose draft is being made."""
    _hold_seen: object = None

    # --- choices

    async def choose(self, choice: str) -> None:
        """Takes a choice; those that need words ask for them."""
        hold = self.hold
        if hold is not None and choice == "say":
            self.take_over_input.focus()
        elif hold is not None and choice == "draft":
            await self.make_draft()
        elif hold is not None and choice == "abstain":
            await self._abstain(hold)
        else:
            await super().choose(choice)

    async def _abstain(self, hold: RecordDict) -> None:
        def check(text: str) -> str | None:
            return None if text.strip() else "An abstention needs its reason."

        hint = "what the brief does not tell; the conversation ends here and counts as an error"
        reason = await self.app.push_screen_wait(Ask("abstain: why?", hint=hint, check=check))
        if reason is not None and self.still(hold):
            await self.release("abstain", {"reason": reason})

    # --- whose words

    @property
    def taken_over(self) -> list[str]:
        """The sides that a human speaks for."""
        if self.over:
            return []
        sides = set(self.transcript.taken_over)
        side = self.speaks_for
        return sorted(sides | {side} if side else sides)

    @property
    def speaks_for(self) -> str:
        """The side whose turn it is, when a human is to speak; empty otherwise."""
        hold = self.hold
        if hold is None or hold.get("reason") != "human":
            return ""
        return "provider" if hold.get("side") == "provider" else "persona"

    async def do_take_over_toggle(self) -> None:
        """Takes over as the user, or hands back."""
        await self._toggle("persona")

    async def do_take_over_provider(self) -> None:
        """Takes over as the provider, or hands back."""
        await self._toggle("provider")

    async def _toggle(self, side: str) -> None:
        handle = self.handle
        if handle is None or handle.over:
            self.tell("The conversation is over.")
            return
        who = "simulator" if side == "persona" else "provider"
        if side in self.taken_over:
            if await self._order(Commands.HAND_BACK, side=side):
                self.view.focus()
                self.tell(f"The {who} speaks for itself again.")
        elif await self._order(Commands.TAKE_OVER, side=side):
            self.tell(f"You are the {WHO[side]} now; the input says when it is your turn.")

    # --- the input

    async def on_take_over_input_sent(self, event: TakeOverInput.Sent) -> None:
        """The human has spoken."""
        event.stop()
        if not await self.release("say", {"text": event.text}):
            self.take_over_input.refused(event.text)

    async def on_take_over_input_simulator_asked(self, event: TakeOverInput.SimulatorAsked) -> None:
        """The side speaks for itself this once."""
        event.stop()
        await self._take("simulate", what="Letting the simulator speak")

    async def on_take_over_input_draft_asked(self, event: TakeOverInput.DraftAsked) -> None:
        """A draft is to be made."""
        event.stop()
        await self.make_draft()

    async def on_take_over_input_editor_asked(self, event: TakeOverInput.EditorAsked) -> None:
        """The text is written elsewhere."""
        event.stop()
        self.spawn(self.write_take_over())

    def on_take_over_input_left(self, event: TakeOverInput.Left) -> None:
        """Back to the keys."""
        event.stop()
        self.view.focus()

    async def do_hold_open_editor(self) -> None:
        """Opens what is held, or what the human is about to say, in an editor of its own."""
        if self.take_over_input.has_class("-shown"):
            await self.write_take_over()
        else:
            await super().do_hold_open_editor()

    async def write_take_over(self) -> None:
        """Writes the text of the take-over in an editor; it is not sent by that."""
        box = self.take_over_input
        after = await self.write_outside(box.text)
        if after is not None:
            box.keep(box.text)
            box.text = after
            box.move_cursor(box.document.end)
        box.focus()

    # --- drafts

    @property
    def drafted(self) -> bool:
        """Whether a draft is there to be sent."""
        return self.hold is not None and draft_of(self.hold) is not None

    async def make_draft(self) -> None:
        """Has the side make a draft, which then fills the input."""
        side = self.speaks_for
        if not side:
            self.tell("A draft can be made when it is your turn to speak.")
        elif self.offers("draft") is None:
            self.tell(f"Nobody else speaks for the {WHO[side]}: there is no draft.", "warning")
        elif await self.release("draft"):
            self._drafting = side
            # The keys of a call in flight work outside of the input.
            self.view.focus()

    def show_take_over(self) -> bool:
        """Brings the input up to date with the hold that is there now; whether it has the keys."""
        hold = self.hold
        human = bool(self.speaks_for)
        box = self.take_over_input
        was = box.has_class("-shown")
        drafting = bool(self._drafting) and not self.over
        box.set_class(human or drafting or bool(self.taken_over), "-shown")
        waiting, box.my_turn = box.my_turn, human
        if human and hold is not None and hold.get("hold") != self._hold_seen:
            self._hold_seen = hold.get("hold")
            asked, self._drafting = self._drafting, ""
            self._take_draft(hold, asked=bool(asked))
            waiting = False
        elif waiting and not human and not self._drafting:
            box.forget_draft()
        speaks = human and (box.has_focus or not waiting)
        if human and not waiting:
            box.focus()
        elif hold is not None and not human and box.has_focus and not box.text:
            # Something else wants an answer: Enter is for its first choice.
            self.view.focus()
        elif was and not box.has_class("-shown") and box.has_focus:
            self.view.focus()
        if box.has_class("-shown"):
            box.label(*self._labels(hold if human else None))
        return speaks

    def _take_draft(self, hold: RecordDict, *, asked: bool) -> None:
        draft = draft_of(hold)
        text = str(draft.get("text") or "") if draft is not None else ""
        if text and self.take_over_input.fill(text):
            self.tell("Your own text is kept: the up key brings it back.")
        elif asked and not text:
            self.tell(_sentence(str(hold.get("detail") or "There is no draft")), "warning")

    def _labels(self, hold: RecordDict | None) -> tuple[str, str, str]:
        """Title, hint and placeholder of the input."""
        if hold is None:
            sides = self.taken_over
            who = " and ".join(f"the {WHO[side]}" for side in sides)
            if self._drafting:
                cancel = self.keymap.shown("run.cancel_call")
                title = f"the {WHO[self._drafting]}'s draft is being made"
                return title, f"{cancel} cancels it", "What comes in is shown above."
            return f"you are {who}: not your turn yet", "", "You can write ahead."
        side = self.speaks_for
        title = f"you speak for the {WHO[side]}"
        if side == "persona":
            title += f", {visible_line(self._persona_name(), 40)}"
        offered = {choice for choice, _ in choices_of(hold)}
        leave = self.keymap.shown("take_over.leave")
        more = "stop, abstain and more" if "stop" in offered else "all choices"
        detail = visible_line(str(hold.get("detail") or ""), 200)
        draft = draft_of(hold)
        if draft is not None and draft.get("text"):
            title += ", from a draft"
            empty = "Enter sends the draft as it was; what you write replaces it."
        elif draft is not None:
            empty = f"{detail}. Enter lets it; what you write replaces it."
        elif "simulate" in offered:
            it = "simulator" if side == "persona" else "provider"
            empty = f"Say something as the {WHO[side]}, or press Enter to let the {it} speak"
        else:
            empty = f"Say something as the {WHO[side]}"
        return title, f"{leave}: {more}", empty

    def _persona_name(self) -> str:
        return status.sides(self.transcript, self.run.spec if self.run else None)[0]


def draft_of(hold: RecordDict) -> dict[str, Any] | None:
    """The draft that a side has made, when the hold has one."""
    for draft in hold.get("drafts") or ():
        if isinstance(draft, dict) and draft.get("field") == "text" and draft.get("draft"):
            return draft
    return None


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
