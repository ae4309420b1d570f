"""What a batch has to do: its conversations in the order in which they begin, and their specs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from convtui.batch.cells import Cell
from convtui.batch.keys import Key
from convtui.batch.manifest import BatchCell
from convtui.client.port import WorkerPort
from convtui.protocol import AttemptSpec, ContinueFrom, StartSpec
from convtui.trust.rules import vouched_for


@dataclass(frozen=True, slots=True)
class Work:
    """A conversation that is to begin."""

    key: str
    cell: Cell
    parent: str | None = None
    """The log, in the batch's folder, that it goes on from."""
    attempt: AttemptSpec | None = None
    crowd: int | None = None
    """How many may share its worker, all of them suspects; None for one that is none."""


@dataclass(frozen=True, slots=True)
class HowToRun:
    """What is the same for all conversations of a batch."""

    watched: bool = False
    """Whether there is a screen, where somebody answers holds."""
    on_pause: Literal["end", "continue"] = "end"
    """What follows without one where a conversation would wait for somebody."""
    wire: str = "last"
    env_file: str | None = None
    python: str | None = None
    speed: float = 0.0
    """How fast the demo speaks; 0 is at once."""
    port: Callable[[int], WorkerPort] | None = None
    """Makes the way to the worker of a number; None: processes on this machine."""


@dataclass(slots=True)
class Specs:
    """Makes the start of each conversation of a batch."""

    folder: Path
    how: HowToRun
    breakpoints: list[str] = field(default_factory=list)
    """Those of the plan, and those that were set for all since."""
    _scenarios: dict[str, tuple[dict[str, Any], list[str]]] = field(default_factory=dict)

    def of(self, work: Work) -> StartSpec:
        """The start of one conversation."""
        scenario = work.cell.scenario
        assert scenario is not None
        if work.cell.name not in self._scenarios:
            self._scenarios[work.cell.name] = scenario.for_engine(), vouched_for(scenario)
        data, vouched = self._scenarios[work.cell.name]
        own = [text for text in scenario.breakpoints if text not in self.breakpoints]
        parent = None
        if work.parent is not None:
            parent = ContinueFrom(log=str(self.folder / work.parent), kind="resume")
        return StartSpec(
            scenario=data,
            out_dir=str(self.folder),
            log_name=work.key,
            watched=self.how.watched,
            hold_endings=False,
            on_pause=self.how.on_pause,
            breakpoints=[*own, *self.breakpoints],
            wire=self.how.wire,
            speed=self.how.speed,
            vouched=vouched,
            continue_from=parent,
            attempt=work.attempt,
        )


def in_order(
    cells: Sequence[Cell], runs: int, order: Literal["mixed", "listed"]
) -> list[tuple[Cell, int]]:
    """Every run of every cell, in the order in which they begin.

    `mixed` takes the first run of all cells before any second one, and the cells in an order that
    has nothing to do with that of the plan; it is the same each time.
    """
    if order == "listed":
        return [(cell, run) for cell in cells for run in range(1, runs + 1)]
    result = []
    for run in range(1, runs + 1):
        result += [(cell, run) for cell in sorted(cells, key=lambda cell: _lot(cell.name, run))]
    return result


def _lot(name: str, run: int) -> bytes:
    return hashlib.sha256(str(Key(name, run)).encode()).digest()


def as_recorded(cell: Cell) -> BatchCell:
    """A cell as the manifest keeps it."""
    return BatchCell(
        number=cell.number,
        name=cell.name,
        persona=cell.persona,
        provider=cell.provider,
        sessions=list(cell.sessions),
        settings=dict(cell.settings),
        digest=cell.digest,
        error=cell.error,
    )


def failed(reason: str, detail: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The termination of a conversation that the batch has to give up."""
    return {
        "kind": "failed",
        "by": "harness",
        "reason": reason,
        "at_turn": 0,
        **({"detail": dict(detail)} if detail else {}),
    }
