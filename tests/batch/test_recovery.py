"""Batches whose workers die, whose disk is full, that are stopped, killed and resumed."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from convtui.batch.manifest import counts, read_batch
from convtui.batch.scheduler import Batch
from convtui.log.reader import open_log
from tests.builders.killed_driver import SCRIPT, run_until_killed, stage
from tests.builders.running_batches import Stage
from tests.builders.waiting import when

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")

STATELESS = """
GO = os.path.join(os.path.dirname(__file__), "go")
class Bot:
    stateful = False
    async def generate_response(self, messages):
        while len(messages) > 4 and not os.path.exists(GO):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.005)
        return "you said " + messages[-1]["content"]
"""
"""Its third reply comes when there is a file."""
SLOW = STATELESS.replace("stateful = False", "stateful = True")
BOT = {"provider": {"use": "bot.py:Bot"}, "limits": {"max_turns": 60}}
DEADLY = """
async def bot(messages):
    if messages[-1]["content"] == "die":
        os._exit(7)
    await asyncio.sleep(0.02)
    return "fine"
"""


def check(batch: Batch, script: list[str]) -> None:
    """Every conversation has ended as it should, its turns each once."""
    for entry in batch.entries.values():
        assert (entry.ending, entry.status) == ("completed", "closed"), entry
        log_path = batch.file.log_of(entry)
        assert log_path is not None
        with open_log(log_path) as log:
            said = [turn.text for turn in log.transcript.turns if turn.text]
        assert said == [text for line in script for text in (line, f"you said {line}")]
    logs = [name for entry in batch.entries.values() for name in (entry.log, *entry.earlier)]
    assert len(logs) == len(set(logs))


async def test_a_worker_that_is_killed_takes_only_its_own_down(tmp_path: Path) -> None:
    planned = Stage(tmp_path, SLOW, ["one", "two", "three"], scenario=BOT)
    batch = planned.batch(runs=8, concurrency=8)
    running = asyncio.ensure_future(batch.run())
    await when(batch, lambda: counts(batch.entries.values())["running"] == 8)
    victim = batch.entries["Maya.1"].worker
    lost = {key for key, entry in batch.entries.items() if entry.worker == victim}
    os.killpg(batch.pids[victim or 0], signal.SIGKILL)
    (tmp_path / "go").touch()
    async with asyncio.timeout(60):
        await running
    check(batch, planned.script)
    rerun = {key for key, entry in batch.entries.items() if entry.reruns}
    assert rerun == lost and 0 < len(lost) < 8
    entry = batch.entries["Maya.1"]
    assert "SIGKILL" in entry.because and len(entry.earlier) == 1 and entry.worker != victim
    assert batch.file.finished


async def test_one_that_kills_its_worker_twice_has_failed_with_the_cause(tmp_path: Path) -> None:
    planned = Stage(tmp_path, provider=DEADLY)
    vary = {"persona": [{"name": "Anna", "script": ["a"] * 9}, {"name": "Bad", "script": ["die"]}]}
    batch = await planned.run(vary=vary, concurrency=2)
    good, bad = batch.entries["Anna.1"], batch.entries["Bad.1"]
    assert good.ending == "completed"
    assert (bad.ending, bad.status, bad.reruns) == ("failed", "failed", 1)
    reason = str((bad.termination or {})["reason"])
    assert "its worker died twice" in reason and "status 7" in reason
    assert batch.file.finished


async def test_one_that_kills_its_worker_does_not_make_others_fail(tmp_path: Path) -> None:
    planned = Stage(tmp_path, provider=DEADLY)
    good = [{"name": f"Good{number}", "script": ["a"] * 5} for number in range(7)]
    bad = {"name": "Bad", "script": ["a", "die"]}
    batch = await planned.run(vary={"persona": [*good, bad]}, concurrency=8, workers=1)
    endings = {key: entry.ending for key, entry in batch.entries.items()}
    assert endings.pop("Bad.1") == "failed"
    assert set(endings.values()) == {"completed"}
    assert "its worker died" in str(batch.entries["Bad.1"].termination)
    assert batch.file.finished and batch.pids == {}


async def test_a_conversation_goes_on_where_its_provider_keeps_no_state(tmp_path: Path) -> None:
    planned = Stage(tmp_path, STATELESS, ["one", "two", "three"], scenario=BOT)
    batch = planned.batch(runs=2, workers=1)
    running = asyncio.ensure_future(batch.run())
    await when(batch, lambda: all(e.row.get("turns", 0) >= 2 for e in batch.entries.values()))
    os.killpg(batch.pids[1], signal.SIGKILL)
    (tmp_path / "go").touch()
    async with asyncio.timeout(60):
        await running
    check(batch, planned.script)
    entry = batch.entries["Maya.1"]
    assert entry.log == "Maya.1-2.jsonl"
    with open_log(planned.out / entry.log) as log:
        assert log.transcript.header["change"]["kind"] == "resume"
    text = (planned.out / "batch.jsonl").read_text()
    assert '"continues":"Maya.1.jsonl"' in text


async def test_stopping_ends_conversations_after_their_turn_and_a_resume_goes_on(
    tmp_path: Path,
) -> None:
    planned = Stage(tmp_path, STATELESS, ["one", "two", *"abcdefghijklmnopqr"], scenario=BOT)
    plan: dict[str, Any] = {"runs": 6, "concurrency": 3}
    batch = planned.batch(**plan)
    running = asyncio.ensure_future(batch.run())
    await when(batch, lambda: counts(batch.entries.values())["running"] == 3)
    stopping = asyncio.ensure_future(batch.stop())
    await when(batch, lambda: batch.stopped is not None)
    (tmp_path / "go").touch()
    async with asyncio.timeout(60):
        await stopping
        await running
    read = read_batch(planned.out)
    assert read.stopped == "interrupted at the keyboard" and not read.finished
    states = counts(read.entries.values())
    assert (states["waiting"], states["ended"]) == (3, 3)
    cut = [entry for entry in read.entries.values() if entry.status == "stopped"]
    assert cut and all(entry.ending == "interrupted" for entry in cut)
    for entry in cut:
        with open_log(planned.out / (entry.log or "")) as log:
            last = [turn for turn in log.transcript.turns if turn.text][-1]
            assert last.status == "committed" and log.findings == []
    spent = batch.used.turns
    going_on = planned.batch(resume=True, **plan)
    assert going_on.used.turns == spent  # what was used before a resume was used
    async with asyncio.timeout(60):
        await going_on.run()
    again = going_on
    check(again, planned.script)
    assert again.file.finished and again.file.stopped is None
    assert {entry.log for entry in cut} == {f"{entry.key}.jsonl" for entry in cut}
    assert all(again.entries[entry.key].earlier == [entry.log] for entry in cut)


async def test_a_second_interrupt_ends_everything_at_once(tmp_path: Path) -> None:
    planned = Stage(tmp_path, provider="async def bot(messages):\n    await asyncio.sleep(600)\n")
    batch = planned.batch(runs=4, concurrency=4)
    running = asyncio.ensure_future(batch.run())
    await when(batch, lambda: batch.used.turns >= 4)
    stopping = asyncio.ensure_future(batch.stop())
    await asyncio.sleep(0)
    batch.kill()
    async with asyncio.timeout(60):
        await running
        await stopping
    read = read_batch(planned.out)
    assert not read.finished and not read.running
    for entry in read.entries.values():
        with open_log(planned.out / (entry.log or "")) as log:
            assert log.transcript.termination is not None
            assert log.transcript.termination["kind"] == "interrupted"


async def test_conversations_of_a_changed_cell_run_anew(tmp_path: Path) -> None:
    planned = Stage(tmp_path)
    anna, ben = {"name": "Anna", "script": ["a"]}, {"name": "Ben", "script": ["b"]}
    await planned.run(vary={"persona": [anna, ben]})
    ben = {"name": "Ben", "script": ["b", "more"]}
    carl = {"name": "Carl", "script": ["c"]}
    again = await planned.run(resume=True, vary={"persona": [ben, carl, anna]}, runs=2)
    entries = again.entries
    assert list(entries) == ["Ben.1", "Ben.2", "Carl.1", "Carl.2", "Anna.1", "Anna.2"]
    assert entries["Anna.1"].log == "Anna.1.jsonl"
    assert entries["Ben.1"].log == "Ben.1-2.jsonl" and entries["Ben.1"].turns == 4
    assert entries["Ben.1"].earlier == ["Ben.1.jsonl"]
    read = read_batch(planned.out)
    assert read.finished and read.entries == entries and read.runs == 2


async def test_a_full_disk_stops_the_batch_with_the_reason(tmp_path: Path) -> None:
    body = """
    import resource, signal
    async def bot(messages):
        if messages[-1]["content"] == "two":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        return "fine"
    """
    planned = Stage(tmp_path, provider=body)
    await planned.run(runs=6, concurrency=1, workers=1)
    read = read_batch(planned.out)
    assert read.stopped is not None and "the file would be larger" in read.stopped
    entry = next(entry for entry in read.entries.values() if entry.state == "ended")
    assert (entry.status, entry.ending) == ("crashed", "failed")
    assert "cannot write the log" in str(entry.termination)
    assert counts(read.entries.values())["waiting"] == 5
    planned.write_provider("async def bot(messages):\n    return 'fine'\n")
    again = await planned.run(resume=True, runs=6)
    assert again.file.finished
    assert {entry.ending for entry in again.entries.values()} == {"completed"}


async def test_a_manifest_that_cannot_be_written_stops_the_batch_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = Stage(tmp_path, STATELESS, ["one", "two", "three"], scenario=BOT)
    batch = planned.batch(runs=6, concurrency=2)
    running = asyncio.ensure_future(batch.run())
    await when(batch, lambda: counts(batch.entries.values())["running"] == 2)

    def full(fd: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("convtui.batch.manifest_writer.write_all", full)
        (tmp_path / "go").touch()
        async with asyncio.timeout(60):
            await running
    assert batch.stopped == "cannot write the manifest: the disk is full"
    ended = {key: entry.log for key, entry in batch.entries.items() if entry.over}
    assert 2 <= len(ended) < 6
    assert counts(read_batch(planned.out).entries.values())["ended"] == 0
    again = await planned.run(resume=True, runs=6)
    check(again, planned.script)
    assert again.file.finished
    assert {key: again.entries[key].log for key in ended} == ended


@pytest.mark.slow
async def test_a_killed_driver_loses_no_turn(tmp_path: Path) -> None:
    said: dict[str, set[str]] = {}
    assert await asyncio.to_thread(run_until_killed, tmp_path, 20)
    batch = read_batch(tmp_path / "batch")
    for key, entry in batch.entries.items():
        if entry.log is not None and (batch.folder / entry.log).stat().st_size:
            said[key] = _said(batch.folder / entry.log)
    assert said
    again = stage(tmp_path).batch(resume=True)
    async with asyncio.timeout(60):
        await again.run()
    check(again, SCRIPT)
    assert again.file.finished and len(again.entries) == 8
    for key, texts in said.items():
        assert texts <= _said(again.file.log_of(again.entries[key]))


def _said(path: Path | None) -> set[str]:
    assert path is not None
    with open_log(path) as log:
        return {turn.text for turn in log.transcript.turns if turn.status == "committed"}
