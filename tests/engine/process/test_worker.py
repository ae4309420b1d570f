"""An engine process that hosts many conversations."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from convtui.log.reader import open_log
from convtui.protocol import Kind, StartSpec
from convtui.scenario.scenario import Scenario
from tests.builders.worker import WorkerDriver, bot_spec, hosting

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals"),
]


@pytest.fixture(autouse=True)
def short_lived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))


@pytest.mark.real_processes
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


WAITS = """
    async def bot(messages):
        said = messages[-1]["content"]
        if said.startswith("wait"):
            await asyncio.Event().wait()
        if said.startswith("later"):
            while not os.path.exists(said.split()[1]):
                await asyncio.sleep(0.01)
            time.sleep(60)
        if said.startswith("block"):
            time.sleep(float(said.split()[1]))
        return f"heard {said}"
    """


def holds(worker: WorkerDriver, conversation: int) -> list[str]:
    """The reasons of all holds that the gate of a conversation has told of."""
    gates = worker.found(Kind.GATE, conversation)
    return [gate["hold"]["reason"] for gate in gates if gate["hold"]]


async def test_a_held_conversation_stops_no_other_and_is_watched_and_let_go(
    tmp_path: Path,
) -> None:
    held = bot_spec(
        tmp_path, WAITS, script=["apple", "pear"], watched=True, paused=True, hold_endings=False
    )
    plain = bot_spec(tmp_path, WAITS, script=["stone"])
    async with hosting() as worker:
        worker.begin(held, plain)
        await worker.all_ended(1)
        assert list(worker.ended) == [2]
        await worker.when(lambda: worker.rows.get(1, {}).get("state") == "held")
        hold = worker.rows[1]["hold"]
        assert (hold["reason"], hold["stage"]) == ("pause", "request")
        # Until somebody watches, its records stay where they are.
        assert not worker.found(Kind.RECORD, 1)
        worker.send(Kind.WATCH, conversation=1, on=True)
        await worker.when(lambda: bool(worker.found(Kind.CATCH_UP, 1)))
        assert worker.found(Kind.GATE, 1)[-1]["state"] == "held"
        (caught_up,) = worker.found(Kind.CATCH_UP, 1)
        log = Path(worker.found(Kind.READY, 1)[0]["log"])
        assert len(log.read_text().splitlines()) == caught_up["from_seq"]
        worker.command(1, id=7, do="release", hold=99, choice="go")
        worker.command(1, id=8, do="run")
        # Who watches it may override its ending, too.
        await worker.when(lambda: "ending" in holds(worker, 1))
        worker.command(1, id=8, do="run")
        await worker.all_ended(2)
        refused, done, _ = worker.found(Kind.ACK, 1)
        assert (refused["id"], refused["ok"], done["id"], done["ok"]) == (7, False, 8, True)
        # All records from there on have come as frames, in order.
        seqs = [record["seq"] for record in worker.found(Kind.RECORD, 1)]
        assert seqs == list(range(caught_up["from_seq"], len(log.read_text().splitlines())))
        worker.command(1, id=9, do="pause")
        await worker.when(lambda: len(worker.found(Kind.ACK, 1)) == 4)
        assert "is over" in worker.found(Kind.ACK, 1)[-1]["reason"]


async def test_a_filter_looks_at_what_was_said_and_at_what_is_being_said(tmp_path: Path) -> None:
    def paused(*script: str) -> StartSpec:
        return bot_spec(
            tmp_path,
            WAITS,
            script=[*script],
            watched=True,
            breakpoints=["~turn = 3"],
            hold_endings=False,
        )

    def matches() -> list[Any]:
        return [worker.rows.get(number, {}).get("match") for number in (1, 2, 3)]

    async with hosting() as worker:
        worker.begin(paused("an apple", "x"), paused("x", "an apple"), paused("x", "y"))
        await worker.when(lambda: all(worker.rows.get(n, {}).get("hold") for n in (1, 2, 3)))
        assert matches() == [None, None, None]
        worker.send(Kind.FILTER, expression='~raw "heard an apple"')
        await worker.when(lambda: matches() == [True, False, False])
        for number in (1, 2):
            worker.command(number, id=1, do="run")
        await worker.all_ended(2)
        assert [worker.ended[number]["row"]["match"] for number in (1, 2)] == [True, True]
        worker.send(Kind.FILTER, expression="~no such atom (")
        await worker.when(lambda: matches()[2] is False)
        worker.send(Kind.FILTER, expression="")
        await worker.when(lambda: matches()[2] is None)


async def test_code_that_blocks_is_named_and_can_be_given_up(tmp_path: Path) -> None:
    def blocks(conversation: int) -> list[dict[str, Any]]:
        frames = worker.found(Kind.BLOCKED)
        return [frame for frame in frames if frame["conversation"] == conversation]

    async with hosting() as worker:
        worker.begin(
            bot_spec(tmp_path, WAITS, script=["wait here"]),
            bot_spec(tmp_path, WAITS, script=["block 1.7", "and on"]),
        )
        await worker.all_ended(1)
        await worker.when(lambda: bool(blocks(2)) and not blocks(2)[-1]["seconds"])
        first = blocks(2)[0]
        assert first["seconds"] >= 1 and first["where"].endswith("bot_under_test.py:12 in bot")
        assert worker.ended[2]["termination"]["kind"] == "completed"
        # One is given up while another blocks: its log is closed at once.
        worker.begin(bot_spec(tmp_path, WAITS, script=["block 1.5"]), first=3)
        await worker.when(lambda: bool(blocks(3)))
        worker.command(1, id=5, do="give_up", reason="enough of it")
        log = Path(worker.found(Kind.READY, 1)[0]["log"])
        await worker.when(lambda: bool(worker.found(Kind.ACK, 1)))
        await worker.all_ended(3)
        assert json.loads(log.read_text().splitlines()[-1])["termination"]["kind"] == "failed"
        assert worker.ended[1]["termination"]["reason"] == "enough of it"
        assert worker.ended[3]["termination"]["kind"] == "completed"
        assert not worker.found(Kind.FAILED, 1)


async def test_one_that_cannot_begin_harms_no_other(tmp_path: Path) -> None:
    bad = bot_spec(tmp_path, WAITS, script=["x"])
    bad.scenario["provider"]["use"] += "_that_is_not_there"
    async with hosting() as worker:
        worker.begin(bad, bot_spec(tmp_path, WAITS, script=["x"]))
        await worker.all_ended(2)
        assert "bot_that_is_not_there" in worker.found(Kind.FAILED, 1)[0]["error"]["message"]
        ended = worker.ended[1]
        assert (ended["termination"], ended["log"], ended["status"]) == (None, None, 2)
        assert worker.ended[2]["status"] == 0


@pytest.mark.parametrize("how", ["hang up", "SIGTERM", "hang up on one that blocks"])
async def test_whoever_ends_the_worker_leaves_whole_logs(tmp_path: Path, how: str) -> None:
    count = 20
    scripts = [["x", "wait"] for _ in range(count)]
    if how == "hang up on one that blocks":
        scripts[3] = ["x", f"later {tmp_path / 'now'}"]
    async with hosting() as worker:
        worker.begin(*(bot_spec(tmp_path, WAITS, script=script) for script in scripts))
        await worker.when(lambda: [r["turns"] for r in worker.rows.values()].count(3) == count)
        if how == "hang up on one that blocks":
            (tmp_path / "now").touch()
            await worker.when(lambda: bool(worker.found(Kind.BLOCKED)))
        if how == "SIGTERM":
            worker.process.send_signal(signal.SIGTERM)
        else:
            worker.hang_up()
        await worker.when(lambda: worker.closed)
    logs = list((tmp_path / "runs").glob("*.jsonl"))
    assert len(logs) == count
    for path in logs:
        with open_log(path) as log:
            assert log.findings == []
            termination = log.transcript.termination
        assert termination is not None and termination["kind"] == "interrupted"


SLOW = """
async def bot(messages):
    await asyncio.sleep(60)
