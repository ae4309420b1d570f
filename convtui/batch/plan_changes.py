"""What has changed in a plan since its batch was begun."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from convtui.batch.cells import Cell
from convtui.batch.manifest import BatchFile
from convtui.batch.plan import Plan
from convtui.errors import listed
from convtui.text.counts import counted


@dataclass(frozen=True, slots=True)
class PlanChanges:
    """The names of cells that differ, and the runs of each cell before and now."""

    changed: list[str]
    new: list[str]
    gone: list[str]
    runs_before: int
    runs: int
    same: int
    """Cells that are the same."""

    def __bool__(self) -> bool:
        return bool(self.changed or self.new or self.gone or self.runs != self.runs_before)

    def lines(self) -> Iterator[str]:
        """One sentence for each kind of change, with the cells."""
        for cells, what in (
            (self.changed, "changed: run again from the beginning"),
            (self.new, "new: run as well"),
            (self.gone, "no longer in the plan: left as they are"),
        ):
            if cells:
                yield f"{counted(len(cells), 'cell')} {what}: {listed(cells)}"
        if self.runs != self.runs_before:
            yield f"runs of each cell: {self.runs}, were {self.runs_before}"


def plan_changes(batch: BatchFile, plan: Plan, cells: Sequence[Cell]) -> PlanChanges:
    """Compares the cells of a plan, by name, with those that a batch was begun with."""
    now = {cell.name: cell.digest for cell in cells}
    before = {name: cell.digest for name, cell in batch.cells.items()}
    shared = [name for name in now if name in before]
    changed = [name for name in shared if now[name] != before[name]]
    return PlanChanges(
        changed=changed,
        new=[name for name in now if name not in before],
        gone=[name for name in before if name not in now],
        runs_before=batch.runs,
        runs=plan.runs,
        same=len(shared) - len(changed),
    )
