"""Calls for attention when a conversation of a batch begins to wait for somebody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from convtui.tui.screens.fleet.view import Fleet


class NewHolds:
    """Knows which conversations are held already: each hold calls once."""

    def __init__(self, fleet: Fleet, call: Callable[[Mapping[str, Any]], None]) -> None:
        self._fleet, self._call = fleet, call
        self._held: set[int] = set()

    def take(self, rows: Iterable[int]) -> None:
        """Takes changed rows in. What is paused with all others waits for nobody."""
        new: Mapping[str, Any] | None = None
        for index in rows:
            row = self._fleet.rows[index]
            if row.state != "held":
                self._held.discard(index)
            elif index not in self._held:
                self._held.add(index)
                if row.hold is not None and row.hold.get("reason") not in ("pause", "step"):
                    new = row.hold
        if new is not None:
            self._call(new)
