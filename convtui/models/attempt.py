"""One attempt at a model call: a request through litellm, and the reading of its answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

from convtui.models.base import Delta
from convtui.models.chat import ChatReader
from convtui.models.chunks import (
    ChunkReader,
    check_said,
    cost_of,
    kept_headers,
    says_something,
    whole_delta,
)
from convtui.models.context import current_warn
from convtui.models.endpoint import HttpAnswer


class Attempt:
    """One request and how its answer is read."""

    def __init__(self, model: str) -> None:
        self.started = False
        """Whether a part of a streamed reply has arrived."""
        self._model = model
        self._answer = HttpAnswer()

    async def deltas(self, litellm: Any, arguments: Mapping[str, Any]) -> AsyncGenerator[Delta]:
        """The reply; closing the iterator closes the connection."""
        response: Any = None
        try:
            try:
                with self._answer.watched():
                    response = await litellm.acompletion(**arguments)
            except Exception:
                # litellm stumbles over whole answers that can be read all the same.
                if await self._answer.whole() is None:
                    raise
            spoken = False
            async with aclosing(self._read(litellm, response)) as deltas:
                async for delta in deltas:
                    spoken = spoken or says_something(delta)
                    yield delta
            if hasattr(response, "__aiter__"):
                check_said(spoken, self._answer.kind, self._model)
        except Exception:
            if self._answer.refused is not None:
                raise self._answer.refused from None
            raise
        finally:
            close = getattr(response, "aclose", None)
            if close is not None:
                await close()
            await self._answer.aclose()

    async def _read(self, litellm: Any, response: Any) -> AsyncGenerator[Delta]:
        chat = ChatReader(partial(cost_of, litellm, self._model), current_warn.get())
        if self._answer.streams:
            headers = self._kept_headers()
            async with aclosing(self._answer.events()) as events:
                async for event in events:
                    delta = _with(chat.delta(event), headers)
                    self.started, headers = True, {}
                    if delta != Delta():
                        yield delta
            return
        whole = await self._answer.whole()
        if whole is not None:
            yield _with(chat.delta(whole), self._kept_headers())
            return
        if not hasattr(response, "__aiter__"):
            yield whole_delta(litellm, response, self._model, self._answer)
            return
        reader = ChunkReader(litellm, self._model, response, self._answer)
        async for chunk in response:
            piece = reader.delta(chunk)
            self.started = True
            if piece is not None:
                yield piece

    def _kept_headers(self) -> dict[str, Any]:
        headers = kept_headers(self._answer.headers)
        return {"headers": headers} if headers else {}


def _with(delta: Delta, metadata: Mapping[str, Any]) -> Delta:
    return replace(delta, metadata={**(delta.metadata or {}), **metadata}) if metadata else delta
