"""The engine as a process of its own: crashes, floods, blocking, orphans, kills."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.errors import CommandRefused, EngineError
from convtui.log.reader import open_log
from convtui.protocol import ContinueFrom, StartSpec
from convtui.scenario.scenario import Scenario
from tests.builders.waiting import WITHIN, when

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals"),
]


@pytest.fixture(autouse=True)
def short_lived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PLANTED_API_KEY", "planted-0123456789")


def spec(tmp_path: Path, body: str, **fields: Any) -> StartSpec:
    """A conversation with a function `bot(messages)` as its provider."""
    path = tmp_path / "bot_under_test.py"
    path.write_text("import asyncio, os, sys, time\n" + dedent(body))
    script = fields.pop("script", ["hello", "and?", "bye"])
    scenario = Scenario.from_data(
        {
            "persona": {"name": "Maya", "script": script},
            "provider": f"{path}:bot",
            "limits": {"max_turns": 400},
        },
        base=tmp_path,
    )
    return StartSpec(
        scenario=scenario.for_engine(), out_dir=str(tmp_path / "runs"), wire="off", **fields
    )


@asynccontextmanager
async def running(what: StartSpec, **fields: Any) -> AsyncIterator[EngineHandle]:
    """An engine that has started; it is gone afterwards, whatever happens."""
    handle = EngineHandle(**fields)
    try:
        await asyncio.wait_for(handle.start(what), WITHIN)
        yield handle
    finally:
        handle.kill()
        if handle.pid is not None:
            await asyncio.wait_for(handle.wait(), WITHIN)


async def ended(handle: EngineHandle) -> None:
    """Waits for the end of the process."""
    await asyncio.wait_for(handle.wait(), WITHIN)


def alive(pid: int) -> bool:
    """Whether a process runs (a dead one that nobody has waited for does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def codes(handle: EngineHandle) -> list[str]:
    """The findings in the log."""
    assert handle.log_path is not None
    with open_log(handle.log_path) as log:
        return [finding.code for finding in log.findings]


@pytest.mark.real_processes
async def test_a_whole_conversation(tmp_path: Path) -> None:
    async with running(spec(tmp_path, "def bot(messages): return 'fine'")) as handle:
        await ended(handle)
        assert handle.state is EngineState.CLOSED
        assert handle.exit_status == 0
        assert handle.transcript.termination is not None
        assert handle.transcript.termination["kind"] == "completed"
        assert codes(handle) == []
        with pytest.raises(CommandRefused, match="is over"):
            await handle.command("pause")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("os._exit(7)", "7"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("os.abort()", "SIGABRT"),
    ],
)
async def test_a_provider_that_takes_the_process_with_it(
    tmp_path: Path, body: str, says: str
) -> None:
    what = spec(tmp_path, f"def bot(messages):\n    {body}")
    async with running(what) as handle:
        await ended(handle)
        assert handle.state is EngineState.DEAD
        assert handle.error is not None
        assert says in handle.error["message"]
        assert codes(handle) == ["no_trailer"]
        if says.startswith("SIG"):
            assert any("bot_under_test.py" in line for line in handle.error["frames"])


@pytest.mark.skipif(sys.platform != "linux", reason="it is the usual one elsewhere")
async def test_its_event_loop_is_punctual(tmp_path: Path) -> None:
    body = "async def bot(messages): return str(asyncio.get_running_loop()._selector)"
    async with running(spec(tmp_path, body)) as handle:
        await ended(handle)
        assert "PunctualSelector" in handle.transcript.turns[1].text


async def test_a_provider_that_calls_sys_exit_is_a_failed_turn(tmp_path: Path) -> None:
    async with running(spec(tmp_path, "async def bot(messages): sys.exit(5)")) as handle:
        await ended(handle)
        assert handle.state is EngineState.CLOSED
        assert handle.transcript.termination is not None
        assert handle.transcript.termination["kind"] == "failed"
        assert "sys.exit(5)" in handle.transcript.termination["reason"]
        assert handle.exit_status == 3


async def test_an_import_that_fails_is_told_with_own_frames(tmp_path: Path) -> None:
    what = spec(tmp_path, "print('before')\nraise ValueError('not today')\ndef bot(m): ...")
    handle = EngineHandle()
    with pytest.raises(EngineError, match="cannot be imported") as error:
        await asyncio.wait_for(handle.start(what), WITHIN)
    await ended(handle)
    assert "ValueError: not today" in str(error.value)
    assert handle.state is EngineState.FAILED
    assert ("stdout", "before\n") in handle.early_output
    assert error.value.exit_code == 2


