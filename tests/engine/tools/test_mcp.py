"""Tools of MCP servers: real processes, over standard input and output and over HTTP."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from convtui.engine.tools.mcp_tools import McpToolServer
from convtui.engine.tools.tools import Toolbox
from convtui.errors import ConsentNeeded, DataFileError, ToolError
from convtui.log.tool_results import whole_result
from convtui.models.base import Reply
from convtui.scenario.scenario import McpServer, Scenario
from convtui.secrets.redactor import Redactor
from tests.builders.conversations import Bot, Ran, calls, prepare, resume, run, scenario, until
from tests.fakes.openai_server import free_port
from tests.places import ROOT

SERVER = {"command": [sys.executable, "-m", "tests.fakes.mcp_server"], "cwd": str(ROOT)}

NOISY = """
import json, sys
print("hello from a tool", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    method = asked["method"]
    if method == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                  "serverInfo": {"name": "noisy", "version": "1"}}
    elif method == "tools/list":
        result = {"tools": [{"name": "ping", "inputSchema": {"type": "object"}}]}
    elif method == "tools/call":
        print("no message either", flush=True)
        result = {"content": [{"type": "text", "text": "pong"}]}
    else:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"],
                          "error": {"code": -32601, "message": "no"}}), flush=True)
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"""
"""A server that knows the protocol of 2025 only, made without the package, and that prints."""


def server(**config: Any) -> McpToolServer:
    """One server that is not started."""
    return McpToolServer(McpServer(**(config or SERVER)), Redactor())


def noisy(folder: Path, text: str = NOISY) -> dict[str, Any]:
    """The server that prints."""
    (folder / "noisy.py").write_text(text)
    return {"command": [sys.executable, str(folder / "noisy.py")], "cwd": str(folder)}


def talk(*replies: Reply | str, **fields: Any) -> tuple[Bot, Scenario]:
    """A conversation of one turn per side, with the server's tools."""
    bot = Bot(*replies)
    fields.setdefault("tools", [{"mcp": SERVER}])
    return bot, scenario(bot, ["hi"], **fields)


def back(ran: Ran) -> dict[str, Any]:
    """Results by the name of the tool."""
    return {record["name"]: record.get("result") for record in ran.of("tool.returned")}


