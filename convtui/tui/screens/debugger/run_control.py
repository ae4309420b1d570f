"""Pauses, runs and steps a live conversation; cancels its call; kills its engine."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from convtui.actions.hold_choices import GOES_ON
from convtui.protocol import Commands
from convtui.text.counts import counted
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.debugger.hold_reply import HoldReply
from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.screens.handlers import Handler

_PASSABLE = ("pause", "step", "breakpoint", "ending")
"""Hold reasons that need no decision: running and stepping release them."""


class RunControl:
    """Sends run commands to the engine of a live conversation."""

    def __init__(self, context: DebuggerContext, reply: HoldReply) -> None:
        self._context = context
        self._conversation = context.conversation
        self._reply = reply

    def handlers(self) -> Iterator[Handler]:
        step = self._go_on
        yield Handler("run.toggle", self._toggle, self._can_go_on, self._toggle_label, moves=True)
        yield Handler(
            "run.step_turn", partial(step, Commands.STEP_TURN), self._can_go_on, moves=True
        )
        yield Handler(
            "run.step_stage", partial(step, Commands.STEP_STAGE), self._can_go_on, moves=True
        )
        yield Handler("run.continue", self._continue, self._can_continue, moves=True)
        yield Handler("run.cancel_call", self._cancel, self._can_cancel, self._cancel_label)
        yield Handler("run.kill_engine", self._kill, lambda: self._conversation.going)

    def _can_go_on(self) -> bool:
        hold = self._conversation.hold
        passable = hold is None or hold.get("reason") in _PASSABLE
        return passable and self._conversation.going

    def _can_continue(self) -> bool:
        return self._can_go_on() or self._reply.offers(*GOES_ON) is not None

    async def _continue(self) -> None:
        choice = None if self._can_go_on() else self._reply.offers(*GOES_ON)
        if choice is not None:
            await self._reply.release(choice)
        else:
            await self._go_on(Commands.CONTINUE)

    async def _go_on(self, command: str) -> None:
        if await self._context.send(command):
            self._reply.look_ahead()

    def _pausing(self) -> bool:
        handle = self._conversation.handle
        return handle is not None and handle.state.value == "pausing"

    def _toggle_label(self) -> str:
        return "run" if self._conversation.hold is not None or self._pausing() else "pause"

    async def _toggle(self) -> None:
        if not self._conversation.going:
            self._context.notify("The conversation is over.")
        elif self._conversation.hold is not None or self._pausing():
            await self._go_on(Commands.RUN)
        else:
            await self._context.send(Commands.PAUSE)

    # --- cancelling

    def _can_cancel(self) -> bool:
        conversation = self._conversation
        if conversation.cancel_busy is not None:
            return True
        calling = conversation.hold is None and conversation.transcript.current is not None
        return calling and not conversation.over

    def _cancel_label(self) -> str | None:
        return "cancel summary" if self._conversation.cancel_busy is not None else None

    async def _cancel(self) -> None:
        """Cancels what the conversation waits for, or the call in flight."""
        if self._conversation.cancel_busy is not None:
            self._conversation.cancel_busy()
            return
        handle = self._conversation.handle
        if handle is not None and handle.silent_for > 0:
            kill = self._context.keymap.shown("run.kill_engine")
            self._context.notify(
                f"The provider's code blocks the engine: {kill} kills it.", "warning"
            )
            return
        await self._context.send(Commands.CANCEL)

    async def _kill(self) -> None:
        handle = self._conversation.handle
        if handle is None or handle.over:
            self._context.notify("There is no engine to kill: the conversation is over.")
            return
        others = handle.killed_along
        if not others or await self._agreed(others):
            handle.kill()

    async def _agreed(self, others: int) -> bool:
        """Asks before a worker is killed that runs other conversations, too."""
        number = counted(others, "other conversation")
        runs = "runs" if others == 1 else "run"
        answer = await self._context.ask(
            Choose(
                f"{number} {runs} in this process",
                [("kill", "Kill it with all of them"), ("stay", "Leave it")],
                "A batch runs them once more, in another process.",
            )
        )
        return answer == "kill"
