"""What is done to the conversations of a running batch by hand."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from convtui.batch.manifest import counts, read_batch
from convtui.batch.scheduler import Batch
from convtui.batch.work import HowToRun
from convtui.client.handover import continue_live
from convtui.client.link import EngineState
from convtui.errors import CommandRefused, EngineError, FilterError
from convtui.log.reader import open_log
from convtui.protocol import ContinueFrom
from tests.builders.running_batches import Stage
from tests.builders.waiting import when

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")

WATCHED = HowToRun(watched=True, wire="off")
SLOW = """
async def bot(messages):
    await asyncio.sleep(0.03)
    return "you said " + messages[-1]["content"]
"""


WAITS = """
async def bot(messages):
    while len(messages) > 4 and not os.path.exists(os.path.join(os.path.dirname(__file__), "go")):
        await asyncio.sleep(0.01)
    return "fine"
"""


def held(batch: Batch) -> int:
    return counts(batch.entries.values())["held"]


async def taken(batch: Batch) -> None:
    """Waits until the engines have answered what they were told: until then they go on."""
    async with asyncio.timeout(60):
        while tasks := set(batch.orders._tasks):
            await asyncio.wait(tasks)


async def finished(running: asyncio.Future[None]) -> None:
    async with asyncio.timeout(60):
        await running


async def test_all_are_paused_and_let_go_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path, WAITS)
    batch = stage.batch(runs=6, concurrency=3, how=WATCHED)
    running = asyncio.ensure_future(batch.run())
    await when(batch, lambda: counts(batch.entries.values())["running"] == 3)
    batch.orders.pause_all()
    # All are in a call at the latest in their third turn, and hold when that comes back.
    links = [batch.link(key) for key, entry in batch.entries.items() if entry.state == "running"]
    paused = (EngineState.PAUSING, EngineState.HELD)
    await when(batch, lambda: all(link is not None and link.state in paused for link in links))
    (tmp_path / "go").touch()
    await when(batch, lambda: held(batch) == 3)
    assert counts(batch.entries.values())["waiting"] == 3
    batch.orders.resume_all()
    await finished(running)
    assert {entry.ending for entry in batch.entries.values()} == {"completed"}


async def test_a_breakpoint_for_all_holds_those_that_run_and_those_that_begin(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path, WAITS)
    batch = stage.batch(runs=4, concurrency=2, how=WATCHED)
    with pytest.raises(FilterError):
        batch.orders.break_all("~nonsense")
    running = asyncio.ensure_future(batch.run())
    await when(batch, lambda: counts(batch.entries.values())["running"] == 2)
    batch.orders.break_all("~turn = 6")
    await taken(batch)
    (tmp_path / "go").touch()
    assert batch.orders.breaks == ["~turn = 6"]
    await when(batch, lambda: held(batch) == 4)
    batch.orders.clear_break("~turn = 6")
    for key in batch.entries:
        link = batch.link(key)
        assert link is not None
        await link.release("go")
    await finished(running)
    assert batch.file.finished


async def test_a_breakpoint_for_all_reaches_one_that_is_about_to_begin(tmp_path: Path) -> None:
    stage = Stage(tmp_path, WAITS)
    batch = stage.batch(how=WATCHED)
    running = asyncio.ensure_future(batch.run())
    await when(batch, lambda: batch.link("Maya.1") is not None)
    batch.orders.break_all("~turn = 6")
    await when(batch, lambda: batch.entries["Maya.1"].state == "running")
    await taken(batch)
    (tmp_path / "go").touch()
    await when(batch, lambda: held(batch) == 1)
    batch.kill()
    await finished(running)


async def test_breakpoints_need_somebody_who_answers(tmp_path: Path) -> None:
    with pytest.raises(CommandRefused, match="nobody watches"):
        Stage(tmp_path).batch().orders.break_all("~end")


async def test_one_is_ended_and_a_resume_leaves_it_alone(tmp_path: Path) -> None:
    stage = Stage(tmp_path, WAITS)
    batch = stage.batch(runs=2)
    running = asyncio.ensure_future(batch.run())
    await when(batch, lambda: batch.entries["Maya.1"].state == "running")
    batch.orders.end("Maya.1")
    await taken(batch)
    # It may wait in the turn after which it is to end.
    (tmp_path / "go").touch()
    await finished(running)
    first, second = batch.entries.values()
    assert (first.ending, first.status) == ("interrupted", "closed")
    assert second.ending == "completed" and batch.file.finished
    with pytest.raises(CommandRefused, match="does not run"):
        batch.orders.end("Maya.1")


async def test_new_code_is_run_by_those_that_begin_after_a_reload(tmp_path: Path) -> None:
    stage = Stage(tmp_path, SLOW)
    batch = stage.batch(runs=2, concurrency=1, breakpoints=["~turn = 5"], how=WATCHED)
    running = asyncio.ensure_future(batch.run())
    await when(batch, lambda: held(batch) == 2)
    stage.write_provider("def bot(messages):\n    return (\n")
    with pytest.raises(EngineError, match=r"bot\.py"):
        await batch.reload()
    assert batch.old_code() == 0
    stage.write_provider("def bot(messages):\n    return 'new code'\n")
    assert await batch.reload() == batch.old_code() == 2
    for key in batch.entries:
        link = batch.link(key)
        assert link is not None
        await link.release("go")
    await finished(running)
    again = await _with_one_more_run(stage)
    assert _replies(again, "Maya.1") == ["you said one", "you said two", "you said three"]
    assert _replies(again, "Maya.3") == ["new code"] * 3


async def test_conversations_that_begin_after_a_reload_have_a_worker_of_their_own(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path, SLOW)
    batch = stage.batch(runs=3, concurrency=1, workers=1, breakpoints=["~turn = 1"], how=WATCHED)
    running = asyncio.ensure_future(batch.run())
    await when(batch, lambda: held(batch) == 3)
    first = batch.link("Maya.1")
    assert first is not None
    batch.orders.pause_all()
    stage.write_provider("def bot(messages):\n    return 'new code'\n")
    await batch.reload()
    assert set(batch.pids) == {1}
    batch.orders.clear_break("~turn = 1")
    batch.orders.resume_all()
    for key in batch.entries:
        link = batch.link(key)
        assert link is not None
        await link.release("go")
    await finished(running)
    assert {entry.worker for entry in batch.entries.values()} == {1}
    assert batch.file.finished


async def test_one_that_goes_on_in_an_engine_of_its_own_is_followed(tmp_path: Path) -> None:
    stage = Stage(tmp_path, SLOW)
    batch = stage.batch(runs=2, breakpoints=["~turn = 3"], how=WATCHED)
    running = asyncio.ensure_future(batch.run())
    await when(batch, lambda: held(batch) == 2)
    link = batch.link("Maya.1")
    assert link is not None and link.log_path is not None and link.spec is not None
    stage.write_provider("def bot(messages):\n    return 'mended'\n")
    parent = ContinueFrom(log=str(link.log_path), kind="reload", held=True)
    handle = await continue_live(link, link.spec, parent)
    assert batch.adopt("Maya.1", handle)
    assert not batch.adopt("Maya.1", handle), "it was not given away again"
    await when(batch, lambda: batch.entries["Maya.1"].state == "held")
    assert batch.link("Maya.1") is handle
    assert batch.entries["Maya.1"].row["turns"] == 2
    before = (batch.entries["Maya.1"].hold or {})["hold"]
    await handle.command("step_stage")
    await when(batch, lambda: (batch.entries["Maya.1"].hold or {}).get("hold", before) != before)
    assert batch.entries["Maya.1"].state == "held"
    for key in batch.entries:
        other = batch.link(key)
        assert other is not None
        await other.release("go")
    await finished(running)
    mended, other_one = batch.entries.values()
    assert (mended.log, mended.earlier) == ("Maya.1-2.jsonl", ["Maya.1.jsonl"])
    assert mended.ending == other_one.ending == "completed"
    assert _replies(batch, "Maya.1") == ["you said one", "mended", "mended"]
    assert mended.row["words"] == "mended" and mended.turns is not None
    assert batch.file.finished and read_batch(stage.out).entries["Maya.1"].log == mended.log


async def test_conversations_held_by_errors_count_as_failed_until_they_are_mended(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path, "async def bot(messages):\n    raise ValueError('no')\n")
    batch = stage.batch(how=WATCHED, runs=6, concurrency=1, stop_after={"failed": 2})
    running = asyncio.ensure_future(batch.run())
    await when(batch, lambda: held(batch) == 2)
    assert counts(batch.entries.values())["waiting"] == 4
    assert read_batch(stage.out).stopped is None
    for key in batch.entries:
        link = batch.link(key)
        if link is not None:
            await link.release("fail")
    await finished(running)
    assert counts(batch.entries.values())["ended"] == 2
    assert batch.stopped is not None and "2 conversations have failed" in batch.stopped


async def test_an_engine_for_each_where_that_is_wanted(tmp_path: Path) -> None:
    body = "async def bot(messages):\n    await asyncio.sleep(0.05)\n    return str(os.getpid())\n"
    stage = Stage(tmp_path, body, script=["one"])
    batch = await stage.run(runs=4, concurrency=2, isolation="process")
    assert {entry.worker for entry in batch.entries.values()} == {1, 2, 3, 4}
    assert len({_replies(batch, key)[0] for key in batch.entries}) == 4
    assert batch.pids == {}


async def _with_one_more_run(stage: Stage) -> Batch:
    return await stage.run(resume=True, runs=3)


def _replies(batch: Batch, key: str) -> list[str]:
    log_path = batch.file.log_of(batch.entries[key])
    assert log_path is not None
    with open_log(log_path) as log:
        turns = log.transcript.turns
        return [turn.text for turn in turns if turn.speaker == "provider" and turn.text]


async def test_rows_say_whether_a_filter_matches(tmp_path: Path) -> None:
    stage = Stage(tmp_path, SLOW, script=["apple", "pear"])
    vary = {"persona": [{"name": "A", "script": ["apple"] * 3}, {"name": "B", "script": ["b"] * 3}]}
    batch = stage.batch(vary=vary, breakpoints=["~turn = 5"], how=WATCHED)
    with pytest.raises(FilterError):
        batch.orders.filter("~nonsense")
    batch.orders.filter("~said apple")
    running = asyncio.ensure_future(batch.run())
    await when(batch, lambda: held(batch) == 2)
    await when(batch, lambda: batch.entries["A.1"].row.get("match") is True)
    assert batch.entries["B.1"].row.get("match") is False
    batch.kill()
    await finished(running)
