"""Conversations as a release of DeepEval writes them: datasets, goldens, test runs, dumps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import places
from tests.log.formats.told import Told, imported

SAMPLES = places.SAMPLES / "deepeval"


def told(path: Path, folder: Path) -> Told:
    (one,), findings = imported(path, folder, "deepeval")
    assert findings == []
    return one


@pytest.mark.parametrize("name", ["dataset.json", "test_case.json", "test_run.json"])
def test_a_conversation_in_each_kind_of_file(name: str, tmp_path: Path) -> None:
    (one, *others), findings = imported(SAMPLES / name, tmp_path, "deepeval")
    assert findings == [] and len(others) == (1 if name == "test_run.json" else 0)
    assert one.said == [
        ("persona", "I want my money back."),
        ("provider", "Your order 7 was refunded."),
        ("persona", "Thanks!"),
        ("provider", "Gladly."),
    ]
    assert [call["arguments"] for call in one.all("tool.called")] == [
        {"user": "maya"},
        {"order": 7},
    ]
    assert [result["result"] for result in one.all("tool.returned")] == [{"id": 7}, "ok"]
    assert one.header["persona"] == "Maya, in a hurry"
    source = one.all("llm.response")[1]["source"]
    assert ["Refunds take a day."] in source.values()


def test_a_test_run_says_how_the_tests_went(tmp_path: Path) -> None:
    (one, _), _ = imported(SAMPLES / "test_run.json", tmp_path, "deepeval")
    assert one.header["imported"]["metricsData"][0]["reason"] == "It was polite."
    assert one.records[-1]["termination"]["reason"] == "the test passed"


def test_goldens_one_a_line(tmp_path: Path) -> None:
    assert told(SAMPLES / "goldens.jsonl", tmp_path).said == [
        ("persona", "hi"),
        ("provider", "hello"),
    ]


def case(path: Path, **turn: Any) -> Path:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes", **turn}]
    path.write_text(json.dumps({"turns": turns}))
    return path


def test_a_tool_whose_output_is_not_said_has_no_result(tmp_path: Path) -> None:
    tool = {"name": "find", "inputParameters": {"n": 1}, "output": None}
    one = told(case(tmp_path / "a.json", tools_called=[tool]), tmp_path / "logs")
    assert (len(one.all("tool.called")), one.results()) == (1, [])
    assert one.said == [("persona", "hi"), ("provider", "yes")]


def test_tools_of_servers_are_tools(tmp_path: Path) -> None:
    tool = {"name": "search", "args": {"q": "x"}, "result": {"content": "found"}}
    path = case(tmp_path / "a.json", mcp_tools_called=[tool], latency_ms=420)
    one = told(path, tmp_path / "logs")
    assert one.all("tool.called")[0]["arguments"] == {"q": "x"}
    assert one.all("tool.returned")[0]["result"] == {"content": "found"}
    assert one.all("llm.response")[1]["duration"] == 0.42
