"""A guarded stream: its end, its failures, and that it is closed once whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from convtui.engine.calls.guarded import GuardedStream
from convtui.errors import ProviderError, RateLimited, TransientProviderError


class Pieces:
    """A stream of its own kind, which counts how often it is closed."""

    def __init__(self, *pieces: Any, on_close: BaseException | None = None) -> None:
        self.pieces = list(pieces)
        self.on_close = on_close
        self.closed = 0

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if not self.pieces:
            raise StopAsyncIteration
        piece = self.pieces.pop(0)
        if isinstance(piece, BaseException):
            raise piece
        return piece

    async def aclose(self) -> None:
        self.closed += 1
        if self.on_close is not None:
            raise self.on_close


def guarded(pieces: Any) -> GuardedStream:
    return GuardedStream(lambda: pieces)


async def texts(stream: GuardedStream) -> list[str]:
    return [delta.text async for delta in stream]


async def test_it_is_closed_at_its_end_and_only_once() -> None:
    pieces = Pieces("a", "b")
    stream = guarded(pieces)
    assert await texts(stream) == ["a", "b"]
    await stream.aclose()
    assert pieces.closed == 1
    assert await texts(stream) == []


async def test_it_may_be_closed_before_its_end_and_before_its_beginning() -> None:
    pieces = Pieces("a", "b")
    stream = guarded(pieces)
    assert (await anext(stream)).text == "a"
    await stream.aclose()
    await stream.aclose()
    assert (pieces.closed, await texts(stream)) == (1, [])
    pieces = Pieces("a")
    never = guarded(pieces)
    await never.aclose()
    assert (pieces.closed, await texts(never)) == (0, [])


@pytest.mark.parametrize(
    "failure",
    [ValueError("x"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), BaseException(),
     ExceptionGroup("x", [ValueError("y")])],
)  # fmt: skip
async def test_any_failure_is_the_providers_and_closes_it(failure: BaseException) -> None:
    pieces = Pieces("a", failure)
    stream = guarded(pieces)
    assert (await anext(stream)).text == "a"
    with pytest.raises(ProviderError) as raised:
        await anext(stream)
    asked_for = isinstance(failure, asyncio.CancelledError)
    assert raised.value.__cause__ is (None if asked_for else failure)
    assert (pieces.closed, await texts(stream)) == (1, [])


@pytest.mark.parametrize("failure", [RateLimited("x"), ProviderError("x"), GeneratorExit()])
async def test_what_has_a_name_of_ours_is_let_through(failure: BaseException) -> None:
    with pytest.raises(type(failure)) as raised:
        await texts(guarded(Pieces(failure)))
    assert raised.value is failure


async def test_a_transient_failure_stays_one() -> None:
    with pytest.raises(TransientProviderError, match="busy"):
        await texts(guarded(Pieces(TransientProviderError("busy"))))


async def test_a_failure_to_close_takes_the_place_of_the_end() -> None:
    stream = guarded(Pieces("a", on_close=ValueError("the connection")))
    with pytest.raises(ProviderError, match="the connection"):
        await texts(stream)
    other = guarded(Pieces("a", on_close=ValueError("the connection")))
    await anext(other)
    with pytest.raises(ProviderError, match="the connection"):
        await other.aclose()
    assert await texts(guarded(Pieces("a", on_close=RuntimeError("it is running")))) == ["a"]


async def test_the_end_of_a_stream_that_is_not_open_is_a_failure() -> None:
    def open_stream() -> AsyncIterator[Any]:
        raise StopAsyncIteration

    with pytest.raises(ProviderError, match="StopAsyncIteration"):
        await texts(GuardedStream(open_stream))


async def test_a_cancellation_that_was_asked_for_is_let_through() -> None:
    async def waits() -> AsyncIterator[str]:
        started.set()
        await asyncio.Event().wait()
        yield ""

    started = asyncio.Event()
    task = asyncio.create_task(texts(guarded(waits())))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