def alive(pid: int) -> bool:
    """Whether a process of ours still runs."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.fixture(scope="module")
def http_url() -> Iterator[str]:
    """A server of streamable HTTP."""
    with http_server(free_port()) as url:
        yield url


@contextlib.contextmanager
def http_server(port: int) -> Iterator[str]:
    """Runs one on a port."""
    process = subprocess.Popen(
        [*SERVER["command"], "--http", str(port)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


# --- what a server can do, in one conversation


async def test_tools_of_a_server_are_offered_called_and_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-notforservers1234567890")
    config = {**SERVER, "env": {"TRIPS_API_KEY": "trips-secret-4711"}}
    bot, what = talk(
        calls(
            ("seats", '{"day": "Friday"}'), ("picture", ""), ("huge", '{"size": 5000}'),
            ("refuse", '{"why": "no such trip"}'), ("seats", '{"wanted": "x"}'), ("chat", ""),
        ),
        calls(("learn", "")),
        calls(("fly", '{"to": "Lisbon"}')),
        "done",
        tools=[{"mcp": config}], max_tool_result=2000,
    )  # fmt: skip
    conversation, _, _ = prepare(what, tmp_path)
    records: list[dict[str, Any]] = []
    conversation.journal.listen(lambda record, offset, line: records.append(record))
    source = conversation.toolbox.servers[0]
    assert isinstance(source, McpToolServer)
    pids: list[int] = []

    def note(record: Any, offset: int, line: bytes) -> None:
        if record["type"] == "provider.setup" and source._process is not None:
            pids.append(source._process._process.pid)

    conversation.journal.listen(note)
    termination = await asyncio.wait_for(conversation.run(), 60)
    assert termination.kind == "completed"
    assert len(pids) == 1, "it was there before setup()"
    assert not alive(pids[0]), "and was stopped after"

    first = {record["id"]: record for record in records if record["type"] == "tool.returned"
             and record["round"] == 1}  # fmt: skip
    assert first["c1"]["result"] == "1 of 6 on Friday"
    assert first["c2"]["result"] == "[image: image/png, 33 bytes]"
    log = conversation.journal.writer.path
    (image,) = json.loads(str(whole_result(log, first["c2"]["seq"])))
    assert (image["type"], image["mimeType"]) == ("image", "image/png")
    assert first["c3"]["truncated"] is True
    assert len(str(whole_result(log, first["c3"]["seq"]))) == 5000
    assert first["c4"]["result"]["error_kind"] == "tool_execution_exception"
    assert "no such trip" in first["c4"]["result"]["message"]
    assert "Field required" in first["c5"]["result"]["message"]
    assert first["c6"]["result"].endswith(" no key"), "our keys are not the server's"

    output = [record for record in records if record["type"] == "provider.output"]
    assert {(record["stream"], record["source"]) for record in output} == {
        ("stderr", "tests.fakes.mcp_server")
    }
    text = "".join(record["text"] for record in output)
    assert "a warning of the server" in text
    assert "its key is [redacted]" in text
    assert "trips-secret" not in log.read_text()

    offered = [[tool["function"]["name"] for tool in request.tools] for request in bot.requests]
    assert "fly" not in offered[0]
    assert offered[0][0] == "seats"
    assert "fly" in offered[2], "it learned a tool"
    seats = bot.requests[0].tools[0]["function"]
    assert seats["description"] == "How many seats are free on a day."
    assert seats["parameters"]["required"] == ["day"]
    warned = [record["code"] for record in records if record["type"] == "warning"]
    assert warned == ["tools_changed"]
    flown = next(r for r in records if r["type"] == "tool.returned" and r["name"] == "fly")
    assert flown["result"] == "flown to Lisbon"


async def test_a_server_that_ends_in_a_call_is_started_again_for_the_next(tmp_path: Path) -> None:
    bot, what = talk(
        calls(("crash", '{"code": 7}')), calls(("seats", '{"day": "a"}'), ("chat", "")), "done",
        tool_timeout=20,
    )  # fmt: skip
    ran = await run(what, tmp_path)
    crashed = ran.of("tool.returned")[0]["result"]
    assert crashed["error_kind"] == "tool_execution_exception"
    assert crashed["message"].endswith("ended during the call with exit code 7")
    assert crashed["detail"].endswith("about to end"), "its last lines"
    assert back(ran)["seats"] == "1 of 1 on a"
    (warning,) = ran.of("warning")
    assert warning["code"] == "mcp_restart"
    assert "(exit code 7) and was started again" in warning["message"]
    assert len(ran.of("tool.called")) == 3, "the call that it ended in was not made again"
    assert bot.answered == 3


async def test_a_slow_call_times_out_and_is_cancelled_at_the_server(tmp_path: Path) -> None:
    done = tmp_path / "done"
    asked = json.dumps({"seconds": 60, "done": str(done)})
    _, what = talk(
        calls(("slow", asked)), calls(("seats", '{"day": "a"}')), "done", tool_timeout=0.3
    )
    ran = await run(what, tmp_path)
    assert back(ran)["slow"]["error_kind"] == "tool_timeout"
    assert back(ran)["seats"] == "1 of 1 on a", "the server goes on"
    assert done.read_text() == "cancelled"


async def test_stopping_the_conversation_stops_the_server(tmp_path: Path) -> None:
    _, what = talk(calls(("slow", "")))
    conversation, _, _ = prepare(what, tmp_path)
    task = asyncio.create_task(conversation.run())
    source = conversation.toolbox.servers[0]
    assert isinstance(source, McpToolServer)
    journal = conversation.journal
    async with asyncio.timeout(30):
        while not journal.transcript.counts.get("tool.called"):
            await asyncio.sleep(0.01)
    assert source._process is not None
    pid = source._process._process.pid
    assert os.getpgid(pid) == os.getpgid(0), "whoever kills the engine's group kills it, too"
    conversation.stop("human", "enough")
    termination = await asyncio.wait_for(task, 20)
    assert termination.kind == "interrupted"
    assert not alive(pid)


async def test_a_server_of_an_older_protocol_that_prints_between_its_messages(
    tmp_path: Path,
) -> None:
    _, what = talk(calls(("ping", "")), "done", tools=[{"mcp": noisy(tmp_path)}])
    ran = await run(what, tmp_path)
    assert back(ran) == {"ping": "pong"}
    output = ran.of("provider.output")
    assert {(r["stream"], r["source"]) for r in output} == {("stdout", "noisy.py")}
    text = "".join(record["text"] for record in output)
    assert text == "hello from a tool\nno message either\n"


async def test_a_server_that_does_not_end_by_itself_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convtui.engine.tools.mcp_process._EXIT_WITHIN", 0.3)
    script = tmp_path / "stubborn.py"
    script.write_text(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        + NOISY
        + "\nwhile True:\n    time.sleep(1)\n"
    )
    source = server(command=[sys.executable, str(script)])
    await source.start()
    assert source._process is not None
    pid = source._process._process.pid
    await asyncio.wait_for(source.stop(), 20)
    assert not alive(pid)


async def test_an_older_server_says_that_its_tools_changed(tmp_path: Path) -> None:
    notice = '{"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}'
    learns = NOISY.replace(
        'print("no message either", flush=True)', f"print({notice!r}, flush=True); known = 'other'"
    ).replace('"name": "ping"', '"name": known')
    config = noisy(tmp_path, "known = 'ping'\n" + learns)
    bot, what = talk(calls(("ping", "")), calls(("other", "")), "done", tools=[{"mcp": config}])
    ran = await run(what, tmp_path)
    assert back(ran) == {"ping": "pong", "other": "pong"}
    assert [t["function"]["name"] for t in bot.requests[1].tools] == ["other"]
    (warning,) = ran.of("warning")
    assert warning["message"] == "the tools have changed; new: other; gone: ping"


async def test_a_change_that_shadows_a_tool_is_not_taken_in(tmp_path: Path) -> None:
    notice = '{"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}'
    learns = NOISY.replace(
        'print("no message either", flush=True)', f"print({notice!r}, flush=True); known = 'mine'"
    ).replace('"name": "ping"', '"name": known')

    def mine() -> str:
        return "mine"

    bot = Bot(calls(("ping", "")), calls(("mine", "")), "done", tools=[mine])
    config = noisy(tmp_path, "known = 'ping'\n" + learns)
    ran = await run(scenario(bot, ["hi"], tools=[{"mcp": config}]), tmp_path)
    assert back(ran)["mine"] == "mine"
    (warning,) = ran.of("warning")
    assert "the tools that were there stay: two tools are called 'mine'" in warning["message"]


async def test_stopping_while_a_server_starts(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    sleeps = (
        f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    config = {"command": [sys.executable, "-c", sleeps], "cwd": str(tmp_path)}
    _, what = talk("never", tools=[{"mcp": config}])
    conversation, _, _ = prepare(what, tmp_path)
    task = asyncio.create_task(conversation.run())
    await until(lambda: pid_file.exists() and pid_file.read_text() != "")
    conversation.stop("human", "enough")
    termination = await asyncio.wait_for(task, 20)
    assert termination.kind == "interrupted"
    assert not alive(int(pid_file.read_text()))


async def test_a_message_of_megabytes(http_url: str, tmp_path: Path) -> None:
    for config in (SERVER, {"url": http_url}):
        source = server(**config)
        box = Toolbox([], [source], max_result=100)
        await box.start()
        (result,) = await box.run(calls(("huge", '{"size": 3000000}')).tool_calls)
        await box.stop()
        assert result.ok, result.body
        assert len(str(result.whole)) == 3_000_000


def test_the_package_is_loaded_with_the_first_server_only() -> None:
    code = (
        "import convtui.engine.conversation.commands, convtui.engine.process.process, sys;"
        "print([name for name in sys.modules if name.partition('.')[0] in ('mcp', 'mcp_types')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


# --- servers that do not start


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"command": ["no-such-program-here", "x"]},
         "the MCP server no-such-program-here x cannot be started: there is no"
         " no-such-program-here"),
        ({"command": ["true"], "cwd": "/no/such/folder"}, "there is no /no/such/folder"),
        ({"command": ["sh", "-c", "echo one >&2; echo no database >&2; exit 3"]},
         "ended before it was ready, with exit code 3:\n  one\n  no database"),
        ({"command": ["sh", "-c", "exec cat"]}, "does not speak MCP"),
        ({"url": "http://127.0.0.1:9/mcp"},
         "the MCP server http://127.0.0.1:9/mcp cannot be reached: "),
    ],
)  # fmt: skip
async def test_a_server_that_does_not_start_is_told_in_one_message(
    config: dict[str, Any], message: str
) -> None:
    source = server(**config)
    with pytest.raises(ToolError) as caught:
        await asyncio.wait_for(source.start(), 20)
    assert message in str(caught.value)
    assert source._process is None


async def test_a_failing_start_ends_an_unattended_run(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo key=trips-secret-4711 >&2; exit 3"]
    config = {"command": command, "env": {"TRIPS_API_KEY": "trips-secret-4711"}}
    bot, what = talk("never", tools=[{"mcp": config}])
    ran = await run(what, tmp_path)
    assert ran.ended == ("failed", "harness")
    assert (ran.termination.detail or {})["category"] == "tool"
    assert bot.calls == ["cleanup"], "setup() comes after the tool servers"
    assert "trips-secret" not in ran.path.read_text()


async def test_a_failing_start_holds_in_the_debugger_and_is_tried_again(tmp_path: Path) -> None:
    script = tmp_path / "late.py"
    config = {"command": [sys.executable, str(script)], "cwd": str(tmp_path)}

    def repair(desk: Any, hold: Any) -> None:
        script.write_text(NOISY)
        desk.carry_out("release", {"hold": hold["hold"], "choice": "retry"})

    _, what = talk(calls(("ping", "")), "done", tools=[{"mcp": config}])
    ran = await run(what, tmp_path, plan=[repair])
    hold = ran.driver.holds[0]
    assert (hold["reason"], hold["stage"]) == ("error", "setup")
    assert "can't open file" in hold["detail"]
    assert back(ran) == {"ping": "pong"}


async def test_a_missing_package_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "mcp" or name.startswith("mcp."):
            raise ModuleNotFoundError("No module named 'mcp'", name="mcp")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ToolError, match=r"pip install 'convtui\[mcp\]'"):
        await server().start()


async def test_names_that_shadow_each_other_are_refused(tmp_path: Path) -> None:
    config = {"mcp": noisy(tmp_path)}

    def ping() -> str:
        return "mine"

    bot = Bot("x", tools=[ping])
    ran = await run(scenario(bot, ["hi"], tools=[config]), tmp_path)
    assert ran.termination.reason == (
        "two tools are called 'ping': the function test_mcp.ping and ping of the MCP server"
        " noisy.py; rename one of them or take it out"
    ).replace("test_mcp", __name__)
    _, what = talk("x", tools=[config, config])
    ran = await run(what, tmp_path)
    assert ran.termination.kind == "failed"
    assert "two tools are called 'ping'" in ran.termination.reason


# --- HTTP


async def test_a_server_over_http(tmp_path: Path, http_url: str) -> None:
    bot, what = talk(
        calls(("seats", '{"day": "Friday"}'), ("picture", ""), ("refuse", "")),
        # The notice comes on another stream than the result, and may come later.
        calls(("learn", "")), calls(("slow", '{"seconds": 0.4}')), calls(("fly", '{"to": "Rome"}')),
        "done",
        tools=[{"mcp": {"url": http_url, "headers": {"Authorization": "Bearer abcdefgh12345"}}}],
    )  # fmt: skip
    ran = await run(what, tmp_path)
    results = back(ran)
    assert results["seats"] == "1 of 6 on Friday"
    assert results["picture"] == "[image: image/png, 33 bytes]"
    assert results["refuse"]["error_kind"] == "tool_execution_exception"
    assert results["fly"] == "flown to Rome"
    assert "abcdefgh12345" not in ran.path.read_text()
    assert bot.answered == 5


async def test_an_http_server_that_dies_is_connected_to_again() -> None:
    port = free_port()
    source = None
    with http_server(port) as url:
        source = server(url=url)
        await source.start()
        box = Toolbox([], [source], timeout=20)
        box._collect()
        (crashed,) = await box.run(calls(("crash", "")).tool_calls)
        assert "cannot be reached" in crashed.body["message"]
        (dead,) = await box.run(calls(("seats", '{"day": "a"}')).tool_calls)
        assert "does not start again" in dead.body["message"]
    with http_server(port):
        (result,) = await box.run(calls(("seats", '{"day": "a"}')).tool_calls)
        assert result.body == "1 of 1 on a"
        await asyncio.wait_for(source.stop(), 20)


# --- in a scenario


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "an MCP server has either a command or a url"),
        ({"command": ["x"], "url": "http://a/"}, "an MCP server has either a command or a url"),
        ({"url": "ftp://a/"}, "must be an http:// or https:// address"),
        ({"url": "http://a/", "env": {"A": "b"}}, "gets no environment"),
        ({"command": ["x"], "headers": {"A": "b"}}, "a program has env"),
    ],
)
def test_a_server_that_is_written_wrong(config: dict[str, Any], message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        Scenario.from_data({"tools": [{"mcp": config}]}, base=Path("/"))


def test_a_server_is_started_in_the_folder_of_the_scenario(tmp_path: Path) -> None:
    data: dict[str, Any] = {"tools": [{"mcp": {"command": ["x"]}}]}
    (tool,) = Scenario.from_data(data, base=tmp_path).tools
    assert tool.mcp is not None
    assert tool.mcp.cwd == str(tmp_path)


async def test_what_the_log_has_without_its_secret_comes_from_the_scenario_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = 'str(__import__("os").environ.get("TRIPS_API_KEY"))'
    config = noisy(tmp_path, NOISY.replace('"pong"', key))
    config["env"] = {"TRIPS_API_KEY": "first-secret-4711"}
    asks = calls(("ping", ""))
    bot, what = talk(asks, "x", asks, "y", asks, "z", asks, "w", tools=[{"mcp": config}])
    file = tmp_path / "scenario.yaml"
    file.write_text(json.dumps(what.model_dump(mode="json", exclude_unset=True)))
    parent = await run(Scenario.load(file), tmp_path)
    assert back(parent)["ping"] == "[redacted]", "in the log; the model saw it"
    assert "first-secret" not in parent.path.read_text()
    before = parent.of("turn.started")[1]["seq"] - 1
    monkeypatch.setenv("TRIPS_API_KEY", "other-9")
    ran = await resume(parent.path, tmp_path, seq=before, kind="rewind")
    assert back(ran)["ping"] == "[redacted]", "it got the value of the file, which is a secret"
    config["env"] = {"TRIPS_API_KEY": "newer-9"}
    file.write_text(file.read_text().replace("first-secret-4711", "newer-9"))
    ran = await resume(parent.path, tmp_path, seq=before, kind="rewind")
    assert back(ran)["ping"] == "newer-9"
    file.unlink()
    ran = await resume(parent.path, tmp_path, seq=before, kind="rewind")
    assert back(ran)["ping"] == "None", "never from the environment"
    assert bot.answered == 8


async def test_signals_reach_only_the_server(tmp_path: Path) -> None:
    source = server(**noisy(tmp_path))
    await source.start()
    process = source._process
    assert process is not None
    os.kill(process._process.pid, signal.SIGKILL)
    await until(process.gone.is_set)
    box = Toolbox([], [source])
    box._collect()
    (result,) = await box.run(calls(("ping", "")).tool_calls)
    assert result.body == "pong", "found dead before the call: started again, and called"
    await box.stop()


async def test_a_log_starts_no_program_that_this_user_has_not_named(tmp_path: Path) -> None:
    started = tmp_path / "started"
    config = noisy(tmp_path, f"open({str(started)!r}, 'a').write('x')\n" + NOISY)
    _, what = talk("x", tools=[{"mcp": config}])
    parent = await run(what, tmp_path)
    before = parent.of("turn.started")[1]["seq"] - 1
    assert started.read_text() == "x"
    ran = await resume(parent.path, tmp_path, seq=before)
    assert ran.ended == ("completed", "simulator"), "this user's own log"
    assert started.read_text() == "xx"
    file = tmp_path / "scenario.yaml"
    file.write_text(json.dumps({"tools": [{"mcp": config}]}))
    header, _, rest = parent.path.read_text().partition("\n")
    record = json.loads(header)
    record["scenario"]["source"]["file"] = str(file)
    parent.path.write_text(json.dumps(record) + "\n" + rest)
    with pytest.raises(ConsentNeeded, match=r"start the program .*noisy\.py .*\n.*--trust"):
        await resume(parent.path, tmp_path, seq=before)
    assert started.read_text() == "xx", "a scenario file that a log names is no word of the user's"
