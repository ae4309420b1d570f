"""Calls provider code: `async def` or plain, the latter in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from convtui.errors import ThreadExit
from convtui.text.causes import describe_one

Function = TypeVar("Function", bound=Callable[..., Any])
_QUICK: Final = "_needs_no_thread"


def needs_no_thread(function: Function) -> Function:
    """Marks a plain hook of ours that never blocks."""
    function.__dict__[_QUICK] = True
    return function


async def call(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
    """Calls provider code, `async def` or plain.

    Plain functions run in a thread of their own, so that one that blocks stops only its own
    conversation. A cancelled call leaves its thread running.
    """
    if inspect.iscoroutinefunction(function):
        return await function(*arguments, **named)
    if getattr(function, _QUICK, False) is True:
        return function(*arguments, **named)
    result = await in_thread(function, *arguments, **named)
    return await result if inspect.isawaitable(result) else result


async def in_thread(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
    """Runs a function in a new daemon thread, with this task's context variables."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(value: Any, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(value)
        else:
            done.set_exception(error)

    def run() -> None:
        value: Any = None
        error: BaseException | None = None
        try:
            value = context.run(function, *arguments, **named)
        except (SystemExit, KeyboardInterrupt, StopIteration, GeneratorExit) as failure:
            # None of these may travel through a future: they would end the loop, or confuse it.
            error = ThreadExit(failure, describe_one(failure))
        except BaseException as failure:  # noqa: BLE001 - handed to the caller, whatever it is
            error = failure
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, name="convtui-provider", daemon=True).start()
    return await done
