"""Batches over real workers."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from convtui.batch.manifest import counts, read_batch
from convtui.log.reader import open_log
from tests.builders.running_batches import Stage, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")


async def test_every_run_of_every_cell_has_a_log_of_its_own(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    vary = {"persona": [{"name": "Anna", "script": ["a"]}, {"name": "Ben", "script": ["b", "c"]}]}
    batch = await stage.run(vary=vary, runs=2)
    read = read_batch(stage.out)
    assert read.finished and not read.running and read.findings == []
    assert list(read.entries) == ["Anna.1", "Anna.2", "Ben.1", "Ben.2"]
    assert {entry.ending for entry in read.entries.values()} == {"completed"}
    for key, entry in read.entries.items():
        assert entry.log == f"{key}.jsonl"
        with open_log(stage.out / entry.log) as log:
            assert log.findings == []
            said = [turn.text for turn in log.transcript.turns if turn.text]
            assert said[:2] == (["a", "you said a"] if key[0] == "A" else ["b", "you said b"])
        assert entry.turns == len(said) and entry.row["turns"] == len(said)
    assert batch.used.turns == 2 * 2 + 2 * 4
    assert batch.over and read.entries == batch.entries


async def test_no_more_run_at_once_than_are_allowed(tmp_path: Path) -> None:
    body = """
    running, most = set(), 0
    async def bot(messages):
        await asyncio.sleep(0.01)
        return "fine"
    """
    stage = Stage(tmp_path, provider=body)
    batch = stage.batch(runs=12, concurrency=3)
    most = 0

    def look() -> None:
        nonlocal most
        most = max(most, sum(batch.link(key) is not None for key in batch.entries))

    batch.subscribe(look)
    async with asyncio.timeout(60):
        await batch.run()
    assert most == 3
    assert counts(batch.entries.values())["ended"] == 12
    assert {entry.worker for entry in batch.entries.values()} == {1, 2}


async def test_a_cell_that_cannot_be_loaded_fails_and_the_rest_runs(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('not today')\n")
    stage = Stage(tmp_path)
    batch = await stage.run(vary={"provider": ["bot.py:bot", "broken.py:bot"]})
    good, bad = batch.entries.values()
    assert good.ending == "completed" and batch.file.finished
    assert (bad.ending, bad.status, bad.log) == ("failed", "failed", None)
    assert "not today" in str(bad.termination)


async def test_a_broken_provider_is_noticed_early(tmp_path: Path) -> None:
    stage = Stage(tmp_path, provider="async def bot(messages):\n    raise ValueError('no')\n")
    batch = await stage.run(runs=20, concurrency=2, stop_after={"failed": 3})
    ended = counts(batch.entries.values())["ended"]
    assert 3 <= ended <= 5
    assert batch.stopped is not None and "3 conversations have failed" in batch.stopped
    read = read_batch(stage.out)
    assert not read.finished and read.stopped == batch.stopped
    again = await stage.run(resume=True, runs=20, concurrency=20)
    assert again.file.finished and counts(again.entries.values())["ended"] == 20


async def test_a_conversation_that_is_held_does_not_keep_others_from_beginning(
    tmp_path: Path,
) -> None:
    from convtui.batch.work import HowToRun

    stage = Stage(tmp_path)
    batch = stage.batch(
        runs=4, concurrency=1, breakpoints=["~turn = 3"], how=HowToRun(watched=True, wire="off")
    )
    running = asyncio.ensure_future(batch.run())
    await until(batch, lambda: counts(batch.entries.values())["held"] == 4)
    entry = batch.entries["Maya.2"]
    assert entry.hold is not None and entry.hold["reason"] == "breakpoint"
    batch.orders.clear_break("~turn = 3")
    for key in batch.entries:
        link = batch.link(key)
        assert link is not None
        await link.release("go")
    async with asyncio.timeout(60):
        await running
    assert {entry.ending for entry in batch.entries.values()} == {"completed"}
    text = (stage.out / "batch.jsonl").read_text()
    assert text.count('"type":"held"') == text.count('"type":"released"') == 4
