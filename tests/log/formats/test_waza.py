"""waza's results and transcripts: what is read from them, and what is refused."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtui.cli.check import check_log
from convtui.errors import FileError, UsageError
from convtui.log.formats.registry import Imported, by_name, reader_for
from convtui.log.formats.store import log_name, store
from convtui.log.formats.waza import format
from convtui.log.reader import Log, open_log
from convtui.records.models import Record
from convtui.transcript.fold import Flag
from tests import places

SAMPLES = places.SAMPLES / "waza"

Event = dict[str, Any]
TALK: list[Event] = [
    {"type": "session.start", "content": None},
    {"type": "user.message", "content": "Add an agent"},
    {"type": "assistant.message_delta", "content": "Let me "},
    {"type": "assistant.message_delta", "content": "look."},
    {"type": "assistant.message", "content": "Let me look."},
    {
        "type": "tool.execution_start",
        "tool_call_id": "c1",
        "tool_name": "read_file",
        "arguments": {"path": "agents.yaml"},
    },
    {"type": "tool.execution_partial_result", "tool_call_id": "c1", "content": "age"},
    {
        "type": "tool.execution_complete",
        "tool_call_id": "c1",
        "tool_result": {"content": "agents: []"},
        "success": True,
    },
    {"type": "assistant.message", "content": "What is its name?"},
    {"type": "user.message", "message": "research-agent"},
    {"type": "assistant.message", "content": "Which handoffs?"},
]


def run(**fields: Any) -> dict[str, Any]:
    return {"run_number": 1, "attempts": 1, "status": "passed", "duration_ms": 8200, **fields}


def results(*runs: dict[str, Any], version: str | None = "1.4", **top: Any) -> dict[str, Any]:
    task = {"test_id": "t-1", "display_name": "Add an agent", "status": "passed", "runs": [*runs]}
    found: dict[str, Any] = {
        "eval_id": "e-1",
        "skill": "agents",
        "timestamp": "2026-02-19T22:10:00.123456789Z",
        "config": {"model_id": "gpt-4o"},
        "tasks": [task],
        **top,
    }
    return found if version is None else {"schemaVersion": version, **found}


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(data: Any, name: str = "results.json") -> Path:
        path = tmp_path / name
        text = data if isinstance(data, str) else json.dumps(data)
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


def only(path: Path) -> Imported:
    (found,) = format.read(path)
    return found


def records(imported: Imported, kind: str) -> list[dict[str, Any]]:
    return [record.payload() for _, record in imported.records if record.payload()["type"] == kind]


def opened(imported: Imported, folder: Path) -> Log:
    """The log of what was imported, which has nothing wrong with it."""
    path = store(imported, folder)
    assert check_log(path) == []
    return open_log(path)


# --- a whole run


def test_a_run_becomes_a_conversation(write: Write, tmp_path: Path) -> None:
    imported = only(write(results(run(transcript=TALK, final_output="Which handoffs?"))))
    assert (imported.persona, imported.provider["model"]) == ("Add an agent", "gpt-4o")
    assert imported.created_at == datetime(2026, 2, 19, 22, 10, 0, 123456, tzinfo=UTC)
    with opened(imported, tmp_path / "logs") as log:
        said = [(t.address, t.speaker, t.status, t.text) for t in log.transcript.turns]
        assert said == [
            ("1:1", "persona", "committed", "Add an agent"),
            ("1:2", "provider", "committed", "What is its name?"),
            ("1:3", "persona", "committed", "research-agent"),
            ("1:4", "provider", "committed", "Which handoffs?"),
        ]
        assert log.transcript.turns[1].flags & Flag.TOOL
        assert log.transcript.sessions[0].ended_at == 8.2
        assert log.transcript.warnings == []
    replies = records(imported, "llm.response")
    assert [(r["turn"], r.get("round"), r["raw"]) for r in replies] == [
        (2, None, "Let me look."),
        (2, 2, "What is its name?"),
        (4, None, "Which handoffs?"),
    ]
    assert [(r["offset"], r["text"]) for r in records(imported, "llm.partial")] == [
        (0, "Let me "),
        (7, "look."),
    ]


def test_a_tool_that_is_done_is_named_by_its_call(write: Write) -> None:
    imported = only(write(results(run(transcript=TALK))))
    (called,) = records(imported, "tool.called")
    (returned,) = records(imported, "tool.returned")
    assert (called["id"], called["name"]) == ("c1", "read_file")
    assert called["arguments"] == {"path": "agents.yaml"}
    assert (returned["id"], returned["name"], returned["ok"]) == ("c1", "read_file", True)
    assert returned["result"] == "agents: []"


def test_unknown_events_are_kept_under_their_own_name(write: Write, tmp_path: Path) -> None:
    talk = [*TALK, {"type": "trailer", "content": "not ours"}, {"type": "later.event", "x": [1]}]
    imported = only(write(results(run(transcript=talk))))
    assert records(imported, "waza.later.event")[0]["data"] == {"x": [1]}
    assert records(imported, "waza.trailer")
    assert records(imported, "waza.tool.execution_partial_result")[0]["turn"] == 2
    with opened(imported, tmp_path / "logs") as log:
        assert log.transcript.counts["waza.later.event"] == 1
        assert log.transcript.counts["trailer"] == 1


def test_nothing_is_invented(write: Write) -> None:
    imported = only(write(results(run(transcript=TALK))))
    absent = {"llm.request", "user.decided", "signals.extracted", "response.processed"}
    assert not absent & {record.payload()["type"] for _, record in imported.records}
    assert imported.termination is not None
    assert imported.termination["detail"] == {"recorded": False, "status": "passed"}


def test_showcase_names(write: Write) -> None:
    talk = [
        {"type": "Turn", "content": "I'll look."},
        {"type": "ToolExecutionStart", "tool_call_id": "a", "tool_name": "bash", "arguments": "ls"},
        {"type": "ToolExecutionComplete", "tool_call_id": "a", "tool_name": "bash",
         "tool_result": {"content": "no"}, "success": False},
        {"type": "Turn", "content": "Nothing there."},
    ]  # fmt: skip
    imported = only(write(results(run(transcript=talk, prompt="Look around"))))
    said = [(r["speaker"], r["text"]) for r in records(imported, "turn.committed")]
    assert said == [("persona", "Look around"), ("provider", "Nothing there.")]
    assert records(imported, "tool.called")[0]["raw_arguments"] == "ls"
    (returned,) = records(imported, "tool.returned")
    assert (returned["ok"], returned["result"]) == (False, "no")


def test_the_prompt_is_not_said_twice(write: Write) -> None:
    imported = only(write(results(run(transcript=TALK, prompt="Add an agent"))))
    assert len(records(imported, "turn.committed")) == 4


# --- what is missing


def test_without_a_transcript_the_last_words_are_known(write: Write) -> None:
    tools = [
        {"turn": 2, "sequence": 1, "tool_call_id": "b", "tool_name": "write", "args": {"n": 2}},
        {"turn": 1, "sequence": 1, "tool_call_id": "a", "tool_name": "read", "args": {"n": 1},
         "result": "ready", "success": True},
    ]  # fmt: skip
    imported = only(
        write(
            results(
                run(
                    prompt="Go",
                    tool_events=tools,
                    final_output="done",
                    responder={"followups_sent": 2, "outcome": "stopped"},
                )
            )
        )
    )
    said = [(r["speaker"], r["text"]) for r in records(imported, "turn.committed")]
    assert said == [("persona", "Go"), ("provider", "done")]
    assert [r["name"] for r in records(imported, "tool.called")] == ["read", "write"]
    assert [r["result"] for r in records(imported, "tool.returned")] == ["ready"]
    assert "2 follow-ups were sent and 0 of them" in records(imported, "warning")[0]["message"]
    assert not records(imported, "llm.response")


@pytest.mark.parametrize("transcript", [None, [], ...])
@pytest.mark.parametrize("validations", [None, {}, ...])
def test_null_empty_and_missing(write: Write, transcript: Any, validations: Any) -> None:
    given: dict[str, Any] = {"transcript": transcript, "validations": validations}
    fields = {name: value for name, value in given.items() if value is not ...}
    imported = only(write(results(run(final_output="x", **fields))))
    assert [r["text"] for r in records(imported, "turn.committed")] == ["x"]


def test_runs_may_be_absent(write: Write) -> None:
    assert list(format.read(write(results()))) == []
    assert list(format.read(write({**results(), "tasks": None}))) == []


def test_a_run_without_anything_has_no_turns(write: Write, tmp_path: Path) -> None:
    imported = only(write(results(run(status="skipped"))))
    with opened(imported, tmp_path / "logs") as log:
        assert log.transcript.turns == []
        assert log.transcript.complete


def test_a_reply_that_breaks_off(write: Write, tmp_path: Path) -> None:
    talk = [
        {"type": "user.message", "content": "Hi"},
        {"type": "assistant.message_delta", "content": "Hello, I"},
        {"type": "session.error", "message": "the socket closed"},
    ]
    imported = only(write(results(run(transcript=talk, status="error", error_msg="it died"))))
    with opened(imported, tmp_path / "logs") as log:
        turn = log.transcript.turns[1]
        assert (turn.status, turn.text, turn.error) == ("failed", "Hello, I", "it died")
    assert [r["error"]["message"] for r in records(imported, "llm.failed")] == [
        "the socket closed",
        "it died",
    ]
    assert imported.termination is not None
    assert (imported.termination["kind"], imported.termination["reason"]) == ("failed", "it died")


def test_an_empty_answer_is_flagged(write: Write, tmp_path: Path) -> None:
    talk = [
        {"type": "user.message", "content": "Hi"},
        {"type": "assistant.message", "content": ""},
        {"type": "user.message", "content": "Hello?"},
        {"type": "assistant.message", "content": "Yes, I am here."},
    ]
    with opened(only(write(results(run(transcript=talk)))), tmp_path / "logs") as log:
        assert [bool(turn.flags & Flag.EMPTY) for turn in log.transcript.turns][1:] == [
            True, False, False,
        ]  # fmt: skip


def test_other_last_words_are_told(write: Write) -> None:
    imported = only(write(results(run(transcript=TALK, final_output="Other"))))
    assert "final_output is not the last" in records(imported, "warning")[0]["message"]
    assert imported.details["final_output"] == "Other"


# --- the responder


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        ("stopped", "stopped"),
        ("abstained", "abstained"),
        ("cap_exhausted", "cap_exhausted"),
        ("error", "failed"),
        ("completed", "completed"),
    ],
)
def test_the_responders_outcome_is_the_ending(
    write: Write, tmp_path: Path, outcome: str, kind: str
) -> None:
    summary = {"followups_sent": 1, "outcome": outcome, "reason": "brief has no handoff list"}
    imported = only(write(results(run(transcript=TALK, responder=summary, status="error"))))
    assert imported.details["responder"] == summary
    with opened(imported, tmp_path / "logs") as log:
        ended = log.transcript.termination
        assert ended is not None
        assert (ended["kind"], ended["by"], ended["at_turn"]) == (kind, "responder", 4)
        assert ended["reason"] == "brief has no handoff list"
        assert ended["detail"]["followups_sent"] == 1
        assert (ended["detail"].get("category") == "responder") == (outcome == "error")
        assert log.transcript.sessions[0].termination == ended


def test_an_error_without_a_reason_says_the_runs(write: Write) -> None:
    summary = {"followups_sent": 0, "outcome": "error"}
    message = "responder error: responder did not call a decision tool"
    imported = only(write(results(run(responder=summary, error_msg=message))))
    assert imported.termination is not None
    assert imported.termination["reason"] == message


def test_an_outcome_that_is_not_known(write: Write) -> None:
    imported = only(write(results(run(responder={"outcome": "deferred"}))))
    assert imported.termination is not None
    assert imported.termination["reason"] == "the responder's outcome is deferred"
    assert imported.termination["detail"]["recorded"] is False


# --- versions, several runs, other files


@pytest.mark.parametrize("version", [None, "1.0", "1.1", "1.2", "1.3", "1.4", "1.97"])
def test_every_minor_version_is_read(write: Write, version: str | None) -> None:
    data = results(run(transcript=TALK, hue="new"), version=version, novelty={"a": 1})
    imported = only(write(data))
    assert imported.details.get("schema_version") == version
    assert imported.details["result"]["hue"] == "new"
    assert len(records(imported, "turn.committed")) == 4


@pytest.mark.parametrize(("version", "says"), [("2.0", "update convtui"), ("x", "is no version")])
def test_other_versions_are_refused(write: Write, version: str, says: str) -> None:
    with pytest.raises(FileError, match=says):
        list(format.read(write(results(run(), version=version))))


def test_every_run_is_a_conversation_of_its_own(write: Write) -> None:
    path = write(results(run(transcript=TALK), run(run_number=2, transcript=TALK)))
    first, second = format.read(path)
    assert (first.details["run"], second.details["run"]) == (1, 2)
    assert log_name(first) != log_name(second)
    assert [log_name(found) for found in format.read(path)] == [log_name(first), log_name(second)]


def test_the_transcript_of_one_task(write: Write, tmp_path: Path) -> None:
    data = {
        "task_id": "t-1",
        "task_name": "Add an agent",
        "status": "passed",
        "started_at": "2026-02-19T22:10:00+01:00",
        "completed_at": "2026-02-19T22:10:08+01:00",
        "duration_ms": 8000,
        "prompt": "Add an agent",
        "final_output": "Which handoffs?",
        "transcript": TALK,
        "validations": None,
        "session": {"tool_call_count": 1},
    }
    path = write(data, "add-an-agent-20260219-221000.json")
    assert reader_for(path) is format.read
    imported = only(path)
    assert imported.created_at == datetime(2026, 2, 19, 21, 10, tzinfo=UTC)
    assert imported.details["result"]["session"] == {"tool_call_count": 1}
    with opened(imported, tmp_path / "logs") as log:
        assert len(log.transcript.turns) == 4


def test_a_session_log_says_that_it_holds_no_conversation(write: Write, tmp_path: Path) -> None:
    line = {"timestamp": "2026-02-19T22:10:00Z", "type": "session_start", "data": {}}
    path = write(json.dumps(line) + "\n", "20260219T221000Z-session.jsonl")
    assert format.detect(path)
    with pytest.raises(FileError, match=r"session\.jsonl: .*summaries of tasks .*--transcript-dir"):
        list(reader_for(path)(path))
    with pytest.raises(FileError, match="no results and no transcripts"):
        list(format.read(tmp_path))
    write(results(run(transcript=TALK)))
    write({"other": 1}, "package.json")
    assert len(list(format.read(tmp_path))) == 1


def test_it_cannot_be_written() -> None:
    assert by_name("waza").write is None
    with pytest.raises(UsageError, match="did you mean 'waza'"):
        by_name("wazza")


def test_a_file_without_a_time_has_that_of_the_file(write: Write) -> None:
    path = write({**results(run(final_output="x")), "timestamp": "0001-01-01T00:00:00Z"})
    os.utime(path, (1_700_000_000, 1_700_000_000))
    imported = only(path)
    assert imported.created_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert imported.details["created_at_from"] == "file's date"


# --- what is malformed


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "is not JSON"),
        ("{", r"is cut off: the JSON is not complete \(column 2: "),
        (
            '{\n "eval_id": "e",\n "tasks": [{"id": "x',
            r"is cut off: .* \(line 3, column 19: Untermin",
        ),
        ('{"eval_id": "e"\n"tasks": []}', r"is not JSON \(line 2, column 1: "),
        ('{"eval_id": NaN}', "NaN is no JSON number"),
        ('{"eval_id": 1' + "0" * 400 + "}", "number that is too large"),
        ('{"eval_id": 1' + "0" * 5000 + "}", "is not JSON"),
        ('{"eval_id": 1e999}', "number that is too large"),
        ("[" * 100_000, "nested too deep"),
        ('{"eval_id": ' + "[" * 150 + "]" * 150 + "}", "nested too deep"),
        ([], "must be an object, not a list"),
        ({}, "no file of waza"),
        ({"eval_id": "e", "tasks": {}}, "tasks must be a list, not an object"),
        ({"eval_id": "e", "tasks": ["x"]}, r"tasks\[0\]: must be an object, not text"),
        ({"eval_id": "e", "config": []}, "config: must be an object"),
        ({"eval_id": "e", "schemaVersion": 1.4}, "schemaVersion must be text"),
    ],
)
def test_malformed_files_are_named(write: Write, data: Any, says: str) -> None:
    with pytest.raises(FileError, match=rf"results\.json: .*{says}"):
        list(format.read(write(data)))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({**results(run(transcript=TALK)), "config": []}, "config: must be an object"),
        ({**results(run(transcript=TALK)), "skill": 4}, "skill must be text"),
        (results(run(transcript="x")), r"runs\[0\]: transcript must be a list"),
        (results(run(transcript=[{}])), r"transcript\[0\]: type is missing"),
        (results(run(transcript=[{"type": 1}])), "type must be text"),
        (
            results(run(transcript=[{"type": "Turn", "content": {}}])),
            r"tasks\[0\]: runs\[0\]: transcript\[0\]: content must be text, not an object",
        ),
        (results(run(responder="stopped")), "responder: must be an object"),
        (results(run(responder={"followups_sent": -1})), "must not be negative"),
        (results(run(responder={"followups_sent": True})), "must be a whole number"),
        (results(run(duration_ms=1e300)), "is no duration"),
        (results(run(run_number="1")), "run_number must be a whole number"),
        (results(run(tool_events=[{"turn": "x"}])), "turn must be a whole number"),
    ],
)
def test_a_value_of_the_wrong_kind_is_a_finding(
    write: Write, tmp_path: Path, data: Any, says: str
) -> None:
    with opened(only(write(data)), tmp_path / "logs") as log:
        about = [w["message"] for w in log.transcript.warnings if w["code"] == "bad_value"]
        assert len(about) == 1
        assert re.search(says, about[0])
        assert str(tmp_path) not in about[0]


def test_the_rest_of_a_run_with_a_wrong_value_is_told(write: Write, tmp_path: Path) -> None:
    with opened(only(write(results(run(transcript=TALK)))), tmp_path / "whole") as log:
        whole = [(turn.speaker, turn.text) for turn in log.transcript.turns]
    odd = [*TALK, {"content": "who?"}, {"type": 7}, "x"]
    with opened(only(write(results(run(transcript=odd)))), tmp_path / "logs") as log:
        assert [(turn.speaker, turn.text) for turn in log.transcript.turns] == whole
        assert [w["code"] for w in log.transcript.warnings] == ["bad_value"] * 3


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.json").write_bytes(b'{"eval_id": "\xff"}')
    with pytest.raises(FileError, match=r"x\.json: is not UTF-8 \(byte 14\)"):
        list(format.read(tmp_path / "x.json"))
    with pytest.raises(FileError, match="cannot be read"):
        list(format.read(tmp_path / "none.json"))
    monkeypatch.setattr(format, "MAX_FILE", 3)
    with pytest.raises(FileError, match="larger than"):
        list(format.read(tmp_path / "x.json"))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["content", "message", "tool_call_id", "tool_name", "arguments", "tool_result", "success"]
)
EVENTS = st.builds(
    lambda kind, rest: {"type": kind, **rest},
    st.sampled_from([event["type"] for event in TALK] + ["session.error", "Turn", "x"]),
    st.dictionaries(NAMES, VALUES, max_size=3),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(EVENTS, max_size=6), st.dictionaries(st.sampled_from(
    ["prompt", "final_output", "error_msg", "responder", "tool_events", "status"]), VALUES
))  # fmt: skip
def test_any_run_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, talk: list[Event], fields: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    path = folder / "results.json"
    path.write_text(json.dumps(results({**fields, "transcript": talk})))
    try:
        found = list(format.read(path))
    except FileError as error:
        assert str(path) in str(error)
        return
    for imported in found:
        opened(imported, folder / "logs").close()


# --- published files


def test_published_results(tmp_path: Path) -> None:
    (fixture,) = format.read(SAMPLES / "results-1.4.json")
    assert [r["name"] for r in records(fixture, "tool.called")] == ["read_file"]
    showcase = list(format.read(SAMPLES / "results_code-explainer-gpt4o.json"))
    assert len(showcase) == 7
    assert len({log_name(found) for found in showcase}) == 7
    assert len(records(showcase[0], "tool.returned")) == 3
    for imported in [fixture, *showcase]:
        with opened(imported, tmp_path / "logs") as log:
            assert log.findings == []
            assert [turn.speaker for turn in log.transcript.turns] == ["provider"]
    assert format.detect(SAMPLES)


def test_records_are_of_the_kinds_of_a_log(write: Write) -> None:
    imported = only(write(results(run(transcript=TALK))))
    assert all(isinstance(record, Record) for _, record in imported.records)


def test_trials_in_one_transcript_are_conversations_of_their_own(tmp_path: Path) -> None:
    trial = [
        {"type": "user.message", "content": "use the horn"},
        {"type": "assistant.message", "content": "toot"},
        {"type": "session.idle"},
    ]
    task = {"task_id": "t", "task_name": "Two", "prompt": "use the horn", "final_output": "toot"}
    path = tmp_path / "two.json"
    path.write_text(json.dumps({**task, "transcript": [*trial, *trial], "duration_ms": 9}))
    first, second = reader_for(path)(path)
    assert first.id != second.id
    assert [one.details["run"] for one in (first, second)] == [1, 2]
    for one in (first, second):
        with open_log(store(one, tmp_path / "logs")) as log:
            assert [turn.text for turn in log.transcript.turns] == ["use the horn", "toot"]