"""


async def test_one_that_is_expendable_leaves_its_logs_as_they_are(tmp_path: Path) -> None:
    """What it has begun is run again elsewhere, from these logs."""
    async with hosting(expendable=True) as worker:
        worker.begin(bot_spec(tmp_path, SLOW, script=["one"]))
        await worker.when(lambda: worker.rows.get(1, {}).get("turns") == 1)
        (ready,) = worker.found(Kind.READY, 1)
        worker.hang_up()
        await worker.when(lambda: worker.closed)
        assert worker.process.wait() == -signal.SIGKILL
    with open_log(ready["log"]) as log:
        assert [turn.text for turn in log.transcript.turns if turn.text] == ["one"]
        assert log.transcript.termination is None


async def test_files_that_stand_elsewhere_are_named_as_at_home(tmp_path: Path) -> None:
    home, here = tmp_path / "home-of-it", tmp_path / "copy"
    home.mkdir()
    spec = bot_spec(home, "async def bot(messages):\n    raise ValueError('no')", script=["one"])
    home.rename(here)
    spec.out_dir = str(tmp_path / "out")
    async with hosting(moved=[[str(home), str(here)]]) as worker:
        worker.begin(spec)
        await worker.all_ended(1)
        ended = worker.ended[1]
    named = str(home / "bot_under_test.py")
    assert ended["termination"]["detail"]["frames"][0].startswith(f"{named}:")
    with open_log(ended["log"]) as log:
        assert log.transcript.header["provider"]["file"] == named
    assert str(here) not in Path(ended["log"]).read_text()


async def test_a_file_is_imported_once_and_an_object_in_it_belongs_to_one_conversation(
    tmp_path: Path,
) -> None:
    body = """
        from convtui import Provider
        print("this module runs")
        class Counting(Provider):
            def __init__(self):
                self.calls = 0
            async def generate_response(self, messages):
                self.calls += 1
                await asyncio.sleep(0)
                return f"call {self.calls}"
        Bot = Counting
        bot = Counting()
        """
    classes = [bot_spec(tmp_path, body, script=["a", "b"]) for _ in range(3)]
    for spec in classes:
        spec.scenario["provider"]["use"] = spec.scenario["provider"]["use"].replace(":bot", ":Bot")
    async with hosting() as worker:
        worker.begin(*classes)
        await worker.all_ended(3)
        # What is on the disk by now is not what runs.
        (tmp_path / "bot_under_test.py").write_text("no = python")
        worker.begin(*classes, first=4)
        await worker.all_ended(6)
        logs = [Path(worker.ended[number]["log"]).read_text() for number in range(1, 7)]
    assert sum(log.count("this module runs") for log in logs) == 1
    assert all(log.count('"text":"call 2"') and "call 3" not in log for log in logs)
    headers = [json.loads(log.splitlines()[0]) for log in logs]
    assert len({header["provider"]["sha256"] for header in headers}) == 1
    (tmp_path / "bot_under_test.py").unlink()
    made = [bot_spec(tmp_path, body, script=["a", "b"]) for _ in range(3)]
    async with hosting() as worker:
        worker.begin(*made)
        await worker.all_ended(3)
        logs = [Path(worker.ended[number]["log"]).read_text() for number in (1, 2, 3)]
    assert all(log.count('"text":"call 2"') and "call 3" not in log for log in logs)
