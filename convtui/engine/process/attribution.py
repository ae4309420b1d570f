"""Whose code runs, where one event loop runs that of many conversations."""

from __future__ import annotations

import asyncio
import sys
from asyncio.events import Handle
from collections.abc import Coroutine
from contextvars import Context
from types import FrameType
from typing import Any

from convtui.engine.process.hosted import Hosted, current_hosted
from convtui.text.tracebacks import is_own


class HostedTask(asyncio.Task[Any]):
    """A task that knows in which conversation it was created."""

    __slots__ = ("hosted",)

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], *, context: Context | None = None, **more: Any
    ) -> None:
        # Before the rest: the task may run at once.
        owner = current_hosted.get() if context is None else context.get(current_hosted)
        self.hosted: Hosted | None = owner
        super().__init__(coroutine, context=context, **more)


def note_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Has every task of a loop know its conversation from now on."""

    def make(loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> HostedTask:
        return HostedTask(coroutine, loop=loop, **more)

    loop.set_task_factory(make)


def owner_of_failure(failure: dict[str, Any]) -> Hosted | None:
    """The conversation whose failure an event loop reports, as its exception handler gets it."""
    for name in ("task", "future"):
        task = failure.get(name)
        if isinstance(task, HostedTask):
            return task.hosted
    handle = failure.get("handle")
    if isinstance(handle, Handle):
        return _owner_of(handle)
    return current_hosted.get()


def _owner_of(handle: Handle) -> Hosted | None:
    context = getattr(handle, "_context", None)
    return context.get(current_hosted) if isinstance(context, Context) else None


def running_in(thread: int) -> tuple[Hosted | None, str]:
    """Whose code the event loop in a thread runs just now, and where: `file:line in function`.

    The innermost frame of the developer's own code; where there is none, the innermost of all.
    """
    frame: FrameType | None = sys._current_frames().get(thread)
    innermost = frame
    own: FrameType | None = None
    owner: Hosted | None = None
    while frame is not None:
        if own is None and is_own(frame.f_code.co_filename):
            own = frame
        if frame.f_code is Handle._run.__code__:
            handle = frame.f_locals.get("self")
            owner = _owner_of(handle) if isinstance(handle, Handle) else None
            break
        frame = frame.f_back
    shown = own or innermost
    if shown is None:
        return owner, ""
    code = shown.f_code
    return owner, f"{code.co_filename}:{shown.f_lineno} in {code.co_name}"
