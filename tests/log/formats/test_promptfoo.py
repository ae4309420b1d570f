"""promptfoo: simulated users, outputs that are conversations, plain answers, logs of production."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convtui.cli.check import check_log
from convtui.log.formats.registry import format_for
from convtui.log.formats.store import store
from convtui.log.reader import open_log
from tests import places

HI = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
SAID = [("persona", "hi"), ("provider", "hello")]


def save(path: Path, *results: Any, wrapped: bool = True) -> Path:
    inner: Any = {"version": 3, "timestamp": "2026-03-04T10:00:00.000Z", "results": list(results)}
    path.write_text(json.dumps({"evalId": "e1", "results": inner if wrapped else list(results)}))
    return path


def result(output: Any, metadata: Any = None, **more: Any) -> dict[str, Any]:
    response = {"output": output, "tokenUsage": {"prompt": 5, "completion": 2}}
    return {
        "testIdx": 0,
        "promptIdx": 0,
        "provider": {"id": "openai:gpt", "label": "ferry bot"},
        "prompt": {"raw": "hi", "label": "p"},
        "vars": {},
        "response": {**response, **({"metadata": metadata} if metadata else {})},
        "latencyMs": 1500,
        **more,
    }


def logs(path: Path, folder: Path) -> list[Path]:
    format_ = format_for(path)
    assert format_.name == "promptfoo" and format_.read is not None
    done = [store(one, folder) for one in format_.read(path)]
    assert all(check_log(log) == [] for log in done)
    return done


def turns(log: Path) -> list[tuple[str, str]]:
    with open_log(log) as opened:
        return [(turn.speaker, turn.text) for turn in opened.transcript.turns]


@pytest.mark.parametrize(
    "one",
    [
        result("User: other", {"messages": HI, "stopReason": "Max turns reached"}),
        result("User: hi\n---\nAssistant: hello"),
        result("[Turn 1] user: hi\n---\n[Turn 1] assistant: hello"),
        result("hello"),
        result("hello", prompt={"raw": json.dumps(HI[:1])}),
    ],
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_what_was_said_is_found(one: dict[str, Any], wrapped: bool, tmp_path: Path) -> None:
    (log,) = logs(save(tmp_path / "r.json", one, wrapped=wrapped), tmp_path / "logs")
    assert turns(log) == SAID
    with open_log(log) as opened:
        header = opened.transcript.header
    assert header["provider"]["name"] == "ferry bot"
    assert header["imported"]["eval_id"] == "e1"


def test_a_separator_in_a_text_separates_nothing(tmp_path: Path) -> None:
    path = save(tmp_path / "r.json", result("User: hi\n---\nmore\n---\nAssistant: hello"))
    (log,) = logs(path, tmp_path / "logs")
    assert turns(log) == [("persona", "hi\n---\nmore"), ("provider", "hello")]


def test_an_answer_has_its_usage_and_time_and_a_failure_its_reason(tmp_path: Path) -> None:
    failed = result(None, testIdx=1, error="timed out")
    path = save(tmp_path / "r.json", result("hello", success=False, score=0), failed, 7)
    first, second = logs(path, tmp_path / "logs")
    with open_log(first) as log:
        (reply,) = (r for r in log.records() if r["type"] == "llm.response")
        ended = log.transcript.termination
    assert (reply["usage"]["prompt_tokens"], reply["duration"]) == (5, 1.5)
    assert ended is not None and ended["reason"] == "the test failed"
    with open_log(second) as log:
        ended = log.transcript.termination
        warned = [r["message"] for r in log.records() if r["type"] == "warning"]
    assert ended is not None and (ended["kind"], ended["reason"]) == ("failed", "timed out")
    assert warned == ["results[2]: is no result, but a number; left out"]


def test_logs_of_production_are_sessions(tmp_path: Path) -> None:
    path = places.SAMPLES / "promptfoo/production-logs.first2sessions.jsonl"
    first, second = logs(path, tmp_path)
    assert [len(turns(log)) for log in (first, second)] == [4, 4]
    assert turns(first)[0] == ("persona", "I forgot my password and can't log into my account")
    with open_log(first) as log:
        assert log.transcript.header["created_at"] == "2024-01-15T09:30:00+00:00"
        assert log.transcript.turns[1].started == 2.0
