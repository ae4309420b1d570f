"""Running conversations of a batch again: which, what the manifest says of it, the results."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from convtui.batch.again import choose
from convtui.batch.manifest import read_batch
from convtui.batch.results.reading import read_results
from convtui.errors import FilterError
from tests.builders.batches import BatchFolder, cell, talk
from tests.builders.running_batches import Stage

FLAKY = """
from pathlib import Path
BROKEN = Path(__file__).with_name("broken")

async def bot(messages):
    if BROKEN.exists() and messages[-1]["content"] == "bad":
        raise ValueError("no such ferry")
    return "you said " + messages[-1]["content"]
"""
TWO = {
    "persona": [{"name": "Good", "script": ["fine"]}, {"name": "Bad", "script": ["bad"]}],
}


@pytest.mark.parametrize(
    ("which", "keys"),
    [
        ("failed", ["failed.1"]),
        ("bad", ["failed.1", "abstained.1", "stopped.1"]),
        ("~end abstained", ["abstained.1"]),
        ("~said ferry", ["fine.1"]),
        ("~end budget", []),
    ],
)
def test_which_are_chosen(tmp_path: Path, which: str, keys: list[str]) -> None:
    batch = BatchFolder(
        tmp_path, [cell(name) for name in ("fine", "failed", "abstained", "stopped", "human")]
    )
    batch.run("fine.1", talk(reply="The ferry left."))
    batch.run("failed.1", talk("failed", by="provider"))
    batch.run("abstained.1", talk("abstained", by="responder"))
    batch.run("stopped.1", talk("interrupted"))
    batch.run("human.1", talk("interrupted", by="human"))
    assert choose(read_batch(tmp_path), which).keys == tuple(keys)


def test_a_run_is_chosen_by_its_best_attempt(tmp_path: Path) -> None:
    batch = BatchFolder(tmp_path, [cell("a"), cell("b"), cell("c")])
    for key, ending in [
        ("a.1", "failed"), ("a.1.a2", "max_turns"), ("b.1", "failed"), ("b.1.a2", "failed"),
    ]:  # fmt: skip
        batch.run(key, talk(ending))
    assert choose(read_batch(tmp_path), "failed").keys == ("b.1",)


def test_one_without_a_log_that_can_be_read_matches_no_filter(tmp_path: Path) -> None:
    batch = BatchFolder(tmp_path, [cell("a"), cell("b")])
    batch.run("a.1", talk("failed")).unlink()
    batch.run("b.1", talk("failed"))
    chosen = choose(read_batch(tmp_path), "~end failed")
    assert (chosen.keys, chosen.unread) == (("b.1",), ("a.1",))
    assert choose(read_batch(tmp_path), "failed").keys == ("a.1", "b.1")


def test_what_is_no_filter_is_refused(tmp_path: Path) -> None:
    BatchFolder(tmp_path, [cell("a")])
    with pytest.raises(FilterError):
        choose(read_batch(tmp_path), "~end (")


async def test_only_what_failed_runs_again_and_its_last_attempt_counts(tmp_path: Path) -> None:
    stage = Stage(tmp_path, provider=FLAKY, plan={"vary": TWO, "runs": 2})
    (tmp_path / "broken").touch()
    first = await stage.run()
    assert {k: e.ending for k, e in first.entries.items()} == {
        "Good.1": "completed", "Good.2": "completed", "Bad.1": "failed", "Bad.2": "failed",
    }  # fmt: skip
    kept = (stage.out / "Good.1.jsonl").read_bytes()
    (tmp_path / "broken").unlink()
    again = choose(read_batch(stage.out), "failed")
    batch = stage.batch(resume=True, again=again)
    async with asyncio.timeout(60):
        await batch.run()
    saved = read_batch(stage.out)
    assert saved.finished and saved.findings == []
    assert {entry.ending for entry in saved.entries.values()} == {"completed"}
    bad = saved.entries["Bad.1"]
    assert (bad.log, bad.earlier, bad.attempt) == ("Bad.1-2.jsonl", ["Bad.1.jsonl"], 1)
    assert bad.because == "asked for: --rerun failed"
    assert saved.entries["Good.1"].log == "Good.1.jsonl"
    assert (stage.out / "Good.1.jsonl").read_bytes() == kept
    lines = [json.loads(line) for line in (stage.out / "batch.jsonl").read_text().splitlines()]
    reruns = [line for line in lines if line["type"] == "rerun"]
    assert [(r["key"], r["log"], r["asked"]) for r in reruns] == [
        ("Bad.1", "Bad.1.jsonl", True), ("Bad.2", "Bad.2.jsonl", True),
    ]  # fmt: skip
    results = read_results(stage.out)
    assert results.exit_code == 0
    assert len(results.conversations) == 4


async def test_a_run_with_attempts_begins_with_its_first_one_again(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path, provider=FLAKY, plan={"vary": TWO, "attempts": {"max": 2, "when": "~end failed"}}
    )
    (tmp_path / "broken").touch()
    first = await stage.run()
    assert list(first.entries) == ["Good.1", "Bad.1", "Bad.1.a2"]
    (tmp_path / "broken").unlink()
    again = choose(read_batch(stage.out), "failed")
    assert again.keys == ("Bad.1",)
    batch = stage.batch(resume=True, again=again)
    async with asyncio.timeout(60):
        await batch.run()
    saved = read_batch(stage.out)
    assert list(saved.entries) == ["Good.1", "Bad.1"]
    assert saved.entries["Bad.1"].earlier == ["Bad.1.jsonl", "Bad.1.a2.jsonl"]
    assert saved.entries["Bad.1"].ending == "completed"
    # What was used before stays used.
    assert batch.used.turns > sum(entry.turns or 0 for entry in saved.entries.values())


async def test_one_that_is_killed_before_it_has_run_again_is_still_owed(tmp_path: Path) -> None:
    stage = Stage(tmp_path, provider=FLAKY, plan={"vary": TWO})
    (tmp_path / "broken").touch()
    await stage.run()
    (tmp_path / "broken").unlink()
    stage.batch(resume=True, again=choose(read_batch(stage.out), "failed"))._writer.close()
    left = read_batch(stage.out)
    assert not left.finished
    bad = left.entries["Bad.1"]
    assert (bad.state, bad.ending, bad.log, bad.settled) == ("waiting", "", None, False)
    batch = stage.batch(resume=True)
    async with asyncio.timeout(60):
        await batch.run()
    assert read_batch(stage.out).finished
    assert batch.entries["Bad.1"].ending == "completed"


async def test_one_whose_worker_dies_when_it_is_run_again_has_its_second_chance(
    tmp_path: Path,
) -> None:
    deadly = """
    from pathlib import Path
    LEFT = Path(__file__).with_name("left")

    async def bot(messages):
        if messages[-1]["content"] == "bad":
            left = int(LEFT.read_text())
            LEFT.write_text(str(left - 1))
            if left > 0:
                os._exit(7)
        return "fine"
    """
    stage = Stage(tmp_path, provider=deadly, plan={"vary": TWO, "concurrency": 1})
    (tmp_path / "left").write_text("2")
    first = await stage.run()
    assert first.entries["Bad.1"].ending == "failed"
    (tmp_path / "left").write_text("1")
    batch = stage.batch(resume=True, again=choose(read_batch(stage.out), "failed"))
    async with asyncio.timeout(60):
        await batch.run()
    assert batch.entries["Bad.1"].ending == "completed"
