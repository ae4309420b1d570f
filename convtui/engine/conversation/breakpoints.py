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
    """One breakpoint and what has become of it."""

    number: int
    spec: BreakpointSpec
    hits: int = 0
    """How often it has stopped."""
    passed: int = 0
    """How often it has come true and let pass, being one that skips."""
    _met: set[tuple[int | None, int | None, int | None]] = field(default_factory=set)

    def as_dict(self) -> dict[str, Any]:
        """The breakpoint for the screen; `text` is what sets one that goes on where it stands."""
        left = replace(self.spec, skip=max(0, self.spec.skip - self.passed))
        return {
            "breakpoint": self.number,
            "expression": self.spec.expression,
            "enabled": self.spec.enabled,
            "once": self.spec.once,
            "skip": self.spec.skip,
            "passed": self.passed,
            "hits": self.hits,
            "text": str(left),
        }

    def comes_true(self, attempt: tuple[int | None, int | None, int | None]) -> bool:
        """Counts that its condition is true in an attempt, and says whether to stop for it."""
        self._met.add(attempt)
        if self.passed < self.spec.skip:
            self.passed += 1
            return False
        self.hits += 1
        if self.spec.once:
            self.spec = self.spec.switched(False)
        return True

    def has_met(self, attempt: tuple[int | None, int | None, int | None]) -> bool:
        """Whether it came true in this attempt before."""
        return attempt in self._met


class TurnRecords:
    """What filters may ask about the turn in progress: its raw reply and its records."""

    def __init__(self) -> None:
        self._records: list[RecordDict] = []

    def add(self, record: RecordDict) -> None:
        """Keeps the records of the turn in progress only."""
        if record.get("type") == "turn.started" and (record.get("attempt") or 1) == 1:
            self._records.clear()
        if record.get("turn") is not None:
            self._records.append(record)

    def raw(self, turn: Turn) -> str | None:
        """The last raw reply."""
        for record in reversed(self.records(turn)):
            if record.get("type") == "llm.response":
                raw = record.get("raw")
                return raw if isinstance(raw, str) else None
        return None

    def records(self, turn: Turn) -> Sequence[RecordDict]:
        """The records of a turn, when it is the one in progress."""
        return [
            record
            for record in self._records
            if record.get("turn") == turn.number and record.get("session") == turn.session
        ]

    def marked(self, turn: Turn) -> bool:
        """Marks are the screen's business."""
        return False

    def noted(self, turn: Turn) -> bool:
        """So are notes."""
        return False


class Breakpoints:
    """All breakpoints of a conversation. Raises `FilterError` for a bad expression."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self.records = TurnRecords()
        self._all: dict[int, Breakpoint] = {}
        self._next = 1
        for text in texts:
            self.add(text)

    def add(self, text: str) -> Breakpoint:
        """A new breakpoint."""
        point = Breakpoint(self._next, parse_breakpoint(text))
        self._all[point.number] = point
        self._next += 1
        return point

    def command_add(self, text: str) -> Breakpoint:
        """As `add()`, for the debugger: raises `CommandRefused` with what was expected where."""
        try:
            return self.add(text)
        except FilterError as error:
            raise CommandRefused(str(error)) from error

    def change(self, number: int, text: str) -> None:
        """Puts another in the place of one, counted anew. Raises `CommandRefused`."""
        self._known(number)
        try:
            self._all[number] = Breakpoint(number, parse_breakpoint(text))
        except FilterError as error:
            raise CommandRefused(str(error)) from error

    def remove(self, number: int) -> None:
        """Takes one away. Raises `CommandRefused` when there is none."""
        self._known(number)
        del self._all[number]

    def enable(self, number: int, enabled: bool) -> None:
        """Switches one on or off. Raises `CommandRefused` when there is none."""
        point = self._known(number)
        point.spec = point.spec.switched(enabled)

    def listed(self) -> list[dict[str, Any]]:
        """All of them, for the screen."""
        return [point.as_dict() for point in self._all.values()]

    def _known(self, number: int) -> Breakpoint:
        if number not in self._all:
            raise CommandRefused(f"there is no breakpoint {number}")
        return self._all[number]

    def fires(self, point: Point, transcript: Transcript) -> str | None:
        """The breakpoint that fires at a stage, in words; each fires once per attempt."""
        if not self._all or point.turn is None or point.session is None:
            return None
        turn = transcript.find(point.session, point.turn)
        if turn is None:
            return None
        # The fold knows what has been recorded; at a stage's gate that stage has run.
        stage, status = turn.stage, turn.status
        turn.stage = point.stage
        if point.stage == "discard" and turn.flags & Flag.DISCARDED:
            turn.status = GONE  # about to be; the gate of this stage has foreseen it
        try:
            return self._first(point, turn, transcript)
        finally:
            turn.stage, turn.status = stage, status

    def _first(self, point: Point, turn: Turn, transcript: Transcript) -> str | None:
        """Asks all of them, since each counts for itself; the first that stops is named."""
        fires: str | None = None
        for candidate in self._all.values():
            if not candidate.spec.enabled or candidate.has_met(point.of_turn):
                continue
            if not decide(candidate.spec.filter.on_turn(turn, transcript, self.records)):
                continue
            if candidate.comes_true(point.of_turn) and fires is None:
                fires = f"breakpoint {candidate.number}: {candidate.spec.expression}"
        return fires
