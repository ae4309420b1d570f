"""Replies of provider code that come in pieces: generators of every kind, and what returns one."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any, Final

from convtui.models.base import Delta
from convtui.providers.calling import call, in_thread
from convtui.providers.pieces import piece_delta
from convtui.providers.replies import read_reply

_END: Final = object()


async def answer(
    function: Callable[..., Any], /, *arguments: Any, **named: Any
) -> AsyncGenerator[Delta, None]:
    """Calls provider code for a reply: `async def`, plain, or a generator.

    A plain function may also return a generator, as a decorated one does. An `async def` returns a
    whole reply.
    """
    if inspect.iscoroutinefunction(function):
        yield read_reply(await function(*arguments, **named))
        return
    if inspect.isasyncgenfunction(function):
        result = function(*arguments, **named)
    else:
        result = await call(function, *arguments, **named)
    if inspect.isasyncgen(result):
        async with aclosing(result):
            async for piece in result:
                yield piece_delta(piece)
    elif isinstance(result, AsyncIterator):
        async for piece in result:
            yield piece_delta(piece)
    elif isinstance(result, Iterator):
        async for delta in plain_stream(result):
            yield delta
    else:
        yield read_reply(result)


async def plain_stream(pieces: Iterator[Any]) -> AsyncIterator[Delta]:
    """The pieces of a generator without `async`; each is waited for in a thread."""
    while (piece := await in_thread(next, pieces, _END)) is not _END:
        yield piece_delta(piece)
