"""Recordings: reading in slices, following, the cursor, playing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from convtui.errors import LogError
from convtui.log.reader import LogReader
from convtui.log.writer import LogWriter
from convtui.records.models import Header, TurnCommitted, TurnStarted
from convtui.tui.sources.replay import ReplaySource, steps_of
from tests.builders.folds import state
from tests.builders.folds import steps_of as pieces_of
from tests.builders.waiting import WITHIN
from tests.e2e.terminal import until
from tests.tui.harness.sample import refund, turn, write_log


async def loaded(path: Path) -> ReplaySource:
    replay = ReplaySource(path)
    await replay.load()
    return replay


async def test_it_reads_everything(tmp_path: Path) -> None:
    replay = await loaded(write_log(tmp_path / "a.jsonl", refund()))
    counts: list[int] = []
    forget = replay.subscribe(lambda: counts.append(1))
    assert len(replay.transcript.turns) == 7
    assert replay.progress == 1.0
    assert replay.at_end
    assert replay.findings == []
    forget()
    replay.close()


CLOSED = """
import asyncio, gc, sys, weakref
from pathlib import Path
from convtui.tui.sources.replay import ReplaySource

async def main():
    replay = ReplaySource(Path(sys.argv[1]))
    await replay.load()
    assert len(replay.transcript.turns) > 5
    # A screen and its source know each other: only the collector can find that nobody else does.
    replay.subscribe(replay.close)
    gone = weakref.ref(replay)
    replay.close()
    del replay
    gc.collect()
    return gone() is None

