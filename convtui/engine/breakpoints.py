"""Breakpoints: filter expressions that hold the conversation where they become true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from convtui.engine.gate import Point
from convtui.errors import CommandRefused, FilterError
from convtui.events import RecordDict
from convtui.filters import Filter, decide, parse
from convtui.transcript import GONE, Flag, Transcript, Turn


@dataclass(slots=True)
class Breakpoint:
    """One breakpoint; `hits` counts how often it has fired."""

    number: int
    filter: Filter
    enabled: bool = True
    once: bool = False
    hits: int = 0
    _fired: set[tuple[int | None, int | None, int | None]] = field(default_factory=set)

    def as_dict(self) -> dict[str, Any]:
        """The breakpoint for the screen."""
        return {
            "breakpoint": self.number,
            "expression": self.filter.expression,
            "enabled": self.enabled,
            "once": self.once,
            "hits": self.hits,
        }


class TurnRecords:
    """What filters may ask about the turn in progress: its raw reply and its records."""

    def __init__(self) -> None:
        self._records: list[RecordDict] = []

    def take(self, record: RecordDict) -> None:
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

    def __init__(self, expressions: Sequence[str] = ()) -> None:
        self.records = TurnRecords()
        self._all: dict[int, Breakpoint] = {}
        self._next = 1
        for expression in expressions:
            self.add(expression)

    def add(self, expression: str, *, once: bool = False) -> Breakpoint:
        """A new breakpoint."""
        point = Breakpoint(self._next, parse(expression, breakpoint=True), once=once)
        self._all[point.number] = point
        self._next += 1
        return point

    def command_add(self, expression: str, *, once: bool = False) -> Breakpoint:
        """As `add()`, for the debugger: raises `CommandRefused` with what was expected where."""
        try:
            return self.add(expression, once=once)
        except FilterError as error:
            raise CommandRefused(str(error)) from error

    def remove(self, number: int) -> None:
        """Takes one away. Raises `CommandRefused` when there is none."""
        self._known(number)
        del self._all[number]

    def enable(self, number: int, enabled: bool) -> None:
        """Switches one on or off. Raises `CommandRefused` when there is none."""
        self._known(number).enabled = enabled

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
        for candidate in list(self._all.values()):
            if not candidate.enabled or point.of_turn in candidate._fired:
                continue
            if decide(candidate.filter.on_turn(turn, transcript, self.records)):
                candidate._fired.add(point.of_turn)
                candidate.hits += 1
                if candidate.once:
                    del self._all[candidate.number]
                return f"breakpoint {candidate.number}: {candidate.filter.expression}"
        return None
