"""Real litellm in a real engine process, and an endpoint that misbehaves a different way each time.

The engine answers all the while, its memory stays where it was, and each failure is a hold that
says what was wrong; the next call is a call like any other.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.engine.turn.tool_rounds import MOST_CALLS
from convtui.log.reader import open_log
from convtui.protocol import StartSpec
from convtui.scenario.scenario import Scenario
from tests.builders.waiting import when
from tests.fakes.raw_http import (
    DONE,
    EVENTS,
    OK,
    SAID,
    Answer,
    RawEndpoint,
    RawRequest,
    again_and_again,
    event,
    says,
    then_silence,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real_engines,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc"),
]
WITHIN = 90
KEY = "sk-planted-0123456789abcdef"
LATE = r"no end of the reply within 1 s \(turn_timeout\)"


@dataclass(frozen=True)
class Case:
    """What the endpoint does, and what is to be read of it: of the error, or of the reply."""

    does: str
    answer: Answer
    error: str = ""
    reply: str = ""


def packed(body: bytes) -> Answer:
    head = OK + b"content-type: text/event-stream\r\ncontent-encoding: gzip\r\n\r\n"
    return says(head, body)


def rate_limited(header: str) -> Answer:
    body = json.dumps({"error": {"message": "slow down", "type": "rate_limit"}})
    head = f"HTTP/1.1 429 -\r\ncontent-type: application/json\r\nretry-after: {header}\r\n"
    return says(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())


def many_calls() -> Answer:
    function = {"name": "look_up", "arguments": "{}"}
    calls = [{"index": n, "id": f"c{n}", "type": "function", "function": function}
             for n in range(10_000)]  # fmt: skip
    return says(EVENTS + event({"tool_calls": calls}) + event({}, "tool_calls") + DONE)


CASES = [
    Case("streams empty chunks without end", again_and_again(EVENTS, event({}) * 200), LATE),
    Case("streams comments without end", again_and_again(EVENTS, b": hm\n\n" * 1000), LATE),
    Case("sends its headers byte by byte", again_and_again(OK, b"x", 0.1), LATE),
    Case("sends its body byte by byte", again_and_again(EVENTS + b"data: ", b"x", 0.1), LATE),
    Case("sends informational answers without end",
         again_and_again(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100), LATE),
    Case("says nothing after its headers", then_silence(EVENTS), LATE),
    Case("says nothing at all", then_silence(b""), LATE),
    Case("sends a bomb", packed(gzip.compress(b" " * (600 << 20), 9)), "larger than 64 MB"),
    Case("asks to wait a day", rate_limited("99999"), "more than retry.max_wait"),
    Case("asks to wait until 2099", rate_limited("Thu, 01 Jan 2099 00:00:00 GMT"),
         "more than retry.max_wait"),
    Case("asks to wait a negative time", rate_limited("-99999"), "slow down"),
    Case("sends a chunk of 3 MB", says(EVENTS, event({"content": "x" * (3 << 20)}), SAID),
         reply="x{3145728}Gate 4."),
    Case("goes on after the end", again_and_again(EVENTS + SAID, b": hm\n\n", 0.01),
         reply="Gate 4."),
    Case("calls 10,000 tools", many_calls()),
    Case("answers what they gave", says(EVENTS + SAID), reply="Gate 4."),
]  # fmt: skip


def memory(pid: int, name: str = "VmRSS") -> int:
    """Megabytes that a process has, or at most had (`VmHWM`)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) >> 10


def spec(folder: Path, endpoint: RawEndpoint, turns: int) -> StartSpec:
    (folder / "tools.py").write_text("def look_up():\n    return 'Gate 4'\n")
    scenario = Scenario.from_data(
        {
            "persona": {"name": "Maya", "script": [f"line {n}" for n in range(turns)]},
            "provider": {
                "use": "openai/m",
                "params": {"api_base": endpoint.url, "api_key": KEY},
            },
            "tools": ["tools.py:look_up"],
            "limits": {"turn_timeout": 1, "max_turns": 2 * turns},
            "retry": {"attempts": 1, "base_delay": 0, "max_delay": 0},
        },
        base=folder,
    )
    return StartSpec(
        scenario=scenario.for_engine(), out_dir=str(folder / "runs"), wire="last", watched=True
    )


