"""The limiter, without workers: reports in, shares out; and against an endpoint on a clock."""

from __future__ import annotations

import heapq
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.batch.limiter import LONGEST_PAUSE, Demand, EndpointLimit, Limiter

KEY = "api.example.com gpt-4o"


def report(running: int = 0, waiting: int = 0, ok: int = 0, throttled: int = 0, **more: Any) -> Any:
    return {"running": running, "waiting": waiting, "ok": ok, "throttled": throttled, **more}


def limited(at: int) -> EndpointLimit:
    """An endpoint that has just been cut to a limit, its calls come back."""
    endpoint = EndpointLimit(KEY)
    endpoint.used(1, report(running=2 * at - 1, throttled=1), 0.0)
    endpoint.used(1, report(ok=2 * at), 0.0)
    assert endpoint.limit == at
    return endpoint


def test_there_is_no_limit_before_a_429() -> None:
    endpoint = EndpointLimit(KEY)
    endpoint.used(1, report(running=50, ok=1000), 0.0)
    assert (endpoint.limit, endpoint.shares(0.0)) == (None, None)


def test_a_429_halves_what_was_in_flight() -> None:
    endpoint = EndpointLimit(KEY)
    endpoint.used(1, report(running=30), 0.0)
    endpoint.used(2, report(running=9, throttled=1), 0.0)
    assert endpoint.limit == 20


def test_it_is_halved_once_in_a_round_trip() -> None:
    endpoint = EndpointLimit(KEY)
    endpoint.used(1, report(running=39, throttled=1), 0.0)
    for _ in range(39):
        endpoint.used(1, report(running=20, throttled=1), 0.1)
    assert (endpoint.limit, endpoint.throttled) == (20, 40)
    endpoint.used(1, report(running=19, throttled=1), 0.2)
    assert endpoint.limit == 10


def test_success_raises_it_by_one_a_round() -> None:
    endpoint = limited(10)
    for _ in range(10):
        endpoint.used(1, report(running=10, waiting=5, ok=1), 1.0)
    assert endpoint.limit in (10, 11)  # 10.95
    endpoint.used(1, report(running=10, waiting=5, ok=1), 1.0)
    assert endpoint.limit == 11


def test_success_raises_nothing_where_the_limit_holds_nobody_back() -> None:
    endpoint = limited(10)
    endpoint.used(1, report(running=3, ok=100), 1.0)
    assert endpoint.limit == 10


def test_retry_after_pauses_all_workers_and_then_lets_them_go_on() -> None:
    limiter = Limiter()
    limiter.used(2, {KEY: report(running=4)}, 100.0)
    assert limiter.used(1, {KEY: report(running=3, throttled=1, retry_after=2.5)}, 100.0)
    assert limiter.shares([1, 2], 102.4) == {1: {KEY: 0}, 2: {KEY: 0}}
    assert limiter.next_change(101.0) == pytest.approx(1.5)
    assert limiter.next_change(103.0) is None
    assert sum(share[KEY] for share in limiter.shares([1, 2], 102.6).values()) <= 4


def test_the_longest_retry_after_counts_but_not_for_ever() -> None:
    endpoint = EndpointLimit(KEY)
    endpoint.used(1, report(running=5, throttled=1, retry_after=5), 0.0)
    endpoint.used(1, report(running=4, throttled=1, retry_after=1), 0.0)
    assert endpoint.paused(0.0) == 5
    endpoint.used(1, report(running=3, throttled=1, retry_after=86_400), 0.0)
    assert endpoint.paused(0.0) == LONGEST_PAUSE


def test_an_endpoint_that_refuses_single_calls_is_left_alone_longer_and_longer() -> None:
    endpoint = limited(1)
    pauses = []
    now = 100.0
    for _ in range(4):
        endpoint.used(1, report(throttled=1, waiting=9), now)
        pauses.append(endpoint.paused(now))
        now += endpoint.paused(now) + 1
    assert pauses == [0.5, 1.0, 2.0, 4.0]
    endpoint.used(1, report(ok=1, waiting=9), now)
    endpoint.used(1, report(throttled=1, waiting=9), now)
    assert (endpoint.limit, endpoint.paused(now)) == (1, 0.0)
    endpoint.used(1, report(throttled=1, waiting=9), now)
    assert (endpoint.limit, endpoint.paused(now)) == (1, 0.5)


def test_endpoints_have_limits_of_their_own() -> None:
    limiter = Limiter()
    limiter.used(1, {"a": report(running=9, throttled=1), "b": report(running=9)}, 0.0)
    assert limiter.shares([1], 0.0) == {1: {"a": 5}}


