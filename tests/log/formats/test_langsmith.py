"""Runs as LangSmith's client sends them and as tracers of LangChain keep them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import places
from tests.log.formats.told import Told, imported

SAMPLES = places.SAMPLES / "langsmith"
SAID = [
    ("persona", "What is in notes.txt?"),
    ("provider", "It says alpha."),
    ("persona", "And now?"),
    ("provider", "Still alpha."),
]
FIRST = {"prompt_tokens": 1001, "completion_tokens": 21, "cached_tokens": 512}


def told(name: str, folder: Path) -> Told:
    (one,), findings = imported(SAMPLES / name, folder, "langsmith")
    assert findings == []
    return one


@pytest.mark.parametrize(
    "name", ["langchain.jsonl", "openai.jsonl", "tracer_tree.json", "langgraph_tree.json"]
)
def test_two_requests_of_a_thread_are_one_conversation(name: str, tmp_path: Path) -> None:
    thread = told(name, tmp_path)
    assert thread.said == SAID
    assert thread.prompts() == [1001, 1002, 1003]
    assert thread.results() == [("look", True)]
    first = thread.all("llm.response")[0]
    assert FIRST.items() <= first["usage"].items()
    assert first["finish_reason"] == "tool_calls"
    assert thread.header["provider"]["model"] in ("fake-1", "gpt-fake")


def test_items_of_the_responses_api(tmp_path: Path) -> None:
    (first, second), findings = imported(SAMPLES / "responses.jsonl", tmp_path, "langsmith")
    assert findings == []
    assert first.said == SAID[:2]
    assert first.all("langsmith.system")[0]["data"] == {"content": "You read files."}
    assert second.said == [*SAID[:3], ("provider", "It says alpha.")]
    assert (first.prompts(), second.prompts()) == ([1004], [None, 1005])


def test_runs_of_functions_of_ones_own(tmp_path: Path) -> None:
    trace = told("traceable.jsonl", tmp_path)
    assert trace.said == [("persona", "hello"), ("provider", "plain"), ("provider", "text")]
    assert trace.prompts() == [3, None]


# --- what scripted runs do not show


def run(path: Path, **more: Any) -> Path:
    data = {"id": "r1", "run_type": "llm", "name": "x", "start_time": "2026-03-04T10:00:00", **more}
    path.write_text(json.dumps(data))
    return path


def test_calls_and_thoughts_among_items(tmp_path: Path) -> None:
    given = [
        {"role": "user", "content": "look"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"n": 1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "seen"},
        {"type": "item_reference", "id": "x"},
    ]
    answer = [{"type": "message", "role": "assistant",
               "content": [{"type": "output_text", "text": "Done."}]}]  # fmt: skip
    path = run(tmp_path / "a.json", inputs={"input": given}, outputs={"output": answer})
    (one,), findings = imported(path, tmp_path / "logs", "langsmith")
    assert findings == []
    assert one.said == [("persona", "look"), ("provider", "Done.")]
    first = one.all("llm.response")[0]
    assert (first["reasoning"], first["tool_calls"][0]["id"]) == ("hm", "c1")
    assert one.all("tool.called")[0]["arguments"] == {"n": 1}
    assert one.results() == [("look", True)]
    assert one.kinds("langsmith.") == {"langsmith.item_reference"}


def test_a_run_that_failed_says_why(tmp_path: Path) -> None:
    inputs = {"messages": [[{"type": "human", "content": "hi"}]]}
    path = run(tmp_path / "a.json", inputs=inputs, outputs=None, error="RuntimeError('limit')")
    (one,), _ = imported(path, tmp_path / "logs", "langsmith")
    assert one.said == [("persona", "hi")]
    assert one.all("langsmith.error")[0]["data"]["error"] == "RuntimeError('limit')"


def test_a_result_that_says_error_failed(tmp_path: Path) -> None:
    messages = [
        {"type": "human", "content": "look"},
        {"type": "ai", "content": "", "tool_calls": [{"id": "c1", "name": "look", "args": {}}]},
        {"type": "tool", "tool_call_id": "c1", "content": "no", "status": "error"},
    ]
    answer = {"generations": [[{"text": "Oh."}]]}
    path = run(tmp_path / "a.json", inputs={"messages": messages}, outputs=answer)
    (one,), _ = imported(path, tmp_path / "logs", "langsmith")
    assert one.results() == [("look", False)]
