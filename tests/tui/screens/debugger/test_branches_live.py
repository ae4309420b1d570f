"""Switching between branches with real engines: what is left is closed, what goes on is a child."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from convtui.library.families import family_of, guides
from convtui.log.run_summary import summarise
from convtui.protocol import StartSpec
from convtui.scenario.scenario import Scenario
from convtui.tui.screens.dialogs.branch_tree import state_of
from convtui.tui.sources.run import LiveRun

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals"),
]
WITHIN = 30


async def test_what_is_left_is_closed_and_what_goes_on_is_a_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))
    (tmp_path / "bot.py").write_text("def bot(messages):\n    return 'noted'\n")
    scenario = Scenario.from_data(
        {"persona": {"name": "Maya", "script": ["one", "two", "three"]}, "provider": "bot.py:bot"},
        base=tmp_path,
    )
    spec = StartSpec(
        scenario=scenario.for_engine(), out_dir=str(tmp_path / "runs"), wire="off", watched=True,
        breakpoints=["~turn = 4"],
    )  # fmt: skip
    run = LiveRun(spec)
    async with asyncio.timeout(WITHIN):
        try:
            await run.start()
            await run.next_hold()
            root = run.handle.log_path
            second = run.handle.transcript.find(1, 2)
            assert root is not None and second is not None
            await run.continue_run("fork", seq=second.last, held=True)
            await run.next_hold()
            fork = run.handle.log_path
            assert fork is not None and fork != root
            left = summarise(root)
            assert (left.ending, left.reason) == (
                "interrupted",
                f"continued as {run.handle.log_id}",
            )
            before = root.read_bytes()
            # Back to the first one: the fork is left, the first is gone on with in a child.
            await run.continue_run("go_on", log=root, held=True)
            await run.next_hold()
            assert state_of(summarise(fork))[0] == "left for another branch"
            assert summarise(fork).reason == f"continued as {run.handle.log_id}"
            assert root.read_bytes() == before
            family = family_of(root)
            assert family is not None
            lines = [(node.depth, node.origin()) for _, node in guides([family])]
            assert lines == [(0, ""), (1, "fork at 1:3"), (1, "continued at 1:4")]
            assert [turn.address for turn in run.handle.transcript.turns][:3] == [
                "1:1",
                "1:2",
                "1:3",
            ]
        finally:
            await run.close()