async def test_a_flood_is_captured_capped_and_redacted(tmp_path: Path) -> None:
    body = """
        import logging, warnings, subprocess

        def bot(messages):
            if len(messages) == 1:
                print("my key is planted-0123456789")
                sys.stderr.write("to stderr\\n")
                os.write(1, b"by descriptor\\n")
                logging.getLogger("x").warning("logged")
                warnings.warn("warned")
                subprocess.run([sys.executable, "-c", "print('by a child')"])
            else:
                for _ in range(20000):
                    print("flood " * 20)
            return "fine"
        """
    async with running(spec(tmp_path, body, script=["a", "b", "c"])) as handle:
        await ended(handle)
        assert handle.state is EngineState.CLOSED
        assert handle.log_path is not None
        with open_log(handle.log_path) as log:
            records = list(log.records())
            assert log.findings == []
    output = [r for r in records if r["type"] == "provider.output"]
    first = "".join(r["text"] for r in output if r.get("turn") == 2)
    for expected in ("to stderr", "by descriptor", "logged", "warned", "by a child"):
        assert expected in first
    text = handle.log_path.read_text()
    assert "planted-0123456789" not in text
    assert "my key is [redacted]" in text
    flood = [r for r in output if r.get("turn") == 4]
    assert sum(len(r["text"]) for r in flood) <= 256 * 1024
    assert any(r.get("dropped") for r in flood)


async def test_half_a_line_belongs_to_the_turn_in_which_it_was_printed(tmp_path: Path) -> None:
    body = """
        async def bot(messages):
            print("half-a-line", end="")
            return f"answer {len(messages)}"
    """
    async with running(spec(tmp_path, body)) as handle:
        await ended(handle)
        assert handle.log_path is not None
        lines = handle.log_path.read_bytes().splitlines()
    records = list(map(json.loads, lines))
    output = [n for n, record in enumerate(records) if record["type"] == "provider.output"]
    assert [(records[n]["text"], records[n]["turn"]) for n in output] == [
        ("half-a-line", 2), ("half-a-line", 4), ("half-a-line", 6)
    ]  # fmt: skip
    assert {records[n - 1]["type"] for n in output} == {"turn.committed"}


async def test_half_a_line_of_a_hook_is_recorded_where_it_was_printed(tmp_path: Path) -> None:
    body = """
        from convtui import Provider

        class bot(Provider):
            async def setup(self):
                print("set up", end="")

            async def enter_session(self, session_type):
                sys.stderr.write("enter")
                print("ed " + session_type, end="")

            async def generate_response(self, messages):
                print("asked")
                return "fine"

            async def cleanup(self):
                print("cleaned", end="")
                os.write(1, b" up")
    """
    async with running(spec(tmp_path, body, script=["a"])) as handle:
        await ended(handle)
        assert handle.log_path is not None
        records = list(map(json.loads, handle.log_path.read_bytes().splitlines()))
    texts: dict[tuple[int | None, int | None], str] = {}
    for record in records:
        if record["type"] == "provider.output":
            place = (record.get("session"), record.get("turn"))
            texts[place] = texts.get(place, "") + record["text"]
    before = "".join(text for (_, turn), text in texts.items() if turn is None)
    assert {*texts} - {(None, None), (1, None)} == {(1, 2)}
    assert texts[(1, 2)] == "asked\n"
    for word in ("set up", "enter", "ed default", "cleaned", " up"):
        assert word in before
    assert records[-1]["type"] == "trailer"


async def test_a_blocking_provider_is_not_responding_and_can_be_killed(tmp_path: Path) -> None:
    child = tmp_path / "child.pid"
    body = f"""
        import subprocess

        async def bot(messages):
            child = subprocess.Popen(["sleep", "600"])
            open({str(child)!r}, "w").write(str(child.pid))
            time.sleep(600)
        """
    async with running(spec(tmp_path, body, watched=True)) as handle:
        async with asyncio.timeout(WITHIN):
            while not handle.silent_for:
                await asyncio.sleep(0.01)
        with pytest.raises(CommandRefused, match="blocked in provider code: K kills"):
            await handle.command("cancel")
        assert handle.pid is not None
        orphan = int(child.read_text())
        assert alive(orphan)
        handle.kill()
        await ended(handle)
        assert handle.state is EngineState.DEAD
        async with asyncio.timeout(WITHIN):
            while alive(orphan):
                await asyncio.sleep(0.01)
        assert not alive(handle.pid)
        assert codes(handle) == ["no_trailer"]


@pytest.mark.parametrize("waits", ["await asyncio.sleep(600)", "time.sleep(600)"])
async def test_when_the_screen_is_gone_the_log_is_closed(tmp_path: Path, waits: str) -> None:
    async with running(spec(tmp_path, f"async def bot(messages):\n    {waits}")) as handle:
        await when(handle, lambda: "llm.request" in handle.transcript.counts)
        handle._port.close_input()
        await ended(handle)
        assert handle.state is EngineState.CLOSED
        assert handle.transcript.termination is not None
        assert handle.transcript.termination["kind"] == "interrupted"
        assert codes(handle) == []


