"""Tool rounds over the real path: litellm, HTTP, an engine process, an MCP server."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from convtui.client.engine_client import EngineHandle
from convtui.engine.conversation.wiring import EngineModels
from convtui.log.reader import LogReader
from convtui.protocol import ContinueFrom, StartSpec
from convtui.scenario.scenario import Scenario
from tests.builders.conversations import run
from tests.engine.tools.test_mcp import NOISY, alive, noisy
from tests.fakes.openai_script import FakeCall, FakeReply
from tests.fakes.openai_server import OpenAIServerThread

WITHIN = 60
TRIPS = """
    import os
    from pathlib import Path

    HERE = Path(__file__).parent

    def find_trip(day: str, seats: int = 1) -> dict[str, object]:
        '''Finds a trip.'''
        return {"day": day, "free": seats + 1}

    def fragile(note: str) -> str:
        '''Kills the engine, once.'''
        marker = HERE / "died"
        with (HERE / "runs_of_fragile").open("a") as file:
            file.write(note)
        if not marker.exists():
            marker.write_text("")
            os._exit(9)
        return "survived"
"""


@pytest.fixture
def server() -> Iterator[OpenAIServerThread]:
    with OpenAIServerThread() as running:
        yield running


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))


def trips(server: OpenAIServerThread, folder: Path, opening: str, **fields: Any) -> Scenario:
    """A scenario whose provider is a model behind HTTP, with functions and an MCP server."""
    (folder / "trips.py").write_text(dedent(TRIPS))
    names = ("find_trip", "fragile")
    data: dict[str, Any] = {
        "persona": {"name": "Maya", "script": [opening]},
        "provider": {
            "use": "openai/provider-1",
            "params": {"api_base": server.url, "api_key": "sk-planted-9876543210fedcba"},
        },
        "tools": [*(f"{folder / 'trips.py'}:{name}" for name in names), {"mcp": noisy(folder)}],
        "retry": {"base_delay": 0, "max_delay": 0},
        **fields,
    }
    return Scenario.from_data(data, base=folder)


async def test_a_model_calls_functions_and_a_tool_server(
    tmp_path: Path, server: OpenAIServerThread, models: EngineModels
) -> None:
    server.script(
        FakeReply(
            tool_calls=(FakeCall("find_trip", '{"day": "Friday", "seats": 2}'), FakeCall("ping")),
            text="Let me look.",
        ),
        FakeReply(tool_calls=(FakeCall("ping"), FakeCall("find_trip", "{}")), missing_index=True),
        FakeReply(text="There are three."),
    )
    ran = await run(trips(server, tmp_path, "Friday?"), tmp_path / "runs", models=models)
    assert ran.said == ["Friday?", "There are three."]
    first, second, third = [request.body for request in server.requests]
    offered = {tool["function"]["name"]: tool["function"] for tool in first["tools"]}
    assert set(offered) == {"find_trip", "fragile", "ping"}
    assert offered["find_trip"]["parameters"]["required"] == ["day"]
    called, free, pong = second["messages"][-3:]
    assert called["content"] == "Let me look."
    assert json.loads(free["content"]) == {"day": "Friday", "free": 3}
    assert (pong["role"], pong["content"]) == ("tool", "pong")
    assert [call["id"] for call in called["tool_calls"]] == [
        free["tool_call_id"], pong["tool_call_id"],
    ]  # fmt: skip
    errors = [json.loads(message["content"]) for message in third["messages"][-1:]]
    assert errors[0]["error_kind"] == "invalid_tool_arguments"
    assert [record["round"] for record in ran.of("tool.called")] == [1, 1, 2, 2]


async def test_a_tool_that_the_user_names_is_called_and_its_result_said(
    tmp_path: Path, server: OpenAIServerThread, models: EngineModels
) -> None:
    ran = await run(trips(server, tmp_path, "please ping it"), tmp_path / "runs", models=models)
    assert ran.said[1] == "The tool says: pong"


# --- in a process of its own


def spec(what: Scenario, folder: Path, **fields: Any) -> StartSpec:
    """What an engine process is started with."""
    return StartSpec(
        scenario=what.for_engine(), out_dir=str(folder / "runs"), wire="off", trust=True, **fields
    )


async def ended(handle: EngineHandle) -> None:
    """Waits until an engine's process is gone."""
    await asyncio.wait_for(handle.wait(), WITHIN)


def records(log: Path) -> list[dict[str, Any]]:
    """All of a log."""
    with LogReader(log) as reader:
        reader.advance()
        return list(reader.read_range(0, len(reader.transcript.offsets) - 1))


@pytest.mark.slow
async def test_an_engine_killed_in_a_tool_goes_on_without_asking_again(
    tmp_path: Path, server: OpenAIServerThread
) -> None:
    server.script(
        FakeReply(
            tool_calls=(FakeCall("ping"), FakeCall("fragile", '{"note": "x"}')), text="Wait."
        ),
        FakeReply(text="It worked."),
    )
    what = trips(server, tmp_path, "do it")
    handle = EngineHandle()
    await asyncio.wait_for(handle.start(spec(what, tmp_path)), WITHIN)
    await ended(handle)
    log = Path(str(handle.log_path))
    types = [record["type"] for record in records(log)]
    assert types.count("tool.called") == 2
    assert "turn.committed" in types and "trailer" not in types
    assert len(server.requests) == 1

    parent = ContinueFrom(log=str(log))
    again = EngineHandle()
    await asyncio.wait_for(again.start(spec(what, tmp_path, continue_from=parent)), WITHIN)
    await ended(again)
    child = records(Path(str(again.log_path)))
    texts = [record["text"] for record in child if record["type"] == "turn.committed"]
    assert texts == ["It worked."]
    assert len(server.requests) == 2, "the reply that had been received was not asked for again"
    codes = [record["code"] for record in child if record["type"] == "warning"]
    assert "tools_cut_off" in codes
    assert (tmp_path / "runs_of_fragile").read_text() == "xx"
    results = [m["content"] for m in server.requests[1].body["messages"] if m["role"] == "tool"]
    assert results == ["pong", "survived"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="process groups")
async def test_a_killed_engine_leaves_no_tool_server_behind(
    tmp_path: Path, server: OpenAIServerThread
) -> None:
    pid_file = tmp_path / "pid"
    what = trips(server, tmp_path, "hi")
    begin = f"import os\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\n"
    # It does not end when its input does.
    noisy(tmp_path, begin + NOISY + "\nimport time\nwhile True:\n    time.sleep(1)\n")
    handle = EngineHandle()
    await asyncio.wait_for(handle.start(spec(what, tmp_path, watched=True, paused=True)), WITHIN)
    async with asyncio.timeout(WITHIN):
        while handle.hold is None:
            await asyncio.sleep(0.02)
    pid = int(pid_file.read_text())
    assert alive(pid)
    assert os.getpgid(pid) == os.getpgid(handle.pid or 0)
    handle.kill()
    await ended(handle)
    async with asyncio.timeout(WITHIN):
        while alive(pid):
            await asyncio.sleep(0.02)
