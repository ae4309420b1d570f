"""Sessions that releases of Gemini CLI have written: as one value, and line by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import places
from tests.log.formats.told import Told, imported

SAMPLES = places.SAMPLES / "gemini-cli"
META = {"sessionId": "s1", "projectHash": "h", "startTime": "2026-03-04T10:00:00Z"}


def told(path: Path, folder: Path) -> Told:
    (one,), findings = imported(path, folder, "gemini-cli")
    assert findings == []
    return one


@pytest.mark.parametrize("name", ["session-0.36.0.json", "session-0.61.0.jsonl"])
def test_a_session_of_a_release(name: str, tmp_path: Path) -> None:
    session = told(SAMPLES / name, tmp_path)
    assert session.turns == [
        ("persona", "What is in this folder?"),
        ("provider", "There is notes.txt; no-such-file does not exist."),
        ("persona", "Make it say beta."),
        ("provider", "notes.txt now says beta."),
    ]
    assert session.prompts() == [1001, 1002, 1003, 1004, 1005]
    first = session.all("llm.response")[0]
    assert (first["raw"], len(first["tool_calls"])) == ("I'll look at what is there.", 2)
    assert (first["reasoning"], first["model"]) == (
        "Looking around: List the files first.",
        "gemini-2.5-pro",
    )
    assert session.results() == [
        ("list_directory", True),
        ("read_file", False),
        ("run_shell_command", True),
        ("replace", True),
    ]
    called, returned = session.all("tool.called")[0], session.all("tool.returned")[0]
    assert called["t"] < returned["t"]


def test_a_session_that_is_taken_up_again_keeps_when_it_began(tmp_path: Path) -> None:
    session = told(SAMPLES / "session-0.61.0.jsonl", tmp_path)
    assert session.header["created_at"].startswith("2026-11-30T17:05:14")
    assert session.kinds("gemini-cli.") == {"gemini-cli.put_in"}
    assert session.header["imported"]["kind"] == "main"


# --- lines that change what was said before


def said(id: str, text: str, **more: Any) -> dict[str, Any]:
    kind = "user" if id.startswith("u") else "gemini"
    return {"id": id, "type": kind, "content": [{"text": text}], **more}


def recorded(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in [META, *rows]))
    return path


def test_what_was_rewound_is_inactive(tmp_path: Path) -> None:
    path = recorded(
        tmp_path / "session-1.jsonl",
        said("u1", "a"), said("g1", "b"), said("u2", "c"), said("g2", "d"),
        {"$rewindTo": "u2"}, said("u3", "e"), said("g3", "f"),
    )  # fmt: skip
    session = told(path, tmp_path / "logs")
    assert [text for _, text in session.said] == ["a", "b", "e", "f"]
    inactive = [(one["text"], one["reason"]) for one in session.all("turn.inactive")]
    assert inactive == [("c", "rewound"), ("d", "rewound")]


def test_what_a_summary_has_replaced_is_compacted(tmp_path: Path) -> None:
    path = recorded(
        tmp_path / "session-1.jsonl",
        said("u1", "a"), said("g1", "b"), said("u2", "c"),
        {"$set": {"messages": [said("u9", "so far: a, b"), said("u2", "c")]}},
        said("g2", "d", model="gemini-x"),
    )  # fmt: skip
    session = told(path, tmp_path / "logs")
    inactive = [(one["text"], one["reason"]) for one in session.all("turn.inactive")]
    assert inactive == [("a", "compacted"), ("b", "compacted")]
    assert [text for _, text in session.said] == ["so far: a, b", "c", "d"]
    assert session.header["provider"]["model"] == "gemini-x"


def test_messages_that_come_again_without_their_figures_keep_them(tmp_path: Path) -> None:
    answer = {"functionResponse": {"id": "c1", "name": "look", "response": {"output": "x"}}}
    call = {"id": "c1", "name": "look", "args": {}, "status": "success", "result": [answer]}
    called = {"functionCall": {"id": "c1", "name": "look", "args": {}}}
    path = recorded(
        tmp_path / "session-1.jsonl",
        said("u1", "a"), said("g1", "b", tokens={"input": 7}, toolCalls=[call]),
        {"id": "u2", "type": "user", "content": [answer]}, said("g2", "done"),
        {"$set": {"messages": []}},
        {"$set": {"messages": [
            said("u1", "a"),
            {"id": "g1", "type": "gemini", "content": [{"text": "b"}, called]},
            {"id": "u2", "type": "user", "content": [answer]}, said("g2", "done"),
        ]}},
    )  # fmt: skip
    session = told(path, tmp_path / "logs")
    assert session.turns == [("persona", "a"), ("provider", "done")]
    assert session.prompts() == [7, None]
    assert session.results() == [("look", True)]


def test_a_result_among_those_of_other_calls_is_found(tmp_path: Path) -> None:
    both = [{"functionResponse": {"id": id, "response": {"output": id}}} for id in ("c1", "c2")]
    calls: list[dict[str, Any]] = [
        {"id": id, "name": "look", "args": {}, "result": both} for id in ("c1", "c2")
    ]
    path = recorded(
        tmp_path / "session-1.jsonl", said("u1", "a"), said("g1", "", toolCalls=calls),
        said("g2", "done"),
    )  # fmt: skip
    session = told(path, tmp_path / "logs")
    assert [one["result"] for one in session.all("tool.returned")] == [
        {"output": "c1"}, {"output": "c2"}
    ]  # fmt: skip


def test_pictures_stay_with_what_they_came_with(tmp_path: Path) -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
    asked = {"id": "u1", "type": "user", "content": [{"text": "what is this?"}, picture]}
    session = told(recorded(tmp_path / "session-1.jsonl", asked), tmp_path / "logs")
    (turn,) = session.all("turn.committed")
    assert turn["text"] == "what is this?\n[inlineData]"
    assert turn["source"]["content"][1] == picture


def test_an_id_of_the_wrong_kind_is_none(tmp_path: Path) -> None:
    odd = {"id": ["c"], "name": "look", "args": {}}
    path = recorded(tmp_path / "session-1.jsonl", said("u1", "a"), said("g1", "b", toolCalls=[odd]))
    (one,), _ = imported(path, tmp_path / "logs", "gemini-cli")
    assert one.all("tool.called")[0]["name"] == "look"