async def test_killed_at_random_points_it_always_resumes(tmp_path: Path) -> None:
    body = """
        async def bot(messages):
            await asyncio.sleep(0.001)
            return f"answer {len(messages)}"
        """
    chance = random.Random(11)
    script = [f"line {n}" for n in range(40)]
    what = spec(tmp_path, body, script=script)
    wanted = [text for n, line in enumerate(script) for text in (line, f"answer {2 * n + 1}")]
    at = 0
    texts: list[str] = []
    for attempt in range(15):
        handle = EngineHandle()
        try:
            await asyncio.wait_for(handle.start(what), WITHIN)
        except EngineError as error:
            # The last kill came between the end of the session and that of the conversation.
            assert "is over" in str(error) and texts == wanted
            return
        at = chance.randrange(2, 60)
        await when(handle, lambda: handle.transcript.records >= at or handle.over)  # noqa: B023
        handle.kill()
        await ended(handle)
        assert handle.log_path is not None
        with open_log(handle.log_path) as log:
            texts = [turn.text for turn in log.transcript.turns if turn.status == "committed"]
            over = log.transcript.termination is not None
            assert log.transcript.complete or log.findings
        assert texts == wanted[: len(texts)], f"kill {attempt}"
        if over:
            # It was done before the signal reached it, perhaps but for its trailer.
            assert texts == wanted
            return
        what.continue_from = ContinueFrom(str(handle.log_path))
    async with running(what) as handle:
        await ended(handle)
        assert handle.state is EngineState.CLOSED
        assert [turn.text for turn in handle.transcript.turns if turn.text] == wanted
        assert codes(handle) == []


async def test_a_huge_reply_comes_through_the_pipe(tmp_path: Path) -> None:
    size = 12 << 20
    body = f"def bot(messages): return 'x' * {size}"
    async with running(spec(tmp_path, body, script=["a"])) as handle:
        await ended(handle)
        assert handle.state is EngineState.CLOSED
        assert len(handle.transcript.turns[1].text) == size


async def test_a_screen_that_does_not_read_is_told_to_catch_up(tmp_path: Path) -> None:
    """The engine goes on at its own pace; what was left out is read from the log."""
    import subprocess

    from convtui.client.spawn import spawn_engine
    from convtui.protocol import Kind, pack_json, read_frame

    body = "def bot(messages): return 'y' * 300_000"
    what = spec(tmp_path, body, script=[str(n) for n in range(16)])
    process: subprocess.Popen[bytes] = await asyncio.to_thread(spawn_engine, sys.executable)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        process.stdin.write(pack_json(Kind.START, **what.as_dict()))
        process.stdin.flush()
        runs = tmp_path / "runs"
        async with asyncio.timeout(WITHIN):
            # Nobody reads the pipe; the log is finished all the same.
            while not any(b'"type":"trailer"' in p.read_bytes()[-4000:] for p in
                          runs.glob("*.jsonl")):  # fmt: skip
                await asyncio.sleep(0.02)
        kinds = []
        while (frame := await asyncio.to_thread(read_frame, process.stdout)) is not None:  # type: ignore[arg-type]
            kinds.append(frame[0])
        assert Kind.CATCH_UP in kinds
        (log_file,) = runs.glob("*.jsonl")
        with open_log(log_file) as log:
            assert log.findings == []
            assert kinds.count(Kind.RECORD) < log.transcript.records
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


async def test_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    handle = EngineHandle(python=str(tmp_path / "no-python"))
    with pytest.raises(EngineError, match=r"cannot start .*no-python"):
        await handle.start(spec(tmp_path, "def bot(messages): ..."))
    assert handle.state is EngineState.FAILED


async def test_holds_are_answered_over_the_pipe(tmp_path: Path) -> None:
    what = spec(tmp_path, "def bot(messages): return 'fine'", watched=True, paused=True)
    async with running(what) as handle:
        await when(handle, lambda: handle.hold is not None)
        assert handle.state is EngineState.HELD
        first = handle.hold
        assert first is not None
        await handle.command("step_turn")
        await when(handle, lambda: handle.hold is not None and handle.hold["turn"] == 2)
        with pytest.raises(CommandRefused, match="that hold is over"):
            await handle.command("release", hold=first["hold"], choice="go")
        with pytest.raises(CommandRefused, match="bad arguments"):
            await handle.command("release")
        await handle.command("stop", reason="enough")
        await ended(handle)
        assert handle.transcript.termination is not None
        assert handle.transcript.termination["by"] == "human"
        assert handle.exit_status == 130
