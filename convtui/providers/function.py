"""A plain function `messages -> str` as a provider."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

from convtui.models.base import Delta
from convtui.providers.base import Provider, Request, as_delta, call, in_thread


class FunctionProvider(Provider):
    """Answers with a function: plain, `async def`, or a generator of pieces of text.

    It gets all that was said in its argument, so nothing has to be restored when a conversation
    goes on.
    """

    stateful = False

    def __init__(self, function: Callable[..., Any], *, system_prompt: str = "") -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self.system_prompt = system_prompt

    async def respond(self, request: Request) -> AsyncIterator[Delta]:
        """The function's reply, streamed when it is a generator."""
        if inspect.isasyncgenfunction(self.function):
            async for piece in self.function(request.messages):
                yield as_delta(piece)
        elif inspect.isgeneratorfunction(self.function):
            pieces = self.function(request.messages)
            end = object()
            while (piece := await in_thread(next, pieces, end)) is not end:
                yield as_delta(piece)
        else:
            yield as_delta(await call(self.function, request.messages))
