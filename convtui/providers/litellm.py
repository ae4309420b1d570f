"""A litellm model as a provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, cast

from convtui.errors import ProviderError
from convtui.models.base import Delta, ModelClient
from convtui.providers.base import Provider, Request


class LitellmProvider(Provider):
    """Answers with any model that litellm can call. Stateless: every call carries the history."""

    stateful = False

    def __init__(
        self, model: str, *, params: Mapping[str, Any] | None = None, system_prompt: str = ""
    ) -> None:
        self.model = model
        self.name = model
        self.params = dict(params or {})
        self.system_prompt = system_prompt
        self._client: ModelClient | None = None

    async def respond(self, request: Request) -> AsyncIterator[Delta]:
        """The model's reply, streamed."""
        if self._client is None:
            if self.models is None:
                raise ProviderError("this provider was used without an engine")
            self._client = self.models.client(self.model, self.params)
        stream = self._client.stream(request.messages, tools=request.tools, params=request.params)
        async with aclosing(cast(Any, stream)) as deltas:
            async for delta in deltas:
                yield delta
