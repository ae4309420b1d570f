"""Permits: how many calls of a model may run at once in this process, and what becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from convtui.errors import RateLimited
from convtui.models.waits import asked_by


def endpoint_key(model: str | None, params: Mapping[str, Any]) -> str | None:
    """What calls of one model at one endpoint have in common; None for a call of no model.

    The model, after the host of an `api_base` where one is given: `localhost:8000 openai/gpt-4o`.
    """
    if not model:
        return None
    base = params.get("api_base") or params.get("base_url")
    host = ""
    if isinstance(base, str):
        with contextlib.suppress(ValueError):
            # Without a user and a password.
            host = urlsplit(base).netloc.rpartition("@")[2]
    return f"{host} {model}" if host else model


@dataclass(slots=True)
class _Endpoint:
    running: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    ok: int = 0
    throttled: int = 0
    retry_after: float | None = None
    changed: bool = True

    def report(self) -> dict[str, Any]:
        report = {
            "running": self.running,
            "waiting": len(self.waiting),
            "ok": self.ok,
            "throttled": self.throttled,
            "retry_after": self.retry_after,
        }
        self.ok = self.throttled = 0
        self.retry_after, self.changed = None, False
        return report


class Permits:
    """Lets calls run, first come, first served, as far as `limit()` allows.

    Without a limit every call runs at once. On one event loop. `throttled` is called when an
    endpoint has answered that there are too many requests.
    """

    def __init__(self, throttled: Callable[[], None] = lambda: None) -> None:
        self._throttled = throttled
        self._limits: dict[str, int] = {}
        self._endpoints: dict[str, _Endpoint] = {}

    def limit(self, limits: Mapping[str, int]) -> None:
        """Sets how many calls may run at once, by endpoint, in the place of all limits before.

        Calls that run already are not stopped.
        """
        self._limits = dict(limits)
        for key in self._endpoints:
            self._let_in(key)

    def must_wait(self, key: str) -> bool:
        """Whether a call would have to wait."""
        endpoint = self._endpoints.get(key)
        running = 0 if endpoint is None else endpoint.running
        waiting = endpoint is not None and bool(endpoint.waiting)
        limit = self._limits.get(key)
        return limit is not None and (waiting or running >= limit)

    async def wait(self, key: str) -> None:
        """Waits for a permit to make a call, which has to be given back with `done()`."""
        endpoint = self._endpoints.get(key)
        if endpoint is None:
            endpoint = self._endpoints[key] = _Endpoint()
        endpoint.changed = True
        if not self.must_wait(key):
            endpoint.running += 1
            return
        turn = asyncio.get_running_loop().create_future()
        endpoint.waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # It was let in and cancelled at the same time.
                endpoint.running -= 1
                self._let_in(key)
            else:
                endpoint.waiting.remove(turn)
                endpoint.changed = True
            raise

    def done(self, key: str, error: BaseException | None) -> None:
        """Gives a permit back, with the error of the call that was made with it."""
        endpoint = self._endpoints[key]
        endpoint.running -= 1
        endpoint.ok += error is None
        endpoint.changed = True
        if isinstance(error, RateLimited):
            endpoint.throttled += 1
            asked = asked_by(error)
            if asked is not None:
                endpoint.retry_after = max(asked, endpoint.retry_after or 0.0)
            self._throttled()
        self._let_in(key)

    def _let_in(self, key: str) -> None:
        endpoint, limit = self._endpoints[key], self._limits.get(key)
        while endpoint.waiting and (limit is None or endpoint.running < limit):
            turn = endpoint.waiting.popleft()
            if not turn.done():
                endpoint.running += 1
                endpoint.changed = True
                turn.set_result(None)

    def used(self) -> dict[str, dict[str, Any]]:
        """What has changed since this was asked last, by endpoint, as a USED frame has it."""
        return {
            key: endpoint.report() for key, endpoint in self._endpoints.items() if endpoint.changed
        }
