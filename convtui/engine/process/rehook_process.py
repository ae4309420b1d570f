"""The engine process as a rehook: loads the provider, sends its results for each log, ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from convtui.engine.conversation.prepare import load_provider_of
from convtui.engine.core.output import OutputCapture
from convtui.engine.core.sides import lifecycle
from convtui.engine.process.pipe import FrameSender
from convtui.engine.rehook.replayed_hooks import Rehook
from convtui.models.base import ModelClients
from convtui.protocol import Kind, RehookSpec, StartSpec
from convtui.providers.base import Provider
from convtui.scenario.scenario import Scenario

_SEND_EVERY: Final = 0.005
"""Seconds between two batches of results: receiving them costs another thread and process time."""


@contextlib.asynccontextmanager
async def loaded_provider(
    start: StartSpec,
    *,
    setup: bool,
    models: ModelClients,
    sender: FrameSender,
    capture: OutputCapture,
) -> AsyncIterator[Provider]:
    """Loads the provider and sends `LOADED`; with `setup` also calls its `setup()` and `cleanup()`.

    Raises `ProviderLoadError` when it cannot be loaded, `HookError` when its `setup()` fails.
    """
    loaded = load_provider_of(Scenario.from_public(start.scenario), start, models)
    if setup:
        timed = await lifecycle("setup", loaded.provider.setup)
        if timed.error is not None:
            raise timed.error
    capture.flush()
    sender.send(Kind.LOADED, identity=loaded.identity(), hooks=loaded.hooks)
    yield loaded.provider
    if setup:
        await lifecycle("cleanup", loaded.provider.cleanup)


async def rehook(
    start: StartSpec,
    spec: RehookSpec,
    models: ModelClients,
    sender: FrameSender,
    capture: OutputCapture,
) -> None:
    """Sends `LOADED`, then a `REHOOKED` for every log. Raises what `loaded_provider()` raises."""
    async with loaded_provider(
        start, setup=spec.setup, models=models, sender=sender, capture=capture
    ) as provider:
        results: list[dict[str, Any]] = []
        sent_at = float("-inf")
        for result in Rehook(spec, provider).logs():
            results.append(result)
            if time.monotonic() - sent_at < _SEND_EVERY:
                continue
            _send(results, sender, capture)
            # Commands, the heartbeat and the provider's own tasks get a chance to run.
            await asyncio.sleep(0)
            sent_at = time.monotonic()
        _send(results, sender, capture)


def _send(results: list[dict[str, Any]], sender: FrameSender, capture: OutputCapture) -> None:
    """Sends the results and clears the list."""
    capture.flush()
    for result in results:
        sender.send(Kind.REHOOKED, **result)
    results.clear()
