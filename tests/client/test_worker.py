"""The handle on a worker: many conversations of one process, each with a link of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from convtui.client.handover import continue_live
from convtui.client.link import ConversationLink, EngineState
from convtui.client.worker import Hosted, Worker
from convtui.errors import CommandRefused, EngineError
from convtui.log.reader import open_log
from convtui.protocol import Commands, ContinueFrom, StartSpec
from tests.builders.waiting import WITHIN, when
from tests.builders.worker import bot_spec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals"),
]

BOT = """
async def bot(messages):
    await asyncio.sleep(0)
    return "you said " + messages[-1]["content"]
"""


@asynccontextmanager
async def working(**fields: Any) -> AsyncIterator[Worker]:
    """A worker that has started; it is gone afterwards."""
    worker = Worker()
    try:
        async with asyncio.timeout(WITHIN):
            await worker.start(**fields)
        yield worker
    finally:
        worker.kill()
        await asyncio.wait_for(worker.wait(), WITHIN)


def spec(folder: Path, body: str = BOT, **fields: Any) -> StartSpec:
    return bot_spec(folder, body, **{"script": ["one", "two", "three"], **fields})


async def over(*links: ConversationLink) -> None:
    async with asyncio.timeout(WITHIN):
        await asyncio.gather(*(link.wait() for link in links))


async def holds(hosted: Hosted, **expected: Any) -> dict[str, Any]:
    """Waits for a hold with these fields."""

    def there() -> bool:
        hold = hosted.hold or {}
        assert not hosted.over, hosted.error
        return all(hold.get(name) == value for name, value in expected.items()) and bool(hold)

    await when(hosted, there)
    assert hosted.hold is not None
    return hosted.hold


def follow(hosted: Hosted) -> list[int]:
    """The numbers of the records that its transcript gets, as they come."""
    numbers: list[int] = []
    hosted.on_record(lambda record: numbers.append(record["seq"]))
    return numbers


def same_as_its_log(hosted: Hosted) -> None:
    assert hosted.log_path is not None
    with open_log(hosted.log_path) as log:
        assert log.findings == []
        assert [turn.text for turn in hosted.transcript.turns] == [
            turn.text for turn in log.transcript.turns
        ]
        assert hosted.transcript.records == log.transcript.records


async def test_many_conversations_and_their_rows(tmp_path: Path) -> None:
    body = """
    async def bot(messages):
        await asyncio.sleep(0.1)
        return "you said " + messages[-1]["content"]
    """
    rows: list[Hosted] = []
    ended: list[Hosted] = []
    async with working() as worker:
        worker.on_rows = rows.extend
        worker.on_ended = ended.append
        begun = [worker.begin(spec(tmp_path, body, script=[f"word {n}"])) for n in range(30)]
        assert {hosted.state for hosted in begun} == {EngineState.STARTING}
        assert [hosted.number for hosted in begun] == list(worker.hosted)
        await over(*begun)
        assert worker.hosted == {}
    assert set(ended) == set(begun) and len(ended) == 30
    assert set(rows) == set(begun)
    assert len({hosted.log_path for hosted in begun}) == 30
    for number, hosted in enumerate(begun):
        assert hosted.state is EngineState.CLOSED and hosted.exit_status == 0
        assert hosted.termination is not None and hosted.termination["kind"] == "completed"
        assert hosted.row["state"] == "over" and hosted.row["turns"] == 2
        assert hosted.row["words"] == f"you said word {number}"
        assert hosted.transcript.records == 0, "nobody watched it"


async def test_a_conversation_watched_from_its_middle_has_every_record_once(
    tmp_path: Path,
) -> None:
    script = [f"word {n}" for n in range(120)]
    async with working() as worker:
        others = [worker.begin(spec(tmp_path, script=script)) for _ in range(3)]
        hosted = worker.begin(spec(tmp_path, script=script))
        numbers = follow(hosted)
        await hosted.ready()
        while not hosted.over:
            # However often it is looked at and left alone.
            await hosted.watch()
            seen = hosted.transcript.records
            await when(hosted, lambda: hosted.over or hosted.transcript.records > seen)  # noqa: B023
            hosted.unwatch()
            await asyncio.sleep(0)
        await hosted.watch()
        same_as_its_log(hosted)
        assert numbers == list(range(hosted.transcript.records))
        assert hosted.transcript.complete
        await over(*others)


async def test_one_that_is_over_can_still_be_read(tmp_path: Path) -> None:
    async with working() as worker:
        hosted = worker.begin(spec(tmp_path))
        await over(hosted)
    await hosted.watch()
    same_as_its_log(hosted)
    hosted.unwatch()
    with pytest.raises(CommandRefused, match="is over"):
        await hosted.command(Commands.PAUSE)


async def test_streamed_text_is_shown_from_its_beginning(tmp_path: Path) -> None:
    """Who comes in the middle of a reply has not seen its beginning."""
    body = f"""
    async def until(name):
        while not os.path.exists({str(tmp_path)!r} + "/" + name):
            await asyncio.sleep(0.01)

    async def bot(messages):
        for part in ("first", "second", "third"):
            yield part + " part "
            open({str(tmp_path)!r} + "/said " + part, "w").close()
            await until("after " + part)
    """
    whole = "first part second part third part"
    async with working() as worker:
        hosted = worker.begin(spec(tmp_path, body, script=["hello"]))
        while not (tmp_path / "said first").exists():
            await asyncio.sleep(0.01)
        await hosted.watch()
        texts: list[str] = []

        def look() -> None:
            turns = hosted.transcript.turns
            texts.extend(turn.text.strip() for turn in turns if turn.speaker == "provider")

        hosted.subscribe(look)
        await when(hosted, lambda: hosted.busy is not None)
        (tmp_path / "after first").touch()
        await when(hosted, lambda: bool(texts) and texts[-1].endswith("second part"))
        (tmp_path / "after second").touch()
        await when(hosted, lambda: texts[-1].endswith("third part"))
        (tmp_path / "after third").touch()
        await over(hosted)
        assert all(whole.startswith(text) for text in texts), texts


async def test_it_is_debugged_like_any_other(tmp_path: Path) -> None:
    async with working() as worker:
        other = worker.begin(spec(tmp_path, watched=True, paused=True))
        hosted = worker.begin(spec(tmp_path, watched=True, paused=True))
        await holds(hosted, reason="pause")
        await hosted.watch()
        await hosted.command(Commands.STEP_TURN)
        await holds(hosted, reason="step", turn=2)
        added = await hosted.command(Commands.BREAK_ADD, expression="~end")
        assert added["breakpoint"] == 1
        hold = await holds(hosted)
        while hold["stage"] != "post_process":
            await hosted.command(Commands.STEP_STAGE)
            before = hold["hold"]
            await when(hosted, lambda: (hosted.hold or {}).get("hold", before) != before)  # noqa: B023
            hold = await holds(hosted)
        await hosted.release("edit", {"text": "another word"})
        await when(hosted, lambda: any(t.text == "another word" for t in hosted.transcript.turns))
        await hosted.command(Commands.TAKE_OVER, side="persona")
        await hosted.command(Commands.RUN)
        await holds(hosted, reason="human", turn=3)
        await hosted.release("say", {"text": "I say so myself"})
        await holds(hosted, reason="human", turn=5)
        assert [turn.text for turn in hosted.transcript.turns[2:4]] == [
            "I say so myself",
            "you said I say so myself",
        ]
        with pytest.raises(CommandRefused, match="that hold is over"):
            await hosted.command(Commands.RELEASE, hold=1, choice="go")
        await hosted.close()
        assert hosted.state is EngineState.CLOSED
        assert (hosted.termination or {})["kind"] == "interrupted"
        assert other.state is EngineState.HELD, "the others are let be"


async def test_a_killed_worker_takes_its_conversations_along(tmp_path: Path) -> None:
    lost: list[Hosted] = []
    async with working() as worker:
        worker.on_over = lost.extend
        done = worker.begin(spec(tmp_path))
        begun = [worker.begin(spec(tmp_path, watched=True, paused=True)) for _ in range(3)]
        watched, waiting, idle = begun
        await over(done)
        for hosted in begun:
            await holds(hosted)
        await watched.watch()
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGSTOP)
        answer = asyncio.ensure_future(waiting.command(Commands.BREAK_LIST))
        await asyncio.sleep(0)
        os.kill(worker.pid, signal.SIGKILL)
        await over(*begun)
        with pytest.raises(CommandRefused, match="engine has ended"):
            await answer
        assert lost == begun
        assert worker.over and worker.error is not None
        for hosted in (*begun, worker.begin(spec(tmp_path))):
            assert hosted.state is EngineState.DEAD and hosted.hold is None
            assert hosted.error is not None and "SIGKILL" in hosted.error["message"]
            with pytest.raises(CommandRefused, match="is over"):
                await hosted.command(Commands.RUN)
        assert done.state is EngineState.CLOSED
        assert watched.transcript.records > 0 and not watched.transcript.complete
        assert idle.transcript.records == 0


async def test_closing_it_leaves_whole_logs(tmp_path: Path) -> None:
    async with working() as worker:
        begun = [worker.begin(spec(tmp_path, watched=True, paused=True)) for _ in range(3)]
        await begun[0].watch()
        for hosted in begun:
            await holds(hosted)
        async with asyncio.timeout(WITHIN):
            await worker.close()
        assert worker.over and worker.error is None
        for hosted in begun:
            assert hosted.state is EngineState.CLOSED
            assert (hosted.termination or {})["kind"] == "interrupted"
            assert hosted.log_path is not None
            with open_log(hosted.log_path) as log:
                assert log.findings == []
        assert begun[0].transcript.complete


async def test_however_many_it_hosts_all_get_the_time_to_close_their_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process alone would be killed before."""
    monkeypatch.setattr("convtui.client.pipe_port.CLOSE_WITHIN", 0.0)
    async with working() as worker:
        begun = [worker.begin(spec(tmp_path, watched=True, paused=True)) for _ in range(12)]
        for hosted in begun:
            await holds(hosted)
        async with asyncio.timeout(WITHIN):
            await worker.close()
        assert {hosted.state for hosted in begun} == {EngineState.CLOSED}


