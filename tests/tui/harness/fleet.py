"""A batch whose conversations do what a test says."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from convtui.tui.screens.fleet.view import FleetRow, Limit, Standing


class ScriptedControls:
    """Writes down what it is asked to do."""

    def __init__(self, fleet: ScriptedFleet) -> None:
        self._fleet = fleet
        self.orders: list[tuple[Any, ...]] = []

    def pause_all(self) -> None:
        self.orders.append(("pause",))
        self._fleet.stand(paused=True)

    def resume_all(self) -> None:
        self.orders.append(("resume",))
        self._fleet.stand(paused=False)

    async def end(self, key: str) -> None:
        self.orders.append(("end", key))

    async def stop(self) -> None:
        self.orders.append(("stop",))
        self._fleet.stand(ending=True)

    def kill(self) -> None:
        self.orders.append(("kill",))
        self._fleet.over = True

    async def add_break(self, expression: str) -> None:
        self.orders.append(("break", expression))
        self._fleet.stand(breaks=[*self._fleet.standing().breaks, expression])

    async def clear_break(self, expression: str) -> None:
        self.orders.append(("clear", expression))
        self._fleet.stand(breaks=[])

    async def reload(self) -> int:
        self.orders.append(("reload",))
        self._fleet.stand(old_code=3)
        return 3

    def filter(self, expression: str) -> None:
        self.orders.append(("filter", expression))

    def open(self, row: FleetRow) -> bool:
        self.orders.append(("open", row.key))
        return True


class ScriptedFleet:
    """`tell()` changes a row, as its worker would; `over` ends the batch."""

    def __init__(self, rows: list[FleetRow], *, folder: Path = Path("batch")) -> None:
        self.name = "refund"
        self.folder = folder
        self.rows = rows
        self.over = False
        self.controls: ScriptedControls | None = ScriptedControls(self)
        self.closed = False
        self._standing = Standing()
        self._fresh: set[int] = set()
        self._callbacks: list[Callable[[], None]] = []

    def start(self) -> None:
        """Its rows are there already."""

    def standing(self) -> Standing:
        return self._standing

    def stand(self, **changes: Any) -> None:
        self._standing = replace(self._standing, **changes)
        self._call()

    def tell(self, index: int, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(self.rows[index], name, value)
        self._fresh.add(index)
        self._call()

    def add(self, row: FleetRow) -> None:
        self.rows.append(row)
        self._fresh.add(len(self.rows) - 1)
        self._call()

    def _call(self) -> None:
        for callback in list(self._callbacks):
            callback()

    def take_changes(self) -> list[int]:
        fresh, self._fresh = sorted(self._fresh), set()
        return fresh

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def close(self) -> None:
        self.closed = True


_PERSONAS = ("anna", "ben", "clara", "dimitri")
_PROVIDERS = ("openai/gpt-4o", "bots/desk.py:Desk")
_WORDS = (
    "I was told to call back about the refund, nobody knew anything.",
    "Of course. Which crossing was it, and on which day?",
    "The 9:40 from Holyhead, booking order 17.",
    "I am sorry, that seat is taken. Would the evening do?",
)


def rows_of(count: int, *, seed: int = 1, now: float | None = None) -> list[FleetRow]:
    """Conversations in every state, as a batch in its middle has them."""
    dice = random.Random(seed)
    now = time.time() if now is None else now
    rows = []
    for index in range(count):
        persona, provider = _PERSONAS[index % 4], _PROVIDERS[index // 4 % 2]
        cell = f"{persona}-{'gpt-4o' if 'gpt' in provider else 'desk'}"
        row = FleetRow(f"{cell}.{index // 8 + 1}", cell, index // 8 + 1, first=index,
                       persona=persona, provider=provider)  # fmt: skip
        _begin(row, dice, index / max(1, count), now)
        rows.append(row)
    return rows


def _begin(row: FleetRow, dice: random.Random, place: float, now: float) -> None:
    if place > 0.8:
        return
    row.turns = dice.randrange(1, 20)
    row.session, row.turn, row.side = 1 + row.turns // 12, row.turns % 12 + 1, "persona"
    row.words = dice.choice(_WORDS)
    row.side = "provider" if row.turns % 2 else "persona"
    row.signals, row.discards = dice.choice((0, 0, 0, 2)), dice.choice((0, 0, 0, 1))
    row.flags = dice.choice((0, 0, 1, 3))
    row.tokens, row.cost = row.turns * 930, row.turns * 0.0021
    row.started = now - row.turns * 3
    if place > 0.5:
        row.state = "running"
        if place > 0.77:
            row.state = "held"
            row.hold = {"hold": 1, "reason": "breakpoint", "stage": "signals", "session": 1,
                        "turn": row.turn, "detail": "~signal & ~turn > 3"}  # fmt: skip
        return
    kind = dice.choice(("completed", "completed", "max_turns", "failed", "early_termination"))
    reasons = {
        "failed": "ValueError: no such booking",
        "completed": "the persona has what it asked",
    }
    row.state, row.ended = "over", now - 5
    row.termination = {"kind": kind, "by": "provider" if kind == "failed" else "simulator",
                       "reason": reasons.get(kind, "")}  # fmt: skip


def busy_standing() -> Standing:
    """A batch with a budget, a limiter at work and code that blocks."""
    return Standing(
        most_cost=20.0, at_once=50,
        limits=[Limit("api.openai.com gpt-4o", 37, 35, 12, throttled=True)],
    )  # fmt: skip
