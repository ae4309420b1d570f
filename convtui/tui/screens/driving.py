"""The debugger's actions on a running conversation: pausing, holds, breakpoints, cancelling."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from convtui.errors import CommandRefused
from convtui.protocol import Commands
from convtui.records import RecordDict
from convtui.text import visible_line
from convtui.transcript import Turn
from convtui.tui.screens.dialogs import Ask, Edit
from convtui.tui.screens.outside import write_outside
from convtui.tui.screens.transport import Transport
from convtui.tui.widgets.holdbar import choices_of

HOLD_KEYS = {
    "hold.edit": ("edit", "supply", "reply"),
    "hold.ask_again": ("again", "retry"),
    "hold.override": ("override", "keep"),
    "hold.undo": ("undo",),
    "hold.redo": ("redo",),
}
"""The choices of a hold that have a key of their own, whatever their number."""
SHOWN_ONLY = frozenset({"estimate", "verdict"})
"""Fields of drafts that are to be read, not edited."""
EDITS = frozenset({"edit", "supply", "reply"})
"""Choices that need a text."""


class Driving(Transport):
    """Pausing, stepping, holds, breakpoints, cancelling."""

    # --- running

    async def do_run_toggle(self) -> None:
        """Pauses, or lets it go on."""
        handle = self.handle
        if handle is None or handle.over:
            self.tell("The conversation is over.")
        elif self.hold is not None or handle.state.value == "pausing":
            await self._order(Commands.RUN)
        else:
            await self._order(Commands.PAUSE)

    async def do_run_step_turn(self) -> None:
        """Goes on by one turn."""
        if self.replay is not None:
            await self.do_replay_next_turn()
        else:
            await self._order(Commands.STEP_TURN)

    async def do_run_step_stage(self) -> None:
        """Goes on by one stage."""
        if self.replay is not None:
            await self.replay_step_stage()
        else:
            await self._order(Commands.STEP_STAGE)

    async def do_run_continue(self) -> None:
        """Goes on to the next breakpoint; to the end of a recording."""
        if self.replay is not None:
            await self.replay_continue()
        else:
            await self._order(Commands.CONTINUE)

    async def _order(self, do: str, **arguments: object) -> bool:
        """Sends a command; a refusal is told. Whether it was carried out."""
        handle = self.handle
        if handle is None:
            return False
        try:
            await handle.command(do, **arguments)
        except CommandRefused as refused:
            self.refused(refused)
            return False
        return True

    def refused(self, refused: CommandRefused) -> None:
        """Tells why the engine did not do it."""
        text = str(refused)
        self.tell(f"{text[:1].upper()}{text[1:]}.", "warning")

    async def do_run_cancel_call(self) -> None:
        """Cancels the call in flight."""
        handle = self.handle
        if handle is not None and handle.silent_for > 0:
            kill = self.keymap.shown("run.kill_engine")
            self.tell(f"The provider's code blocks the engine: only {kill} kills it.", "warning")
            return
        await self._order(Commands.CANCEL)

    def do_run_kill_engine(self) -> None:
        """Kills the engine process."""
        handle = self.handle
        if handle is None or handle.over:
            self.tell("There is no engine to kill: the conversation is over.")
        else:
            handle.kill()

    # --- holds

    async def do_hold_first(self) -> None:
        """The hold's first choice."""
        await self.choose_number(1)

    async def do_hold_choice(self, number: int) -> None:
        """A choice by its number."""
        await self.choose_number(number)

    async def choose_number(self, number: int) -> None:
        """Takes the choice with this number, from 1."""
        choices = choices_of(self.hold)
        if 1 <= number <= len(choices):
            await self.choose(choices[number - 1][0])
        elif self.hold is not None:
            self.tell(f"This hold has {len(choices)} choices.")

    async def choose(self, choice: str) -> None:
        """Takes a choice; one that needs a text asks for it."""
        hold = self.hold
        if hold is None:
            self.nothing_held()
        elif choice in EDITS:
            await self.edit_held(choice)
        else:
            await self.release(choice)

    async def release(self, choice: str, edits: Mapping[str, Any] | None = None) -> bool:
        """Answers the hold; a refusal is told. Whether it was taken."""
        handle = self.handle
        if handle is None or self.not_now():
            return False
        try:
            await handle.release(choice, dict(edits or {}))
        except CommandRefused as refused:
            self.refused(refused)
            return False
        return True

    def not_now(self) -> bool:
        """Whether something is being done that the conversation has to wait for; tells of it."""
        if self.busy_with:
            self.tell(f"Not now: {self.busy_with}.")
        return bool(self.busy_with)

    def nothing_held(self) -> None:
        """What to press first."""
        self.tell(f"Nothing is held: {self.keymap.shown('run.toggle')} pauses.")

    def offers(self, *choices: str) -> str | None:
        """The first of `choices` that the hold offers."""
        offered = {identity for identity, _ in choices_of(self.hold)}
        return next((choice for choice in choices if choice in offered), None)

    async def _take(self, *choices: str, what: str) -> None:
        if self.hold is None:
            self.nothing_held()
            return
        choice = self.offers(*choices)
        if choice is None:
            labels = ", ".join(label for _, label in choices_of(self.hold))
            self.tell(f"{what} is not possible here; this hold offers: {labels}.", "warning")
        else:
            await self.choose(choice)

    async def do_hold_ask_again(self) -> None:
        """Asks the model again."""
        await self._take("again", "retry", what="Asking again")

    async def do_hold_override(self) -> None:
        """Overrides the discard or the ending."""
        await self._take("override", "keep", what="Overriding")

    async def do_hold_undo(self) -> None:
        """Takes back the last edit or override that was not released."""
        await self._go_back_on("undo", "Nothing was edited here: there is nothing to undo.")

    async def do_hold_redo(self) -> None:
        """Makes the edit that was taken back last again."""
        await self._go_back_on("redo", "Nothing was taken back here: there is nothing to redo.")

    async def _go_back_on(self, choice: str, nothing: str) -> None:
        hold = self.hold
        if hold is None:
            self.nothing_held()
            return
        label = next((label for identity, label in choices_of(hold) if identity == choice), None)
        if label is None:
            self.tell(nothing, "warning")
        elif await self.release(choice):
            done = {"undo": "Undone:", "redo": "Redone:"}[choice]
            self.tell(f"{label.replace(choice, done, 1)}.")

    async def do_hold_ask_again_with(self) -> None:
        """Asks the model again with other parameters, which count this once."""
        hold = self.hold
        if hold is None:
            self.nothing_held()
            return
        if self.offers("again") is None:
            await self._take("again", what="Asking again")
            return

        def ask(wrote: str | None) -> Ask:
            return Ask(
                "ask again with other parameters",
                value=self._asked_with,
                hint="key=value, separated by spaces: temperature=0.2 model=openai/gpt-4o. Values"
                " are JSON, or text. They count for this attempt, and are on record.",
                check=lambda text: self.gone(hold) or read_params(text)[1],
                wrote=wrote,
            )

        answer = await self.answered(
            hold, ask, lambda text: ("again", {"params": read_params(text)[0]})
        )
        if answer is not None:
            self._asked_with = answer
            params, _ = read_params(answer)
            told = ", ".join(f"{name}={value}" for name, value in params.items())
            self.tell(f"Asked again with {visible_line(told, 200)}.")

    _asked_with = ""

    async def do_hold_edit(self) -> None:
        """Edits what is held."""
        await self.edit_held(self.offers(*HOLD_KEYS["hold.edit"]) or "edit")

    async def do_hold_open_editor(self) -> None:
        """Opens what is held in an editor of its own."""
        await self.edit_held(self.offers(*HOLD_KEYS["hold.edit"]) or "edit", outside=True)

    async def edit_held(self, choice: str, *, outside: bool = False) -> None:
        """Edits the held draft; the engine runs the stages between again and holds again."""
        hold = self.hold
        if hold is None:
            self.nothing_held()
            return
        if self.offers(choice) is None:
            self.tell("There is nothing to edit at this stage.", "warning")
            return
        drafts = self.drafts_for(choice, hold)
        edits: dict[str, str] = {}
        while True:
            written = await (
                self._outside(drafts) if outside else self._inside(hold, drafts, edits)
            )
            if not written:
                return  # nothing was changed
            if choice == "reply" and not written.get("raw", drafts[0][2]).strip():
                self.tell("An answer cannot be empty: stop or abstain instead.", "warning")
                return
            if self.still(hold) and await self.release(choice, written):
                return
            # What was written and not taken is not lost: it can be tried again, or copied.
            edits, outside = written, False

    def gone(self, hold: RecordDict) -> str | None:
        """Why a hold cannot be answered any more, for the dialog in which somebody is writing."""
        now = self.hold
        if now is not None and now.get("hold") == hold.get("hold"):
            return None
        return "it went on meanwhile: nothing can be changed here any more, only copied"

    async def answered(
        self,
        hold: RecordDict,
        ask: Callable[[str | None], Ask],
        answer: Callable[[str], tuple[str, dict[str, object]]],
    ) -> str | None:
        """Asks for a line and answers the hold with it; the line, once it was taken.

        A line that was not taken is asked for again, as it was written.
        """
        text: str | None = None
        while (text := await self.app.push_screen_wait(ask(text))) is not None:
            if self.still(hold) and await self.release(*answer(text)):
                return text
        return None

    def drafts_for(self, choice: str, hold: RecordDict) -> list[tuple[str, str, str]]:
        """What a choice edits, as (field, label, text)."""
        drafts = drafts_of(hold)
        if choice == "reply":
            # The text of another decision is a reason, no answer.
            kind = next((text for field, _, text in drafts if field == "decision"), "reply")
            text = next((text for field, _, text in drafts if field == "raw"), "")
            return [("raw", "what the user answers", text if kind == "reply" else "")]
        return drafts or [("text", "what is said", "")]

    def still(self, hold: RecordDict) -> bool:
        """Whether it is still held there; tells when it is not."""
        now = self.hold
        if now is not None and now.get("hold") == hold.get("hold"):
            return True
        self.tell("It went on meanwhile: nothing was changed.", "warning")
        return False

    async def _inside(
        self, hold: RecordDict, drafts: list[tuple[str, str, str]], wrote: Mapping[str, str]
    ) -> dict[str, str] | None:
        place = f"{hold.get('session') or 1}:{hold.get('turn')}" if hold.get("turn") else "held"
        return await self.app.push_screen_wait(
            Edit(f"edit {place}", drafts, check=lambda *_: self.gone(hold), wrote=wrote)
        )

    async def _outside(self, drafts: list[tuple[str, str, str]]) -> dict[str, str] | None:
        field, _, text = drafts[0]
        after = await self.write_outside(text)
        return {field: after} if after is not None else None

    async def write_outside(self, text: str) -> str | None:
        """A text as it comes back from the user's editor; None when it is the same, or told why."""
        return await write_outside(self, text)

    # --- breakpoints

    def here(self, turn: Turn) -> str:
        """The expression of a breakpoint at a turn."""
        session = self.transcript.session(turn.session)
        name = session.session_type if session is not None else ""
        plain = name and all(char.isalnum() or char in "_-" for char in name)
        if len(self.transcript.prepared) > 1 and plain:
            return f"~turn = {turn.number} & ~session {name}"
        return f"~turn = {turn.number}"

    async def do_break_here(self) -> None:
        """Sets or clears a breakpoint at the selected turn."""
        turn = self.selected
        if self.run is None or turn is None:
            self.tell("Breakpoints are for a live conversation.")
            return
        expression = self.here(turn)
        found = next((b for b in self.run.breakpoints if b.text == expression), None)
        try:
            if found is None:
                await self.run.add_breakpoint(expression)
                self.tell(f"Breakpoint set: {expression}")
            else:
                await self.run.remove_breakpoint(found)
                self.tell(f"Breakpoint removed: {expression}")
        except CommandRefused as refused:
            self.refused(refused)

    def do_break_list(self) -> None:
        """The list of breakpoints."""
        from convtui.tui.screens.breakpoints import BreakpointsScreen

        if self.run is None:
            self.tell("Breakpoints are for a live conversation.")
        else:
            self.app.push_screen(BreakpointsScreen(self.run))


def read_params(text: str) -> tuple[dict[str, Any], str | None]:
    """`key=value` pairs as parameters of a model, or what is wrong with them."""
    try:
        parts = shlex.split(text)
    except ValueError as error:
        return {}, f"not readable: {error}"
    found: dict[str, Any] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or not name.isidentifier():
            return {}, f"{part}: write key=value, for example temperature=0.2"
        try:
            found[name] = json.loads(value)
        except (ValueError, RecursionError):
            found[name] = value
    return found, None if found else "write key=value, for example temperature=0.2"


def drafts_of(hold: RecordDict) -> list[tuple[str, str, str]]:
    """The drafts of a hold as (field, label, text)."""
    found: list[tuple[str, str, str]] = []
    for draft in hold.get("drafts") or ():
        if isinstance(draft, dict) and draft.get("field") and draft["field"] not in SHOWN_ONLY:
            field = str(draft["field"])
            label = visible_line(str(draft.get("label") or field), 80)
            found.append((field, label, str(draft.get("text") or "")))
    return found
