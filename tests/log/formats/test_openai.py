"""Chat messages of OpenAI and of Anthropic, and what is said of files that are neither."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convtui.cli.check import check_log
from convtui.errors import FileError, UsageError
from convtui.log.formats.json_files import first_value
from convtui.log.formats.registry import format_for
from convtui.log.formats.store import store
from convtui.log.reader import open_log
from tests import places
from tests.log.formats import told

HI: list[dict[str, Any]] = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "hello"},
]


def save(path: Path, value: Any) -> Path:
    text = value if isinstance(value, str) else json.dumps(value)
    path.write_text(text, encoding="utf-8")
    return path


def imported(path: Path, folder: Path) -> list[Path]:
    format_ = format_for(path)
    assert format_.name == "openai" and format_.read is not None
    return [store(one, folder) for one in format_.read(path)]


def turns(log: Path) -> list[tuple[str, str]]:
    with open_log(log) as opened:
        assert check_log(log) == []
        return [(turn.speaker, turn.text) for turn in opened.transcript.turns]


def records(log: Path, kind: str) -> list[dict[str, Any]]:
    with open_log(log) as opened:
        return [record for record in opened.records() if record["type"] == kind]


def lines(*values: Any) -> str:
    return "".join(f"{json.dumps(value)}\n" for value in values)


SAID = [("persona", "hi"), ("provider", "hello")]


@pytest.mark.parametrize(
    ("name", "value", "conversations"),
    [
        ("a.json", HI, 1),
        ("a.json", {"messages": HI}, 1),
        ("a.json", json.dumps({"model": "m", "messages": HI}, indent=2), 1),
        ("a.json", [{"messages": HI}, {"messages": HI, "id": "x"}], 2),
        ("a.json", [HI, HI], 2),
        ("a.jsonl", lines({"messages": HI}, {"messages": HI, "id": "x"}), 2),
        ("a.jsonl", lines(HI, HI), 2),
        ("a.jsonl", lines(*HI), 1),
        ("a.jsonl", lines(*HI) + "\n\n", 1),
        ("a.json", "\ufeff" + json.dumps(HI), 1),
    ],
)
def test_files_of_every_shape(name: str, value: Any, conversations: int, tmp_path: Path) -> None:
    path = save(tmp_path / name, value)
    format_ = format_for(path)
    assert format_.name == "openai" and format_.read is not None
    chats = list(format_.read(path))
    assert len(chats) == conversations
    for number, chat in enumerate(chats):
        assert turns(store(chat, tmp_path / f"logs{number}")) == SAID


def test_a_file_of_a_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    save(tmp_path / "in" / "a.json", HI)
    save(tmp_path / "in" / "b.json", {"other": 1})
    (log,) = imported(tmp_path / "in", tmp_path / "logs")
    assert turns(log) == SAID


def test_calls_and_results_of_both_spellings_are_rounds_of_one_turn(tmp_path: Path) -> None:
    called = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"n": 1}'}}
    blocks = [
        {"type": "thinking", "thinking": "which one?"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "c2", "name": "read", "input": {"path": "a"}},
    ]
    came_back = {"type": "tool_result", "tool_use_id": "c2", "content": "no", "is_error": True}
    path = save(
        tmp_path / "a.json",
        {
            "system": "You help.",
            "tools": [{"name": "find"}],
            "messages": [
                {"role": "developer", "content": "be short"},
                {"role": "user", "content": [{"type": "text", "text": "find"}]},
                {"role": "assistant", "content": None, "tool_calls": [called]},
                {"role": "tool", "tool_call_id": "c1", "content": '{"found": 3}'},
                {"role": "assistant", "content": blocks},
                {"role": "user", "content": [came_back]},
                {"role": "assistant", "content": "Nothing."},
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
            ],
        },
    )
    (log,) = imported(path, tmp_path / "logs")
    assert turns(log) == [
        ("persona", "find"),
        ("provider", "Nothing."),
        ("persona", "[image_url]"),
    ]
    assert [(r["name"], r["arguments"]) for r in records(log, "tool.called")] == [
        ("find", {"n": 1}),
        ("read", {"path": "a"}),
    ]
    results = [(r["result"], r["ok"]) for r in records(log, "tool.returned")]
    assert results == [({"found": 3}, True), ("no", False)]
    assert [r.get("reasoning") for r in records(log, "llm.response")] == [None, "which one?", None]
    assert records(log, "openai.system")[0]["data"] == {"content": "You help."}
    assert records(log, "openai.developer")[0]["data"]["content"] == "be short"
    assert records(log, "openai.tools")[0]["data"]["content"] == [{"name": "find"}]


def test_other_roles_keep_their_names_and_old_calls_are_known(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.json",
        [
            {"role": "user", "content": "go"},
            {"role": "narrator", "content": "It rains."},
            {"role": "assistant", "function_call": {"name": "go", "arguments": "{}"}},
            {"role": "function", "name": "go", "content": "gone"},
            {"role": "assistant", "content": None, "refusal": "I won't."},
        ],
    )
    (log,) = imported(path, tmp_path / "logs")
    assert turns(log) == [("persona", "go"), ("provider", "I won't.")]
    assert records(log, "openai.message")[0]["data"]["role"] == "narrator"
    assert records(log, "tool.returned")[0]["name"] == "go"


def test_one_bad_line_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.jsonl",
        lines({"messages": HI}) + '{"mess\n' + lines({"messages": HI, "id": "2"}),
    )
    logs = imported(path, tmp_path / "logs")
    assert [turns(log) for log in logs] == [SAID, SAID]
    warned = [record["line"] for log in logs for record in records(log, "warning")]
    assert warned == [2]


def test_a_long_file_is_recognised_by_its_beginning(tmp_path: Path) -> None:
    long = [{"role": "user", "content": "x" * 5000}, {"role": "assistant", "content": 'a "b" {'}]
    path = save(tmp_path / "a.json", json.dumps({"n": [1, {}], "messages": long * 100}, indent=1))
    value = first_value(path)
    assert value["messages"][0]["role"] == "user"
    assert format_for(path).name == "openai"


def test_what_the_sample_says(tmp_path: Path) -> None:
    (log,) = imported(places.SAMPLES / "openai/sample_generic_session.json", tmp_path)
    assert [speaker for speaker, _ in turns(log)] == ["persona", "provider"]
    assert len(records(log, "tool.called")) == 2


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", '{"conversations": 3, "value": 1}', "an object with conversations, value"),
        ("a.json", '[{"traj": []}]', "a list of objects with traj"),
        ("a.txt", "Dear\x1b[31m diary", "text that begins with"),
        ("a.json", "", "the file is empty"),
        ("a.bin", "\0\0", "it is no text"),
    ],
)
def test_an_unknown_file_is_sketched(name: str, content: str, words: str, tmp_path: Path) -> None:
    path = save(tmp_path / name, content)
    with pytest.raises(FileError) as refused:
        format_for(path)
    assert words in str(refused.value) and "--list-formats" in str(refused.value)
    assert "\x1b" not in str(refused.value)


def test_the_nearest_format_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "a.json", {"record_type": "heading", "kind": "user", "payload": {}})
    with pytest.raises(FileError, match="nearest to it: rath"):
        format_for(path)


def test_a_file_of_another_format_is_said_to_be_so() -> None:
    with pytest.raises(UsageError, match="is in the format oharness, not rath: leave --from out"):
        format_for(places.SAMPLES / "oharness/smoke.jsonl", "rath")


def test_keys_far_inside_make_no_file_of_waza() -> None:
    assert format_for(places.SAMPLES / "inspect/log_formats.json").name == "inspect"


# --- content in blocks


def test_blocks_of_the_ai_sdk_are_calls_results_and_thoughts(tmp_path: Path) -> None:
    path = places.SAMPLES / "openai/messages_ai-sdk-5.json"
    (one,), findings = told.imported(path, tmp_path, "openai")
    assert findings == []
    assert one.said == [
        ("persona", "What is in notes.txt?"),
        ("provider", "notes.txt says alpha; missing is not there."),
        ("persona", "And now?"),
        ("provider", "Still alpha."),
    ]
    first = one.all("llm.response")[0]
    assert (first["raw"], first["reasoning"]) == ("I'll look.", "List them first.")
    assert [call["arguments"] for call in one.all("tool.called")] == [
        {"path": "notes.txt"},
        {"path": "missing"},
    ]
    assert one.results() == [("look", True), ("look", False)]
    assert one.all("tool.returned")[1]["result"] == "no such file"


def test_blocks_whose_text_is_a_value(tmp_path: Path) -> None:
    path = places.SAMPLES / "openai/reason_tool_use_demo.1of50.jsonl"
    (one,), findings = told.imported(path, tmp_path, "openai")
    assert findings == []
    assert one.said[1] == ("provider", "The current stock price of Apple is $134.32.")
    assert one.said[3] == ("provider", "Microsoft's current stock price is $235.77.")
    assert [call["arguments"] for call in one.all("tool.called")] == [
        {"symbol": "AAPL"},
        {"symbol": "MSFT"},
    ]
    assert len(one.results()) == 2
    assert all(reply["reasoning"] for reply in one.all("llm.response"))


def test_a_call_in_a_block_that_is_no_json_keeps_its_text(tmp_path: Path) -> None:
    said = {"role": "assistant", "content": [{"type": "tool_call", "value": "look(1"}]}
    path = save(tmp_path / "a.json", [{"role": "user", "content": "hi"}, said])
    (one,), _ = told.imported(path, tmp_path / "logs", "openai")
    (called,) = one.all("tool.called")
    assert (called["name"], called["raw_arguments"]) == ("unknown", "look(1")
