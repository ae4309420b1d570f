"""A batch whose workers are on nodes, one of which is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from convtui.batch.cells import cells_of
from convtui.batch.manifest import read_batch
from convtui.batch.plan import Plan
from convtui.batch.scheduler import Batch
from convtui.batch.work import HowToRun
from convtui.log.reader import open_log

if TYPE_CHECKING:
    from convtui.batch.ray.cluster import Cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real_processes,
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
]


async def test_a_lost_node_costs_no_conversation(
    cluster: Cluster, project: Path, tmp_path: Path
) -> None:
    from convtui.batch.ray.port import RayPort

    plan = Plan.from_data(
        {
            "scenario": {
                "name": "test",
                "persona": {"name": "Maya", "script": ["one", "two", "three", "four"]},
                "provider": "desk/bot.py:Steady",
            },
            "runs": 12,
            "workers": 2,
        },
        base=project,
    )
    ports: list[RayPort] = []

    def port(number: int) -> RayPort:
        ports.append(RayPort(cluster, tmp_path))
        return ports[-1]

    batch = Batch.create(plan, cells_of(plan), tmp_path, record={}, how=HowToRun(port=port))
    killed: list[RayPort] = []

    def kill_one() -> None:
        """Kills the first actor in whose worker somebody has said something."""
        for entry in batch.file.entries.values():
            if not killed and entry.state == "running" and entry.row.get("turns", 0) > 1:
                killed.append(ports[(entry.worker or 1) - 1])
                assert killed[0]._node is not None
                os.kill(killed[0]._node.actor, signal.SIGKILL)

    batch.subscribe(kill_one)
    async with asyncio.timeout(100):
        await batch.run()
    assert killed
    file = read_batch(tmp_path)
    assert file.finished
    assert len(file.entries) == 12
    assert {entry.ending for entry in file.entries.values()} == {"completed"}
    assert any(entry.reruns == 1 for entry in file.entries.values())
    for entry in file.entries.values():
        path = file.log_of(entry)
        assert path is not None
        with open_log(path) as log:
            assert not log.findings
            turns = [turn.text for turn in log.transcript.turns if turn.speaker == "provider"]
        assert turns == [f"Good day. You said {word}" for word in ("one", "two", "three", "four")]
