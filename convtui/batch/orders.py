"""What is done to the conversations of a batch by hand: all of them, or one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from convtui.batch.pool import Pool, Slot
from convtui.batch.running import Board, Running
from convtui.batch.work import Specs
from convtui.client.engine_client import inspect_provider
from convtui.errors import CommandRefused, FilterError
from convtui.filters.breaks import parse_breakpoint
from convtui.filters.filter import parse
from convtui.protocol import Commands, StartSpec
from convtui.scenario.scenario import Scenario

_OF_OURS = ("pause", "step")
"""Reasons of holds that nobody has to decide about."""


class Orders:
    """Sends orders to conversations that run, and keeps them for those that begin later.

    `changed` is called when it may be that more conversations can begin.
    """

    def __init__(self, board: Board, specs: Specs, pool: Pool, changed: Callable[[], None]) -> None:
        self.paused = False
        """Whether all are paused, and none begins."""
        self.ending = False
        """Whether all are being ended."""
        self._board = board
        self._specs = specs
        self._pool = pool
        self._changed = changed
        self._filter = ""
        self._tasks: set[asyncio.Task[Any]] = set()

    # --- all of them

    def pause_all(self) -> None:
        """Holds every conversation at its next stage, and begins none."""
        self.paused = True
        for running in self._board.running.values():
            # Once: what somebody lets go on by hand in the meantime goes on.
            running.told_to_pause = running.started
            if running.started and not running.held:
                self._send(running, Commands.PAUSE)
        self._changed()

    def resume_all(self) -> None:
        """Lets those go on that `pause_all()`, or a step, has held; and new ones begin."""
        self.paused = False
        for running in self._board.running.values():
            hold = running.link.hold
            if hold is None or hold.get("reason") in _OF_OURS:
                self._send(running, Commands.RUN)
        self._changed()

    def end_all(self, reason: str) -> None:
        """Ends every conversation after its turn; a resume goes on with them."""
        self.ending = True
        for running in list(self._board.running.values()):
            running.by_batch = True
            self._stop(running, reason)

    @property
    def breaks(self) -> list[str]:
        """Breakpoints that hold for all conversations, beside those of their scenarios."""
        return list(self._specs.breakpoints)

    def break_all(self, expression: str) -> None:
        """Sets a breakpoint for all conversations, also those that begin later.

        Raises `FilterError`, and `CommandRefused` where nobody could answer its holds.
        """
        parse_breakpoint(expression)
        if not self._specs.how.watched:
            raise CommandRefused("nobody watches this batch: a hold would end the conversation")
        if expression in self._specs.breakpoints:
            return
        self._specs.breakpoints.append(expression)
        for running in self._board.running.values():
            self._set_breaks(running)
        self._changed()

    def clear_break(self, expression: str) -> None:
        """Takes a breakpoint back that holds for all."""
        with contextlib.suppress(ValueError):
            self._specs.breakpoints.remove(expression)
        for running in self._board.running.values():
            running.set_breaks.discard(expression)
            self._spawn(self._clear_break(running, expression))
        self._changed()

    def filter(self, expression: str) -> None:
        """Has rows say in `match` whether a filter finds a turn; an empty one ends that.

        Raises `FilterError`.
        """
        if expression:
            parse(expression)
        self._filter = expression
        for slot in self._pool.slots.values():
            if slot.ready:
                slot.worker.filter(expression)

    def greet(self, slot: Slot) -> None:
        """Tells a worker that is ready what the others were told."""
        if self._filter:
            slot.worker.filter(self._filter)

    async def reload(self, scenarios: list[Scenario], python: str | None) -> int:
        """Has conversations that begin from now on run the provider's code as it is now.

        Returns how many run the old code. Raises `EngineError`, changing nothing, where one of the
        providers in `scenarios` cannot be loaded.
        """
        by_provider = {str(scenario.provider.spec): scenario for scenario in scenarios}
        for scenario in by_provider.values():
            if scenario.provider.spec.kind not in ("demo", "litellm", "recorded"):
                spec = StartSpec(scenario=scenario.for_engine(), out_dir=str(self._specs.folder))
                await inspect_provider(spec, python=python)
        old = self._pool.renew()
        self._changed()
        return old

    # --- one of them

    def end(self, key: str, reason: str = "ended by hand") -> None:
        """Ends one conversation after its turn. Raises `CommandRefused` where it does not run."""
        running = self._board.running.get(key)
        if running is None:
            raise CommandRefused("this conversation does not run")
        self._stop(running, reason)

    def catch_up(self, running: Running) -> None:
        """Sends what a conversation could not take before it had begun."""
        if not running.started:
            return
        self._set_breaks(running)
        if running.stop_reason and not running.told_to_stop:
            running.told_to_stop = True
            self._send(running, Commands.STOP, reason=running.stop_reason, after_turn=True)
        elif self.paused and not running.told_to_pause:
            running.told_to_pause = True
            self._send(running, Commands.PAUSE)

    def _stop(self, running: Running, reason: str) -> None:
        running.stop_reason = reason
        self.catch_up(running)

    def _set_breaks(self, running: Running) -> None:
        """Sets the breakpoints for all that a conversation has not, once it has begun."""
        for expression in self._specs.breakpoints if running.started else ():
            if expression not in running.set_breaks:
                running.set_breaks.add(expression)
                self._spawn(self._set_break(running, expression))

    async def _set_break(self, running: Running, expression: str) -> None:
        with contextlib.suppress(CommandRefused):
            answer = await running.link.command(Commands.BREAK_ADD, expression=expression)
            running.breaks[expression] = int(answer["breakpoint"])

    async def _clear_break(self, running: Running, expression: str) -> None:
        with contextlib.suppress(CommandRefused, FilterError):
            number = running.breaks.pop(expression, None)
            if number is None:
                known = await running.link.command(Commands.BREAK_LIST)
                texts = {item["text"]: item["breakpoint"] for item in known["breakpoints"]}
                number = texts.get(str(parse_breakpoint(expression)))
            if number is not None:
                await running.link.command(Commands.BREAK_REMOVE, breakpoint=number)

    def _send(self, running: Running, do: str, **arguments: Any) -> None:
        async def send() -> None:
            # It may have ended, or been held for another reason, in the meantime.
            with contextlib.suppress(CommandRefused):
                await running.link.command(do, **arguments)

        self._spawn(send())

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
