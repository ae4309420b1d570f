"""Tool calls that are held before they run: approved, edited, denied."""

from __future__ import annotations

from collections.abc import Iterator

from convtui.log.tool_arguments import arguments_problem, pretty_arguments
from convtui.log.tool_uses import ToolUse, waiting_uses
from convtui.protocol import Commands
from convtui.records.codec import RecordDict
from convtui.tui.screens.debugger.context import DebuggerContext, WriteOutside
from convtui.tui.screens.debugger.hold_reply import HoldReply
from convtui.tui.screens.dialogs.questions import Ask, Choose, Edit
from convtui.tui.screens.handlers import Handler
from convtui.tui.widgets.transcript.tool_marks import short_arguments

_ALL = ":all"


class ToolApproval:
    """Switches approval on and off, and answers holds of calls."""

    def __init__(
        self, context: DebuggerContext, reply: HoldReply, write_outside: WriteOutside
    ) -> None:
        self._context = context
        self._conversation = context.conversation
        self._reply = reply
        self._write_outside = write_outside

    def handlers(self) -> Iterator[Handler]:
        """The action that switches approval."""
        yield Handler(
            "tools.approve",
            self.toggle,
            lambda: self._conversation.going,
            lambda: "stop approving" if self.approving else "approve tools",
            moves=True,
        )

    def status(self) -> list[str]:
        """Whether calls wait, for the status line."""
        return ["tools wait for approval"] if self._conversation.going and self.approving else []

    async def answer(self, choice: str, hold: RecordDict) -> bool:
        """Denies calls that are held; whether that is the choice."""
        if choice != "deny" or not self.calls_held:
            return False
        await self._deny(hold)
        return True

    @property
    def calls_held(self) -> list[ToolUse]:
        """The tool calls that are held before they run."""
        hold = self._conversation.hold
        if hold is None or hold.get("stage") != "tools":
            return []
        return waiting_uses(hold.get("drafts") or ())

    async def edit(self, choice: str, outside: bool) -> bool:
        """Edits the arguments of the calls that are held, as JSON, one call or all of them; whether
        there are any."""
        hold = self._conversation.hold
        calls = self.calls_held
        if hold is None or not calls:
            return False
        await self._edit(choice, hold, calls, outside=outside)
        return True

    async def _edit(
        self, choice: str, hold: RecordDict, calls: list[ToolUse], *, outside: bool
    ) -> None:
        chosen = await self._which("edit which call?", calls, "all of them")
        if not chosen or not self._reply.still(hold):
            return
        texts = {use.id: pretty_arguments(use.raw_arguments) for use in chosen}
        edits: dict[str, str] | None = {}
        if outside:
            written = await self._write_outside(texts[chosen[0].id])
            if written is None:
                return
            edits = {chosen[0].id: written}
            right = arguments_problem(written) is None and self._reply.still(hold)
            if right and await self._reply.release(choice, edits):
                return
            # What was written is not lost: it is put right in here.
        rest = len(calls) - len(chosen)
        also = f"; the other {'call' if rest == 1 else f'{rest} calls'} as made" if rest else ""
        drafts = [(use.id, f"arguments of {use.name}, JSON{also}", texts[use.id]) for use in chosen]
        while True:
            edits = await self._context.ask(
                Edit(
                    self._title("edit", hold),
                    drafts,
                    check=lambda _, text: self._reply.gone(hold) or arguments_problem(text),
                    wrote=edits,
                )
            )
            if not edits or (self._reply.still(hold) and await self._reply.release(choice, edits)):
                return

    @staticmethod
    def _title(what: str, hold: RecordDict) -> str:
        return f"{what} the call at {hold.get('session') or 1}:{hold.get('turn')}"

    async def _which(self, title: str, calls: list[ToolUse], everything: str) -> list[ToolUse]:
        """The calls that are meant; none where it was left."""
        if len(calls) == 1:
            return calls
        answers = [
            (use.id, f"{number} {use.name}({short_arguments(use, 44)})")
            for number, use in enumerate(calls, 1)
        ]
        answer = await self._context.ask(Choose(title, [*answers, (_ALL, everything)]))
        return calls if answer == _ALL else [use for use in calls if use.id == answer]

    async def _deny(self, hold: RecordDict) -> None:
        calls = self.calls_held
        chosen = await self._which("deny which call?", calls, "all of them")
        if not chosen or not self._reply.still(hold):
            return
        names = ", ".join(dict.fromkeys(use.name for use in chosen))
        rest = len(calls) - len(chosen)
        also = f" The other {rest} {'runs' if rest == 1 else 'run'}." if rest else ""

        def ask(wrote: str | None) -> Ask:
            return Ask(
                f"deny {names}: why?",
                hint=f"The model is told the reason; it may be empty.{also}",
                check=lambda _: self._reply.gone(hold),
                wrote=wrote,
            )

        def denied(reason: str) -> tuple[str, dict[str, object]]:
            edits: dict[str, object] = {"reason": reason.strip()} if reason.strip() else {}
            if rest:
                edits["deny"] = [use.id for use in chosen]
            return "deny", edits

        await self._reply.answered(hold, ask, denied)

    @property
    def approving(self) -> bool | list[str]:
        """Which tool calls wait for approval: all, none, or those of some tools."""
        handle = self._conversation.handle
        known = handle.approve_tools if handle is not None else None
        if known is not None:
            return known
        for where in (
            self._conversation.transcript.seed.get("counters"),
            self._conversation.scenario,
        ):
            wanted = (where or {}).get("approve_tools")
            if isinstance(wanted, (bool, list)):
                return wanted
        return False

    async def toggle(self) -> None:
        """Switches approval on, for the tools that the scenario names or for all, or off."""
        now = self.approving
        wanted = self._conversation.scenario.get("approve_tools")
        on = False if now else wanted if isinstance(wanted, list) and wanted else True
        if not await self._context.send(Commands.APPROVE_TOOLS, on=on):
            return
        if not on:
            held = " The calls that are held still wait." if self.calls_held else ""
            self._context.notify(f"Tool calls run without approval from here on.{held}")
        elif isinstance(on, list):
            self._context.notify(
                f"Calls of {', '.join(map(str, on))} wait for your approval from here on."
            )
        else:
            self._context.notify("Every tool call waits for your approval from here on.")
        self._context.repaint()
