"""Provider code that blocks a worker: named, told to the others there, ended in the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from convtui.batch.blocks import Block
from convtui.batch.manifest import read_batch
from tests.builders.running_batches import Stage
from tests.builders.waiting import when

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")

BLOCKING = """
async def bot(messages):
    words = messages[-1]["content"]
    if words.startswith("block"):
        time.sleep(float(words.split()[1]))
    await asyncio.sleep(0.01)
    return "fine"
"""


async def test_those_that_wait_for_a_blocked_worker_are_told_by_whom(tmp_path: Path) -> None:
    stage = Stage(tmp_path, BLOCKING)
    vary = {"persona": [
        {"name": "Bad", "script": ["hello", "block 1.6"]},
        {"name": "Good", "script": ["hello"] * 5},
    ]}  # fmt: skip
    batch = stage.batch(vary=vary, workers=1)
    running = asyncio.ensure_future(batch.run())
    await when(batch, lambda: bool(batch.blocked()))
    (block,) = batch.blocked()
    assert isinstance(block, Block)
    assert (block.key, block.delayed) == ("Bad.1", ["Good.1"])
    assert "bot.py:" in block.where and "in bot" in block.where
    async with asyncio.timeout(60):
        await running
    assert {entry.ending for entry in batch.entries.values()} == {"completed"}
    good = read_batch(stage.out).entries["Good.1"]
    assert good.delayed >= 1.0 and good.delayed_by == "Bad.1"
    assert batch.blocked() == []


async def test_one_that_blocks_for_too_long_fails_and_the_others_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convtui.batch.blocks._GRACE", 0.5)
    limits = {"limits": {"turn_timeout": 0.5, "tool_timeout": 0.5}}
    stage = Stage(tmp_path, BLOCKING, scenario=limits)
    vary = {"persona": [
        {"name": "Bad", "script": ["hello", "block 600"]},
        {"name": "Good", "script": ["hello"] * 9},
    ]}  # fmt: skip
    batch = await stage.run(vary=vary, workers=1)
    bad, good = batch.entries["Bad.1"], batch.entries["Good.1"]
    assert (bad.ending, bad.reruns) == ("failed", 0)
    assert "provider code has blocked its worker" in str(bad.termination)
    assert good.ending == "completed"
    assert batch.file.finished


async def test_a_worker_that_says_nothing_any_more_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convtui.batch.blocks._GRACE", 0.5)
    monkeypatch.setattr("convtui.batch.scheduler._LOOK_EVERY", 0.1)
    limits = {"limits": {"turn_timeout": 0.5, "tool_timeout": 0.5}}
    body = """
    GO = os.path.join(os.path.dirname(__file__), "go")
    async def bot(messages):
        while not os.path.exists(GO):
            await asyncio.sleep(0.01)
        return "fine"
    """
    stage = Stage(tmp_path, body, scenario=limits)
    batch = stage.batch(runs=2, workers=1)
    running = asyncio.ensure_future(batch.run())
    await when(batch, lambda: batch.used.turns >= 2)
    os.kill(batch.pids[1], signal.SIGSTOP)
    (tmp_path / "go").touch()
    async with asyncio.timeout(60):
        await running
    assert {entry.ending for entry in batch.entries.values()} == {"completed"}
    assert {entry.reruns for entry in batch.entries.values()} == {1}
    assert batch.blocked() == []
