"""The debugger's actions of a human who speaks for a side, or decides in a responder's place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.timer import Timer

from convtui.protocol import Commands
from convtui.records import RecordDict
from convtui.text import visible_line
from convtui.tui import status
from convtui.tui.screens.answering import Answering
from convtui.tui.screens.dialogs import Ask
from convtui.tui.textual_compat import forward
from convtui.tui.timers import once
from convtui.tui.typed_keys import takes_text
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
    _draft_over = ""
    """What stood in the input when the draft was asked for."""
    _hold_seen: object = None
    _sides: frozenset[str] = frozenset()
    """The sides that a human spoke for when the engine last said so."""
    _wants_input = False
    """Whether the input is to have the focus as soon as nobody uses the keys for something else."""
    _input_timer: Timer | None = None

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
            return self.gone(hold) or (None if text.strip() else "An abstention needs its reason.")

        hint = "what the brief does not tell; the conversation ends here and counts as an error"
        await self.answered(
            hold,
            lambda wrote: Ask("abstain: why?", hint=hint, check=check, wrote=wrote),
            lambda reason: ("abstain", {"reason": reason}),
        )

    # --- whose words

    @property
    def taken_over(self) -> list[str]:
        """The sides that a human speaks for."""
        if self.run is None or self.over:
            return []
        if self.transcript.records:
            self._sides = frozenset(self.transcript.taken_over)
        elif status.simulator_of(self.run.spec.scenario) == "human":
            self._sides |= {"persona"}
        side = self.speaks_for
        return sorted(self._sides | {side} if side else self._sides)

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
        self.spawn(self._say(event.text))

    async def _say(self, text: str) -> None:
        taken = False
        try:
            taken = await self.release("say", {"text": text})
        finally:
            # Whatever became of it, what was not taken is not lost.
            if not taken:
                self.take_over_input.refused(text)

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
        self._wants_input = False
        self.view.focus()

    def on_paste(self, event: events.Paste) -> None:
        """What is pasted outside of inputs is meant for the one below, when it is there."""
        box = self.take_over_input
        if box.has_class("-shown") and not takes_text(self.focused):
            event.stop()
            box.focus()
            forward(box, events.Paste(event.text))

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
            return
        if self.offers("draft") is None:
            self.tell(f"Nobody else speaks for the {WHO[side]}: there is no draft.", "warning")
            return
        before = self.take_over_input.text
        if await self.release("draft"):
            self._drafting, self._draft_over = side, before

    def show_take_over(self) -> bool:
        """Brings the input up to date with the hold that is there now; whether it has the keys.

        Only a person takes the keys from the input: whatever becomes of the conversation, what is
        being typed stays text.
        """
        hold = self.hold
        human = bool(self.speaks_for)
        box = self.take_over_input
        was = box.has_class("-shown")
        drafting = bool(self._drafting) and not self.over
        speaks = human or drafting or bool(self.taken_over)
        box.set_class(speaks or box.has_focus or (was and self.over and bool(box.text)), "-shown")
        if speaks and not was:
            self._wants_input = True
        before, box.my_turn = box.my_turn, human
        box.turn_comes = not self.over
        if human and hold is not None and hold.get("hold") != self._hold_seen:
            self._hold_seen = hold.get("hold")
            asked, self._drafting = self._drafting, ""
            self._take_draft(hold, asked=bool(asked))
            self._wants_input = True
        elif before and not human and not self._drafting:
            box.forget_draft()
        if human != before or self.over:
            box.notice("")
        taken = self._take_keys(box) if speaks else False
        if box.has_class("-shown"):
            box.label(*self._labels(hold))
        return human and (box.has_focus or taken)

    def _take_keys(self, box: TakeOverInput) -> bool:
        """Puts the keys into the input where that is wanted and takes them from nobody."""
        if not self._wants_input:
            return False
        if self.focused is box or takes_text(self.focused):
            self._wants_input = False
            return False
        busy = self.capp.typed.busy_for
        if busy > 0:
            if self._input_timer is not None:
                self._input_timer.stop()
            self._input_timer = once(self, busy, self.repaint)
            return False
        self._wants_input = False
        box.focus()
        return True

    def _take_draft(self, hold: RecordDict, *, asked: bool) -> None:
        draft = draft_of(hold)
        text = str(draft.get("text") or "") if draft is not None else ""
        box = self.take_over_input
        if text and box.fill(text, over=self._draft_over):
            self.tell("Your own text is kept: the up key brings it back.")
        elif text and box.text != text:
            self.tell("The draft is there: the up key brings it. What you write stays.")
        elif asked and not text:
            self.tell(_sentence(str(hold.get("detail") or "There is no draft")), "warning")

    def _labels(self, hold: RecordDict | None) -> tuple[str, str, str]:
        """Title, hint and placeholder of the input."""
        leave = self.keymap.shown("take_over.leave")
        inside = self.take_over_input.has_focus
        if self.over:
            what = "the engine has died" if self.dead else "the conversation is over"
            leaves = f"{leave}, then enter, goes on" if self.dead else f"{leave} leaves it"
            return f"{what}: your text is kept", leaves if inside else "", ""
        if hold is None or not self.speaks_for:
            who = " and ".join(f"the {WHO[side]}" for side in self.taken_over)
            hint = f"{leave}: the choices of the hold" if hold is not None and inside else ""
            if self._drafting:
                cancel = self.keymap.shown("run.cancel_call")
                title = f"the {WHO[self._drafting]}'s draft is being made"
                return title, f"{leave}, then {cancel}, cancels it", "Its text comes here."
            title = f"you are {who}: not your turn yet" if who else "nobody has taken over"
            return title, hint, "Write ahead: what you type waits here for your turn."
        side = self.speaks_for
        title = f"you speak for the {WHO[side]}"
        if side == "persona":
            title += f", {visible_line(self._persona_name(), 40)}"
        offered = {choice for choice, _ in choices_of(hold)}
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
