"""`converse()`: conversations in this process, any number of them side by side."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from convtui.engine.conversation.converse import converse
from convtui.errors import UsageError
from convtui.log.names import wire_path
from convtui.log.reader import open_log
from convtui.log.wire import read_wire
from convtui.protocol import StartSpec
from convtui.records.codec import RecordDict
from convtui.scenario.scenario import Scenario
from tests.fakes.openai_server import OpenAIServer

BOT = """
import asyncio, os
import httpx

class Bot:
    def __init__(self, url, name, api_key):
        self.url, self.name, self.key, self.calls = url, name, api_key, 0

    async def generate_response(self, messages):
        self.calls += 1
        await asyncio.sleep(0)
        body = {"model": self.name, "messages": [{"role": "user", "content": f"from {self.name}"}]}
        async with httpx.AsyncClient(verify=False) as http:
            await http.post(self.url + "/chat/completions", json=body)
        if self.name.endswith("7") and self.calls == 2:
            raise ValueError("no more of " + self.name)
        return f"{self.name} call {self.calls}, my key is {self.key}"
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))


def spec(folder: Path, url: str, name: str, **keys: Any) -> tuple[Scenario, StartSpec]:
    (folder / "bot.py").write_text(BOT)
    options = {"url": url, "name": name, "api_key": f"planted-{name}-0123456789"}
    scenario = Scenario.from_data(
        {
            "persona": {"name": name, "script": ["one", "two"]},
            "provider": {"use": "bot.py:Bot", "options": options},
            **keys,
        },
        base=folder,
    )
    out = str(folder / "runs")
    return scenario, StartSpec(scenario=scenario.for_engine(), out_dir=out, wire="all")


async def run(scenario: Scenario, how: StartSpec) -> list[RecordDict]:
    return [record async for record in converse(scenario, spec=how)]


def written(folder: Path, name: str) -> tuple[Path, str]:
    """The log of a conversation, and all that is kept of it."""
    logs = (folder / "runs").glob(f"*_{name}_*.jsonl")
    (log,) = (path for path in logs if ".wire." not in path.name)
    wire = wire_path(log)
    return log, log.read_text() + (wire.read_text() if wire.exists() else "")


async def test_fifty_at_once_have_nothing_of_each_other(tmp_path: Path) -> None:
    names = [f"who{number:02}" for number in range(50)]
    async with OpenAIServer() as server:
        ended = await asyncio.gather(*(run(*spec(tmp_path, server.url, name)) for name in names))
        assert len(server.requests) == 100
    for name, records in zip(names, ended, strict=True):
        log, kept = written(tmp_path, name)
        with open_log(log) as opened:
            assert opened.findings == []
            assert opened.transcript.records == len(records)
            said = [turn.text for turn in opened.transcript.turns if turn.speaker == "provider"]
        assert said[0] == f"{name} call 1, my key is [redacted]"
        failed = name.endswith("7")
        assert records[-1]["termination"]["kind"] == ("failed" if failed else "completed")
        assert len(read_wire(wire_path(log))) == 2
        assert "planted-" not in kept
        assert not any(other in kept for other in names if other != name)


async def test_two_in_the_hands_of_one_caller(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        running = {}
        for name in ("alpha", "bravo"):
            scenario, how = spec(tmp_path, server.url, name)
            running[name] = converse(scenario, spec=how)
        ended: list[str] = []
        while running:
            for name, records in list(running.items()):
                record = await anext(records, None)
                if record is None:
                    ended.append(name)
                    del running[name]
            # What the caller sends is in neither.
            async with httpx.AsyncClient(verify=False) as http:
                await http.get(f"{server.url}/models", params={"q": "mine"})
    assert sorted(ended) == ["alpha", "bravo"]
    for name, other in (("alpha", "bravo"), ("bravo", "alpha")):
        log, kept = written(tmp_path, name)
        assert len(read_wire(wire_path(log))) == 2
        assert other not in kept and "mine" not in kept


async def test_one_that_is_left_ends_and_the_others_go_on(tmp_path: Path) -> None:
    async with OpenAIServer() as server:

        async def leave(name: str) -> None:
            scenario, how = spec(tmp_path, server.url, name)
            records = converse(scenario, spec=how)
            async for record in records:
                if record["type"] == "turn.committed":
                    break
            await records.aclose()  # type: ignore[attr-defined]

        other = asyncio.ensure_future(run(*spec(tmp_path, server.url, "stays")))
        await leave("leaves")
        assert (await other)[-1]["termination"]["kind"] == "completed"
    log, _ = written(tmp_path, "leaves")
    with open_log(log) as opened:
        assert opened.findings == []
        assert (opened.transcript.termination or {})["reason"] == "the caller left"


async def test_an_environment_that_says_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_A_FILE", "before")
    variables = {value: tmp_path / f"{value}.env" for value in ("first", "second")}
    for value, path in variables.items():
        path.write_text(f"OF_A_FILE={value}\n")

    def with_file(name: str, value: str) -> tuple[Scenario, StartSpec]:
        scenario, how = spec(tmp_path, "http://127.0.0.1:9", name)
        how.env_file = str(variables[value])
        return scenario, how

    scenario, how = with_file("alpha", "first")
    records = converse(scenario, spec=how)
    await anext(records)
    assert os.environ["OF_A_FILE"] == "first"
    with pytest.raises(UsageError, match=r"second\.env: OF_A_FILE has another value in .*first"):
        await run(*with_file("bravo", "second"))
    await run(*with_file("charlie", "first"))
    assert os.environ["OF_A_FILE"] == "first"
    await records.aclose()  # type: ignore[attr-defined]
    assert os.environ["OF_A_FILE"] == "before"
    scenario, how = with_file("bravo", "second")
    seen = [os.environ["OF_A_FILE"] async for _ in converse(scenario, spec=how)]
    assert set(seen) == {"second"} and os.environ["OF_A_FILE"] == "before"
