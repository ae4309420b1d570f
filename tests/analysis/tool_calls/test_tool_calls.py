"""Tool calls of a log and their results: matched by id, over the whole log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.analysis.tool_calls.tool_calls import MadeCall, calls_of
from convtui.log.formats.registry import reader_for
from convtui.log.formats.store import store
from convtui.log.reader import open_log
from convtui.log.requests import digest
from convtui.log.tool_results import ToolResultsFile
from convtui.records.models import (
    LlmRequest,
    LlmResponse,
    Record,
    ToolDenied,
    ToolReturned,
    TurnInactive,
    TurnStarted,
)
from tests.builders.conversations import Bot, calls, run, scenario
from tests.builders.logs import conversation, ending, header, session, turn, write_log
from tests.builders.tool_logs import BAD, OK, call, result
from tests.places import SAMPLES


def read(tmp_path: Path, *turns: list[Record], **head: Any) -> list[MadeCall]:
    records = conversation(session(1, "work", turns, ending()), end=ending())
    records[0] = header(**head)
    with open_log(write_log(tmp_path / "run.jsonl", records)) as log:
        return calls_of(log)


def summary(log_calls: list[MadeCall]) -> list[tuple[str, bool | None, str]]:
    return [(made.id, made.outcome.success, made.outcome.rule) for made in log_calls]


def requesting(*calls: tuple[str, str], **more: Any) -> LlmResponse:
    wanted = [
        {"id": id_, "type": "function", "function": {"name": name, "arguments": '{"a": 1}'}}
        for id_, name in calls
    ]
    return LlmResponse(raw="", tool_calls=wanted, **more)


def test_many_parallel_calls_keep_their_results(tmp_path: Path) -> None:
    # More results than a window of four messages after the calls would contain.
    ids = [f"c{number}" for number in range(12)]
    more = [*(call(id_) for id_ in ids), *(result(id_, OK) for id_ in reversed(ids))]
    log_calls = read(tmp_path, turn(1, "provider", "Done.", more=more))
    assert summary(log_calls) == [(id_, True, "exit code") for id_ in ids]
    assert [made.arguments for made in log_calls] == [{"command": id_} for id_ in ids]
    assert {made.seconds for made in log_calls} == {0.25}


def test_a_result_turns_later_is_that_of_its_call(tmp_path: Path) -> None:
    log_calls = read(
        tmp_path,
        turn(1, "provider", "Wait.", more=[call("c1")]),
        turn(2, "persona", "Yes?"),
        turn(3, "persona", "And?"),
        turn(4, "provider", "Here.", more=[result("c1", BAD)]),
    )
    assert summary(log_calls) == [("c1", False, "exit code")]
    assert (log_calls[0].turn, log_calls[0].result) == (1, BAD)


def test_a_missing_result_is_unknown(tmp_path: Path) -> None:
    log_calls = read(
        tmp_path, turn(1, "provider", "?", more=[call("c1"), call("c2"), result("c2", 1)])
    )
    assert summary(log_calls) == [("c1", None, "no result"), ("c2", True, "recorded")]


def test_ids_that_are_used_again_are_calls_of_their_own(tmp_path: Path) -> None:
    log_calls = read(
        tmp_path,
        turn(1, "provider", "One.", more=[call("call_1"), result("call_1", OK)]),
        turn(2, "provider", "Two.", more=[call("call_1"), result("call_1", BAD)]),
        turn(3, "provider", "Three.", more=[call("call_1")]),
    )
    assert [made.outcome.success for made in log_calls] == [True, False, None]


def test_ids_of_two_replies_do_not_cross(tmp_path: Path) -> None:
    first = call("call_1").model_copy(update={"call": 5})
    second = call("call_1").model_copy(update={"call": 9})
    back = result("call_1", BAD).model_copy(update={"call": 9})
    log_calls = read(tmp_path, turn(1, "provider", "One.", more=[first, second, back]))
    assert [made.outcome.success for made in log_calls] == [None, False]


def test_a_wish_and_its_call_are_one(tmp_path: Path) -> None:
    more = [requesting(("c1", "terminal"), ("c2", "browser")), call("c1"), result("c1", OK)]
    log_calls = read(tmp_path, turn(1, "provider", "Done.", more=more))
    assert summary(log_calls) == [("c2", None, "no result"), ("c1", True, "exit code")]
    assert log_calls[0].name == "browser"
    assert log_calls[0].arguments == {"a": 1}


def test_results_that_are_messages_of_a_later_request(tmp_path: Path) -> None:
    # A provider that runs its own tools: only its requests contain their results.
    back = [
        {"role": "tool", "tool_call_id": "c1", "content": '{"exit_code": 2}'},
        {"role": "tool", "tool_call_id": "warm_0_x", "content": "seeded, and no call of this log"},
    ]
    request = LlmRequest(append=back, sha256=digest(back))
    log_calls = read(
        tmp_path,
        turn(1, "provider", "One moment.", more=[requesting(("c1", "terminal"))]),
        turn(2, "provider", "Done.", more=[request]),
    )
    assert summary(log_calls) == [("c1", False, "exit code")]


def test_what_is_no_call_of_this_log(tmp_path: Path) -> None:
    reused = ToolReturned(
        id="c1", name="terminal", ok=True, result=OK, reused={"log": "parent.jsonl", "seq": 9}
    )
    again = requesting(("c1", "terminal"), reused={"log": "parent.jsonl", "seq": 8})
    decision = requesting(("d1", "responder_stop"))
    responder_turn = turn(2, "persona", "Stop.", more=[decision])
    responder_turn = [
        record.model_copy(update={"side": "responder"})
        if isinstance(record, LlmResponse)
        else record
        for record in responder_turn
    ]
    assert read(tmp_path, turn(1, "provider", "Done.", more=[again, reused]), responder_turn) == []


def test_a_denied_call_is_neither(tmp_path: Path) -> None:
    body = {"ok": False, "error_kind": "tool_denied", "message": "the call was denied"}
    denied = ToolDenied(id="c1", name="terminal", arguments={"command": "rm"})
    back = ToolReturned(id="c1", name="terminal", ok=False, result=body, error_kind="tool_denied")
    log_calls = read(tmp_path, turn(1, "provider", "Pity.", more=[denied, back]))
    assert summary(log_calls) == [("c1", None, "not run")]
    assert log_calls[0].seconds is None


def test_a_result_that_is_cut_is_judged_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    whole = '{"output": "' + "x" * 500 + '", "exit_code": 1}'
    back = ToolReturned(
        id="c1", name="terminal", ok=True, result=whole[:100], truncated=True, size=len(whole)
    )
    provider_turn = turn(1, "provider", "Done.", more=[call("c1"), back])
    records = conversation(session(1, "work", [provider_turn], ending()), end=ending())
    write_log(path, records)
    with open_log(path) as log:
        assert summary(calls_of(log)) == [("c1", True, "recorded")]
        seq = next(r["seq"] for r in log.records() if r["type"] == "tool.returned")
        ToolResultsFile(path).add(seq, "c1", "terminal", whole)
        assert summary(calls_of(log)) == [("c1", False, "exit code")]


async def test_tools_of_a_real_conversation(tmp_path: Path) -> None:
    def shell(command: str) -> dict[str, Any]:
        return {"output": "error", "exit_code": int(command), "error": None}

    def broken() -> None:
        raise ValueError("no such table")

    reply = calls(
        ("shell", '{"command": "0"}'),
        ("shell", '{"command": "2"}'),
        ("shell", "{}"),
        ("broken", ""),
        ("nope", ""),
        ("shell", '{"command": "0"}'),
    )
    for unnamed in reply.tool_calls[-2:]:
        # Some endpoints leave ids out.
        unnamed.id = ""
    bot = Bot(reply, calls(("shell", '{"command": "0"}')), "I see", tools=[shell, broken])
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    with open_log(ran.path) as log:
        log_calls = calls_of(log)
    assert [(made.name, made.outcome.success, made.outcome.rule) for made in log_calls] == [
        ("shell", True, "exit code"),
        ("shell", False, "exit code"),
        ("shell", False, "recorded"),
        ("broken", False, "recorded"),
        ("nope", False, "recorded"),
        ("shell", True, "exit code"),
        ("shell", True, "exit code"),
    ]
    assert log_calls[3].outcome.detail == "tool_execution_exception"


def test_a_call_that_was_compacted_and_kept_counts_once(tmp_path: Path) -> None:
    at: dict[str, Any] = {"session": 1, "turn": 1, "side": "provider"}
    old = [
        TurnStarted(**at, speaker="provider"),
        call("c0").model_copy(update=at),
        result("c0", BAD).model_copy(update=at),
        call("c1").model_copy(update=at),
        result("c1", OK).model_copy(update=at),
        TurnInactive(**at, speaker="provider", text="Done.", reason="compacted"),
    ]
    kept = turn(2, "provider", "Done.", more=[call("c1"), result("c1", OK)])
    log_calls = read(tmp_path, old, kept)
    assert [(made.id, made.turn) for made in log_calls] == [("c0", 1), ("c1", 2)]


def test_damaged_records_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    provider_turn = turn(1, "provider", "Done.", more=[requesting(("c1", "terminal")), call("c2")])
    write_log(path, conversation(session(1, "work", [provider_turn], ending()), end=ending()))
    text = path.read_text()
    text = text.replace('"tool_calls":[', '"tool_calls":[7,null,{"function":3},{"name":[]},')
    text = text.replace('"id":"c2"', '"id":{"a":[1]}').replace('"arguments":{"command', '"x":{"y')
    path.write_text(text)
    with open_log(path) as log:
        assert [made.name for made in calls_of(log)] == ["terminal", "terminal"]


@pytest.mark.parametrize(
    ("name", "file", "expected"),
    [
        (
            "rath",
            "rath/tool_round_trip.jsonl",
            [
                ("c1", True, "no error field"),
                ("c2", True, "no error field"),
                ("c3", False, "flag"),
            ],
        ),
        (
            "hermes",
            "hermes/export_v0.13.0.jsonl",
            [
                ("call_0", False, "exit code"),
                ("call_1", True, "exit code"),
                ("call_2", False, "exit code"),
                *[(f"call_{number}", True, "exit code") for number in range(3, 8)],
            ],
        ),
    ],
)
def test_imported_transcripts(
    tmp_path: Path, name: str, file: str, expected: list[tuple[str, bool, str]]
) -> None:
    source = SAMPLES / file
    summaries = []
    for number, imported in enumerate(reader_for(source, name)(source)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with open_log(store(imported, folder)) as log:
            summaries.append(summary(calls_of(log)))
    assert expected in summaries
