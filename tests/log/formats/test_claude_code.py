"""Sessions of Claude Code: replies in pieces, forks, helpers, and what is of no known type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convtui.cli.check import check_log
from convtui.errors import FileError
from convtui.log.formats.importing import Import
from convtui.log.formats.registry import format_for
from convtui.log.reader import open_log
from tests import places

Row = dict[str, Any]


def row(kind: str, uuid: str, parent: str | None, content: Any, **more: Any) -> Row:
    message = {"role": kind, "content": content, **more.pop("message", {})}
    second = int("".join(sign for sign in uuid if sign.isdigit()) or 0)
    return {
        "type": kind,
        "uuid": uuid,
        "parentUuid": parent,
        "sessionId": "s1",
        "timestamp": f"2026-03-04T10:00:{second:02}.000Z",
        "message": message,
        **more,
    }


def reply(uuid: str, parent: str, block: Row | str, *, of: str, **more: Any) -> Row:
    blocks = [{"type": "text", "text": block}] if isinstance(block, str) else [block]
    usage = {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 3}
    message = {"id": of, "model": "claude-x", "usage": usage, "stop_reason": "end_turn"}
    return row("assistant", uuid, parent, blocks, message=message, **more)


def result(uuid: str, parent: str, call: str) -> Row:
    block = {"type": "tool_result", "tool_use_id": call, "content": f"result of {call}"}
    return row("user", uuid, parent, [block])


def use(call: str) -> Row:
    return {"type": "tool_use", "id": call, "name": "Read", "input": {"n": call}}


def save(path: Path, *rows: Row | str) -> Path:
    lines = (line if isinstance(line, str) else json.dumps(line) for line in rows)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def logs(path: Path, folder: Path) -> list[Path]:
    format_ = format_for(path)
    assert format_.name == "claude-code" and format_.read is not None
    done = [outcome.log for outcome in Import(folder, []).run(format_.read(path))]
    assert all(check_log(log) == [] for log in done)
    return done


def texts(log: Path) -> list[str]:
    with open_log(log) as opened:
        return [turn.text for turn in opened.transcript.turns]


def records(log: Path, kind: str) -> list[Row]:
    with open_log(log) as opened:
        return [record for record in opened.records() if record["type"] == kind]


def header(log: Path) -> Row:
    with open_log(log) as opened:
        return dict(opened.transcript.header)


def test_a_reply_in_pieces_with_calls_side_by_side_is_one(tmp_path: Path) -> None:
    path = save(
        tmp_path / "s.jsonl",
        row("user", "u1", None, "look", cwd="/project", version="2.0"),
        reply("a2", "u1", {"type": "thinking", "thinking": "hm"}, of="m1"),
        reply("a3", "a2", use("c1"), of="m1"),
        reply("a4", "a3", use("c2"), of="m1"),
        result("r5", "a3", "c1"),
        result("r6", "a4", "c2"),
        reply("a7", "r6", "Done.", of="m2"),
    )
    (log,) = logs(path, tmp_path / "logs")
    assert texts(log) == ["look", "Done."]
    assert [(r["id"], r.get("round", 1)) for r in records(log, "tool.called")] == [
        ("c1", 1),
        ("c2", 1),
    ]
    assert [r["result"] for r in records(log, "tool.returned")] == ["result of c1", "result of c2"]
    first, second = records(log, "llm.response")
    assert (first["reasoning"], first["response_id"], first["model"]) == ("hm", "m1", "claude-x")
    assert second["usage"] == {"prompt_tokens": 15, "completion_tokens": 3, "cached_tokens": 5}
    with open_log(log) as opened:
        assert opened.transcript.totals["provider"].tokens == 36
    assert header(log)["imported"]["cwd"] == "/project"
    assert header(log)["created_at"] == "2026-03-04T10:00:01+00:00"


def test_an_edited_prompt_and_a_second_reply_are_branches(tmp_path: Path) -> None:
    path = save(
        tmp_path / "s.jsonl",
        row("user", "u1", None, "hi"),
        reply("a2", "u1", "hello", of="m1"),
        row("user", "u3", "a2", "first idea"),
        reply("a4", "u3", "no", of="m2"),
        row("user", "u5", "a2", "better idea"),
        reply("a6", "u5", "maybe", of="m3"),
        reply("a7", "u5", "yes", of="m4"),
    )
    trunk, *forks = logs(path, tmp_path / "logs")
    assert texts(trunk) == ["hi", "hello", "better idea", "yes"]
    assert sorted(map(texts, forks)) == [
        ["hi", "hello", "better idea", "maybe"],
        ["hi", "hello", "first idea", "no"],
    ]
    for fork in forks:
        assert header(fork)["change"] == {"kind": "fork"}
        assert header(fork)["parents"][0]["id"] == header(trunk)["id"]


def test_a_helper_is_a_conversation_of_its_own(tmp_path: Path) -> None:
    path = save(
        tmp_path / "s.jsonl",
        row("user", "u1", None, "delegate"),
        row("user", "u2", None, "you are a helper", isSidechain=True),
        reply("a3", "u2", "helped", of="m1", isSidechain=True),
        reply("a4", "u1", "It is done.", of="m2"),
    )
    session, helper = logs(path, tmp_path / "logs")
    assert texts(session) == ["delegate", "It is done."]
    assert texts(helper) == ["you are a helper", "helped"]
    assert header(helper)["change"] == {"kind": "subagent"}


def test_what_is_of_no_known_type_is_kept(tmp_path: Path) -> None:
    path = save(
        tmp_path / "s.jsonl",
        {"type": "summary", "summary": "Ferries", "leafUuid": "x"},
        {"type": "file-history-snapshot", "snapshot": {"a": 1}},
        row("user", "u1", None, "hi"),
        row("user", "u2", "u1", "<caveat>", isMeta=True),
        "{torn",
        {"type": "teleport", "where": [1, 2]},
        reply("a3", "u2", "hello", of="m1"),
    )
    (log,) = logs(path, tmp_path / "logs")
    assert texts(log) == ["hi", "hello"]
    assert records(log, "claude-code.teleport")[0]["data"] == {"where": [1, 2]}
    assert records(log, "claude-code.meta")[0]["data"] == "<caveat>"
    assert header(log)["imported"]["title"] == "Ferries"
    assert [record["line"] for record in records(log, "warning")] == [5]


def test_rows_in_a_circle_and_without_parents_are_read(tmp_path: Path) -> None:
    path = save(
        tmp_path / "s.jsonl",
        row("user", "u1", "a2", "hi"),
        reply("a2", "u1", "hello", of="m1"),
        row("user", "u3", "u3", "more"),
    )
    (log,) = logs(path, tmp_path / "logs")
    assert texts(log) == ["hi", "hello", "more"]


def test_the_published_sample(tmp_path: Path) -> None:
    path = places.SAMPLES / "claude-code/simonw_sample_session.jsonl"
    (log,) = logs(path, tmp_path)
    assert [record["name"] for record in records(log, "tool.called")] == ["Write", "Bash"]
    assert texts(log)[2:] == [
        "Now add a goodbye function",
        "Done! The hello function is ready.",
    ]


def test_a_file_without_messages(tmp_path: Path) -> None:
    path = save(tmp_path / "s.jsonl", {"type": "summary", "summary": "nothing"})
    with pytest.raises(FileError):
        format_for(path)
