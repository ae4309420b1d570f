"""Workers on nodes, by a real Ray on this machine: logs, code, keys, deaths."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from convtui.client.link import EngineState
from convtui.client.worker import Hosted, Worker
from convtui.log.parents import parent_problem
from convtui.log.reader import open_log
from convtui.protocol import ContinueFrom, StartSpec
from convtui.scenario.scenario import Scenario
from convtui.trust.rules import vouched_for
from tests.builders.waiting import when

if TYPE_CHECKING:
    from convtui.batch.ray.cluster import Cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real_processes,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals"),
]
WITHIN = 120.0
"""Seconds: a busy machine starts processes slowly."""


@asynccontextmanager
async def working(cluster: Cluster, folder: Path) -> AsyncIterator[Worker]:
    from convtui.batch.ray.port import RayPort

    worker = Worker(port=RayPort(cluster, folder))
    try:
        async with asyncio.timeout(WITHIN):
            await worker.start()
        yield worker
    finally:
        async with asyncio.timeout(WITHIN):
            await worker.close()


def spec(folder: Path, project: Path, name: str = "Bot", **fields: Any) -> StartSpec:
    scenario = Scenario.from_data(
        {
            "name": "test",
            "persona": {"name": "Maya", "script": ["one", "two"]},
            "provider": {"use": f"{project}/desk/bot.py:{name}"},
        },
        base=project,
    )
    return StartSpec(
        scenario=scenario.for_engine(),
        out_dir=str(folder),
        wire="off",
        speed=0,
        vouched=vouched_for(scenario),
        **fields,
    )


async def over(*hosted: Hosted) -> None:
    async with asyncio.timeout(WITHIN):
        await asyncio.gather(*(one.wait() for one in hosted))


def logs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.jsonl"))


async def started(worker: Worker, hosted: Hosted) -> None:
    """Waits until its first turn was said: rows say so, which change no handle."""
    changed = asyncio.Event()
    worker.on_rows = lambda _: changed.set()
    while hosted.row.get("turns") != 1:
        await changed.wait()
        changed.clear()


def said(log: Path | None) -> list[str]:
    assert log is not None
    with open_log(log) as opened:
        assert not opened.findings
        return [turn.text for turn in opened.transcript.turns if turn.speaker == "provider"]


async def test_conversations_on_a_node_that_sees_the_folder(
    cluster: Cluster, project: Path, tmp_path: Path
) -> None:
    async with working(cluster, tmp_path) as worker:
        bot = worker.begin(spec(tmp_path, project, log_name="bot"))
        keys = worker.begin(spec(tmp_path, project, "Keys", log_name="keys"))
        broken = worker.begin(spec(tmp_path, project, "Broken", log_name="broken"))
        await over(bot, keys, broken)
    assert logs(tmp_path) == ["bot.jsonl", "broken.jsonl", "keys.jsonl"]
    assert said(bot.log_path) == ["Good day. You said one", "Good day. You said two"]
    assert said(keys.log_path)[0] == "RAYTEST_NAMED=arrives", "and nothing else"
    # Files are named as at home, where they are looked for afterwards.
    with open_log(tmp_path / "bot.jsonl") as log:
        provider = log.transcript.header["provider"]
    assert provider["file"] == f"{project}/desk/bot.py"
    assert provider["modules"] == [f"{project}/desk/__init__.py", f"{project}/desk/words.py"]
    assert broken.termination is not None
    assert broken.termination["detail"]["frames"][0].startswith(f"{project}/desk/bot.py:")


async def test_logs_travel_from_a_node_that_does_not(
    apart: Cluster, project: Path, tmp_path: Path
) -> None:
    (tmp_path / "bot.jsonl").write_text("of an earlier worker")
    async with working(apart, tmp_path) as worker:
        bots = [worker.begin(spec(tmp_path, project, log_name=name)) for name in ("bot", "b2")]
        watched = worker.begin(spec(tmp_path, project, log_name="w", watched=True, paused=True))
        await watched.watch()
        async with asyncio.timeout(WITHIN):
            await when(watched, lambda: watched.hold is not None)
            await watched.command("step_turn")
            await when(
                watched,
                lambda: bool(watched.hold) and "turn.committed" in watched.transcript.counts,
            )
            assert watched.log_path == tmp_path / "w.jsonl"
            assert b'"text":"one"' in watched.log_path.read_bytes(), "it is here before it is shown"
            await watched.command("stop", reason="enough")
        await over(*bots, watched)
        half = tmp_path / "w.jsonl"
        resumed = spec(tmp_path, project, log_name="r", continue_from=ContinueFrom(str(half)))
        further = worker.begin(resumed)
        await over(further)
    assert logs(tmp_path) == ["b2.jsonl", "bot-2.jsonl", "bot.jsonl", "r.jsonl", "w.jsonl"]
    assert bots[0].log_path == tmp_path / "bot-2.jsonl"
    for bot in (*bots, further):
        assert bot.state is EngineState.CLOSED
        assert said(bot.log_path) == ["Good day. You said one", "Good day. You said two"]
    with open_log(tmp_path / "r.jsonl") as log:
        assert parent_problem(log.transcript.header, log.path) == ""


async def test_what_is_excluded_is_not_on_the_nodes(cluster: Cluster) -> None:
    def listed() -> list[str]:
        files = [str(path) for path in Path().rglob("*") if path.is_file()]
        return sorted(file for file in files if "__pycache__" not in file)

    (files,) = cluster.map(listed, [()])
    assert files == ["desk/__init__.py", "desk/bot.py", "desk/words.py", "pyproject.toml"]


async def test_a_worker_that_is_killed_leaves_what_it_had_said(
    apart: Cluster, project: Path, tmp_path: Path
) -> None:
    async with working(apart, tmp_path) as worker:
        lost = worker.begin(spec(tmp_path, project, "Slow", log_name="lost"))
        async with asyncio.timeout(WITHIN):
            await started(worker, lost)
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
            await worker.wait()
    assert lost.state is EngineState.DEAD
    assert worker.error is not None
    assert "SIGKILL" in worker.error["message"]
    with open_log(tmp_path / "lost.jsonl") as log:
        assert [turn.text for turn in log.transcript.turns if turn.text] == ["one"]
        assert log.transcript.trailer is None
