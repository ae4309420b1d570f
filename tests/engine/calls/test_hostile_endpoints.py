"""Real litellm in a real engine process, and an endpoint that misbehaves a different way each time.

The engine answers all the while, its memory stays where it was, and each failure is a hold that
says what was wrong; the next call is a call like any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.engine.turn.tool_rounds import MOST_CALLS
from convtui.errors import CommandRefused
from convtui.log.reader import open_log
from convtui.protocol import StartSpec
from convtui.records.models import RecordDict
from convtui.scenario.scenario import Scenario
from tests.builders.waiting import WITHIN, when
from tests.fakes.raw_http import (
    DONE,
    EVENTS,
    OK,
    SAID,
    Answer,
    RawEndpoint,
    RawRequest,
    again_and_again,
    bomb,
    event,
    says,
    then_silence,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc"),
]
KEY = "sk-planted-0123456789abcdef"
LATE = r"no end of the reply within 0.5 s \(turn_timeout\)"


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
    Case("sends a bomb", packed(bomb(600)), "larger than 64 MB"),
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


def spec(folder: Path, endpoint: RawEndpoint, turns: int, timeout: float) -> StartSpec:
    (folder / "tools.py").write_text("def look_up():\n    return 'Gate 4'\n")
    scenario = Scenario.from_data(
        {
            "persona": {"name": "Maya", "script": [f"line {n}" for n in range(turns)]},
            "provider": {
                "use": "openai/m",
                "params": {"api_base": endpoint.url, "api_key": KEY},
            },
            "tools": ["tools.py:look_up"],
            "limits": {"turn_timeout": timeout, "max_turns": 2 * turns},
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


class Silence:
    """The longest time without a sign of life, but for what the engine waited for a processor."""

    def __init__(self, handle: EngineHandle) -> None:
        self.worst = 0.0
        self._handle = handle

    async def watch(self) -> None:
        waited_before = self._waited()
        while True:
            silence = self._handle.silent_for
            if silence:
                self.worst = max(self.worst, silence - (self._waited() - waited_before))
            else:
                waited_before = self._waited()
            await asyncio.sleep(0.05)

    def _waited(self) -> float:
        """Seconds in which a thread of the engine could have run, had there been a processor."""
        waited = 0
        for thread in Path(f"/proc/{self._handle.pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                waited += int(thread.read_text().split()[1])
        return waited / 1e9


def committed(handle: EngineHandle) -> list[str]:
    return [t.text for t in handle.transcript.turns
            if t.speaker == "provider" and t.status == "committed"]  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))


PLAIN = Case("is as it should be", says(EVENTS + SAID), reply="Gate 4.")


async def test_one_that_takes_too_long_after_the_other(tmp_path: Path) -> None:
    """Each call ends when its time is over, and the next is a call like any other.

    A plain one, too, may take longer than it has: litellm is loaded in the first.
    """
    cases = [case for case in CASES if case.error == LATE]
    coming = iter(cases)

    async def answer(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        case = next(coming, PLAIN) if b"line 1" in request.body else PLAIN
        await case.answer(request, writer)

    async with (
        RawEndpoint(answer) as endpoint,
        running(spec(tmp_path, endpoint, turns=2, timeout=0.5)) as handle,
    ):
        late = await replied(handle, 1)
        assert handle.pid is not None
        before = memory(handle.pid)
        silence = Silence(handle)
        watching = asyncio.create_task(silence.watch())
        for case in cases:
            await held(handle, case)
            assert silence.worst < 3, f"{case.does}: no answer for {silence.worst:.1f} s"
            assert memory(handle.pid) < before + 80, case.does
        watching.cancel()
        late += len(cases) + await replied(handle, 2)
        await ended(handle)
    assert next(coming, None) is None
    # A call may be over before its request has come.
    assert len(endpoint.requests) <= late + 2
    check_log(handle)


async def test_one_misbehaviour_after_the_other(tmp_path: Path) -> None:
    cases = [PLAIN, *(case for case in CASES if case.error != LATE), PLAIN]
    coming = iter(cases)

    async def answer(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        await next(coming).answer(request, writer)

    turns = sum(bool(case.reply) for case in cases)
    async with (
        RawEndpoint(answer) as endpoint,
        running(spec(tmp_path, endpoint, turns, timeout=WITHIN)) as handle,
    ):
        before = 0
        replies = itertools.count(1)
        for case in cases:
            if case.error:
                await held(handle, case)
            elif case.reply:
                text = await reply(handle, next(replies))
                assert text is not None, (case.does, handle.hold)
                assert re.fullmatch(case.reply, text), (case.does, text[:200])
            assert handle.pid is not None
            before = before or memory(handle.pid)
        most = memory(handle.pid or 0, "VmHWM")
        await ended(handle)
    assert most < before + 400
    assert len(endpoint.requests) == len(cases)
    check_tool_calls(check_log(handle))


async def reply(handle: EngineHandle, number: int) -> str | None:
    """Waits for a reply; None for a hold that is there instead."""
    await when(handle, lambda: len(committed(handle)) >= number or bool(handle.hold))
    return next(iter(committed(handle)[number - 1 :]), None)


async def replied(handle: EngineHandle, number: int) -> int:
    """Waits for a reply, which is asked for again when it was late; how often it was."""
    late = 0
    while await reply(handle, number) is None:
        assert handle.hold is not None
        assert re.search(LATE, handle.hold["detail"])
        late += 1
        await ask_again(handle)
        await when(handle, lambda: handle.hold is None)
    return late


async def held(handle: EngineHandle, case: Case) -> None:
    """Waits for the error of a case, and lets the engine ask again."""
    await when(handle, lambda: handle.hold is not None or handle.over)
    assert handle.hold is not None, (case.does, handle.error)
    assert handle.hold["reason"] == "error", case.does
    assert re.search(case.error, handle.hold["detail"]), (case.does, handle.hold["detail"])
    await ask_again(handle)
    await when(handle, lambda: handle.hold is None or handle.over)


async def ask_again(handle: EngineHandle) -> None:
    """Lets the engine ask again, as soon as it answers: for a moment it may not get to it."""
    async with asyncio.timeout(WITHIN):
        while True:
            try:
                await handle.release("again")
            except CommandRefused as refusal:
                if "does not answer" not in str(refusal):
                    raise
                await asyncio.sleep(0.05)
            else:
                return


async def ended(handle: EngineHandle) -> None:
    """Ends the conversation, whose last line was said."""
    await when(handle, lambda: handle.hold is not None)
    await handle.release("end")
    await asyncio.wait_for(handle.wait(), WITHIN)


def check_log(handle: EngineHandle) -> list[RecordDict]:
    """It is whole, and has the key nowhere; its records."""
    assert handle.state is EngineState.CLOSED
    assert handle.log_path is not None
    with open_log(handle.log_path) as log:
        assert log.findings == []
        records = list(log.records())
    files = list(handle.log_path.parent.iterdir())
    assert len(files) == 2
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert KEY not in file.read_text()
    return records


def check_tool_calls(records: list[RecordDict]) -> None:
    """As many were made as are allowed at once."""
    returned = [record for record in records if record["type"] == "tool.returned"]
    assert len(returned) == MOST_CALLS
    assert all(record["ok"] for record in returned)
    warned = {
        record["code"]: record["message"] for record in records if record["type"] == "warning"
    }
    assert warned["too_many_calls"].startswith("the reply calls 10,000 tools at once")
