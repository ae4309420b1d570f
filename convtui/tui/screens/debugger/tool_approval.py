"""Approves, edits and denies tool calls that are held before they run."""

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
    """Switches approval on and off, and answers holds at tool calls."""

    def __init__(
        self, context: DebuggerContext, reply: HoldReply, write_outside: WriteOutside
    ) -> None:
        self._context = context
        self._conversation = context.conversation
        self._reply = reply
        self._write_outside = write_outside

    def handlers(self) -> Iterator[Handler]:
        yield Handler(
            "tools.approve",
            self.toggle,
            lambda: self._conversation.going,
            lambda: "stop approving" if self.approving else "approve tools",
            moves=True,
        )

    def status(self) -> list[str]:
        """Whether tool calls wait, for the status line."""
        return ["tools wait for approval"] if self._conversation.going and self.approving else []

    async def answer(self, choice: str, hold: RecordDict) -> bool:
        """Denies the held calls; False for any other choice."""
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
        """Edits the JSON arguments of one or all held calls; False if none is held."""
        hold = self._conversation.hold
        calls = self.calls_held
        if hold is None or not calls:
            return False
        await self._edit(choice, hold, calls, outside=outside)
        return True

    async def _edit(
        self, choice: str, hold: RecordDict, calls: list[ToolUse], *, outside: bool
    ) -> None:
        chosen = await self._choose_calls("edit which call?", calls, "all of them")
        if not chosen or not self._reply.still(hold):
            return
        texts = {use.id: pretty_arguments(use.raw_arguments) for use in chosen}
        edits: dict[str, str] | None = {}
        if outside:
            written = await self._write_outside(texts[chosen[0].id])
            if written is None:
                return
            edits = {chosen[0].id: written}
            valid = arguments_problem(written) is None and self._reply.still(hold)
            if valid and await self._reply.release(choice, edits):
                return
            # Keep the text and let the user fix it here.
        rest = len(calls) - len(chosen)
        also = f"; the other {'call' if rest == 1 else f'{rest} calls'} unchanged" if rest else ""
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

    async def _choose_calls(
        self, title: str, calls: list[ToolUse], everything: str
    ) -> list[ToolUse]:
        """The calls that the user chooses; empty if the dialog was left."""
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
        chosen = await self._choose_calls("deny which call?", calls, "all of them")
        if not chosen or not self._reply.still(hold):
            return
        names = ", ".join(dict.fromkeys(use.name for use in chosen))
        rest = len(calls) - len(chosen)
        also = f" The other {rest} {'runs' if rest == 1 else 'run'}." if rest else ""

        def ask(wrote: str | None) -> Ask:
            return Ask(
                f"deny {names}: why?",
                hint=f"Sent to the model; may be empty.{also}",
                check=lambda _: self._reply.gone(hold),
                wrote=wrote,
            )

        def denied(reason: str) -> tuple[str, dict[str, object]]:
            edits: dict[str, object] = {"reason": reason.strip()} if reason.strip() else {}
            if rest:
                edits["deny"] = [use.id for use in chosen]
            return "deny", edits

        await self._reply.answer_with_text(hold, ask, denied)

    @property
    def approving(self) -> bool | list[str]:
        """Which tool calls wait for approval: all, none, or those of the listed tools."""
        handle = self._conversation.handle
        reported = handle.approve_tools if handle is not None else None
        if reported is not None:
            return reported
        for source in (
            self._conversation.transcript.seed.get("counters"),
            self._conversation.scenario,
        ):
            wanted = (source or {}).get("approve_tools")
            if isinstance(wanted, (bool, list)):
                return wanted
        return False

    async def toggle(self) -> None:
        """Switches approval on, for the scenario's tools or for all, or off."""
        now = self.approving
        wanted = self._conversation.scenario.get("approve_tools")
        on = False if now else wanted if isinstance(wanted, list) and wanted else True
        if not await self._context.send(Commands.APPROVE_TOOLS, on=on):
            return
        if not on:
            held = " The held calls still wait." if self.calls_held else ""
            self._context.notify(f"Tool calls now run without approval.{held}")
        elif isinstance(on, list):
            self._context.notify(f"Calls of {', '.join(map(str, on))} now wait for your approval.")
        else:
            self._context.notify("Every tool call now waits for your approval.")
        self._context.repaint()
