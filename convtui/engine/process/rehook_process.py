"""The engine process as a rehook: loads the provider, sends what each log shows, ends."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from convtui.engine.conversation.prepare import load_for
from convtui.engine.core.output import OutputCapture
from convtui.engine.core.sides import Timed, lifecycle
from convtui.engine.process.pipe import FrameSender
from convtui.engine.rehook.replayed_hooks import Rehook
from convtui.models.base import ModelClients
from convtui.protocol import Kind, RehookSpec, StartSpec
from convtui.providers.loader import Loaded
from convtui.scenario.scenario import Scenario

_EVERY: Final = 0.005
"""Seconds between two times that is told what is done: another thread and process take it in."""


async def rehook(
    start: StartSpec,
    spec: RehookSpec,
    models: ModelClients,
    sender: FrameSender,
    capture: OutputCapture,
) -> int:
    """Sends `LOADED`, then a `REHOOKED` for every log; the exit status.

    Raises `ProviderLoadError` when the provider cannot be loaded, `HookError` when its `setup()`
    fails.
    """
    loaded = load_for(Scenario.from_public(start.scenario), start, models)
    if spec.setup:
        raise_failure(await lifecycle("setup", loaded.provider.setup))
    capture.flush()
    sender.send(Kind.LOADED, **described(loaded))
    done: list[dict[str, Any]] = []
    told = float("-inf")
    for found in Rehook(spec, loaded.provider).logs():
        done.append(found)
        if time.monotonic() - told < _EVERY:
            continue
        tell(done, sender, capture)
        # Commands, the heartbeat and tasks of the provider's own get their turn.
        await asyncio.sleep(0)
        told = time.monotonic()
    tell(done, sender, capture)
    if spec.setup:
        await lifecycle("cleanup", loaded.provider.cleanup)
    return 0


def tell(done: list[dict[str, Any]], sender: FrameSender, capture: OutputCapture) -> None:
    """Sends what is done, and forgets it."""
    capture.flush()
    for found in done:
        sender.send(Kind.REHOOKED, **found)
    done.clear()


def raise_failure(call: Timed) -> None:
    """Raises the error of a lifecycle call that failed."""
    if call.error is not None:
        raise call.error


def described(loaded: Loaded) -> dict[str, object]:
    """What a provider is: `{identity, hooks}`."""
    return {"identity": loaded.identity(), "hooks": loaded.hooks}
