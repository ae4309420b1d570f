"""Going on with a batch: which conversations are left alone, go on, or begin anew."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convtui.batch.again import Again
from convtui.batch.attempts import attempt_after
from convtui.batch.cells import Cell, plan_digest
from convtui.batch.crashed import Ended, is_continuable, look_at, used_in
from convtui.batch.keys import Key
from convtui.batch.manifest import Entry
from convtui.batch.manifest_writer import ManifestWriter
from convtui.batch.plan import Plan
from convtui.batch.spending import Used
from convtui.batch.work import Work, as_recorded, in_order
from convtui.errors import LogError
from convtui.log.lock import is_being_written
from convtui.log.names import logs_named
from convtui.protocol import AttemptSpec

_LET_GO_WITHIN: Final = 5.0
"""Seconds in which workers end that have lost their driver, logs closed."""


@dataclass(slots=True)
class Resumed:
    """What is left to do of a batch."""

    work: list[Work] = field(default_factory=list)
    ended: list[tuple[Work, Entry]] = field(default_factory=list)
    """Conversations that had ended, of which another attempt may be due."""
    spent: dict[str, Used] = field(default_factory=dict)
    """By log, what was used in those that count no more, or not yet."""
    finished: int = 0
    continued: int = 0
    anew: int = 0


def resumed_work(
    writer: ManifestWriter,
    plan: Plan,
    cells: Sequence[Cell],
    record: dict[str, Any],
    again: Again | None = None,
) -> Resumed:
    """What a plan asks for and the batch has not done yet; writes down what it decides. Blocking.

    Conversations of changed cells begin anew, and so do those that are asked for `again`. The log
    of each that had begun says whether it had ended, whatever the manifest knew of it.
    """
    batch = writer.batch
    kept = {cell.name: cell for cell in cells}
    digest = plan_digest(plan, cells)
    changed: list[str] = []
    if digest != batch.digest:
        before = {name: cell.digest for name, cell in batch.cells.items()}
        changed = [
            name for name, cell in kept.items() if before.get(name, cell.digest) != cell.digest
        ]
        writer.add(
            "cells",
            cells=[as_recorded(cell).as_dict() for cell in cells],
            runs=plan.runs,
            digest=digest,
            plan=record,
            changed=changed,
        )
    for key in again.keys if again is not None else ():
        entry = batch.entries.get(key)
        # Another process may have begun it in the meantime, or the plan asks for it no more.
        if again is not None and entry is not None and entry.settled:
            writer.add("rerun", key=key, because=again.because, log=entry.log, asked=True)
    resumed = Resumed()
    for cell, run in in_order(cells, plan.runs, plan.order):
        *earlier, last = batch.attempts(batch.entries[cell.key(run)])
        # Those that were tried again have ended, and nothing more is owed to them.
        resumed.finished += len(earlier)
        _sort(writer, plan, cell, last, resumed)
    for entry in batch.entries.values():
        logs = [*entry.earlier, *([entry.log] if entry.log is not None and not entry.over else [])]
        resumed.spent.update((name, used_in(batch.folder / name)) for name in logs)
    # What had begun comes first: its run is nearly over.
    resumed.work.sort(key=lambda work: work.parent is None)
    writer.add(
        "resumed",
        finished=resumed.finished,
        continued=resumed.continued,
        anew=resumed.anew,
        changed=changed,
    )
    return resumed


def _sort(writer: ManifestWriter, plan: Plan, cell: Cell, entry: Entry, resumed: Resumed) -> None:
    """Decides about one conversation."""
    folder = writer.batch.folder
    work = Work(entry.key, cell)
    if entry.settled:
        resumed.finished += 1
        resumed.ended.append((work, entry))
        return
    if entry.log is None and entry.state == "waiting" and not entry.reruns:
        # Its line may have been lost with the process that was to write it.
        left = logs_named(folder, entry.key)
        unknown = [path for path in left if path.name not in entry.earlier]
        log = unknown[-1] if unknown else None
    else:
        log = writer.batch.log_of(entry)
    attempt = _attempt(plan, entry, writer) if entry.attempt > 1 else None
    if log is None:
        resumed.anew += 1
        resumed.work.append(Work(entry.key, cell, attempt=attempt))
        return
    if not _let_go(log):
        # A worker of the driver that died is still there: what it does now is not waited for.
        resumed.anew += 1
        resumed.work.append(Work(entry.key, cell, attempt=attempt))
        return
    found = look_at(log)
    if isinstance(found, Ended) and not entry.over and not found.cut_short:
        writer.add(
            "ended",
            key=entry.key,
            log=log.name,
            status="closed",
            termination=found.termination,
            totals=found.totals,
        )
        resumed.finished += 1
        resumed.ended.append((work, entry))
        return
    goes_on = is_continuable(log)
    resumed.continued += goes_on
    resumed.anew += not goes_on
    parent = log.name if goes_on else None
    resumed.work.append(Work(entry.key, cell, parent, None if goes_on else attempt))


def _let_go(log: Path) -> bool:
    """Waits until no worker writes a log any more; False where one still does."""
    deadline = time.monotonic() + _LET_GO_WITHIN
    while is_being_written(log):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _attempt(plan: Plan, entry: Entry, writer: ManifestWriter) -> AttemptSpec | None:
    """What a later attempt begins with that begins anew."""
    key = Key(entry.cell, entry.run, entry.attempt - 1)
    before = writer.batch.entries.get(str(key))
    if plan.attempts is None or before is None:
        return None
    try:
        return attempt_after(plan.attempts, before, writer.batch.folder)
    except LogError:
        return None
