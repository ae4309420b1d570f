"""Breakpoints: filter expressions that hold the conversation where they become true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from convtui.engine.core.gate import Point
from convtui.errors import CommandRefused, FilterError
from convtui.filters.breaks import BreakpointSpec, parse_breakpoint
from convtui.filters.filter import decide
from convtui.records.models import RecordDict
from convtui.transcript.fold import GONE, Flag, Transcript, Turn


@dataclass(slots=True)
class Breakpoint:
    """One breakpoint with its counters."""

    number: int
    spec: BreakpointSpec
    hits: int = 0
    """How often it has stopped the conversation."""
    passed: int = 0
    """How many hits it has let pass, as its `skip` says."""
    _hit_in: set[tuple[int | None, int | None, int | None]] = field(default_factory=set)

    def as_dict(self) -> dict[str, Any]:
        """The breakpoint as JSON; parsing `text` makes one with the same skips left."""
        remaining = replace(self.spec, skip=max(0, self.spec.skip - self.passed))
        return {
            "breakpoint": self.number,
            "expression": self.spec.expression,
            "enabled": self.spec.enabled,
            "once": self.spec.once,
            "skip": self.spec.skip,
            "passed": self.passed,
            "hits": self.hits,
            "text": str(remaining),
        }

    def hit(self, attempt: tuple[int | None, int | None, int | None]) -> bool:
        """Counts a hit in an attempt at a turn; whether to stop there."""
        self._hit_in.add(attempt)
        if self.passed < self.spec.skip:
            self.passed += 1
            return False
        self.hits += 1
        if self.spec.once:
            self.spec = self.spec.switched(False)
        return True

    def was_hit_in(self, attempt: tuple[int | None, int | None, int | None]) -> bool:
        return attempt in self._hit_in


class TurnRecords:
    """The records of the turn in progress, for filters (a `Lookup`)."""

    def __init__(self) -> None:
        self._records: list[RecordDict] = []

    def add(self, record: RecordDict) -> None:
        """Keeps a record of the turn in progress; the first of a turn drops those of the last."""
        if record.get("turn") is None:
            return
        if record["type"] == "turn.started" and (record.get("attempt") or 1) == 1:
            self._records.clear()
        self._records.append(record)

    def raw(self, turn: Turn) -> str | None:
        """The last raw reply; None before there is one."""
        for record in reversed(self.records(turn)):
            if record.get("type") == "llm.response":
                raw = record.get("raw")
                return raw if isinstance(raw, str) else None
        return None

    def records(self, turn: Turn) -> Sequence[RecordDict]:
        """The records of a turn; none unless it is in progress."""
        return [
            record
            for record in self._records
            if record.get("turn") == turn.number and record.get("session") == turn.session
        ]

    def marked(self, turn: Turn) -> bool:
        """Always False: marks are made on the screen's side."""
        return False

    def noted(self, turn: Turn) -> bool:
        """Always False, as for marks."""
        return False


class Breakpoints:
    """All breakpoints of a conversation. Raises `FilterError` for a bad expression."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self.records = TurnRecords()
        self._all: dict[int, Breakpoint] = {}
        self._next = 1
        for text in texts:
            self.add(text)

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, text: str) -> Breakpoint:
        """Adds a breakpoint. Raises `FilterError`."""
        point = Breakpoint(self._next, parse_breakpoint(text))
        self._all[point.number] = point
        self._next += 1
        return point

    def command_add(self, text: str) -> Breakpoint:
        """As `add()`, but raises `CommandRefused` with the position of the mistake."""
        try:
            return self.add(text)
        except FilterError as error:
            raise CommandRefused(str(error)) from error

    def change(self, number: int, text: str) -> None:
        """Replaces a breakpoint's expression and resets its counters. Raises `CommandRefused`."""
        self._get(number)
        try:
            self._all[number] = Breakpoint(number, parse_breakpoint(text))
        except FilterError as error:
            raise CommandRefused(str(error)) from error

    def remove(self, number: int) -> None:
        """Raises `CommandRefused` for an unknown number."""
        self._get(number)
        del self._all[number]

    def enable(self, number: int, enabled: bool) -> None:
        """Enables or disables a breakpoint. Raises `CommandRefused` for an unknown number."""
        point = self._get(number)
        point.spec = point.spec.switched(enabled)

    def listed(self) -> list[dict[str, Any]]:
        """All breakpoints as JSON, in the order of their numbers."""
        return [point.as_dict() for point in self._all.values()]

    def _get(self, number: int) -> Breakpoint:
        if number not in self._all:
            raise CommandRefused(f"there is no breakpoint {number}")
        return self._all[number]

    def fires(self, point: Point, transcript: Transcript) -> str | None:
        """Names the first breakpoint that stops at a stage; each stops once per attempt."""
        if not self._all or point.turn is None or point.session is None:
            return None
        turn = transcript.find(point.session, point.turn)
        if turn is None:
            return None
        # The fold ends before the gate's stage, which has run: it is set for the filters.
        stage, status = turn.stage, turn.status
        turn.stage = point.stage
        if point.stage == "discard" and turn.flags & Flag.DISCARDED:
            turn.status = GONE  # what this stage is about to record
        try:
            return self._first(point, turn, transcript)
        finally:
            turn.stage, turn.status = stage, status

    def _first(self, point: Point, turn: Turn, transcript: Transcript) -> str | None:
        """Evaluates all breakpoints, since each has counters of its own."""
        name: str | None = None
        for candidate in self._all.values():
            if not candidate.spec.enabled or candidate.was_hit_in(point.of_turn):
                continue
            if not decide(candidate.spec.filter.on_turn(turn, transcript, self.records)):
                continue
            if candidate.hit(point.of_turn) and name is None:
                name = f"breakpoint {candidate.number}: {candidate.spec.expression}"
        return name
