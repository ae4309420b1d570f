"""Workers on nodes, by a real Ray on this machine: logs, code, keys, deaths."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from convtui.client.link import EngineState
from convtui.client.worker import Hosted, Worker
from convtui.log.reader import open_log
from convtui.protocol import StartSpec
from convtui.scenario.scenario import Scenario
from convtui.trust.rules import vouched_for
from tests.builders.waiting import when

if TYPE_CHECKING:
    from convtui.batch.ray.cluster import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.real_engines]
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


def said(log: Path | None) -> list[str]:
    assert log is not None
    with open_log(log) as opened:
        assert not opened.findings
        return [turn.text for turn in opened.transcript.turns if turn.speaker == "provider"]


@pytest.mark.parametrize("shared", [True, False])
async def test_conversations_on_a_node_leave_whole_logs_here(
    cluster: Cluster, apart: Cluster, project: Path, tmp_path: Path, *, shared: bool
) -> None:
    async with working(cluster if shared else apart, tmp_path) as worker:
        hosted = [worker.begin(spec(tmp_path, project, log_name=f"c.{n}")) for n in range(5)]
        await over(*hosted)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".jsonl") == [
        f"c.{n}.jsonl" for n in range(5)
    ]
    for one in hosted:
        assert one.state is EngineState.CLOSED
        assert one.log_path is not None
        assert one.log_path.parent == tmp_path
        assert said(one.log_path) == ["Good day. You said one", "Good day. You said two"]
        assert one.termination is not None
        assert one.termination["kind"] == "completed"
    with open_log(tmp_path / "c.0.jsonl") as log:
        provider = log.transcript.header["provider"]
        assert provider["file"] == str(project / "desk/bot.py"), "as it is named at home"
        assert provider["modules"] == [
            str(project / "desk/__init__.py"),
            str(project / "desk/words.py"),
        ]
        assert log.transcript.outputs


async def test_a_watched_conversation_is_seen_as_it_goes(
    apart: Cluster, project: Path, tmp_path: Path
) -> None:
    async with working(apart, tmp_path) as worker:
        hosted = worker.begin(spec(tmp_path, project, watched=True, paused=True))
        await hosted.watch()
        async with asyncio.timeout(WITHIN):
            await when(lambda: hosted.hold is not None)
            await hosted.command("step_turn")
            await when(lambda: len(hosted.transcript.turns) == 1 and hosted.hold is not None)
            assert hosted.transcript.turns[0].text == "one"
            assert hosted.log_path is not None
            assert b'"text":"one"' in hosted.log_path.read_bytes(), "shipped before it is shown"
            await hosted.command("stop", reason="enough")
        await over(hosted)


async def test_only_named_variables_arrive(cluster: Cluster, project: Path, tmp_path: Path) -> None:
    async with working(cluster, tmp_path) as worker:
        hosted = worker.begin(spec(tmp_path, project, "Keys"))
        await over(hosted)
    assert said(hosted.log_path)[0] == "RAYTEST_NAMED=arrives"


async def test_what_is_excluded_is_not_on_the_nodes(cluster: Cluster) -> None:
    def listed() -> list[str]:
        return sorted(str(path) for path in Path().rglob("*") if path.is_file())

    files = cluster.ray.get(cluster.ray.remote(listed).remote())
    assert files == ["desk/__init__.py", "desk/bot.py", "desk/words.py", "pyproject.toml"]


async def test_an_error_names_the_line_at_home(
    cluster: Cluster, project: Path, tmp_path: Path
) -> None:
    async with working(cluster, tmp_path) as worker:
        hosted = worker.begin(spec(tmp_path, project, "Broken"))
        await over(hosted)
    assert hosted.termination is not None
    frames = hosted.termination["detail"]["frames"]
    assert frames[0].startswith(f"{project}/desk/bot.py:")


async def test_a_worker_that_is_killed_ends_its_conversations_alone(
    apart: Cluster, project: Path, tmp_path: Path
) -> None:
    async with working(apart, tmp_path) as other, working(apart, tmp_path) as worker:
        safe = other.begin(spec(tmp_path, project, log_name="safe"))
        lost = worker.begin(spec(tmp_path, project, "Slow", log_name="lost"))
        async with asyncio.timeout(WITHIN):
            await when(lambda: lost.row.get("turns") == 1)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        await over(safe, lost)
        assert (lost.state, safe.state) == (EngineState.DEAD, EngineState.CLOSED)
    with open_log(tmp_path / "lost.jsonl") as log:
        assert [turn.text for turn in log.transcript.turns if turn.text] == ["one"]
        assert log.transcript.trailer is None


async def test_an_actor_that_dies_is_a_worker_that_dies(
    apart: Cluster, project: Path, tmp_path: Path
) -> None:
    async with working(apart, tmp_path) as worker:
        lost = worker.begin(spec(tmp_path, project, "Slow", log_name="lost"))
        async with asyncio.timeout(WITHIN):
            await when(lambda: lost.row.get("turns") == 1)
            apart.ray.kill(worker._port._actor)  # type: ignore[attr-defined]
            await worker.wait()
        assert lost.state is EngineState.DEAD
        assert worker.error is not None
        assert "the worker's node lost it" in worker.error["message"]
        # The next one of the same name is another log.
        async with working(apart, tmp_path) as another:
            hosted = another.begin(spec(tmp_path, project, log_name="lost"))
            await over(hosted)
    assert said(tmp_path / "lost-2.jsonl") == ["Good day. You said one", "Good day. You said two"]
