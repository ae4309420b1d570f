"""Which heartbeats subscribers are told of: screens draw everything whenever they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convtui.client.engine_client import EngineHandle
from convtui.protocol import Kind, StartSpec


class Port:
    """The pipe of a process that there is not."""

    python = "python"
    pid = 1
    on_frame: Callable[[Kind, bytes], None]

    async def open(self) -> None:
        """There is nothing to open."""

    def send(self, frame: bytes) -> None:
        """Nobody reads it."""


class Told:
    """Counts how often an engine's handle tells of changes."""

    def __init__(self, port: Port, handle: EngineHandle) -> None:
        self._port = port
        self._times = 0
        handle.subscribe(self._count)

    def _count(self) -> None:
        self._times += 1

    async def by(self, kind: Kind, **fields: Any) -> int:
        """How often it told of a frame."""
        before = self._times
        self._port.on_frame(kind, json.dumps(fields).encode())
        await asyncio.sleep(0)
        return self._times - before


async def test_a_heartbeat_that_tells_nothing_new_is_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = Port()
    monkeypatch.setattr("convtui.client.engine_client.PipePort", lambda python: port)
    handle = EngineHandle()
    told = Told(port, handle)
    await handle.start(StartSpec({}, str(tmp_path)), wait=False)
    assert await told.by(Kind.READY, log=str(tmp_path / "log.jsonl"), id="abc") == 1
    assert await told.by(Kind.HEARTBEAT, busy=None) == 0
    # A call begins, goes on, waits for its second and third attempt, and ends.
    assert await told.by(Kind.HEARTBEAT, busy=0.1) == 1
    assert await told.by(Kind.HEARTBEAT, busy=0.35) == 0
    assert handle.busy == 0.35
    assert await told.by(Kind.HEARTBEAT, busy=1.0, wait={"left": 2.0, "attempt": 2}) == 1
    assert await told.by(Kind.HEARTBEAT, busy=1.2, wait={"left": 1.8, "attempt": 2}) == 0
    assert handle.retry_wait == {"left": 1.8, "attempt": 2}
    assert await told.by(Kind.HEARTBEAT, busy=3.3, wait={"left": 4.0, "attempt": 3}) == 1
    assert await told.by(Kind.HEARTBEAT, busy=7.4) == 1
    assert await told.by(Kind.HEARTBEAT, busy=None) == 1
    assert await told.by(Kind.HEARTBEAT, busy=None) == 0
    assert await told.by(Kind.OUTPUT, stream="stdout", text="hi") == 1
