"""Debugger commands, carried out on a running conversation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convtui.engine.conversation.runner import Conversation
from convtui.engine.core.gate import HAND_BACK
from convtui.engine.tools.tools import Approval
from convtui.errors import CommandRefused, ToolError
from convtui.protocol import Commands
from convtui.records.models import DebugOverrode, ProviderReloadFailed, Speaker
from convtui.scenario.simulators.registry import kind_of


class CommandHandler:
    """Carries out commands by name."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._gate = conversation.gate
        self._handlers: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
            Commands.PAUSE: lambda _: self._gate.pause(),
            Commands.RUN: lambda _: self._gate.go("run"),
            Commands.CONTINUE: lambda _: self._gate.go("run"),
            Commands.STEP_TURN: lambda _: self._gate.go("step_turn"),
            Commands.STEP_STAGE: lambda _: self._gate.go("step_stage"),
            Commands.RELEASE: self._release,
            Commands.BREAK_ADD: self._break_add,
            Commands.BREAK_REMOVE: self._break_remove,
            Commands.BREAK_ENABLE: self._break_enable,
            Commands.BREAK_CHANGE: self._break_change,
            Commands.BREAK_LIST: lambda _: self._breakpoints(),
            Commands.TAKE_OVER: self._take_over,
            Commands.HAND_BACK: self._hand_back,
            Commands.INJECT: self._inject,
            Commands.CANCEL: self._cancel,
            Commands.APPROVE_TOOLS: self._approve_tools,
            Commands.STOP: self._stop,
            Commands.RELOAD_FAILED: self._reload_failed,
            Commands.RETIRE: self._retire,
        }

    def carry_out(self, do: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Carries out one command; returns the data of its answer.

        Raises `CommandRefused`, and `KeyError`, `TypeError` or `ValueError` for bad arguments.
        """
        handler = self._handlers.get(do)
        if handler is None:
            raise CommandRefused(f"unknown command {do!r}")
        if self._gate.state == "closed":
            raise CommandRefused("the conversation is over")
        return handler(arguments) or {}

    def _release(self, arguments: dict[str, Any]) -> None:
        self._gate.release(
            int(arguments["hold"]), str(arguments["choice"]), dict(arguments.get("edits") or {})
        )

    def _break_add(self, arguments: dict[str, Any]) -> dict[str, Any]:
        added = self._conversation.breakpoints.command_add(str(arguments["expression"]))
        return {"breakpoint": added.number, **self._breakpoints()}

    def _break_remove(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self._conversation.breakpoints.remove(int(arguments["breakpoint"]))
        return self._breakpoints()

    def _break_enable(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self._conversation.breakpoints.enable(
            int(arguments["breakpoint"]), bool(arguments["enabled"])
        )
        return self._breakpoints()

    def _break_change(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self._conversation.breakpoints.change(
            int(arguments["breakpoint"]), str(arguments["expression"])
        )
        return self._breakpoints()

    def _breakpoints(self) -> dict[str, Any]:
        return {"breakpoints": self._conversation.breakpoints.listed()}

    def _take_over(self, arguments: dict[str, Any]) -> None:
        side = self._side(arguments)
        human = self._conversation.turns.human
        if human.speaks_for(side):
            raise CommandRefused(f"you speak for the {side} already; t hands back")
        human.take_over(side)
        if self._gate.hold is not None and human.next == side:
            self._gate.go("run")

    def _hand_back(self, arguments: dict[str, Any]) -> None:
        side = self._side(arguments)
        human = self._conversation.turns.human
        if not human.speaks_for(side):
            raise CommandRefused(f"nobody has taken over the {side}")
        hold = self._gate.hold
        if hold is not None and hold.reason == "human" and hold.point.side == side:
            self._gate.release(hold.number, HAND_BACK.id, {})
        else:
            human.hand_back(side)

    @staticmethod
    def _side(arguments: dict[str, Any]) -> Speaker:
        side = arguments.get("side", "persona")
        if side == "provider":
            return "provider"
        if side == "persona":
            return "persona"
        raise CommandRefused(f"there is no side {side!r}")

    def _inject(self, arguments: dict[str, Any]) -> dict[str, Any]:
        injector = self._conversation.caller.injector
        side = str(arguments.get("side") or "provider")
        if side != "provider":
            self._check_asks(side)
        fault = arguments.get("fault")
        if fault is None:
            if not injector.disarm(side):
                raise CommandRefused(f"no fault waits for the {side}")
        else:
            seconds, text = arguments.get("seconds"), arguments.get("text")
            injector.arm(
                str(fault),
                side,
                count=int(arguments.get("count") or 1),
                seconds=None if seconds is None else float(seconds),
                text=None if text is None else str(text),
            )
        return {"armed": injector.listed()}

    def _check_asks(self, side: str) -> None:
        """Raises `CommandRefused` for an unknown side, or for one that never calls a model."""
        if side not in ("persona", "responder"):
            raise CommandRefused(f"there is no side {side!r}; write provider, persona or responder")
        kind = self._conversation.simulator.kind
        known = kind_of(kind)
        if known is None or known.asks != side:
            raise CommandRefused(f"a {kind} user makes no calls as {side}: no fault can be in one")

    def _cancel(self, _: dict[str, Any]) -> None:
        if not self._conversation.caller.cancel():
            raise CommandRefused("no call is in flight")

    def _approve_tools(self, arguments: dict[str, Any]) -> dict[str, Any]:
        toolbox = self._conversation.toolbox
        before = toolbox.approval.as_data()
        approval = Approval.parse(arguments["on"])
        try:
            toolbox.check_approval(approval)
        except ToolError as error:
            raise CommandRefused(str(error)) from error
        toolbox.approval = approval
        after = toolbox.approval.as_data()
        if after != before:
            self._conversation.journal.emit(
                DebugOverrode(what="approve_tools", before=before, after=after)
            )
        return {"approve_tools": after}

    def _stop(self, arguments: dict[str, Any]) -> None:
        reason = str(arguments.get("reason") or "ended by hand")
        if arguments.get("after_turn"):
            self._conversation.stop_after_turn(reason)
        else:
            self._conversation.stop("human", reason)

    def _reload_failed(self, arguments: dict[str, Any]) -> None:
        error = self._conversation.redactor.data(dict(arguments.get("error") or {}))
        self._conversation.journal.emit_here(ProviderReloadFailed, error=error)

    def _retire(self, arguments: dict[str, Any]) -> None:
        self._conversation.stop("human", f"continued as {arguments.get('continued_as', '')}")
