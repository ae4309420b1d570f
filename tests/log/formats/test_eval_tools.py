"""What tools of evaluation and tracing keep: LangSmith, DeepEval, LangWatch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convtui.cli.check import check_log
from convtui.log.formats.registry import format_for
from convtui.log.formats.store import store
from convtui.log.reader import open_log

HI = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
SAID = [("persona", "hi"), ("provider", "hello")]


def logs(value: Any, folder: Path, name: str, suffix: str = ".json") -> list[Path]:
    folder.mkdir(exist_ok=True)
    path = folder / f"in{suffix}"
    rows = value if suffix == ".jsonl" else None
    path.write_text(
        json.dumps(value) if rows is None else "".join(f"{json.dumps(row)}\n" for row in rows)
    )
    format_ = format_for(path)
    assert format_.name == name and format_.read is not None
    done = [store(one, folder / "logs") for one in format_.read(path)]
    assert all(check_log(log) == [] for log in done)
    return done


def turns(log: Path) -> list[tuple[str, str]]:
    with open_log(log) as opened:
        return [(turn.speaker, turn.text) for turn in opened.transcript.turns]


def records(log: Path, kind: str) -> list[dict[str, Any]]:
    with open_log(log) as opened:
        return [record for record in opened.records() if record["type"] == kind]


# --- LangSmith


def serialised(kind: str, **kwargs: Any) -> dict[str, Any]:
    ids = ["langchain", "schema", "messages", f"{kind}Message"]
    return {"lc": 1, "type": "constructor", "id": ids, "kwargs": kwargs}


def run(id: str, given: list[Any], answer: Any, second: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "id": id, "run_type": "llm", "name": "ChatAcme",
        "start_time": f"2026-03-04T10:00:{second:02}+00:00",
        "end_time": f"2026-03-04T10:00:{second + 1:02}+00:00",
        "inputs": {"messages": [given]},
        "outputs": {"generations": [[{"message": answer}]],
                    "llm_output": {"token_usage": {"prompt_tokens": 4, "completion_tokens": 1}}},
        "extra": {"metadata": {"ls_model_name": "acme-1"}}, **more,
    }  # fmt: skip


HUMAN, AI = serialised("Human", content="hi"), serialised("AI", content="hello")
CALL = {"id": "c1", "name": "find", "args": {"n": 1}}
CALLING = serialised("AI", content="", tool_calls=[CALL])
BACK = serialised("Tool", content="two", tool_call_id="c1")


def test_a_tree_of_runs_is_one_conversation(tmp_path: Path) -> None:
    root = {
        "id": "r0", "run_type": "chain", "name": "ferry agent", "inputs": {}, "outputs": {},
        "child_runs": [
            run("r1", [serialised("System", content="Be kind."), HUMAN], CALLING, 1),
            run("r2", [serialised("System", content="Be kind."), HUMAN, CALLING, BACK], AI, 3),
        ],
    }  # fmt: skip
    (log,) = logs(root, tmp_path, "langsmith")
    assert turns(log) == SAID
    assert records(log, "tool.called")[0]["arguments"] == {"n": 1}
    assert records(log, "tool.returned")[0]["result"] == "two"
    assert [r["usage"]["prompt_tokens"] for r in records(log, "llm.response")] == [4, 4]
    assert [r["duration"] for r in records(log, "llm.response")] == [1.0, 1.0]
    with open_log(log) as opened:
        assert opened.transcript.header["provider"]["model"] == "acme-1"


def test_runs_in_a_list_belong_together_by_their_thread(tmp_path: Path) -> None:
    def of(thread: str) -> dict[str, Any]:
        return {"extra": {"metadata": {"thread_id": thread}}}

    more = serialised("Human", content="more")
    rows = [
        run("a", [HUMAN], AI, 0, trace_id="a", **of("t1")),
        run("b", [HUMAN, AI, more], serialised("AI", content="much"), 2, trace_id="b", **of("t1")),
        run("c", [more], AI, 4, trace_id="c", **of("t2")),
    ]
    first, second = logs(rows, tmp_path, "langsmith", ".jsonl")
    assert turns(first) == [*SAID, ("persona", "more"), ("provider", "much")]
    assert turns(second) == [("persona", "more"), ("provider", "hello")]


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (HI[:1], HI[1]),
        (
            [{"type": "human", "data": {"content": "hi"}}],
            {"type": "ai", "data": {"content": "hello"}},
        ),
        ([{"type": "human", "content": "hi"}], {"type": "ai", "content": "hello"}),
    ],
)  # fmt: skip
def test_messages_are_written_in_three_ways(given: Any, answer: Any, tmp_path: Path) -> None:
    (log,) = logs(run("a", given, answer), tmp_path, "langsmith")
    assert turns(log) == SAID


# --- DeepEval


@pytest.mark.parametrize(
    "wrap",
    [
        lambda case: case,
        lambda case: [case],
        lambda case: {"conversationalTestCases": [case]},
        lambda case: {"testRunData": {"conversationalTestCases": [case]}},
    ],
)
def test_conversations_of_deepeval(wrap: Any, tmp_path: Path) -> None:
    tool = {"name": "find", "inputParameters": {"n": 1}, "output": {"boats": 2}}
    case = {
        "name": "ferry", "scenario": "asks for boats", "success": False,
        "turns": [HI[0], {**HI[1], "toolsCalled": [tool], "retrievalContext": ["a page"]}],
    }  # fmt: skip
    (log,) = logs(wrap(case), tmp_path, "deepeval")
    assert turns(log) == SAID
    assert records(log, "tool.called")[0]["arguments"] == {"n": 1}
    assert records(log, "tool.returned")[0]["result"] == {"boats": 2}
    with open_log(log) as opened:
        header, ended = opened.transcript.header, opened.transcript.termination
    assert header["imported"]["scenario"] == "asks for boats"
    assert ended is not None and ended["reason"] == "the test failed"


# --- LangWatch


def test_a_result_of_a_scenario(tmp_path: Path) -> None:
    result = {
        "success": True,
        "messages": HI,
        "reasoning": "It greets.",
        "passed_criteria": ["greets"],
    }
    (log,) = logs(result, tmp_path, "langwatch")
    assert turns(log) == SAID
    with open_log(log) as opened:
        ended = opened.transcript.termination
    assert ended is not None and ended["reason"] == "It greets."
    assert ended["detail"]["verdict"] == "success"


def test_events_of_scenarios(tmp_path: Path) -> None:
    def event(kind: str, run_id: str, **more: Any) -> dict[str, Any]:
        return {"type": kind, "scenarioRunId": run_id, "timestamp": 1772618400000, **more}

    rows = [
        event("SCENARIO_RUN_STARTED", "r1", scenarioId="s", metadata={"name": "greeting"}),
        event("SCENARIO_MESSAGE_SNAPSHOT", "r1", messages=HI[:1]),
        event("SCENARIO_RUN_STARTED", "r2", scenarioId="s"),
        event("SCENARIO_MESSAGE_SNAPSHOT", "r1", messages=HI),
        event("SCENARIO_MESSAGE_SNAPSHOT", "r2", messages=HI),
        event("SCENARIO_RUN_FINISHED", "r1", status="ERROR", results={"verdict": "error"}),
    ]
    first, second = logs(rows, tmp_path, "langwatch", ".jsonl")
    assert turns(first) == turns(second) == SAID
    with open_log(first) as log:
        header, ended = log.transcript.header, log.transcript.termination
    assert header["persona"] == "greeting"
    assert header["created_at"] == "2026-03-04T10:00:00+00:00"
    assert ended is not None and ended["kind"] == "failed"