async def test_one_is_killed_alone(tmp_path: Path) -> None:
    async with working() as worker:
        one, other = (worker.begin(spec(tmp_path, watched=True, paused=True)) for _ in range(2))
        for hosted in (one, other):
            await holds(hosted)
        one.kill()
        await over(one)
        assert (one.termination or {})["kind"] == "failed"
        assert not worker.over
        await other.command(Commands.RUN)
        await holds(other, reason="ending")


async def test_killing_one_that_blocks_the_worker_kills_the_worker(tmp_path: Path) -> None:
    body = """
    async def bot(messages):
        time.sleep(600)
    """
    async with working() as worker:
        blocking = worker.begin(spec(tmp_path, body))
        async with asyncio.timeout(WITHIN):
            while not blocking.silent_for:
                await asyncio.sleep(0.01)
        blocking.kill()
        await over(blocking)
        assert worker.over and blocking.state is EngineState.DEAD


async def test_one_that_cannot_be_loaded_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    async with working() as worker:
        bad = worker.begin(spec(tmp_path / "bad", "raise ValueError('not today')\ndef bot(): ..."))
        good = worker.begin(spec(tmp_path))
        with pytest.raises(EngineError, match="not today") as failure:
            await bad.ready()
        assert failure.value.exit_code == 2
        await over(bad, good)
        assert bad.state is EngineState.FAILED and bad.exit_status == 2
        assert good.state is EngineState.CLOSED


