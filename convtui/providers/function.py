"""A plain function `messages -> str` as a provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from convtui.models.base import Delta
from convtui.providers.base import Provider, Request
from convtui.providers.call_shape import read_call_shape
from convtui.providers.streams import answer


class FunctionProvider(Provider):
    """Replies with a function: plain, `async def`, or a generator of pieces of text.

    The function gets the whole chat, so it is stateless and nothing has to be restored when a
    conversation continues. One whose parameter is annotated `str` gets the last message only and
    may keep state.
    """

    def __init__(self, function: Callable[..., Any], *, system_prompt: str = "") -> None:
        self.function = function
        self.shape = read_call_shape(function, names_decide=False)
        self.stateful = None if self.shape.only_text else False
        self.name = getattr(function, "__name__", type(function).__name__)
        self.system_prompt = system_prompt

    def respond(self, request: Request) -> AsyncIterator[Delta]:
        """The function's reply, streamed when it is a generator."""
        positional, named = self.shape.bind(request.last_text, request.messages)
        return answer(self.function, *positional, **named)