@asynccontextmanager
async def running(what: StartSpec) -> AsyncIterator[EngineHandle]:
    handle = EngineHandle()
    try:
        await asyncio.wait_for(handle.start(what), WITHIN)
        yield handle
    finally:
        handle.kill()
        await asyncio.wait_for(handle.wait(), WITHIN)


async def watch(handle: EngineHandle, worst: list[float]) -> None:
    while True:
        worst[0] = max(worst[0], handle.silent_for)
        await asyncio.sleep(0.05)


def committed(handle: EngineHandle) -> list[str]:
    return [t.text for t in handle.transcript.turns
            if t.speaker == "provider" and t.status == "committed"]  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))


async def test_one_misbehaviour_after_the_other(tmp_path: Path) -> None:
    plain = Case("is as it should be", says(EVENTS + SAID), reply="Gate 4.")
    cases = [plain, *CASES, plain]
    coming = iter(cases)

    async def answer(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        await next(coming).answer(request, writer)

    async with RawEndpoint(answer) as endpoint:
        turns = sum(bool(case.reply) for case in cases)
        async with running(spec(tmp_path, endpoint, turns)) as handle:
            worst = [0.0]
            watching = asyncio.create_task(watch(handle, worst))
            await warmed(handle)
            assert handle.pid is not None
            before, worst[0] = memory(handle.pid), 0.0
            replies = iter(range(1, turns + 1))
            for case in cases:
                await as_it_says(handle, case, replies)
                if case.error == LATE:
                    assert worst[0] < 3, f"{case.does}: no answer for {worst[0]:.1f} s"
                    assert memory(handle.pid) < before + 80, case.does
            most = memory(handle.pid, "VmHWM")
            await when(handle, lambda: handle.hold is not None)
            await handle.release("end")
            await asyncio.wait_for(handle.wait(), WITHIN)
            watching.cancel()
        assert most < before + 400
        assert len(endpoint.requests) == len(cases)
        check_log(handle)


async def warmed(handle: EngineHandle) -> None:
    """The first reply is there: loading litellm takes longer than a turn has here."""
    while not committed(handle):
        await when(handle, lambda: bool(committed(handle)) or handle.hold is not None)
        if handle.hold is not None and not committed(handle):
            assert re.search(LATE, handle.hold["detail"])
            await handle.release("again")
            await when(handle, lambda: handle.hold is None)


async def as_it_says(handle: EngineHandle, case: Case, replies: Iterator[int]) -> None:
    """Waits until the engine has done with a case what it should."""
    if case.error:
        await when(handle, lambda: handle.hold is not None or handle.over)
        assert handle.hold is not None, (case.does, handle.error)
        assert handle.hold["reason"] == "error", case.does
        assert re.search(case.error, handle.hold["detail"]), (case.does, handle.hold["detail"])
        await handle.release("again")
        await when(handle, lambda: handle.hold is None or handle.over)
    elif case.reply:
        number = next(replies)
        await when(handle, lambda: len(committed(handle)) >= number or bool(handle.hold))
        said = committed(handle)[number - 1 :]
        assert said, (case.does, handle.hold)
        assert re.fullmatch(case.reply, said[0]), (case.does, said[0][:200])


def check_log(handle: EngineHandle) -> None:
    """It is whole, tells of everything, and has the key nowhere."""
    assert handle.state is EngineState.CLOSED
    assert handle.log_path is not None
    with open_log(handle.log_path) as log:
        assert log.findings == []
        records = list(log.records())
    returned = [record for record in records if record["type"] == "tool.returned"]
    assert len(returned) == MOST_CALLS
    assert all(record["ok"] for record in returned)
    warned = {
        record["code"]: record["message"] for record in records if record["type"] == "warning"
    }
    assert warned["too_many_calls"].startswith("the reply calls 10,000 tools at once")
    files = list(handle.log_path.parent.iterdir())
    assert len(files) == 2
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert KEY not in file.read_text()
