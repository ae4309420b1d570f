"""Holds that ask for more than a choice: tool calls before they run, a budget that is used up."""

from __future__ import annotations

from convtui.log.tool_arguments import pretty_arguments, wrong_with
from convtui.log.tool_uses import ToolUse, waiting_uses
from convtui.protocol import Commands
from convtui.records import RecordDict
from convtui.tui.budget import Crossed, crossed_now, read_limit
from convtui.tui.screens.dialogs import Ask, Choose, Edit
from convtui.tui.screens.driving import Driving
from convtui.tui.widgets.tool_marks import short_arguments

_ALL = ":all"


class Answering(Driving):
    """Approving, editing and denying tool calls; raising a budget."""

    # --- tool calls

    @property
    def calls_held(self) -> list[ToolUse]:
        """The tool calls that are held before they run."""
        hold = self.hold
        if hold is None or hold.get("stage") != "tools":
            return []
        return waiting_uses(hold.get("drafts") or ())

    async def choose(self, choice: str) -> None:
        """Takes a choice; one that needs a text, a call or a number asks for it."""
        hold = self.hold
        if hold is not None and choice == "deny" and self.calls_held:
            await self._deny(hold)
        elif hold is not None and choice == "raise" and hold.get("reason") == "budget":
            await self._raise(hold)
        else:
            await super().choose(choice)

    async def edit_held(self, choice: str, *, outside: bool = False) -> None:
        """Edits what is held; the arguments of tool calls as JSON, one call or all of them."""
        hold = self.hold
        calls = self.calls_held
        if hold is None or not calls or self.offers(choice) is None:
            await super().edit_held(choice, outside=outside)
            return
        chosen = await self._which("edit which call?", calls, "all of them")
        if not chosen or not self.still(hold):
            return
        texts = {use.id: pretty_arguments(use.raw_arguments) for use in chosen}
        edits: dict[str, str] | None = {}
        if outside:
            written = await self.write_outside(texts[chosen[0].id])
            if written is None:
                return
            edits = {chosen[0].id: written}
            right = wrong_with(written) is None and self.still(hold)
            if right and await self.release(choice, edits):
                return
            # What was written is not lost: it is put right in here.
        rest = len(calls) - len(chosen)
        also = f"; the other {'call' if rest == 1 else f'{rest} calls'} as made" if rest else ""
        drafts = [(use.id, f"arguments of {use.name}, JSON{also}", texts[use.id]) for use in chosen]
        while True:
            edits = await self.app.push_screen_wait(
                Edit(
                    self._place("edit", hold),
                    drafts,
                    check=lambda _, text: self.gone(hold) or wrong_with(text),
                    wrote=edits,
                )
            )
            if not edits or (self.still(hold) and await self.release(choice, edits)):
                return

    @staticmethod
    def _place(what: str, hold: RecordDict) -> str:
        return f"{what} the call at {hold.get('session') or 1}:{hold.get('turn')}"

    async def _which(self, title: str, calls: list[ToolUse], everything: str) -> list[ToolUse]:
        """The calls that are meant; none where it was left."""
        if len(calls) == 1:
            return calls
        answers = [
            (use.id, f"{number} {use.name}({short_arguments(use, 44)})")
            for number, use in enumerate(calls, 1)
        ]
        found = await self.app.push_screen_wait(Choose(title, [*answers, (_ALL, everything)]))
        return calls if found == _ALL else [use for use in calls if use.id == found]

    async def _deny(self, hold: RecordDict) -> None:
        calls = self.calls_held
        chosen = await self._which("deny which call?", calls, "all of them")
        if not chosen or not self.still(hold):
            return
        names = ", ".join(dict.fromkeys(use.name for use in chosen))
        rest = len(calls) - len(chosen)
        also = f" The other {rest} {'runs' if rest == 1 else 'run'}." if rest else ""

        def ask(wrote: str | None) -> Ask:
            return Ask(
                f"deny {names}: why?",
                hint=f"The model is told the reason; it may be empty.{also}",
                check=lambda _: self.gone(hold),
                wrote=wrote,
            )

        def denied(reason: str) -> tuple[str, dict[str, object]]:
            edits: dict[str, object] = {"reason": reason.strip()} if reason.strip() else {}
            if rest:
                edits["deny"] = [use.id for use in chosen]
            return "deny", edits

        await self.answered(hold, ask, denied)

    # --- approval in general

    @property
    def approving(self) -> bool | list[str]:
        """Which tool calls wait for approval: all, none, or those of some tools."""
        known = self.handle.approve_tools if self.handle is not None else None
        if known is not None:
            return known
        for where in (self.transcript.seed.get("counters"), self._asked_scenario()):
            found = (where or {}).get("approve_tools")
            if isinstance(found, (bool, list)):
                return found
        return False

    def _asked_scenario(self) -> RecordDict:
        scenario = self.transcript.header.get("scenario")
        return scenario if isinstance(scenario, dict) else {}

    async def do_tools_approve(self) -> None:
        """Switches approval on, for the tools that the scenario names or for all, or off."""
        now = self.approving
        wanted = self._asked_scenario().get("approve_tools")
        on = False if now else wanted if isinstance(wanted, list) and wanted else True
        if not await self._order(Commands.APPROVE_TOOLS, on=on):
            return
        if not on:
            held = " The calls that are held still wait." if self.calls_held else ""
            self.tell(f"Tool calls run without approval from here on.{held}")
        elif isinstance(on, list):
            self.tell(f"Calls of {', '.join(map(str, on))} wait for your approval from here on.")
        else:
            self.tell("Every tool call waits for your approval from here on.")
        self.repaint()

    # --- the budget

    def crossed(self) -> Crossed | None:
        """The limit that the conversation is held for."""
        hold = self.hold
        if hold is None or hold.get("reason") != "budget":
            return None
        return crossed_now(self.transcript)

    async def _raise(self, hold: RecordDict) -> None:
        crossed = self.crossed()
        if crossed is None:
            await self.release("raise")
            return

        def ask(wrote: str | None) -> Ask:
            return Ask(
                f"the new budget: {crossed.title}",
                value=crossed.doubled(),
                hint=f"{crossed.in_words()}; the new one must be above what was used.",
                check=lambda text: self.gone(hold) or read_limit(text, crossed)[1],
                wrote=wrote,
            )

        await self.answered(
            hold, ask, lambda text: ("raise", {"limit": read_limit(text, crossed)[0]})
        )
