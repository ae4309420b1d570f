"""`converse()` side by side: nothing of one conversation gets into another."""

from __future__ import annotations

import asyncio
import json
import os
import re
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from convtui.engine.conversation.converse import converse
from convtui.errors import UsageError
from convtui.log.names import wire_path
from convtui.log.wire import read_wire
from convtui.protocol import StartSpec
from convtui.records.models import RecordDict
from convtui.scenario.scenario import Scenario

MANY = 50
PROVIDER = """
import asyncio, os

import httpx

from convtui import Reply

ANSWERS = httpx.MockTransport(lambda request: httpx.Response(200, content=request.content))


class Bot:
    def __init__(self, password, other):
        self.passwords = f"{password} {other}"
        self.heard = []

    async def generate_response(self, messages):
        said = messages[-1]["content"]
        self.heard.append(said)
        async with httpx.AsyncClient(transport=ANSWERS) as client:
            for _ in range(2):
                await client.post(f"http://{self.heard[0]}.test/", content=said)
                await asyncio.sleep(0)
        text = f"{' '.join(self.heard)}: {self.passwords} {os.environ.get('OF_A_FILE')}"
        return Reply(text, metadata={"heard": list(self.heard)})
"""


def spec_of(folder: Path, number: int, **fields: Any) -> StartSpec:
    path = folder / "bot.py"
    if not path.exists():
        path.write_text(PROVIDER)
    scenario = Scenario.from_data(
        {
            "persona": {"name": "Maya", "script": [f"m{number:03}", f"again{number:03}"]},
            "provider": {
                "use": f"{path}:Bot",
                "options": {"password": f"opaque-{number:03}", "other": f"opaque-{number + 1:03}"},
            },
        },
        base=folder,
    )
    return StartSpec(
        scenario=scenario.for_engine(), out_dir=str(folder / "runs"), wire="all", **fields
    )


async def records_of(spec: StartSpec) -> list[RecordDict]:
    return [record async for record in converse(Scenario.from_data({}), spec=spec)]


async def test_fifty_at_once_do_not_mix(tmp_path: Path) -> None:
    variables = tmp_path / "keys.env"
    variables.write_text("OF_A_FILE=a value of it\n")
    specs = [spec_of(tmp_path, number, env_file=str(variables)) for number in range(MANY)]
    for number, records in enumerate(await asyncio.gather(*map(records_of, specs))):
        text = json.dumps(records)
        assert {int(n) for n in re.findall(r"(?:m|again)(\d{3})\b", text)} == {number}
        # Each masks its own password, and no other.
        assert f"opaque-{number:03}" not in text and f"opaque-{number + 1:03}" in text
        assert "a value of it" in text
        assert records[-1]["termination"]["kind"] == "completed"
        run = records[0]["id"]
        (log,) = (tmp_path / "runs").glob(f"*{run[:6]}.jsonl")
        exchanges = read_wire(wire_path(log))
        assert {exchange.url for exchange in exchanges} == {f"http://m{number:03}.test/"}
        assert len(exchanges) == 4
    assert "OF_A_FILE" not in os.environ


async def test_an_environment_that_says_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_A_FILE", "before")
    one, other = tmp_path / "one.env", tmp_path / "other.env"
    one.write_text("OF_A_FILE=first\n")
    other.write_text("OF_A_FILE=second\n")
    nobody = Scenario.from_data({})
    spec = spec_of(tmp_path, 1, env_file=str(one))
    async with aclosing(converse(nobody, spec=spec)) as records:  # type: ignore[type-var]
        await anext(records)
        assert os.environ["OF_A_FILE"] == "first"
        with pytest.raises(UsageError, match=r"other\.env: OF_A_FILE has another value in .*one"):
            await records_of(spec_of(tmp_path, 2, env_file=str(other)))
        assert (await records_of(spec_of(tmp_path, 3, env_file=str(one))))[-1]["type"] == "trailer"
        assert os.environ["OF_A_FILE"] == "first"
    assert os.environ["OF_A_FILE"] == "before"
    assert "second" in json.dumps(await records_of(spec_of(tmp_path, 2, env_file=str(other))))