async def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    worker = Worker()
    with pytest.raises(EngineError, match=r"nothing\.env") as failure:
        await worker.start(env_file=str(tmp_path / "nothing.env"))
    assert failure.value.exit_code == 2
    assert worker.over
    worker = Worker(python=str(tmp_path / "no-python"))
    with pytest.raises(EngineError, match=r"cannot start .*no-python"):
        await worker.start()
    assert worker.over


async def test_one_goes_on_in_an_engine_of_its_own(tmp_path: Path) -> None:
    async with working() as worker:
        other = worker.begin(spec(tmp_path, watched=True, paused=True))
        hosted = worker.begin(spec(tmp_path, watched=True, paused=True, hold_endings=False))
        await holds(hosted)
        await hosted.watch()
        await hosted.command(Commands.STEP_TURN)
        await holds(hosted, turn=2)
        assert hosted.spec is not None
        (tmp_path / "bot_under_test.py").write_text("def bot(messages): return 'mended'")
        parent = ContinueFrom(log=str(hosted.log_path), kind="reload", held=True)
        fresh = await continue_live(hosted, hosted.spec, parent)
        try:
            assert hosted.state is EngineState.CLOSED
            assert "continued as" in (hosted.termination or {})["reason"]
            # Somebody sees it, and may override its ending.
            await fresh.watch()
            await fresh.command(Commands.RUN)
            await when(fresh, lambda: (fresh.hold or {}).get("reason") == "ending")
            assert [turn.text for turn in fresh.transcript.turns][:2] == ["one", "mended"]
        finally:
            await fresh.close()
        assert other.state is EngineState.HELD


async def test_one_that_is_closed_while_it_starts_leaves_no_process() -> None:
    worker = Worker()
    starting = asyncio.ensure_future(worker.start())
    await asyncio.sleep(0)
    await worker.close()
    with pytest.raises(EngineError):
        await starting
    assert worker.over
