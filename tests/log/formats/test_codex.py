"""Sessions that releases of Codex have written: each orders what belongs to a reply otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import places
from tests.log.formats.told import Told, imported

SAMPLES = places.SAMPLES / "codex"
ASKED = [
    ("persona", "What is in this folder?"),
    ("provider", "There is notes.txt; no-such-file does not exist."),
    ("persona", "Make it say beta."),
    ("provider", "notes.txt now says beta."),
]


def told(name: str, folder: Path) -> Told:
    (one,), findings = imported(SAMPLES / name, folder, "codex")
    assert findings == []
    return one


@pytest.mark.parametrize(
    ("name", "prompts", "results"),
    [
        # Figures before the items, results among the calls.
        ("rollout-0.40.0.jsonl", [1001, 1002, 1003, 1004, 1005], ["shell", "apply_patch"]),
        # Figures after the items, results after all calls.
        ("rollout-0.118.0-1.jsonl", [1001, 1002, 1003, 1004, 1005, 1007], ["shell"]),
        # A row of figures for each response, and figures for the screen after the results.
        ("rollout-0.171.0-1.jsonl", [1001, 1002, 1003, 1004], ["exec_command"]),
    ],
)
def test_a_response_is_one_reply_with_its_figures(
    name: str, prompts: list[int], results: list[str], tmp_path: Path
) -> None:
    session = told(name, tmp_path)
    assert session.turns[:4] == ASKED
    assert session.prompts() == prompts
    first = session.all("llm.response")[0]
    assert [call["id"] for call in first["tool_calls"]] == ["call_a", "call_b"]
    assert (first["raw"], first["model"]) == ("I'll look at what is there.", "gpt-5-codex")
    tool = results[0]
    assert session.results()[:2] == [(tool, True), (tool, False)]
    assert [name for name, _ in session.results()[3:]] == results[1:]


def test_what_was_said_twice_stands_there_once(tmp_path: Path) -> None:
    session = told("rollout-0.171.0-1.jsonl", tmp_path)
    done = [one["data"]["item"]["type"] for one in session.all("codex.item_completed")]
    assert set(done) == {"CommandExecution"}
    assert session.kinds("codex.token") == set()


def test_a_reply_was_said_when_it_was_not_when_the_user_spoke_again(tmp_path: Path) -> None:
    session = told("rollout-0.118.0-1.jsonl", tmp_path)
    reply = session.all("llm.response")[1]
    said = next(one for one in session.all("turn.committed") if one["turn"] == 2)
    assert said["t"] == reply["t"]


def test_turns_that_were_rolled_back_are_inactive(tmp_path: Path) -> None:
    session = told("rollout-0.118.0-1.jsonl", tmp_path)
    inactive = [(one["text"], one["reason"]) for one in session.all("turn.inactive")]
    assert inactive == [(ASKED[2][1], "rewound"), (ASKED[3][1], "rewound")]
    assert session.turns[4:6] == [
        ("persona", "Make it say gamma instead."),
        ("provider", "It says gamma."),
    ]


@pytest.mark.parametrize("name", ["rollout-0.118.0-1.jsonl", "rollout-0.171.0-2-reverted.jsonl"])
def test_a_compaction_is_no_turn(name: str, tmp_path: Path) -> None:
    session = told(name, tmp_path)
    (compacted,) = session.all("context.compressed")
    assert compacted["summary"].endswith("the user asked to change notes.txt.")
    assert session.turns[-3:] == [
        ("persona", "After the compaction."),
        ("provider", "I know what came before."),
        ("persona", "SLEEP"),
    ]
    assert not any("SUMMARY" in text for _, text in session.turns)
    assert session.all("codex.turn_aborted")[0]["data"]["reason"] == "interrupted"


def test_forks_name_the_session_that_they_go_on_from(tmp_path: Path) -> None:
    sessions, findings = imported(SAMPLES, tmp_path, "codex")
    assert (len(sessions), findings) == (6, [])
    by_name = {one.header["imported"]["file"]: one for one in sessions}
    for parent, child in [
        ("rollout-0.118.0-1.jsonl", "rollout-0.118.0-2-fork.jsonl"),
        ("rollout-0.171.0-1.jsonl", "rollout-0.171.0-2-reverted.jsonl"),
    ]:
        (named,) = by_name[child].header["parents"]
        assert named["id"] == by_name[parent].header["id"]
        assert by_name[child].header["change"] == {"kind": "fork"}
    ids = {one.header["imported"]["session_id"] for one in sessions}
    assert len(ids) == 5  # The reverted one goes on under the same id.
    fork = by_name["rollout-0.171.0-3-fork.jsonl"]
    assert fork.header["parents"] and fork.turns[-1] == ("provider", "In the fork too.")


def test_a_fork_that_has_grown_names_the_log_of_its_beginning(tmp_path: Path) -> None:
    whole = (SAMPLES / "rollout-0.118.0-2-fork.jsonl").read_text()
    path = tmp_path / "rollout-2.jsonl"
    path.write_text(whole[: whole.index('"text":"And in the fork?"')].rpartition("\n")[0] + "\n")
    (before,), _ = imported(path, tmp_path / "logs", "codex")
    path.write_text(whole)
    (after,), _ = imported(path, tmp_path / "logs", "codex")
    assert after.turns[: len(before.turns)] == before.turns
    assert after.header["parents"][0]["id"] == before.header["id"]
    assert after.header["change"] == {"kind": "grown"}


# --- what scripted sessions do not show


def session_with(path: Path, *items: dict[str, Any]) -> Path:
    rows = [
        {"type": "session_meta", "payload": {"id": "s1"}},
        *({"type": "response_item", "payload": item} for item in items),
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_pictures_stay_with_what_they_came_with(tmp_path: Path) -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    asked = {"type": "message", "role": "user",
             "content": [{"type": "input_text", "text": "what is this?"}, picture]}  # fmt: skip
    call = {"type": "function_call", "name": "view", "arguments": "{}", "call_id": "c"}
    result = {"type": "function_call_output", "call_id": "c", "output": [picture]}
    path = session_with(tmp_path / "rollout.jsonl", asked, call, result)
    (session,), _ = imported(path, tmp_path / "logs", "codex")
    assert session.all("turn.committed")[0]["source"]["content"][1] == picture
    assert session.all("tool.returned")[0]["result"] == [picture]


def test_a_search_of_the_model_itself_has_no_result_to_wait_for(tmp_path: Path) -> None:
    asked = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "?"}]}
    search = {"type": "web_search_call", "status": "completed",
              "action": {"type": "search", "query": "weather"}}  # fmt: skip
    said = {"type": "message", "role": "assistant",
            "content": [{"type": "output_text", "text": "Sunny."}]}  # fmt: skip
    path = session_with(tmp_path / "rollout.jsonl", asked, search, said)
    (session,), findings = imported(path, tmp_path / "logs", "codex")
    assert findings == []
    assert session.turns == [("persona", "?"), ("provider", "Sunny.")]
    (called,) = session.all("tool.called")
    assert (called["name"], called["arguments"]["query"]) == ("web_search", "weather")
    assert session.results() == [("web_search", True)]


def test_rows_of_types_that_nobody_knows_do_not_part_a_reply(tmp_path: Path) -> None:
    path = session_with(
        tmp_path / "rollout.jsonl",
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "?"}]},
        {"type": "reasoning", "summary": [{"text": "thinking"}]},
    )
    said = {"type": "message", "role": "assistant", "content": [{"text": "!", "type": "text"}]}
    with path.open("a") as file:
        file.write(json.dumps({"type": "brand_new", "payload": {"a": 1}}) + "\n")
        file.write(json.dumps({"type": "response_item", "payload": said}) + "\n")
    (session,), _ = imported(path, tmp_path / "logs", "codex")
    (reply,) = session.all("llm.response")
    assert (reply["reasoning"], reply["raw"]) == ("thinking", "!")
    assert session.all("codex.brand_new")[0]["data"] == {"a": 1}
