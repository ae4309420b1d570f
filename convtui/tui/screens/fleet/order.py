"""The rows of a batch in order, kept so while they change: a changed row moves by itself."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from convtui.transcript.ending_words import short_ending
from convtui.tui.screens.fleet.view import FleetRow

USUAL: Final = "state"
_RANK: Final = {"held": 0, "running": 1, "starting": 1, "waiting": 2, "crashed": 3, "over": 3}
_REBUILD: Final = 8
"""Where more than one row of so many has changed, all are sorted again."""

ORDERS: Final[Mapping[str, Callable[[FleetRow], Any]]] = {
    "state": lambda row: _RANK[row.state],
    "listed": lambda row: 0,
    "cell": lambda row: row.cell,
    "persona": lambda row: row.persona.casefold(),
    "provider": lambda row: row.provider.casefold(),
    "ending": lambda row: short_ending(row.kind) if row.kind else None,
    "turns": lambda row: row.turns,
    "signals": lambda row: row.signals,
    "discards": lambda row: row.discards,
    "flags": lambda row: row.flags,
    "tokens": lambda row: row.tokens,
    "cost": lambda row: row.cost,
    "time": lambda row: row.started,
}
"""What conversations are sorted by, least first; of what is unknown, nothing is said."""
ORDER_LABELS: Final[Mapping[str, str]] = {
    "state": "held first, then those that run",
    "listed": "as the plan lists them",
    "persona": "persona",
    "provider": "provider",
    "ending": "ending",
    "-signals": "most signals first",
    "-discards": "most discarded turns first",
    "-flags": "most flags first",
    "-turns": "most turns first",
    "-tokens": "most tokens first",
    "-cost": "most expensive first",
    "time": "started first",
}

Sorted = tuple[Any, ...]


class FleetOrder:
    """Indices of rows in order. A conversation's later attempts follow its first."""

    def __init__(self, rows: Sequence[FleetRow]) -> None:
        self._rows = rows
        self.order = USUAL
        self.shown: list[int] = []
        """The rows that are listed."""
        self.attempts_shown = True
        self.accepts: Callable[[FleetRow], bool] | None = None
        """What narrows the list; None lists all."""
        self._groups: dict[int, list[int]] = {}
        """The attempts of a conversation by the index of the first; only where there are more."""
        self._known = 0
        self._keys: dict[int, Sorted] = {}
        self._sorted: list[Sorted] = []
        self.sort(USUAL)

    @property
    def has_attempts(self) -> bool:
        return bool(self._groups)

    def sort(self, order: str) -> None:
        """Sorts by one of `ORDERS`, with a minus in front the other way round."""
        self.order = order
        self._take_new()
        self._keys = {index: self._key(index) for index in self._firsts()}
        self._sorted = sorted(self._keys.values())
        self.refill()

    def update(self, changed: Iterable[int]) -> bool:
        """Takes changed and new rows in; whether another list is shown than before."""
        rows = self._rows
        new = self._take_new()
        firsts = {rows[index].first for index in changed} | new
        if len(firsts) * _REBUILD > len(self._keys):
            before = self.shown
            self.sort(self.order)
            return self.shown != before
        moved = bool(new) or self.accepts is not None
        for first in firsts:
            key, old = self._key(first), self._keys.get(first)
            if key == old:
                continue
            moved = True
            if old is not None:
                del self._sorted[bisect_left(self._sorted, old)]
            self._keys[first] = key
            insort(self._sorted, key)
        if not moved:
            return False
        before = self.shown
        self.refill()
        return self.shown != before

    def refill(self) -> None:
        """Lists what is to be listed, in the order that is known."""
        rows, accepts = self._rows, self.accepts
        if not self._groups:
            shown = [key[-1] for key in self._sorted]
        else:
            shown = []
            for key in self._sorted:
                attempts = self._groups.get(key[-1])
                if attempts is None:
                    shown.append(key[-1])
                elif self.attempts_shown:
                    shown += attempts
                else:
                    shown.append(attempts[-1])
        if accepts is not None:
            shown = [index for index in shown if accepts(rows[index])]
        self.shown = shown

    def _firsts(self) -> Iterable[int]:
        rows = self._rows
        return (index for index in range(len(rows)) if rows[index].first == index)

    def _take_new(self) -> set[int]:
        """Notes the attempts that have come; the conversations they belong to."""
        new: set[int] = set()
        rows = self._rows
        for index in range(self._known, len(rows)):
            first = rows[index].first
            if first != index:
                self._groups.setdefault(first, [first]).append(index)
            new.add(first)
        self._known = len(rows)
        return new

    def _key(self, first: int) -> Sorted:
        """What a conversation is sorted by: the most urgent, or the highest, of its attempts."""
        name, down = self.order.removeprefix("-"), self.order.startswith("-")
        value = ORDERS[name]
        attempts = self._groups.get(first)
        if attempts is None:
            known = value(self._rows[first])
        else:
            row = self._rows[attempts[-1]]
            values = [value(self._rows[index]) for index in attempts]
            figures = [one for one in values if isinstance(one, int | float)]
            known = (max if down else min)(figures) if figures else value(row)
            if name == "state":
                known = value(row)
        if known is None:
            return (1, first)
        if not down:
            return (0, known, first)
        if isinstance(known, str):
            return (0, tuple(-ord(char) for char in known), first)
        return (0, -known, first)
