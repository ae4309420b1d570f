"""What a log says about one turn."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from convtui.errors import LogError
from convtui.log.detail import TurnDetail, fold_until, read_turn, request_messages
from convtui.log.reader import open_log
from convtui.log.recordfile import RecordFile
from convtui.log.transcript_json import folded
from convtui.records.models import (
    DebugEdited,
    LlmPartial,
    LlmRetry,
    ProviderOutput,
    ToolCalled,
    ToolReturned,
    Warned,
)
from tests.builders.conversations import Bot, calls, cut_turn, run, scenario
from tests.builders.logs import as_records, conversation, sample, session, turn, write_log
from tests.places import RUNS


def details(path: Path) -> dict[str, TurnDetail]:
    """Every turn of a log by its address."""
    with open_log(path) as log:
        file = RecordFile(path, log.transcript.offsets)
        try:
            return {turn.address: read_turn(file, turn) for turn in log.transcript.turns}
        finally:
            file.close()


def test_stages_of_a_plain_and_a_discarded_turn(tmp_path: Path) -> None:
    turns = details(write_log(tmp_path / "a.jsonl", sample()))
    dropped = turns["2:2"]
    assert dropped.stage_runs[0].discarded is not None
    assert dropped.matches[0]["signal"] == "[[ERROR]]"
    last = turns["2:4"]
    assert last.raw == "<think>hm</think>Of course. [[DONE]]"
    assert last.shown == "Of course."
    assert last.calls[0].side == "provider"


def test_records_are_sorted_by_what_they_are(tmp_path: Path) -> None:
    more = [
        ToolCalled(id="c1", name="f", raw_arguments="{}"),
        ToolReturned(id="c1", name="f", ok=True, result=1),
        ToolReturned(id="c9", name="g", ok=True, result=2),
        ProviderOutput(stream="stdout", text="hi\n"),
        Warned(message="careful"),
        DebugEdited(field="raw", before="x", after="y"),
    ]
    turns = [turn(1, "persona", "hi"), turn(2, "provider", "x", more=more)]
    path = write_log(tmp_path / "a.jsonl", conversation(session(1, "s", turns)), close=False)
    detail = details(path)["1:2"]
    assert [(a["id"], (b or {}).get("result")) for a, b in detail.tools] == [("c1", 1), ("c9", 2)]
    assert [o["text"] for o in detail.outputs] == ["hi\n"]
    assert [w["message"] for w in detail.warnings] == ["careful"]
    assert detail.raw == "y"
    assert detail.response is not None
    assert detail.response["raw"] == "x"


def test_partials_and_retries_belong_to_their_call(tmp_path: Path) -> None:
    plain = conversation(session(1, "s", [turn(1, "provider", "whole")]))
    records = as_records(plain)
    request = next(r["seq"] for r in records if r["type"] == "llm.request")
    at = {"session": 1, "turn": 1, "side": "provider", "call": request}
    after = request + 1
    plain[after:after] = [
        LlmPartial(**at, offset=0, text="ha"),
        LlmPartial(**at, offset=2, text="lf"),
        LlmRetry(**at, n=1, delay=0.1, error={"message": "gone"}),
    ]
    call = details(write_log(tmp_path / "a.jsonl", plain, close=False))["1:1"].calls[0]
    assert call.partial == "half"
    assert len(call.retries) == 1


async def test_edits_make_stage_runs(tmp_path: Path) -> None:
    ran = await run(
        scenario(Bot("first"), ["a"], breakpoints=["~stage commit & ~speaker provider"]),
        tmp_path,
        plan=[("edit", {"raw": "second"}), "go"],
    )
    detail = details(ran.path)["1:2"]
    assert [run.revision for run in detail.stage_runs] == [1, 2]
    assert detail.stage_runs[1].committed is not None
    assert detail.raw == "second"


@pytest.mark.parametrize(
    ("speaker", "plan", "raws"),
    [
        ("persona", [("edit", {"raw": "b"}), "go"], ["a", "b"]),
        (
            "provider",
            [("edit", {"raw": "b"}), "go", ("edit", {"raw": "c"}), "undo", "go"],
            ["b", "c", "b"],
        ),
    ],
)
async def test_a_run_of_the_stages_has_the_reply_that_it_began_with(
    tmp_path: Path, speaker: str, plan: list[Any], raws: list[str]
) -> None:
    at = ["response", "commit"] if speaker == "provider" else ["commit"]
    breakpoints = [f"~speaker {speaker} & ~stage {stage}" for stage in at]
    what = scenario(Bot("first"), ["a"], breakpoints=breakpoints)
    detail = details((await run(what, tmp_path, plan=plan)).path)[
        "1:1" if speaker == "persona" else "1:2"
    ]
    assert [detail.raw_of(run) for run in detail.stage_runs] == raws


async def test_the_exact_messages_of_a_request(tmp_path: Path) -> None:
    def look() -> int:
        return 3

    bot = Bot(calls(("look", "")), "three", "ok", tools=[look])
    ran = await run(scenario(bot, ["a", "b"]), tmp_path)
    with open_log(ran.path) as log:
        file = RecordFile(ran.path, log.transcript.offsets)
        sent = [request_messages(file, request) for request in ran.of("llm.request")]
        file.close()
    assert sent == bot.sent


async def test_a_seeded_turn_has_no_records_here(tmp_path: Path) -> None:
    parent = await run(scenario(Bot(), ["a", "b"]), tmp_path)
    child = await cut_turn(parent, 3, tmp_path, scenario(Bot(), ["a", "b"]))
    turns = details(child.path)
    assert turns["1:1"].records == []
    assert turns["1:3"].records


def test_the_summary_of_a_turn_as_it_stood() -> None:
    records = as_records(turn(1, "provider", "clean", raw="raw"))
    summary = fold_until(records, lambda record: record["type"] != "response.processed")
    assert summary is not None
    assert (summary.text, summary.stage) == ("raw", "signals")


def test_files_and_records_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="cannot be read"):
        RecordFile(tmp_path / "nope.jsonl", [])
    path = write_log(tmp_path / "a.jsonl", sample())
    with open_log(path) as log:
        file = RecordFile(path, log.transcript.offsets)
        with pytest.raises(IndexError):
            file.read(-1)
        with pytest.raises(IndexError):
            file.read(10_000)
        with pytest.raises(ValueError, match="no record"):
            file.by_seq(10_000)
        assert len(list(file.range(-5, 10_000))) == log.transcript.records
        file.close()


WRONG: list[Any] = [{}, [], "x", None, 1.5, True, -3, 10**30, [{}], {"a": 1}]


@pytest.mark.parametrize("name", ["discarded.jsonl", "responder-stopped.jsonl"])
def test_a_log_with_one_wrong_field_is_shown_all_the_same(tmp_path: Path, name: str) -> None:
    whole = [json.loads(line) for line in (RUNS / name).read_bytes().splitlines()]
    chance = random.Random(name)
    log = tmp_path / "a.jsonl"
    for _ in range(60):
        records = [dict(record) for record in whole]
        record = records[chance.randrange(1, len(records))]
        record[chance.choice(sorted(record))] = chance.choice(WRONG)
        log.write_text("".join(f"{json.dumps(record)}\n" for record in records))
        with open_log(log) as opened:
            json.dumps(folded(opened))
