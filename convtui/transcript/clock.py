"""How long a conversation has been running. Time in a hold is counted apart, and a branch goes on
from where its parent stood."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from convtui.records.values import as_object

if TYPE_CHECKING:
    from convtui.transcript.fold import Transcript


class Elapsed(NamedTuple):
    """Seconds since a conversation began, parent logs included."""

    running: float = 0.0
    held: float = 0.0
    """Waiting in holds: for a key, or for the human to write."""

    def as_dict(self) -> dict[str, float]:
        return {"running": round(self.running, 4), "held": round(self.held, 4)}


def elapsed(transcript: Transcript, at: float | None = None) -> Elapsed:
    """The time up to `at`, in seconds of the log's own clock (the `t` of its records).

    Without `at` it is the time up to the last record.
    """
    return transcript.clock.at(transcript.last_t if at is None else at)


def elapsed_words(time: Elapsed) -> str:
    """`00:31 (+00:12 held)`: running time, and the time in holds apart."""
    held = f" (+{elapsed_text(time.held)} held)" if time.held >= 1 else ""
    return f"{elapsed_text(time.running)}{held}"


def elapsed_text(seconds: float) -> str:
    """`00:31`, `1:02:03`."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


class Clock:
    """The holds of a log, and the time that its parents took."""

    def __init__(self) -> None:
        self.before = Elapsed()
        """What had passed when this log began."""
        self._starts = array("d")
        self._held = array("d")
        """Seconds held before each start."""
        self._ends = array("d")

    def goes_on(self, before: Any) -> None:
        """Takes over what a parent log says about its time, as `Elapsed.as_dict()` writes it."""
        figures = as_object(before)
        running, held = (figures.get(name) for name in ("running", "held"))
        self.before = Elapsed(_seconds(running), _seconds(held))

    def hold(self, t: float) -> None:
        """A hold begins; one inside another counts once."""
        if len(self._ends) == len(self._starts):
            self._held.append(self.at(t).held - self.before.held)
            self._starts.append(t)

    def release(self, t: float) -> None:
        """The hold, if there is one, ends."""
        if len(self._ends) < len(self._starts):
            self._ends.append(max(t, self._starts[-1]))

    def holds(self, first: int = 0) -> list[tuple[float, float]]:
        """From number `first` on, when a hold began, and the seconds in holds before it."""
        return [*zip(self._starts[first:], self._held[first:], strict=True)]

    def releases(self, first: int = 0) -> list[float]:
        """From number `first` on, when a hold ended; one that lasts has not."""
        return [*self._ends[first:]]

    def add(self, holds: Iterable[tuple[float, float]], releases: Iterable[float]) -> None:
        """Adds further holds and releases, as `holds()` and `releases()` have them."""
        for start, held in holds:
            self._starts.append(start)
            self._held.append(held)
        self._ends.extend(releases)

    def at(self, t: float) -> Elapsed:
        """What had passed at `t`; a time before this log's beginning is negative."""
        held = 0.0
        index = bisect_right(self._starts, t) - 1
        if index >= 0:
            end = self._ends[index] if index < len(self._ends) else t
            held = self._held[index] + max(0.0, min(t, end) - self._starts[index])
        running = max(0.0, self.before.running + t - held)
        return Elapsed(running, self.before.held + held)


def _seconds(value: Any) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return max(0.0, float(value)) if number else 0.0
