"""Beginning a batch: its manifest, and what there is to do."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convtui import __version__
from convtui.batch.cells import Cell, plan_digest
from convtui.batch.manifest_writer import ManifestWriter
from convtui.batch.plan import Plan
from convtui.batch.work import Work, as_recorded, in_order


def begun(
    plan: Plan, cells: Sequence[Cell], folder: Path, record: dict[str, Any]
) -> tuple[ManifestWriter, list[Work]]:
    """A new manifest in a folder, and every conversation of the plan. Blocking.

    `record` is the plan as the manifest keeps it. Raises `BatchLocked` and `FileError`.
    """
    writer = ManifestWriter.create(
        folder,
        batch_id=uuid.uuid4().hex,
        name=plan.title,
        convtui=__version__,
        plan=record,
        digest=plan_digest(plan, cells),
        cells=[as_recorded(cell) for cell in cells],
        runs=plan.runs,
    )
    order = in_order(cells, plan.runs, plan.order)
    return writer, [Work(cell.key(run), cell) for cell, run in order]
