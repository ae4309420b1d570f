"""How many calls an endpoint gets at once, over all workers: additive increase, halved by a 429.

Workers report what they did with each endpoint, and get their shares of its limit by demand. Until
an endpoint answers 429 it has no limit. Nothing is called or made again here: a worker's calls wait
for its share, and the engine's own retries come back to wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from convtui.log.run_summary import number

LONGEST_PAUSE: Final = 60.0
"""Seconds that an endpoint is left alone at most, whatever its Retry-After says: the scenario's
`retry.max_wait`, by default, after which its callers give up anyway."""
_FIRST_PAUSE: Final = 0.5
"""Seconds that an endpoint is left alone when it refuses a single call at a time; doubled while it
goes on to."""
_ROUND_TRIP: Final = 30.0
"""Seconds after which calls in flight at a cut are taken to have come back."""


@dataclass(slots=True)
class Demand:
    """What one worker does with an endpoint."""

    running: int = 0
    waiting: int = 0

    @property
    def total(self) -> int:
        return self.running + self.waiting


@dataclass(slots=True)
class EndpointLimit:
    """The limit of one endpoint and model."""

    key: str
    demand: dict[int, Demand] = field(default_factory=dict)
    """By worker."""
    throttled: int = 0
    """Answers 429 so far."""
    _limit: float | None = None
    _paused_until: float = 0.0
    _pause: float = 0.0
    _old_calls: int = 0
    """Calls that were in flight at the last cut, and may still answer 429 because of it."""
    _cut_at: float = 0.0
    _turn: int = 0

    @property
    def limit(self) -> int | None:
        """Calls at once; None while the endpoint has not answered 429."""
        return None if self._limit is None else int(self._limit)

    @property
    def running(self) -> int:
        return sum(demand.running for demand in self.demand.values())

    @property
    def waiting(self) -> int:
        return sum(demand.waiting for demand in self.demand.values())

    def paused(self, now: float) -> float:
        """Seconds until it may be called again."""
        return max(0.0, self._paused_until - now)

    def used(self, worker: int, data: Mapping[str, Any], now: float) -> None:
        """Takes in a worker's report: `{running, waiting, ok, throttled, retry_after}`."""
        ok, throttled = _count(data.get("ok")), _count(data.get("throttled"))
        self.demand[worker] = Demand(_count(data.get("running")), _count(data.get("waiting")))
        if ok:
            self._succeeded(ok)
        if throttled:
            self.throttled += throttled
            # Those that were refused were in flight when they were.
            in_flight = self.running + throttled
            self._refused(in_flight, number(data.get("retry_after")), now)
        self._old_calls = max(0, self._old_calls - ok - throttled)

    def _succeeded(self, ok: int) -> None:
        self._pause = 0.0
        if self._limit is None or self._old_calls:
            return
        # One more for each round of calls, and only where the limit is what holds them back.
        if self.waiting or self.running >= int(self._limit):
            self._limit += ok / self._limit

    def _refused(self, in_flight: int, retry_after: float | None, now: float) -> None:
        known = self._old_calls and now - self._cut_at < _ROUND_TRIP
        if not known:
            at_once = in_flight if self._limit is None else min(self._limit, in_flight)
            if self._limit is not None and self._limit < 2 and retry_after is None:
                self._pause = min(LONGEST_PAUSE, max(_FIRST_PAUSE, 2 * self._pause))
                self._paused_until = max(self._paused_until, now + self._pause)
            self._limit = max(1.0, at_once / 2)
            self._cut_at = now
            self._old_calls = in_flight
        if retry_after is not None and retry_after > 0:
            until = now + min(retry_after, LONGEST_PAUSE)
            self._paused_until = max(self._paused_until, until)

    def forget(self, worker: int) -> None:
        """A worker has gone, and its calls with it."""
        gone = self.demand.pop(worker, None)
        if gone is not None:
            self._old_calls = max(0, self._old_calls - gone.running)

    def shares(self, now: float) -> dict[int, int] | None:
        """Calls at once for each worker; None without a limit.

        The shares are at most the limit together, and what runs beyond a share is not given to
        others before it has come back.
        """
        if self._limit is None:
            return None
        shares = dict.fromkeys(self.demand, 0)
        if self.paused(now) or not shares:
            return shares
        left = int(self._limit)
        wanting = [worker for worker, demand in self.demand.items() if demand.total]
        # Where there are fewer calls than workers that want one, another one is first each time.
        self._turn += 1
        start = self._turn % len(wanting) if left < len(wanting) else 0
        wanting = wanting[start:] + wanting[:start]
        while left and wanting:
            each = max(1, left // len(wanting))
            for worker in list(wanting):
                given = min(each, left, self.demand[worker].total - shares[worker])
                shares[worker] += given
                left -= given
                if shares[worker] >= self.demand[worker].total:
                    wanting.remove(worker)
        over = sum(
            max(0, demand.running - shares[worker]) for worker, demand in self.demand.items()
        )
        left, over = max(0, left - over), max(0, over - left)
        for worker in sorted(shares, key=lambda worker: -shares[worker]):
            spare = min(over, max(0, shares[worker] - self.demand[worker].running))
            shares[worker] -= spare
            over -= spare
        if left:
            # For calls that begin before the next report; the busiest is the likeliest to have one.
            busiest = max(shares, key=lambda worker: (self.demand[worker].total, -worker))
            shares[busiest] += left
        return shares


class Limiter:
    """The limits of all endpoints that a batch calls."""

    def __init__(self) -> None:
        self.endpoints: dict[str, EndpointLimit] = {}

    def used(self, worker: int, calls: Mapping[str, Any], now: float) -> bool:
        """Takes in a worker's USED frame; whether one of its endpoints has a limit."""
        limited = False
        for key, data in calls.items():
            if not isinstance(data, dict):
                continue
            endpoint = self.endpoints.get(key)
            if endpoint is None:
                endpoint = self.endpoints[key] = EndpointLimit(key)
            endpoint.used(worker, data, now)
            limited = limited or endpoint.limit is not None
        return limited

    def forget(self, worker: int) -> None:
        """A worker has gone."""
        for endpoint in self.endpoints.values():
            endpoint.forget(worker)

    def shares(self, workers: list[int], now: float) -> dict[int, dict[str, int]]:
        """For each worker the limits of a LIMITS frame; empty where no endpoint has one."""
        result: dict[int, dict[str, int]] = {worker: {} for worker in workers}
        for key, endpoint in self.endpoints.items():
            shares = endpoint.shares(now)
            if shares is None:
                continue
            for worker in workers:
                # One that has not called it yet says that it waits, and gets its share then.
                result[worker][key] = shares.get(worker, 0)
        return result

    def next_change(self, now: float) -> float | None:
        """Seconds until the first pause is over; None where nothing pauses."""
        pauses = [endpoint.paused(now) for endpoint in self.endpoints.values()]
        return min((pause for pause in pauses if pause), default=None)

    @property
    def throttled(self) -> int:
        """Answers 429 of all endpoints."""
        return sum(endpoint.throttled for endpoint in self.endpoints.values())


def _count(value: Any) -> int:
    return max(0, int(number(value) or 0))
