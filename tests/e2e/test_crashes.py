"""Real processes that are killed, told to end, or run out of disk: the log keeps what was said."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.errors import LogError
from convtui.log.lock import is_being_written
from convtui.log.names import lock_path
from convtui.log.reader import open_log
from convtui.log.writer import LogWriter
from convtui.protocol import ContinueFrom, StartSpec
from convtui.scenario.scenario import Scenario
from tests.builders.waiting import WITHIN, when
from tests.e2e.terminal import Terminal, alive, children, clean_environment, convtui, until
from tests.soak import soak

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real_processes,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals"),
]
SCRIPT = [f"line {number}" for number in range(30)]


def spec(folder: Path, body: str) -> StartSpec:
    """A scripted conversation with `bot(messages)`, its log in `folder/runs`."""
    path = folder / "bot.py"
    path.write_text("import asyncio, time\n" + dedent(body))
    data = {"persona": {"name": "Maya", "script": SCRIPT}, "provider": f"{path}:bot"}
    scenario = Scenario.from_data({**data, "limits": {"max_turns": 400}}, base=folder)
    return StartSpec(scenario=scenario.for_engine(), out_dir=str(folder / "runs"), wire="off")


def said(log: Path) -> list[str]:
    with open_log(log) as found:
        return [turn.text for turn in found.transcript.turns if turn.status == "committed"]


def ending(log: Path) -> tuple[str, str]:
    """Kind and reason of the ending of a log that is whole."""
    with open_log(log) as found:
        assert found.findings == []
        assert found.transcript.termination is not None
        return found.transcript.termination["kind"], found.transcript.termination["reason"]


async def test_engines_and_screens_are_killed_at_random_points(tmp_path: Path) -> None:
    assert await soak(6, 3, tmp_path, at_once=2, seconds=120) == 0


def limit_file_size(pid: int, size: int) -> None:
    """From now on no file of that process grows beyond `size`: as when the disk is full."""
    import resource

    if not hasattr(resource, "prlimit"):
        pytest.skip("needs prlimit")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))


async def test_a_disk_that_fills_up_loses_nothing_and_it_goes_on_where_there_is_room(
    tmp_path: Path,
) -> None:
    what = spec(
        tmp_path, "async def bot(messages):\n    await asyncio.sleep(0.01)\n    return 'ok'"
    )
    handle = EngineHandle()
    await asyncio.wait_for(handle.start(what), WITHIN)
    await when(handle, lambda: len(handle.transcript.turns) >= 4)
    log = handle.log_path
    assert handle.pid is not None
    assert log is not None
    limit_file_size(handle.pid, log.stat().st_size + 300)
    await asyncio.wait_for(handle.wait(), WITHIN)
    assert handle.state is EngineState.DEAD
    assert handle.error is not None
    assert handle.error["message"].startswith("cannot write the log: the file would be larger")
    assert str(log) in handle.error["message"]
    seen = [turn.text for turn in handle.transcript.turns if turn.status == "committed"]
    assert len(seen) >= 3
    assert said(log) == seen
    with open_log(log) as found:
        assert [finding.code for finding in found.findings] == ["no_trailer"]
    what.continue_from = ContinueFrom(log=str(log))
    again = EngineHandle()
    await asyncio.wait_for(again.start(what), WITHIN)
    await asyncio.wait_for(again.wait(), WITHIN)
    assert again.state is EngineState.CLOSED
    assert again.log_path is not None
    assert said(again.log_path) == [text for line in SCRIPT for text in (line, "ok")]


def test_the_screen_says_that_the_disk_is_full(home: Path) -> None:
    runs = home / "runs"

    def logs() -> list[Path]:
        return [p for p in runs.glob("*.jsonl") if b'"turn.committed"' in p.read_bytes()]

    command = convtui("demo", "--out", runs, "--speed", "3")
    with Terminal(command, env=clean_environment(home), cwd=home) as terminal:
        until(lambda: bool(logs()), "the first turn")
        engine = children(terminal.process.pid)[0]
        (log,) = logs()
        limit_file_size(engine, log.stat().st_size)
        terminal.until("cannot write the log: the file would be", "continue from the log")
        assert b"Traceback" not in terminal.raw
    until(lambda: not alive(engine), "the engine has gone")
    assert len(said(log)) >= 1
    with open_log(log) as found:
        assert [finding.code for finding in found.findings] == ["no_trailer"]


def test_a_folder_that_cannot_be_written_is_one_message_and_2(tmp_path: Path) -> None:
    place = tmp_path / "runs"
    place.mkdir(mode=0o555)
    if os.access(place, os.W_OK):  # to root nothing else is read-only
        place = Path("/sys/convtui")
        if not sys.platform.startswith("linux"):
            pytest.skip("runs as root")
    command = convtui("run", "--persona", "demo", "--provider", "demo", "--out", place)
    done = subprocess.run(
        command, env=clean_environment(tmp_path), cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"convtui: {place}: cannot be ")


@pytest.mark.parametrize(
    "waits", ["await asyncio.sleep(600)", "time.sleep(600)"], ids=["awaiting", "blocking"]
)
async def test_an_engine_that_is_told_to_end_closes_its_log(tmp_path: Path, waits: str) -> None:
    handle = EngineHandle()
    what = spec(tmp_path, f"async def bot(messages):\n    {waits}")
    await asyncio.wait_for(handle.start(what), WITHIN)
    await when(handle, lambda: "llm.request" in handle.transcript.counts)
    assert handle.pid is not None
    assert handle.log_path is not None
    os.kill(handle.pid, signal.SIGTERM)
    await asyncio.wait_for(handle.wait(), WITHIN)
    kind, reason = ending(handle.log_path)
    assert kind == "interrupted"
    assert reason.startswith("the engine was told to end (SIGTERM)")
    assert said(handle.log_path) == ["line 0"]


@pytest.mark.parametrize("who", ["program", "engine", "both"])
def test_sigterm_while_a_retry_waits_closes_the_log(tmp_path: Path, who: str) -> None:
    (tmp_path / "bot.py").write_text(
        dedent(
            """
            from convtui import TransientProviderError

            def bot(messages):
                raise TransientProviderError("busy")
            """
        )
    )
    (tmp_path / "s.yaml").write_text(
        "persona: {name: Maya, script: [hello]}\n"
        "provider: bot.py:bot\nretry: {attempts: 5, base_delay: 500, max_delay: 600}\n"
    )
    process = subprocess.Popen(
        convtui("run", "s.yaml", "--out", tmp_path / "runs"), cwd=tmp_path,
        env=clean_environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        runs = tmp_path / "runs"
        until(
            lambda: any(b'"type":"llm.retry"' in p.read_bytes() for p in runs.glob("*.jsonl")),
            "the first retry waits",
        )
        (log,) = runs.glob("*.jsonl")
        engine = children(process.pid)[0]
        if who in ("engine", "both"):
            os.kill(engine, signal.SIGTERM)
        if who in ("program", "both"):
            process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=WITHIN)
    finally:
        process.kill()
        process.wait()
    assert ending(log)[0] == "interrupted"
    assert process.returncode == 130, err
    assert "Traceback" not in err
    until(lambda: not alive(engine), "the engine has gone")
    assert not lock_path(log).exists()


def test_one_writer_a_log_and_a_killed_one_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    log = tmp_path / "a.jsonl"
    code = (
        "import sys, time; from pathlib import Path; from convtui.log.writer import LogWriter;"
        "from tests.builders.logs import header; writer = LogWriter(Path(sys.argv[1]));"
        "writer.write(header()); print('ready', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(log)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert is_being_written(log)
        assert stat.S_IMODE(lock_path(log).stat().st_mode) == 0o600
        with pytest.raises(LogError, match="another process is writing this log"):
            LogWriter(log)
        with open_log(log) as found:
            assert found.running
            assert found.findings == []
    finally:
        process.kill()
        process.communicate()
    assert lock_path(log).exists()
    assert not is_being_written(log)
    assert not lock_path(log).exists()
    with open_log(log) as found:
        assert [finding.code for finding in found.findings] == ["no_trailer"]
    with pytest.raises(LogError, match="never overwritten"):
        LogWriter(log)
    assert not lock_path(log).exists()
