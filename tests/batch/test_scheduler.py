"""Batches over real workers."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from convtui.batch.manifest import counts, read_batch
from convtui.log.reader import open_log
from tests.builders.running_batches import Stage
from tests.builders.waiting import when

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
    # Two run at once: the fourth may have failed when the third is counted.
    assert re.match(r"[34] conversations have failed", batch.stopped or "")
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
    await when(batch, lambda: counts(batch.entries.values())["held"] == 4)
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
    assert text.count('"type":"held"') == 4
    # One that is over before anybody looks has only its end written down.
    assert text.count('"type":"released"') <= 4
    assert all(entry.state == "ended" for entry in batch.entries.values())


FAILS_TWICE = """
from pathlib import Path
tries = Path(__file__).with_name("tries")
async def bot(messages):
    with tries.open("a") as file:
        file.write("x")
    if tries.stat().st_size < 3:
        raise ValueError("not yet")
    return "now"
"""


async def test_a_conversation_is_tried_again_until_its_ending_will_do(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FAILS_TWICE, script=["one"])
    batch = await stage.run(attempts={"max": 5, "when": "~end failed"})
    endings = {key: entry.ending for key, entry in batch.entries.items()}
    assert endings == {"Maya.1": "failed", "Maya.1.a2": "failed", "Maya.1.a3": "completed"}
    read = read_batch(stage.out)
    assert read.finished and read.entries == batch.entries
    assert [entry.log for entry in read.attempts(read.entries["Maya.1"])] == [
        "Maya.1.jsonl", "Maya.1.a2.jsonl", "Maya.1.a3.jsonl",
    ]  # fmt: skip
    with open_log(stage.out / "Maya.1.a2.jsonl") as log:
        assert log.transcript.header["parents"][0]["file"].endswith("Maya.1.jsonl")


async def test_attempts_that_were_made_are_not_made_again_by_a_resume(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FAILS_TWICE, script=["one"])
    attempts = {"max": 2, "when": "~end failed"}
    before = await stage.run(attempts=attempts)
    again = await stage.run(resume=True, attempts=attempts)
    assert {key: entry.log for key, entry in again.entries.items()} == {
        "Maya.1": "Maya.1.jsonl",
        "Maya.1.a2": "Maya.1.a2.jsonl",
    }
    assert [entry.earlier for entry in again.entries.values()] == [[], []]
    assert again.file.finished and again.used.turns == before.used.turns


async def test_an_attempt_that_a_killed_driver_owed_is_made_by_a_resume(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FAILS_TWICE, script=["one"])
    await stage.run()
    batch = await stage.run(resume=True, attempts={"max": 2, "when": "~end failed"})
    assert list(batch.entries) == ["Maya.1", "Maya.1.a2"]
    assert batch.entries["Maya.1.a2"].ending == "failed" and batch.file.finished


USES = """
from convtui import Provider, Reply, Usage
class Bot(Provider):
    async def generate_response(self, messages):
        return Reply("fine", usage=Usage(prompt_tokens=40, completion_tokens=10))
"""


async def test_a_budget_starts_no_more_conversations_and_lets_the_others_end(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path, USES, scenario={"provider": {"use": "bot.py:Bot"}})
    plan = {"runs": 6, "concurrency": 1, "workers": 1}
    batch = await stage.run(budget={"tokens": 420}, **plan)
    # Three replies of 50 tokens each: 450 with the last one of the third conversation.
    assert counts(batch.entries.values())["ended"] == 3
    assert batch.stopped == "the budget of 420 tokens is used up (450 used)"
    assert {entry.ending for entry in batch.entries.values() if entry.over} == {"completed"}
    again = await stage.run(resume=True, budget={"tokens": 10_000}, **plan)
    assert again.file.finished and again.used.tokens == 900