def test_nonsense_from_a_worker_is_no_error() -> None:
    limiter = Limiter()
    nonsense = {"a": 5, "b": {"running": "x", "throttled": -3, "retry_after": float("inf")}}
    assert not limiter.used(1, nonsense, 0.0)


def test_a_dead_worker_gives_its_share_to_the_others() -> None:
    endpoint = limited(8)
    endpoint.demand = {1: Demand(4, 20), 2: Demand(4, 20)}
    assert endpoint.shares(1.0) == {1: 4, 2: 4}
    endpoint.forget(2)
    assert endpoint.shares(1.0) == {1: 8}


def test_everybody_gets_a_turn_where_there_are_fewer_calls_than_workers() -> None:
    endpoint = limited(1)
    endpoint.demand = {worker: Demand(0, 5) for worker in range(4)}
    first = set()
    for _ in range(4):
        shares = endpoint.shares(1.0)
        assert shares is not None and sum(shares.values()) == 1
        first |= {worker for worker, share in shares.items() if share}
    assert first == {0, 1, 2, 3}


@given(
    st.integers(1, 40),
    st.dictionaries(
        st.integers(0, 5), st.builds(Demand, st.integers(0, 30), st.integers(0, 30)), min_size=1
    ),
)
def test_shares_are_never_more_than_the_limit(limit: int, demand: dict[int, Demand]) -> None:
    endpoint = limited(limit)
    endpoint.demand = demand
    shares = endpoint.shares(1.0)
    assert shares is not None and set(shares) == set(demand)
    assert all(share >= 0 for share in shares.values())
    assert sum(shares.values()) <= limit
    running = sum(each.running for each in demand.values())
    at_once = sum(max(share, demand[worker].running) for worker, share in shares.items())
    assert at_once <= max(limit, running)
    wanted = sum(each.total for each in demand.values())
    if running <= limit:
        assert at_once >= min(limit, wanted)


@pytest.mark.parametrize(("workers", "capacity"), [(1, 10), (2, 10), (4, 25), (3, 1)])
def test_it_finds_what_an_endpoint_can_do(workers: int, capacity: int) -> None:
    endpoint = _Endpoint(capacity, workers, calls=120)
    endpoint.run(60.0)
    done = endpoint.ok
    best = capacity * 60.0  # calls of one second
    assert done >= 0.6 * best  # a limit that goes from a half to the whole is 0.75 on average
    # A cut to a half for each round trip until it fits, and one refusal at each later summit.
    assert endpoint.refused <= 2 * 120 + (0.1 if capacity > 1 else 1) * done


class _Endpoint:
    """An endpoint that answers 429 above `capacity` calls at once, and workers that call it.

    On a clock of its own: a call takes a second, a refusal a tenth. `calls` wait at every time.
    """

    def __init__(self, capacity: int, workers: int, calls: int) -> None:
        self.ok = self.refused = 0
        self._capacity = capacity
        self._limiter = Limiter()
        self._shares: dict[int, int] = {}
        self._waiting = dict.fromkeys(range(workers), calls // workers)
        self._running = dict.fromkeys(range(workers), 0)
        self._counts = {worker: [0, 0] for worker in range(workers)}
        self._events: list[tuple[float, int, bool]] = []

    def run(self, seconds: float) -> None:
        now = 0.0
        while now < seconds:
            now += 0.1
            while self._events and self._events[0][0] <= now:
                _, worker, fine = heapq.heappop(self._events)
                self._running[worker] -= 1
                self._waiting[worker] += 1
                self._counts[worker][not fine] += 1
                self.ok += fine
                self.refused += not fine
            for worker, (ok, throttled) in self._counts.items():
                used = report(self._running[worker], self._waiting[worker], ok, throttled)
                self._limiter.used(worker, {KEY: used}, now)
                self._counts[worker] = [0, 0]
            shares = self._limiter.shares(list(self._running), now)
            for worker, keys in shares.items():
                self._begin(worker, keys.get(KEY, 1 << 30), now)

    def _begin(self, worker: int, share: int, now: float) -> None:
        while self._waiting[worker] and self._running[worker] < share:
            busy = sum(fine for *_, fine in self._events)
            fine = busy < self._capacity
            self._waiting[worker] -= 1
            self._running[worker] += 1
            heapq.heappush(self._events, (now + (1.0 if fine else 0.1), worker, fine))
