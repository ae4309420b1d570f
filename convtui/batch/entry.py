"""One conversation of a batch, as the lines of the manifest about it say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from convtui.log.run_summary import number, total
from convtui.records.codec import RecordDict
from convtui.records.values import as_object, as_text

EntryState = Literal["waiting", "running", "held", "ended", "crashed"]


@dataclass(slots=True)
class Entry:
    """One conversation of a batch; its texts are raw."""

    key: str
    cell: str
    """The name of its cell."""
    run: int
    attempt: int = 1
    log: str | None = None
    """The file in the batch's folder that counts for it; None before it has begun."""
    state: EntryState = "waiting"
    status: str = ""
    """How its log was left: `closed`, or `crashed` where it has no trailer."""
    termination: dict[str, Any] | None = None
    totals: dict[str, Any] = field(default_factory=dict)
    """As in the trailer: `{turns, sessions, discarded, seconds, usage: {side: {tokens, cost}}}`."""
    worker: int | None = None
    started_at: datetime | None = None
    """When it was first started."""
    ended_at: datetime | None = None
    reruns: int = 0
    """How often it was run again: its worker had died, or somebody asked for it."""
    deaths: int = 0
    """How often its worker has died since it was begun, or asked for again."""
    because: str = ""
    """Why it was last run again."""
    hold: dict[str, Any] | None = None
    delayed: float = 0.0
    """Seconds that code of other conversations has blocked its worker."""
    delayed_by: str = ""
    """The key of the last one that did."""
    earlier: list[str] = field(default_factory=list)
    """Logs of it that count no more: crashed, run again or continued in `log`."""
    row: dict[str, Any] = field(default_factory=dict)
    """The last `Row` of its worker: what was said last, signals, flags; empty where there is none.

    Never changed in place: another one takes its place.
    """

    @property
    def over(self) -> bool:
        return self.state == "ended"

    @property
    def settled(self) -> bool:
        """Whether it has ended for good: a resume leaves it alone."""
        return self.over and self.status not in ("crashed", "stopped")

    @property
    def ending(self) -> str:
        """The kind of its termination; empty while there is none."""
        return as_text((self.termination or {}).get("kind"))

    @property
    def tokens(self) -> int | None:
        """Tokens of all sides, from the totals; None where unknown."""
        known = total(side.get("tokens") for side in self._usage())
        return None if known is None else int(known)

    @property
    def cost(self) -> float | None:
        """US dollars of all sides, from the totals; None where unknown."""
        return total(side.get("cost") for side in self._usage())

    @property
    def turns(self) -> int | None:
        """Committed turns, from the totals."""
        known = number(self.totals.get("turns"))
        return None if known is None else int(known)

    def _usage(self) -> list[dict[str, Any]]:
        return [as_object(side) for side in as_object(self.totals.get("usage")).values()]


# --- what a line about one conversation changes


def _file_name(value: Any) -> str | None:
    """A log's name; None for anything that is not a name in the batch's folder."""
    name = as_text(value)
    bad = not name or name in (".", "..") or not _NO_NAME.isdisjoint(name)
    return None if bad else name


_NO_NAME: Final = frozenset("/\\\0")


def _started(entry: Entry, record: RecordDict, at: datetime | None) -> None:
    _moves_to(entry, _file_name(record.get("log")))
    worker = record.get("worker")
    entry.worker = worker if isinstance(worker, int) else None
    entry.state = "running"
    entry.status, entry.termination, entry.totals, entry.hold = "", None, {}, None
    entry.row = {}
    entry.started_at = entry.started_at or at
    entry.ended_at = None


def _moves_to(entry: Entry, log: str | None) -> None:
    if entry.log is not None and entry.log != log and entry.log not in entry.earlier:
        entry.earlier.append(entry.log)
    entry.log = log


def _adopted(entry: Entry, record: RecordDict, _: datetime | None) -> None:
    _moves_to(entry, _file_name(record.get("log")))
    entry.worker = None


def _held(entry: Entry, record: RecordDict, _: datetime | None) -> None:
    if not entry.over:
        entry.state = "held"
        entry.hold = as_object(record.get("hold")) or {"reason": as_text(record.get("reason"))}


def _released(entry: Entry, _record: RecordDict, _at: datetime | None) -> None:
    if entry.state == "held":
        entry.state, entry.hold = "running", None


def _ended(entry: Entry, record: RecordDict, at: datetime | None) -> None:
    log = _file_name(record.get("log"))
    if log is not None:
        _moves_to(entry, log)
    entry.state, entry.hold = "ended", None
    entry.status = as_text(record.get("status")) or "closed"
    entry.termination = as_object(record.get("termination")) or None
    entry.totals = as_object(record.get("totals"))
    entry.row = as_object(record.get("row")) or entry.row
    entry.ended_at = at


def _rerun(entry: Entry, record: RecordDict, _: datetime | None) -> None:
    entry.reruns += 1
    entry.deaths += 1
    entry.because = as_text(record.get("because"))
    _moves_to(entry, None)
    entry.state, entry.hold, entry.row = "waiting", None, {}
    if is_asked(record):
        # It had ended, and begins as if it had not begun.
        entry.deaths = 0
        entry.status, entry.termination, entry.totals = "", None, {}
        entry.started_at = entry.ended_at = None


def is_asked(record: RecordDict) -> bool:
    """Whether a `rerun` was asked for; else a worker had died."""
    return record.get("asked") is True


CHANGES: Final = {
    "started": _started,
    "adopted": _adopted,
    "held": _held,
    "released": _released,
    "ended": _ended,
    "rerun": _rerun,
}
"""What a line of a type changes of its conversation: functions of the entry, the line, its time."""


def counts(entries: Iterable[Entry]) -> dict[EntryState, int]:
    """How many conversations are in each state; every state is there."""
    result: dict[EntryState, int] = dict.fromkeys(
        ("waiting", "running", "held", "ended", "crashed"), 0
    )
    for entry in entries:
        result[entry.state] += 1
    return result
