"""The event loop of conversations wakes for everything that a usual one does, and not too early."""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from convtui.engine.core import event_loop
from convtui.engine.core.event_loop import new_event_loop

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is an epoll on Linux only")

A_MINUTE = 60.0


@pytest.fixture(params=["short waits", "long waits"], autouse=True)
def wait(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits as it does for short timers, also for those of a minute; or as a usual one does."""
    if request.param == "short waits":
        monkeypatch.setattr(event_loop, "_SHORT", 10 * A_MINUTE)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def in_a_thread(call: Callable[[], Any]) -> None:
    threading.Thread(target=call, daemon=True).start()


def run(what: Callable[[], Any]) -> Any:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(what())


def test_a_file_that_is_ready_ends_the_wait(pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    with event_loop.PunctualSelector() as selector:
        key = selector.register(right, selectors.EVENT_READ)
        assert selector.select(0) == []
        assert selector.select(0.0001) == []
        in_a_thread(lambda: left.send(b"x"))
        assert selector.select(A_MINUTE) == [(key, selectors.EVENT_READ)]
        assert selector.select(A_MINUTE) == [(key, selectors.EVENT_READ)]
        assert selector.select(None) == [(key, selectors.EVENT_READ)]
        right.recv(1)
        assert selector.select(0.0001) == []


def test_a_number_that_select_does_not_know_is_waited_for_as_usual(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    class Far(event_loop.PunctualSelector):
        def fileno(self) -> int:
            return 1 << 20

    left, right = pair
    with Far() as selector:
        key = selector.register(right, selectors.EVENT_READ)
        assert selector.select(0.0001) == []
        in_a_thread(lambda: left.send(b"x"))
        assert selector.select(A_MINUTE) == [(key, selectors.EVENT_READ)]


def test_other_threads_wake_it() -> None:
    async def wait_for_a_thread() -> str:
        loop = asyncio.get_running_loop()
        later = loop.call_later(A_MINUTE, loop.stop)
        woken = loop.create_future()
        in_a_thread(lambda: loop.call_soon_threadsafe(woken.set_result, "woken"))
        try:
            return str(await woken)
        finally:
            later.cancel()

    assert run(wait_for_a_thread) == "woken"


def test_signals_wake_it() -> None:
    async def wait_for_a_signal() -> bool:
        loop = asyncio.get_running_loop()
        later = loop.call_later(A_MINUTE, loop.stop)
        seen = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, seen.set)
        in_a_thread(lambda: os.kill(os.getpid(), signal.SIGUSR1))
        try:
            return await seen.wait()
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)
            later.cancel()

    assert run(wait_for_a_signal)


def test_sockets_wake_it(pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    right.setblocking(False)

    async def wait_for_a_socket() -> bytes:
        loop = asyncio.get_running_loop()
        later = loop.call_later(A_MINUTE, loop.stop)
        in_a_thread(lambda: left.send(b"x"))
        try:
            return await loop.sock_recv(right, 1)
        finally:
            later.cancel()

    assert run(wait_for_a_socket) == b"x"


def test_timers_are_in_order_and_none_is_early() -> None:
    async def wait_for_timers() -> list[tuple[float, float]]:
        loop = asyncio.get_running_loop()
        called: list[tuple[float, float]] = []
        began = loop.time()

        def take(delay: float) -> None:
            called.append((delay, loop.time() - began))

        for delay in (0.003, 0.0005, 0.002, 0.0001):
            loop.call_later(delay, take, delay)
        while len(called) < 4:
            await asyncio.sleep(0.0005)
        return called

    called = run(wait_for_timers)
    assert [delay for delay, _ in called] == [0.0001, 0.0005, 0.002, 0.003]
    assert all(after >= delay for delay, after in called)
