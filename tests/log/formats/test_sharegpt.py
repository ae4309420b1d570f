"""ShareGPT in the spellings that are about."""

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
from tests.log.formats.told import imported

HI = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]
SAID = [("persona", "hi"), ("provider", "hello")]


def lines(*values: Any) -> str:
    return "".join(f"{json.dumps(value)}\n" for value in values)


def logs(path: Path, folder: Path) -> list[Path]:
    format_ = format_for(path)
    assert format_.name == "sharegpt" and format_.read is not None
    return [store(one, folder) for one in format_.read(path)]


def turns(log: Path) -> list[tuple[str, str]]:
    with open_log(log) as opened:
        assert check_log(log) == []
        return [(turn.speaker, turn.text) for turn in opened.transcript.turns]


def spelled(who: str, what: str, persona: str, provider: str) -> list[dict[str, str]]:
    return [{who: persona, what: "hi"}, {who: provider, what: "hello"}]


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("a.json", json.dumps({"conversations": HI}), 1),
        (
            "a.json",
            json.dumps([{"id": 1, "conversations": HI}, {"conversations": HI}], indent=2),
            2,
        ),
        ("a.jsonl", lines({"conversations": HI}, {"conversations": HI, "id": "b"}), 2),
        ("a.json", json.dumps([{"items": spelled("from", "value", "user", "bard")}]), 1),
        ("a.json", json.dumps({"conversation": spelled("role", "content", "Human", "AI")}), 1),
        ("a.jsonl", lines({"conversations": spelled("speaker", "text", "user", "model")}), 1),
    ],
)
def test_spellings(name: str, text: str, count: int, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    found = logs(tmp_path / name, tmp_path / "logs")
    assert [turns(log) for log in found] == [SAID] * count


def test_calls_have_roles_of_their_own(tmp_path: Path) -> None:
    call = json.dumps({"name": "find", "arguments": {"n": 1}})
    talk = {
        "system": "You help.",
        "tools": "[]",
        "conversations": [
            {"from": "human", "value": "find"},
            {"from": "function_call", "value": call},
            {"from": "observation", "value": '{"found": 2}'},
            {"from": "gpt", "value": "Two.", "weight": 1},
            {"from": "referee", "value": "Fine."},
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(talk))
    (log,) = logs(tmp_path / "a.json", tmp_path / "logs")
    assert turns(log) == [("persona", "find"), ("provider", "Two.")]
    with open_log(log) as opened:
        records = list(opened.records())
    (called,) = (record for record in records if record["type"] == "tool.called")
    (returned,) = (record for record in records if record["type"] == "tool.returned")
    assert (called["name"], called["arguments"]) == ("find", {"n": 1})
    assert (returned["id"], returned["result"]) == (called["id"], {"found": 2})
    kept = [
        record["data"].get("role") for record in records if record["type"] == "sharegpt.message"
    ]
    assert kept == ["referee"]


def test_what_is_no_turn_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    odd = {"conversations": [*HI, 7, {"from": "gpt", "value": None}]}
    (tmp_path / "a.jsonl").write_text(lines(odd, {"other": 1}))
    (log,) = logs(tmp_path / "a.jsonl", tmp_path / "logs")
    with open_log(log) as opened:
        warned = [r["message"] for r in opened.records() if r["type"] == "warning"]
    assert any("conversations[2]: is no message, but a number" in message for message in warned)
    assert any("without turns; left out" in message for message in warned)


def test_conversations_of_hermes_keep_their_format(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines({"conversations": HI, "completed": True}))
    assert format_for(tmp_path / "a.jsonl").name == "hermes-trajectory"


def test_a_published_data_set_with_calls(tmp_path: Path) -> None:
    path = places.SAMPLES / "sharegpt/glaive_toolcall_en_demo.3of300.json"
    told, findings = imported(path, tmp_path, "sharegpt")
    assert findings == []
    assert [len(one.said) for one in told] == [6, 2, 6]
    first = told[0]
    assert first.said[1] == (
        "provider",
        "The area of the rectangle with length 5 units and breadth 3 units is 15 square units.",
    )
    assert first.results() == [("calculate_area", True)] * 3
    assert [one["result"] for one in first.all("tool.returned")] == [
        {"area": 15},
        {"area": 50.24},
        {"area": 49},
    ]
    assert "calculate_area" in first.all("sharegpt.tools")[0]["data"]["content"]
