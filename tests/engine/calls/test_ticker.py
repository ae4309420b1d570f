"""What wakes a call: its bell, and a timer that serves one call after the other."""

from __future__ import annotations

import asyncio

from convtui.engine.calls.active_call import Bell, Ticker

WITHIN = 20


class Calls:
    def __init__(self) -> None:
        self.made: list[str] = []

    def call(self, name: str) -> None:
        self.made.append(name)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(WITHIN):
            while len(self.made) < count:
                await asyncio.sleep(0)


async def rounds(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_it_calls_once() -> None:
    ticker, calls = Ticker(), Calls()
    ticker.start(0, lambda: calls.call("a"))
    await calls.until(1)
    await rounds()
    assert calls.made == ["a"]


async def test_who_comes_sooner_takes_the_place_of_who_was_to_be_called() -> None:
    ticker, calls = Ticker(), Calls()
    ticker.start(3600, lambda: calls.call("a"))
    ticker.start(0, lambda: calls.call("b"))
    await calls.until(1)
    assert calls.made == ["b"]


async def test_a_timer_that_is_left_calls_who_came_after_it_early() -> None:
    ticker, calls = Ticker(), Calls()
    ticker.start(0, lambda: calls.call("a"))
    ticker.stop()
    ticker.start(3600, lambda: calls.call("b"))
    await calls.until(1)
    assert calls.made == ["b"]


async def test_who_is_called_may_start_it_again() -> None:
    ticker, calls = Ticker(), Calls()

    def again() -> None:
        calls.call("a")
        ticker.start(0, lambda: calls.call("b"))

    ticker.start(0, again)
    await calls.until(2)
    assert calls.made == ["a", "b"]


async def test_nobody_is_called_after_it_was_stopped() -> None:
    ticker, calls = Ticker(), Calls()
    ticker.start(0, lambda: calls.call("a"))
    ticker.stop()
    await rounds()
    assert calls.made == []


async def test_a_bell_wakes_who_waits_each_time() -> None:
    bell, woken = Bell(), 0

    async def wait() -> None:
        nonlocal woken
        for _ in range(2):
            await bell.wait()
            woken += 1

    bell.ring()  # nobody waits yet
    waiting = asyncio.create_task(wait())
    await rounds()
    assert woken == 0
    bell.ring()
    bell.ring()
    await rounds()
    assert woken == 1
    bell.ring()
    await asyncio.wait_for(waiting, WITHIN)
    assert woken == 2
