"""A history summarised by a real engine: what fails leaves the conversation as it was."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.client.handover import continue_live
from convtui.errors import EngineError
from convtui.log.reader import open_log
from convtui.protocol import ContinueFrom, StartSpec
from convtui.scenario.scenario import Scenario
from convtui.tui.widgets.transcript.summaries import summaries_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals"),
]
WITHIN = 30
BOT = """
import pathlib, time

def bot(messages):
    if "summary of this conversation" not in messages[-1]["content"]:
        return "noted"
    told = pathlib.Path(__file__).with_name("summary.txt").read_text()
    if told == "wait":
        time.sleep(60)
    return told
"""


async def begun(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[EngineHandle, StartSpec]:
    """A conversation that is held in its last turn."""
    monkeypatch.setenv("CONVTUI_HOME", str(folder / "home"))
    (folder / "bot.py").write_text(BOT)
    scenario = Scenario.from_data(
        {"persona": {"name": "Maya", "script": ["one", "two", "three"]}, "provider": "bot.py:bot"},
        base=folder,
    )
    spec = StartSpec(
        scenario=scenario.for_engine(), out_dir=str(folder / "runs"), wire="off", watched=True,
        breakpoints=["~turn = 5"],
    )  # fmt: skip
    handle = EngineHandle()
    await asyncio.wait_for(handle.start(spec), WITHIN)
    await reached(handle, lambda: handle.hold is not None)
    return handle, spec


async def reached(handle: EngineHandle, condition: Callable[[], bool]) -> None:
    event = asyncio.Event()
    forget = handle.subscribe(lambda: event.set() if condition() else None)
    try:
        if not condition():
            await asyncio.wait_for(event.wait(), WITHIN)
    finally:
        forget()


def compress(handle: EngineHandle) -> ContinueFrom:
    return ContinueFrom(log=str(handle.log_path), kind="compress", held=True)


async def test_a_summary_is_waited_for_and_one_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle, spec = await begun(tmp_path, monkeypatch)
    child: EngineHandle | None = None
    try:
        (tmp_path / "summary.txt").write_text(" ")
        hold = handle.hold
        with pytest.raises(EngineError, match="not compressed: the summary is empty"):
            await asyncio.wait_for(continue_live(handle, spec, compress(handle)), WITHIN)
        assert handle.state is EngineState.HELD and handle.hold == hold
        (tmp_path / "summary.txt").write_text("They said one and two.")
        child = await asyncio.wait_for(continue_live(handle, spec, compress(handle)), WITHIN)
        (summary,) = summaries_of(child.transcript)
        assert summary.text == "They said one and two."
        assert (summary.first, summary.last) == (0, 3)
        assert handle.over, "the parent is closed once the branch has its summary"
        await reached(child, lambda: child.hold is not None)
        assert child.hold is not None and child.hold["turn"] == 5
    finally:
        await handle.close()
        if child is not None:
            await child.close()
    assert handle.log_path is not None
    with open_log(handle.log_path) as parent:
        assert "context.compressed" not in parent.transcript.counts


async def test_giving_a_summary_up_ends_its_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle, spec = await begun(tmp_path, monkeypatch)
    try:
        (tmp_path / "summary.txt").write_text("wait")
        task = asyncio.ensure_future(continue_live(handle, spec, compress(handle)))
        logs = tmp_path / "runs"

        def asked() -> bool:
            return any(b"summary of this conversation" in p.read_bytes()
                       for p in logs.glob("*.jsonl"))  # fmt: skip

        for _ in range(WITHIN * 20):
            if asked():
                break
            await asyncio.sleep(0.05)
        assert asked() and not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, WITHIN)
        assert handle.state is EngineState.HELD
    finally:
        await handle.close()
