"""A task that has begun is like any other, but for its first step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from convtui.engine.calls.begun import begin

Start = Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]
number: ContextVar[int] = ContextVar("number", default=0)
ways = pytest.mark.parametrize("start", [asyncio.create_task, begin])
"""What a usual task does, and the same of one that has begun."""


async def test_the_first_step_is_taken_at_once() -> None:
    steps: list[str] = []

    async def work() -> str:
        steps.append("first")
        await asyncio.sleep(0)
        steps.append("second")
        return "done"

    task = begin(work())
    steps.append("begun")
    assert await task == "done"
    assert steps == ["first", "begun", "second"]


@ways
@pytest.mark.parametrize("count", [1, 2, 3])
async def test_several_may_wait_for_the_same(start: Start, count: int) -> None:
    """As providers do that connect once for all conversations."""
    shared = asyncio.get_running_loop().create_future()

    async def work() -> Any:
        return await shared

    tasks = [asyncio.create_task(work()), *(start(work()) for _ in range(count))]
    await asyncio.sleep(0)
    cancelled = start(work())
    another = start(work())
    shared.set_result("connected")
    cancelled.cancel()
    tasks.append(another)
    assert await asyncio.gather(*tasks) == ["connected"] * len(tasks)
    with pytest.raises(asyncio.CancelledError):
        await cancelled


@ways
async def test_it_is_the_current_task_in_every_step(start: Start) -> None:
    seen: list[asyncio.Task[Any] | None] = []

    async def inner() -> None:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    async def work() -> asyncio.Task[Any]:
        seen.append(asyncio.current_task())
        task = start(inner())
        seen.append(asyncio.current_task())
        await task
        return task

    here = asyncio.current_task()
    outer = start(work())
    assert asyncio.current_task() is here
    nested = await outer
    assert asyncio.current_task() is here
    assert set(seen) == {outer, nested}
    assert [seen.count(task) for task in (outer, nested)] == [2, 2]


@ways
async def test_its_context_is_its_own(start: Start) -> None:
    async def work() -> list[int]:
        before = number.get()
        number.set(5)
        await asyncio.sleep(0)
        after = number.get()
        number.set(6)
        return [before, after]

    token = number.set(1)
    task = start(work())
    number.set(2)
    assert await task in ([1, 5], [2, 5])
    assert number.get() == 2
    number.reset(token)


async def _returns() -> str:
    return "returned"


async def _raises() -> None:
    raise ValueError("raised")


async def _cancels() -> None:
    raise asyncio.CancelledError("by itself")


async def _waits_and_raises() -> None:
    await asyncio.sleep(0)
    raise ValueError("later")


async def _waits_for_a_future() -> str:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, "set")
    return str(await future)


async def _waits_for_what_is_done() -> str:
    future = asyncio.get_running_loop().create_future()
    future.set_result("was set")
    return str(await future)


async def _waits_for_a_thread() -> str:
    return await asyncio.to_thread(lambda: "in a thread")


async def _is_too_late() -> str:
    try:
        async with asyncio.timeout(0):
            await asyncio.get_running_loop().create_future()
    except TimeoutError:
        return "timed out"
    return "never"


async def _has_a_group() -> list[Any]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_returns()), group.create_task(_waits_for_a_future())]
    return [task.result() for task in tasks]


async def _has_a_failing_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_waits_and_raises())
        await asyncio.get_running_loop().create_future()


async def _cancels_its_task() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel("of its own")
    await asyncio.sleep(60)


async def _takes_its_cancelling_back() -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        task.uncancel()
    await asyncio.sleep(0)
    return "goes on"


async def _outcome(task: Awaitable[Any]) -> Any:
    try:
        return await task
    except BaseExceptionGroup as group:
        return [repr(error) for error in group.exceptions]
    except (ValueError, asyncio.CancelledError) as error:
        return repr(error)


@pytest.mark.parametrize(
    "work",
    [
        _returns, _raises, _cancels, _waits_and_raises, _waits_for_a_future,
        _waits_for_what_is_done, _waits_for_a_thread, _is_too_late, _has_a_group,
        _has_a_failing_group, _cancels_its_task, _takes_its_cancelling_back,
    ],
)  # fmt: skip
async def test_it_comes_to_the_same_end(work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    usual, begun = asyncio.create_task(work()), begin(work())
    assert await _outcome(begun) == await _outcome(usual)
    assert (begun.cancelled(), begun.cancelling()) == (usual.cancelled(), usual.cancelling())


@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
@pytest.mark.parametrize("stubborn", [False, True])
async def test_whenever_it_is_cancelled_what_it_waits_for_is_too(
    rounds: int, stubborn: bool
) -> None:
    inner_ended: list[str] = []

    async def inner() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            inner_ended.append("inner")
            raise

    async def work() -> str:
        try:
            await asyncio.create_task(inner())
        except asyncio.CancelledError:
            inner_ended.append("outer")
            if not stubborn:
                raise
        await asyncio.sleep(0)
        return "goes on"

    task = begin(work())
    for _ in range(rounds):
        await asyncio.sleep(0)
    task.cancel()
    outcome = await _outcome(task)
    assert outcome == ("goes on" if stubborn else "CancelledError()")
    # One that was cancelled before its first step has no step.
    assert inner_ended[-1] == "outer"
    assert len(inner_ended) == (2 if rounds else 1)
    assert len(asyncio.all_tasks()) == 1


async def test_one_that_has_ended_is_not_cancelled_any_more() -> None:
    task = begin(_returns())
    task.cancel()
    assert await task == "returned"


async def test_without_a_task_around_it() -> None:
    ended = asyncio.get_running_loop().create_future()

    def callback() -> None:
        assert asyncio.current_task() is None
        begin(_waits_for_a_future()).add_done_callback(ended.set_result)
        assert asyncio.current_task() is None

    asyncio.get_running_loop().call_soon(callback)
    assert (await ended).result() == "set"
