"""The rows of a batch from what its manifest, or the process that runs it, says of each."""

from __future__ import annotations

import time
from collections.abc import Iterable

from convtui.batch.keys import Key
from convtui.batch.manifest import BatchFile, Entry
from convtui.records.values import as_object, as_text
from convtui.tui.screens.fleet.view import FleetRow, State


class EntryRows:
    """One row for each entry; later attempts are added where they come."""

    def __init__(self, batch: BatchFile | None = None) -> None:
        self.rows: list[FleetRow] = []
        self._index: dict[str, int] = {}
        if batch is not None:
            self.take(batch, batch.entries)

    def take(self, batch: BatchFile, keys: Iterable[str]) -> list[int]:
        """Brings the rows of some entries up to date; returns their indices."""
        changed = []
        now = time.time()
        for key in keys:
            entry = batch.entries.get(key)
            if entry is None:
                continue
            index = self._index.get(key)
            if index is None:
                index = self._add(batch, entry)
            _fill(self.rows[index], entry, now)
            changed.append(index)
        return changed

    def _add(self, batch: BatchFile, entry: Entry) -> int:
        index = self._index[entry.key] = len(self.rows)
        first = index
        if entry.attempt > 1:
            first = self._index.get(str(Key(entry.cell, entry.run)), index)
        cell = batch.cells.get(entry.cell)
        self.rows.append(
            FleetRow(
                entry.key,
                entry.cell,
                entry.run,
                entry.attempt,
                first=first,
                persona=cell.persona if cell is not None else "",
                provider=cell.provider if cell is not None else "",
            )
        )
        return index


def _fill(row: FleetRow, entry: Entry, now: float) -> None:
    row.state = _state(entry)
    row.reruns, row.because, row.log = entry.reruns, entry.because, entry.log
    if row.state == "waiting" and not row.reruns:
        return
    told = entry.row
    row.session, row.turn = _whole(told.get("session")), _whole(told.get("turn"))
    row.side, row.words = as_text(told.get("side")), as_text(told.get("words"))
    # The log's own count, as soon as there is one.
    row.turns = entry.turns or _whole(told.get("turns")) or 0
    row.signals = _whole(told.get("signals")) or 0
    row.discards = _whole(entry.totals.get("discarded")) or _whole(told.get("discards")) or 0
    row.flags = _whole(told.get("flags")) or 0
    row.tokens, row.cost = entry.tokens, entry.cost
    if row.tokens is None:
        row.tokens = _whole(told.get("tokens"))
    if row.cost is None:
        row.cost = _amount(told.get("cost"))
    row.hold = None
    if row.state == "held":
        row.hold = entry.hold or as_object(told.get("hold"))
        # It is known of before the row that says where it is.
        row.session = _whole(row.hold.get("session")) or row.session
        row.turn = _whole(row.hold.get("turn")) or row.turn
    wait = _amount(told.get("wait"))
    row.retry_at = now + wait if wait is not None and not entry.over else None
    row.why = as_text(told.get("why"))
    row.termination = entry.termination
    row.started = entry.started_at.timestamp() if entry.started_at is not None else None
    row.ended = entry.ended_at.timestamp() if entry.ended_at is not None else None
    match = told.get("match")
    row.match = match if isinstance(match, bool) else None


def _state(entry: Entry) -> State:
    if entry.state == "ended":
        return "over" if entry.termination else "crashed"
    if entry.state == "running":
        told = entry.row.get("state")
        return "held" if told == "held" else "starting" if told in (None, "starting") else "running"
    return entry.state


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _amount(value: object) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if good else None  # type: ignore[arg-type]
