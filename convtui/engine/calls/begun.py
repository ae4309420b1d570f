"""Tasks whose first step is taken at once, as `eager_start` does it from Python 3.12 on.

What a first step does, such as sending a request, does not wait for the event loop to come round.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Generator
from typing import Any, Final, NoReturn, TypeVar

T = TypeVar("T")
_TAKEN: Final = object()


def begin(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task of its own for a coroutine, which has already run up to its first wait.

    It is the current task in that step, too, and its context is its own.
    """
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()
    begun = _Begun(coroutine)
    task = loop.create_task(begun, context=context)
    outer = asyncio.current_task(loop)
    if outer is not None:
        asyncio.tasks._leave_task(loop, outer)
    asyncio.tasks._enter_task(loop, task)
    try:
        context.run(begun.take_first_step)
    finally:
        asyncio.tasks._leave_task(loop, task)
        if outer is not None:
            asyncio.tasks._enter_task(loop, outer)
    return task


class _Begun(Coroutine[Any, Any, T]):
    """A coroutine with its first step taken: to its task that is what comes first."""

    __slots__ = ("_awaits", "_coroutine", "_raised", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._waits_for: Any = _TAKEN
        self._awaits = False
        self._raised: BaseException | None = None

    def take_first_step(self) -> None:
        """Runs to the first wait, or to the end."""
        try:
            self._waits_for = self._coroutine.send(None)
            if getattr(self._waits_for, "_asyncio_future_blocking", None) is True:
                # The mark is for the task; until it sees it, others may wait for the same.
                self._waits_for._asyncio_future_blocking = False
                self._awaits = True
        except BaseException as error:  # noqa: BLE001 - raised where the task comes to it
            self._raised = error

    def send(self, value: Any) -> Any:
        """What the first step came to, then the other steps."""
        if self._raised is not None:
            self._raise()
        if self._waits_for is _TAKEN:
            return self._coroutine.send(value)
        return self._first_wait()

    def throw(self, *error: Any) -> Any:
        """Cancels what it waits for, as a task does that has begun to wait."""
        if self._raised is not None:
            self._raise()
        waits_for = self._first_wait()
        if isinstance(waits_for, asyncio.Future):
            why = next((e.args for e in error if isinstance(e, asyncio.CancelledError)), ())
            if waits_for.cancel(*why):
                return waits_for
        return self._coroutine.throw(*error)

    def _first_wait(self) -> Any:
        waits_for, self._waits_for = self._waits_for, _TAKEN
        if self._awaits:
            waits_for._asyncio_future_blocking = True
            self._awaits = False
        return waits_for

    def _raise(self) -> NoReturn:
        raised, self._raised = self._raised, None
        assert raised is not None
        try:
            raise raised
        finally:
            # It refers back to this frame, which would stay until the next look for garbage.
            del raised

    def close(self) -> None:
        """Closes it."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()
