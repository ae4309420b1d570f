"""An engine process that hosts many conversations."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from convtui.log.reader import open_log
from convtui.protocol import Kind, StartSpec
from convtui.scenario.scenario import Scenario
from tests.builders.worker import bot_spec, hosting

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real_engines,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals"),
]


@pytest.fixture(autouse=True)
def short_lived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))


async def test_two_conversations_each_with_a_log_of_its_own(tmp_path: Path) -> None:
    body = """
    async def bot(messages):
        said = messages[-1]["content"]
        print("heard", said)
        await asyncio.sleep(0)
        return f"you said {said}"
    """
    async with hosting() as worker:
        worker.begin(
            bot_spec(tmp_path, body, script=["apple", "pear"]),
            bot_spec(tmp_path, body, script=["stone", "sand"]),
        )
        await worker.all_ended(2)
        for number, own, other in ((1, "apple", "stone"), (2, "stone", "apple")):
            ended = worker.ended[number]
            assert ended["status"] == 0 and ended["termination"]["kind"] == "completed"
            text = Path(ended["log"]).read_text()
            assert f"you said {own}" in text and f"heard {own}" in text and other not in text
            with open_log(Path(ended["log"])) as log:
                assert log.findings == []
        assert not worker.found(Kind.OUTPUT)


MANY = 200
SCRIPTS = (
    ["use a tool", "background"],
    ["a thread of its own", "background"],
    ["use a tool", "fail"],
)


def busy(folder: Path, number: int) -> StartSpec:
    """One of many conversations with `busy_provider`, which has a password of its own."""
    # Where the first call is answered by a fault, the provider hears its mark with the second.
    opening = [mark(number)] * (1 if number % 5 else 2)
    scenario = Scenario.from_data(
        {
            "persona": {"name": f"P{number:03}", "script": [*opening, *SCRIPTS[number % 3]]},
            "provider": {
                "use": f"{Path(__file__).parent / 'busy_provider.py'}:Bot",
                "options": {"password": f"opaque-{number:03}", "other": f"opaque-{number + 1:03}"},
            },
            "budget": {"tokens": 10_000},
        },
        base=folder,
    )
    faults = {"provider": {"fault": "error_text", "left": 1, "text": f"injected {mark(number)}"}}
    return StartSpec(
        scenario=scenario.for_engine(), out_dir=str(folder / "runs"), wire="off",
        faults=faults if number % 5 == 0 else {},
    )  # fmt: skip


def mark(number: int) -> str:
    return f"<{number:03}>"


async def test_two_hundred_at_once_are_each_on_their_own(tmp_path: Path) -> None:
    async with hosting() as worker:
        worker.begin(*(busy(tmp_path, number) for number in range(MANY)), first=0)
        await worker.all_ended(MANY)
        frames = {number: json.dumps(worker.of[number]) for number in range(MANY)}
        unowned = "".join(frame["text"] for frame in worker.found(Kind.OUTPUT))
        ended, rows = worker.ended, {n: end["row"] for n, end in worker.ended.items()}
    for number in range(MANY):
        text = Path(ended[number]["log"]).read_text()
        own = mark(number)
        assert set(re.findall(r"<\d{3}>", text + frames[number])) == {own}
        records = [json.loads(line) for line in text.splitlines()]
        printed = "".join(r["text"] for r in records if r["type"] == "provider.output")
        # Its own password is a secret, that of another is not known to be one.
        assert f"opaque-{number:03}" not in text and f"opaque-{number + 1:03}" in printed
        expected = [
            f"out {own} goes on [redacted]",
            f"err {own}",
            f"logged by {own}",
            f"thread {own}",
        ]
        script = SCRIPTS[number % 3]
        if "background" in script:
            expected.append(f"LookupError: background of {own}")
        if "use a tool" in script:
            expected.append(f"tool for {own}")
            assert f"somewhere of {own}" in text and f"no place for {own}" in text
        assert [line for line in expected if line not in printed] == []
        replies = [r for r in records if r["type"] == "llm.response" and r.get("metadata")]
        assert {r["metadata"]["owner"] for r in replies} == {own}
        kind = "failed" if "fail" in script else "completed"
        assert ended[number]["termination"]["kind"] == kind == rows[number]["termination"]["kind"]
        assert records[-1]["type"] == "trailer" and rows[number]["state"] == "over"
        if kind == "failed":
            assert f"failed for {own}" in ended[number]["termination"]["reason"]
        assert (f"injected {own}" in text) == (number % 5 == 0)
    # What cannot be attributed is in no log.
    assert "nobody knows who printed this" in unowned and "<" not in unowned
