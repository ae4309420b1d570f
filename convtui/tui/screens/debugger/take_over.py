"""Lets a human speak for a side, or decide in place of a responder."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from textual import events
from textual.timer import Timer

from convtui.protocol import Commands
from convtui.records.codec import RecordDict
from convtui.tui.keyboard.typed_keys import takes_text
from convtui.tui.screens.debugger.context import DebuggerContext, WriteOutside
from convtui.tui.screens.debugger.hold_reply import HoldReply
from convtui.tui.screens.debugger.take_over_labels import (
    SPEAKER,
    draft_of,
    input_labels,
)
from convtui.tui.screens.debugger.taken_sides import TakenSides
from convtui.tui.screens.dialogs.questions import Ask
from convtui.tui.screens.handlers import Handler
from convtui.tui.textual_compat import forward
from convtui.tui.timers import call_once
from convtui.tui.widgets.takeover import TakeOverInput
from convtui.tui.widgets.transcript.transcript_view import TranscriptView


class TakeOver:
    """Takes over and hands back a side; manages the input and drafts."""

    def __init__(
        self,
        context: DebuggerContext,
        reply: HoldReply,
        box: TakeOverInput,
        view: TranscriptView,
        *,
        busy_for: Callable[[], float],
        write_outside: WriteOutside,
    ) -> None:
        """`busy_for` gives the seconds until the user counts as no longer typing."""
        self._context = context
        self._conversation = context.conversation
        self._reply = reply
        self._box = box
        self._view = view
        self._busy_for = busy_for
        self._write_outside = write_outside
        self._drafting = ""
        """The side that is drafting."""
        self._draft_over = ""
        """The input's text when the draft was requested."""
        self._hold_seen: object = None
        self._taken = TakenSides(self._conversation)
        self._wants_input = False
        """Whether the input gets the focus as soon as the user stops typing elsewhere."""
        self._input_timer: Timer | None = None

    def handlers(self) -> Iterator[Handler]:
        yield Handler(
            "take_over.toggle",
            partial(self._toggle, "persona"),
            self._can_take_over,
            lambda: "hand back" if "persona" in self.sides else "take over",
            moves=True,
        )
        yield Handler(
            "take_over.provider",
            partial(self._toggle, "provider"),
            self._can_take_over,
            lambda: "hand back" if "provider" in self.sides else None,
            moves=True,
        )
        yield Handler("take_over.send", self._box.send)
        yield Handler("take_over.newline", self._new_line)
        yield Handler("take_over.draft", self.make_draft, self._can_draft, self._draft_label)
        yield Handler("take_over.editor", self.write_outside)
        yield Handler("take_over.leave", self.leave_input)

    def _new_line(self) -> None:
        self._box.insert("\n")

    def _can_take_over(self) -> bool:
        return self._conversation.going

    def status(self) -> list[str]:
        """The sides that the human speaks for, for the status line."""
        sides = self.sides
        return [f"you are {' and '.join(f'the {side}' for side in sides)}"] if sides else []

    # --- choices

    async def answer(self, choice: str, hold: RecordDict) -> bool:
        """Answers a choice that needs a text; False for any other choice."""
        if choice == "say":
            self._box.focus()
        elif choice == "draft":
            await self.make_draft()
        elif choice == "abstain":
            await self._abstain(hold)
        else:
            return False
        return True

    async def _abstain(self, hold: RecordDict) -> None:
        def check(text: str) -> str | None:
            return self._reply.gone(hold) or (
                None if text.strip() else "An abstention needs a reason."
            )

        hint = "what the brief does not say; the conversation ends here and counts as an error"
        await self._reply.answer_with_text(
            hold,
            lambda wrote: Ask("abstain: why?", hint=hint, check=check, wrote=wrote),
            lambda reason: ("abstain", {"reason": reason}),
        )

    # --- sides

    @property
    def sides(self) -> list[str]:
        """The sides that a human speaks for."""
        return self._taken.sides

    def _toggle(self, side: str) -> Awaitable[None] | None:
        """Takes a side over, or hands it back. The input is alive at once: what follows is text."""
        if not self._conversation.going:
            self._context.notify("The conversation is over.")
            return None
        if side in self.sides:
            return self._hand_back(side)
        self._taken.ask_for(side)
        self.show()
        self._wants_input = False
        self._box.focus()
        return self._take(side)

    async def _hand_back(self, side: str) -> None:
        if await self._context.send(Commands.HAND_BACK, side=side):
            self._view.focus()
            self._context.notify(f"The {SPEAKER[side]} speaks again.")

    async def _take(self, side: str) -> None:
        accepted = False
        try:
            accepted = await self._context.send(Commands.TAKE_OVER, side=side)
        finally:
            if not accepted:
                self._taken.refused(side)
                self._view.focus()
                self._context.repaint()

    # --- the input

    async def say(self, text: str) -> None:
        """Sends what was typed; a refused text returns to the input."""
        accepted = False
        try:
            accepted = await self._reply.release("say", {"text": text})
        finally:
            if not accepted:
                self._box.restore(text)

    def leave_input(self) -> None:
        """Gives the focus to the transcript; the text stays."""
        self._wants_input = False
        self._view.focus()

    def take_paste(self, text: str) -> bool:
        """Passes a paste outside of inputs to the input; False if that is not shown."""
        shown = self._box.has_class("-shown") and not takes_text(self._box.screen.focused)
        if shown:
            self._box.focus()
            forward(self._box, events.Paste(text))
        return shown

    async def write(self) -> bool:
        """Opens the input's text in an editor; False if the input is not shown."""
        if not self._box.has_class("-shown"):
            return False
        await self.write_outside()
        return True

    async def write_outside(self) -> None:
        """Opens the input's text in an editor, without sending it."""
        box = self._box
        after = await self._write_outside(box.text)
        if after is not None:
            box.remember(box.text)
            box.text = after
            box.move_cursor(box.document.end)
        box.focus()

    # --- drafts

    def _can_draft(self) -> bool:
        return self._reply.offers("draft") is not None

    def _draft_label(self) -> str | None:
        hold = self._conversation.hold
        return "other draft" if hold is not None and draft_of(hold) is not None else None

    async def make_draft(self) -> None:
        """Asks the side for a draft, which then fills the input."""
        side = self._conversation.speaks_for
        if not side:
            self._context.notify("Drafts are possible when it is your turn to speak.")
            return
        if self._reply.offers("draft") is None:
            self._context.notify(f"No draft: nothing else speaks for the {side}.", "warning")
            return
        before = self._box.text
        if await self._reply.release("draft"):
            self._drafting, self._draft_over = side, before

    def show(self) -> bool:
        """Updates the input for the current hold; returns whether a human is to type there.

        Only the user can move the focus away from the input: whatever happens to the conversation,
        what is being typed stays text.
        """
        hold = self._conversation.hold
        side = self._conversation.speaks_for
        my_turn = bool(side)
        box = self._box
        was_shown = box.has_class("-shown")
        drafting = bool(self._drafting) and not self._conversation.over
        speaks = my_turn or drafting or bool(self.sides)
        box.set_class(
            speaks or box.has_focus or (was_shown and self._conversation.over and bool(box.text)),
            "-shown",
        )
        if speaks and not was_shown:
            self._wants_input = True
        was_my_turn, box.my_turn = box.my_turn, my_turn
        box.turn_comes = not self._conversation.over
        if my_turn and hold is not None and hold.get("hold") != self._hold_seen:
            self._hold_seen = hold.get("hold")
            requested_by, self._drafting = self._drafting, ""
            self._take_draft(hold, requested=bool(requested_by))
            self._wants_input = True
        elif was_my_turn and not my_turn and not self._drafting:
            box.forget_draft()
        if my_turn != was_my_turn or self._conversation.over:
            box.notice("")
        focused = self._take_focus(box) if speaks else False
        if box.has_class("-shown"):
            sides = self.sides
            box.speaks_for(side or (sides or [""])[0])
            labels = input_labels(
                self._conversation,
                self._context.keymap,
                sides=sides,
                drafting=self._drafting,
                inside=box.has_focus,
            )
            box.label(*labels)
        return my_turn and (box.has_focus or focused)

    def _take_focus(self, box: TakeOverInput) -> bool:
        """Focuses the input if that is wanted and interrupts nobody; whether it did."""
        if not self._wants_input:
            return False
        if self._box.screen.focused is box or takes_text(self._box.screen.focused):
            self._wants_input = False
            return False
        busy = self._busy_for()
        if busy > 0:
            if self._input_timer is not None:
                self._input_timer.stop()
            self._input_timer = call_once(box, busy, self._context.repaint)
            return False
        self._wants_input = False
        box.focus()
        return True

    def _take_draft(self, hold: RecordDict, *, requested: bool) -> None:
        draft = draft_of(hold)
        text = str(draft.get("text") or "") if draft is not None else ""
        box = self._box
        if text and box.fill(text, over=self._draft_over):
            self._context.notify("Your own text is kept: press up to bring it back.")
        elif text and box.text != text:
            self._context.notify("The draft is ready: press up for it. Your text stays.")
        elif requested and not text:
            self._context.notify(
                _sentence(str(hold.get("detail") or "There is no draft")), "warning"
            )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
