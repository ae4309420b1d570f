"""What has changed in a plan since its batch was begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convtui.batch.cells import cells_of
from convtui.batch.manifest import BatchCell, BatchFile
from convtui.batch.plan import Plan
from convtui.batch.plan_changes import PlanChanges, plan_changes


def begun(folder: Path, **data: Any) -> BatchFile:
    plan = Plan.from_data(data, base=folder)
    batch = BatchFile(folder, runs=plan.runs)
    for cell in cells_of(plan):
        batch.cells[cell.name] = BatchCell(
            cell.number, cell.name, cell.persona, cell.provider, list(cell.sessions),
            dict(cell.settings), cell.digest,
        )  # fmt: skip
    return batch


def changes(batch: BatchFile, folder: Path, **data: Any) -> PlanChanges:
    plan = Plan.from_data(data, base=folder)
    return plan_changes(batch, plan, cells_of(plan))


def persona(name: str, said: str = "hello") -> dict[str, Any]:
    return {"name": name, "script": [said]}


def test_the_same_plan_has_not_changed(tmp_path: Path) -> None:
    data = {"vary": {"persona": [persona("Ann"), persona("Ben")]}, "runs": 2}
    found = changes(begun(tmp_path, **data), tmp_path, **data, concurrency=3)
    assert not found
    assert found.same == 2


def test_cells_that_changed_came_or_went_are_named(tmp_path: Path) -> None:
    batch = begun(tmp_path, vary={"persona": [persona("Ann"), persona("Ben"), persona("Cy")]})
    found = changes(
        batch,
        tmp_path,
        vary={"persona": [persona("Ann"), persona("Ben", "hi"), persona("Di")]},
        runs=3,
    )
    assert found
    assert (found.changed, found.new, found.gone, found.same) == (["Ben"], ["Di"], ["Cy"], 1)
    assert list(found.lines()) == [
        "1 cell changed: run again from the beginning: Ben",
        "1 cell new: run as well: Di",
        "1 cell no longer in the plan: left as they are: Cy",
        "runs of each cell: 3, were 1",
    ]
