"""Sessions of agents on a command line and trajectories: Codex, Gemini CLI, ATIF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from convtui.cli.check import check_log
from convtui.log.formats.registry import format_for
from convtui.log.formats.store import store
from convtui.log.reader import open_log

Row = dict[str, Any]


def save(path: Path, *rows: Any) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def logs(path: Path, folder: Path, name: str) -> list[Path]:
    format_ = format_for(path)
    assert format_.name == name and format_.read is not None
    done = [store(one, folder) for one in format_.read(path)]
    assert all(check_log(log) == [] for log in done)
    return done


def turns(log: Path) -> list[tuple[str, str]]:
    with open_log(log) as opened:
        return [(turn.speaker, turn.text) for turn in opened.transcript.turns]


def records(log: Path, kind: str) -> list[Row]:
    with open_log(log) as opened:
        return [record for record in opened.records() if record["type"] == kind]


# --- Codex


def codex(kind: str, second: int = 0, **payload: Any) -> Row:
    return {"timestamp": f"2026-03-04T10:00:{second:02}.000Z", "type": kind, "payload": payload}


def said(role: str, text: str, second: int = 0) -> Row:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": text}]
    return codex("response_item", second, type="message", role=role, content=content)


def test_a_session_of_codex(tmp_path: Path) -> None:
    usage = {"input_tokens": 12, "cached_input_tokens": 4, "output_tokens": 3}
    path = save(
        tmp_path / "rollout-1.jsonl",
        codex("session_meta", id="s1", timestamp="2026-03-04T10:00:00Z", cwd="/p", cli_version="1"),
        said("user", "<environment_context>\n<cwd>/p</cwd>"),
        codex("turn_context", model="gpt-x"),
        said("user", "list it", 1),
        codex("event_msg", type="user_message", message="list it"),
        codex("response_item", 2, type="reasoning", summary=[{"text": "ls"}]),
        codex("response_item", 3, type="function_call", name="shell", arguments='{"c": "ls"}',
              call_id="c1"),
        codex("event_msg", type="token_count", info={"last_token_usage": usage}),
        codex("response_item", 4, type="function_call_output", call_id="c1", output="a.txt"),
        said("assistant", "There is a.txt.", 5),
        codex("event_msg", type="agent_message", message="There is a.txt."),
        codex("event_msg", type="turn_aborted", reason="interrupted"),
    )  # fmt: skip
    (log,) = logs(path, tmp_path / "logs", "codex")
    assert turns(log) == [("persona", "list it"), ("provider", "There is a.txt.")]
    first, last = records(log, "llm.response")
    assert (first["reasoning"], first["usage"]["prompt_tokens"]) == ("ls", 12)
    assert (last["raw"], last["t"]) == ("There is a.txt.", 5.0)
    assert records(log, "tool.called")[0]["arguments"] == {"c": "ls"}
    assert records(log, "tool.returned")[0]["result"] == "a.txt"
    assert records(log, "codex.put_in")[0]["data"].startswith("<environment_context>")
    assert records(log, "codex.turn_aborted")[0]["data"]["reason"] == "interrupted"
    with open_log(log) as opened:
        header = opened.transcript.header
    assert header["provider"]["model"] == "gpt-x"
    assert (header["imported"]["session_id"], header["imported"]["cwd"]) == ("s1", "/p")


def test_the_first_version_of_codex_has_no_envelopes(tmp_path: Path) -> None:
    path = save(
        tmp_path / "rollout-1.jsonl",
        {"id": "s1", "timestamp": "2026-03-04T10:00:00Z", "instructions": None},
        said("user", "hi")["payload"],
        said("assistant", "hello")["payload"],
    )
    (log,) = logs(path, tmp_path / "logs", "codex")
    assert turns(log) == [("persona", "hi"), ("provider", "hello")]


# --- Gemini CLI


def test_a_session_of_gemini(tmp_path: Path) -> None:
    call = {
        "id": "c1", "name": "read_file", "args": {"path": "a"}, "status": "success",
        "result": [{"functionResponse": {"id": "c1", "response": {"output": "text of a"}}}],
    }  # fmt: skip
    session = {
        "sessionId": "s1",
        "startTime": "2026-03-04T10:00:00.000Z",
        "messages": [
            {"id": "1", "type": "info", "content": "Welcome"},
            {"id": "2", "type": "user", "content": [{"text": "read a"}],
             "timestamp": "2026-03-04T10:00:01.000Z"},
            {"id": "3", "type": "gemini", "content": "It says so.", "toolCalls": [call],
             "thoughts": [{"subject": "Reading", "description": "the file"}], "model": "gemini-x",
             "tokens": {"input": 8, "output": 2, "cached": 0, "thoughts": 1}},
        ],
    }  # fmt: skip
    path = tmp_path / "session.json"
    path.write_text(json.dumps(session, indent=2))
    (log,) = logs(path, tmp_path / "logs", "gemini-cli")
    assert turns(log) == [("persona", "read a"), ("provider", "It says so.")]
    first = records(log, "llm.response")[0]
    assert (first["reasoning"], first["usage"]["prompt_tokens"]) == ("Reading: the file", 8)
    assert records(log, "tool.returned")[0]["result"] == {"output": "text of a"}
    assert records(log, "gemini-cli.info")[0]["data"]["content"] == "Welcome"


def test_a_checkpoint_of_gemini(tmp_path: Path) -> None:
    contents = [
        {"role": "user", "parts": [{"text": "read a"}]},
        {"role": "model", "parts": [{"functionCall": {"id": "c", "name": "read", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "c", "response": {"o": 1}}}]},
        {"role": "model", "parts": [{"text": "Done."}, {"text": "Really."}]},
    ]
    path = tmp_path / "checkpoint.json"
    path.write_text(json.dumps(contents))
    (log,) = logs(path, tmp_path / "logs", "gemini-cli")
    assert turns(log) == [("persona", "read a"), ("provider", "Done.\nReally.")]
    assert records(log, "tool.returned")[0]["result"] == {"o": 1}


# --- ATIF


def test_a_trajectory_in_atif(tmp_path: Path) -> None:
    trajectory = {
        "schema_version": "ATIF-v1.2",
        "session_id": "s1",
        "agent": {"name": "terminus", "version": "2", "model_name": "acme-1"},
        "steps": [
            {"step_id": 1, "source": "system", "message": "You act."},
            {"step_id": 2, "source": "user", "message": "go", "timestamp": "2026-03-04T10:00:00Z"},
            {
                "step_id": 3, "source": "agent", "message": "I go.", "reasoning_content": "hm",
                "timestamp": "2026-03-04T10:00:02Z",
                "tool_calls": [{"tool_call_id": "c1", "function_name": "run", "arguments": {}}],
                "observation": {"results": [{"source_call_id": "c1", "content": "went"}]},
                "metrics": {"prompt_tokens": 9, "completion_tokens": 2, "cost_usd": 0.5},
                "extra": {"a": 1},
            },
            {"step_id": 4, "source": "agent", "message": "Done."},
            5,
        ],
        "final_metrics": {"total_steps": 4},
    }  # fmt: skip
    path = tmp_path / "t.json"
    path.write_text(json.dumps(trajectory))
    (log,) = logs(path, tmp_path / "logs", "atif")
    assert turns(log) == [("persona", "go"), ("provider", "Done.")]
    first = records(log, "llm.response")[0]
    assert (first["reasoning"], first["t"]) == ("hm", 2.0)
    assert first["usage"] == {"prompt_tokens": 9, "completion_tokens": 2, "cost": 0.5}
    assert records(log, "tool.returned")[0]["result"] == "went"
    with open_log(log) as opened:
        header, ended = opened.transcript.header, opened.transcript.termination
    assert (header["provider"]["name"], header["provider"]["model"]) == ("terminus", "acme-1")
    assert ended is not None and ended["detail"]["final_metrics"] == {"total_steps": 4}
    assert any("steps[4]" in record["message"] for record in records(log, "warning"))