sys.exit(0 if asyncio.run(main()) else 7)
"""


def test_a_recording_that_was_closed_leaves_the_memory(tmp_path: Path) -> None:
    """In a process of its own: here the collector would look through thousands of tests."""
    log = write_log(tmp_path / "a.jsonl", refund())
    done = subprocess.run(
        [sys.executable, "-c", CLOSED, log], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


async def test_no_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LogError):
        ReplaySource(tmp_path / "none.jsonl")


async def test_the_cursor_hides_what_comes_after(tmp_path: Path) -> None:
    replay = await loaded(write_log(tmp_path / "a.jsonl", refund()))
    await replay.go_to(5, 1)
    assert replay.limit == 5
    assert replay.stage == "response"
    assert replay.limit_turn is not None
    assert replay.limit_turn.text.startswith("<think>")
    assert replay.limit_turn.status == "open"
    whole = replay.transcript.turns[5]
    assert whole.text == "Of course. The refund for order 17 is on its way."
    assert replay.partial_detail().shown is None
    detail = await replay.detail(whole)
    assert detail.raw is not None
    versions = set()
    for _ in range(4):
        if replay.limit_turn is not None:
            versions.add(replay.limit_turn.version)
        assert await replay.next_stage()
    assert len(versions) >= 3
    assert replay.position == 6
    assert await replay.next_turn()
    assert not await replay.next_turn()
    assert replay.step == len(replay.steps) - 1
    assert await replay.previous_turn()
    assert replay.position == 5
    await replay.go_to(None)
    assert replay.at_end
    replay.close()


async def test_playing_goes_to_the_end(tmp_path: Path) -> None:
    replay = await loaded(write_log(tmp_path / "a.jsonl", refund()))
    replay.speed = 1e9
    seen: list[tuple[int | None, str | None]] = []
    replay.subscribe(lambda: seen.append((replay.position, replay.stage)))
    replay.play()
    async with asyncio.timeout(WITHIN):
        while replay.playing:
            await asyncio.sleep(0)
    assert replay.position == 6
    assert (0, "request") in seen
    assert (4, "discard") in seen or (4, None) in seen
    replay.play()
    replay.pause()
    assert not replay.playing
    replay.close()


async def test_speed_has_steps(tmp_path: Path) -> None:
    replay = await loaded(write_log(tmp_path / "a.jsonl", refund()))
    assert replay.change_speed(1) == 2.0
    assert replay.change_speed(-1) == 1.0
    for _ in range(20):
        replay.change_speed(1)
    assert replay.speed == 16.0
    replay.close()


async def test_it_follows_a_log_that_is_being_written(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "live.jsonl")
    writer.write(
        Header(id="x", created_at="2026-01-01T00:00:00+00:00", persona="p", provider={},
               scenario={})
    )  # fmt: skip
    replay = ReplaySource(writer.path)
    replay.start()
    async with asyncio.timeout(WITHIN):
        while replay.loading:
            await asyncio.sleep(0.01)
        writer.write(TurnStarted(session=1, turn=1, side="persona", speaker="persona"))
        writer.write(
            TurnCommitted(session=1, turn=1, side="persona", speaker="persona", text="hi", words=1)
        )
        while not replay.transcript.turns:
            await asyncio.sleep(0.01)
        writer.close(None, {})
        while replay.running:
            await asyncio.sleep(0.01)
    assert replay.transcript.complete
    replay.close()


def test_steps_end_with_the_turn() -> None:
    records = [{"seq": n, "t": n / 10, **r} for n, r in enumerate(turn(1, "provider", "x"))]
    assert [step.stage for step in steps_of(records)] == [
        "request", "response", "signals", "post_process", "commit",
    ]  # fmt: skip
    assert steps_of([]) == []


async def test_a_long_log_is_read_in_slices_with_progress(tmp_path: Path) -> None:
    turns = [turn(n, "persona" if n % 2 else "provider", "word " * 40) for n in range(1, 2000)]
    opening = refund()[:1]
    log = write_log(tmp_path / "a.jsonl", [*opening, *(r for one in turns for r in one)])
    replay = ReplaySource(log)
    seen: list[float] = []
    replay.subscribe(lambda: seen.append(replay.progress))
    await replay.load()
    assert len(replay.transcript.turns) == 1999
    assert seen[0] < 1.0
    assert seen == sorted(seen)
    replay.close()


class Dealt:
    """A process that folds, of which a test says what it sends."""

    def __init__(self, log: Path, steps: list[bytes]) -> None:
        info = log.stat()
        self.identity: tuple[int, int] | None = (info.st_dev, info.st_ino)
        self.dealt = steps
        self.closed = False

    async def steps(self) -> AsyncGenerator[bytes]:
        for step in self.dealt:
            yield step

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def long_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("convtui.log.reader._CHUNK", 1000)
    return write_log(tmp_path / "a.jsonl", refund())


async def read_here(log: Path) -> str:
    replay = await loaded(log)
    replay.close()
    return state(replay.transcript)


async def test_what_another_process_folds_is_taken_over(
    long_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = await read_here(long_log)
    steps = pieces_of(long_log)
    # None of it, some, all: the rest is read here.
    for count in range(len(steps) + 1):
        dealt = Dealt(long_log, steps[:count])
        replay = ReplaySource(long_log, folding=dealt)
        await replay.load()
        assert state(replay.transcript) == expected
        assert replay.changed == {*range(len(replay.transcript.turns))}
        replay.close()
        assert dealt.closed
    monkeypatch.setattr(LogReader, "_add_chunk", lambda *_: pytest.fail("read here, too"))
    replay = ReplaySource(long_log, folding=Dealt(long_log, steps))
    await replay.load()
    assert state(replay.transcript) == expected
    replay.close()


async def test_what_is_of_no_use_is_not_taken_over(long_log: Path) -> None:
    expected = await read_here(long_log)
    steps = pieces_of(long_log)
    for wrong in ([b""], [b"x" * 99], [steps[1]], [steps[0], steps[0]], [steps[0], steps[1][:-1]]):
        replay = ReplaySource(long_log, folding=Dealt(long_log, wrong))
        await replay.load()
        assert state(replay.transcript) == expected
        replay.close()
    other = Dealt(long_log, steps)
    other.identity = (0, 0)
    replay = ReplaySource(long_log, folding=other)
    await replay.load()
    assert state(replay.transcript) == expected
    replay.close()


async def test_reading_gives_way_and_goes_on(
    long_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convtui.tui.sources.replay.SLICE", 0.0)
    monkeypatch.setattr("convtui.tui.sources.replay.WAY", 0.01)
    expected = await read_here(long_log)
    for steps in (pieces_of(long_log), []):
        read: list[int] = []
        replay = ReplaySource(long_log, folding=Dealt(long_log, steps))

        def busy(replay: ReplaySource = replay, read: list[int] = read) -> bool:
            read.append(replay.reader.position)
            return True

        replay.gives_way = busy
        await replay.load()
        # It was asked again and again while nothing was read, and was not stopped for ever.
        assert len(read) > len({*read}) > 5
        assert state(replay.transcript) == expected
        replay.close()


@pytest.mark.slow
async def test_a_long_log_is_folded_by_another_process_and_remembered(
    long_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = await read_here(long_log)
    monkeypatch.setattr("convtui.tui.sources.replay.LONG", 0)
    monkeypatch.setattr(LogReader, "_add_chunk", lambda *_: pytest.fail("read here"))
    folds = tmp_path / "folds"
    for _ in range(2):
        replay = ReplaySource(long_log, folds=folds)
        await replay.load()
        assert state(replay.transcript) == expected
        await asyncio.to_thread(until, lambda: [*folds.glob("*.fold")], "it is remembered")
        replay.close()


async def test_where_no_process_can_be_started_the_log_is_read_here(
    long_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convtui.tui.sources.replay.LONG", 0)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    replay = await loaded(long_log)
    assert len(replay.transcript.turns) == 7
    replay.close()


async def test_a_log_that_stops_being_readable_is_said_and_not_loading_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_log(tmp_path / "run.jsonl", refund())
    source = ReplaySource(path)

    def broken(seconds: float | None = None) -> bool:
        raise OSError("the disk went away")

    monkeypatch.setattr(source.reader, "advance", broken)
    notified = asyncio.Event()
    source.subscribe(notified.set)
    source.start()
    async with asyncio.timeout(WITHIN):
        await notified.wait()
    assert not source.loading
    assert source.findings == ["reading stopped: the disk went away"]
    source.close()
