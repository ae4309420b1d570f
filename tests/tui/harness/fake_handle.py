"""A handle without a process: records what it is told, and says what a test wants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from convtui.client.engine_client import OVER, EngineState
from convtui.engine.conversation.breakpoints import Breakpoints
from convtui.errors import CommandRefused
from convtui.protocol import Commands, StartSpec
from convtui.transcript.fold import Transcript


class FakeHandle:
    """The interface of `EngineHandle` over records that a test tells."""

    def __init__(self, log: Path | None = None) -> None:
        self.state = EngineState.NEW
        self.hold: dict[str, Any] | None = None
        self.transcript = Transcript()
        self.changed: set[int] = set()
        self.log_path = log
        self.error: dict[str, Any] | None = None
        self.busy: float | None = None
        self.thinking = False
        self.retry_wait: dict[str, Any] | None = None
        self.approve_tools: bool | list[str] | None = None
        self.armed: dict[str, dict[str, Any]] = {}
        self.silent_for = 0.0
        self.orders: list[tuple[str, dict[str, Any]]] = []
        self.refuse = ""
        self.fails: Exception | None = None
        self.killed = False
        self.killed_along = 0
        self.blocked_by = ""
        self.watched = 0
        self.python = "python"
        self.spec: StartSpec | None = None
        self.breakpoints = Breakpoints()
        self._callbacks: list[Callable[[], None]] = []

    async def open(self) -> None:
        pass

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def log_time(self) -> float:
        return self.transcript.last_t

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def tell(self, *records: dict[str, Any]) -> None:
        for record in records:
            seq = self.transcript.records
            turn = self.transcript.apply({"seq": seq, "t": seq * 0.1, **record})
            if turn is not None:
                self.changed.add(turn.index)
        self.notify()

    def notify(self) -> None:
        for callback in list(self._callbacks):
            callback()

    def held(self, *choices: tuple[str, str], reason: str = "step", **more: Any) -> None:
        self.hold = {
            "type": "debug.held", "hold": len(self.orders) + 1, "session": 1, "turn": 2,
            "side": "provider", "reason": reason, "stage": "post_process",
            "choices": [{"id": name, "label": label} for name, label in choices], **more,
        }  # fmt: skip
        self.state = EngineState.HELD
        self.notify()

    async def start(self, spec: StartSpec, *, wait: bool = True) -> None:
        if self.fails is not None:
            self.state = EngineState.FAILED
            self.error = {
                "type": "ProviderLoadError", "message": str(self.fails), "frames": [],
            }  # fmt: skip
            raise self.fails
        self.state = EngineState.RUNNING
        self.notify()

    async def ready(self) -> None:
        """Returns at once."""

    async def watch(self) -> None:
        self.watched += 1

    def unwatch(self) -> None:
        self.watched -= 1

    async def command(self, do: str, **arguments: Any) -> dict[str, Any]:
        self.orders.append((do, arguments))
        if self.refuse:
            raise CommandRefused(self.refuse)
        return {"ok": True, **self._breaks(do, arguments)}

    def _breaks(self, do: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """What the engine's own table of breakpoints answers."""
        points, answer = self.breakpoints, {}
        number = int(arguments.get("breakpoint", 0))
        if do == Commands.BREAK_ADD:
            answer["breakpoint"] = points.command_add(arguments["expression"]).number
        elif do == Commands.BREAK_REMOVE:
            points.remove(number)
        elif do == Commands.BREAK_ENABLE:
            points.enable(number, arguments["enabled"])
        elif do == Commands.BREAK_CHANGE:
            points.change(number, arguments["expression"])
        elif do != Commands.BREAK_LIST:
            return {}
        return {**answer, "breakpoints": points.listed()}

    async def release(self, choice: str, edits: dict[str, Any] | None = None) -> dict[str, Any]:
        if self.hold is None:
            raise CommandRefused("nothing is held")
        reply = await self.command("release", choice=choice, edits=edits or {})
        self.hold = None
        self.state = EngineState.RUNNING
        self.notify()
        return reply

    def kill(self) -> None:
        self.killed = True
        self.state = EngineState.DEAD
        self.error = {"type": "EngineDied", "message": "the engine was ended by SIGKILL"}
        self.hold = None
        self.notify()

    async def close(self) -> None:
        self.state = EngineState.CLOSED
