"""oharness' event files: what is read, what is written, and that both agree."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtui.cli.check import check_log
from convtui.errors import FileError
from convtui.log.detail import request_messages
from convtui.log.formats import json_objects
from convtui.log.formats.oharness import format
from convtui.log.formats.oharness.endings import ending_in, ending_out, from_debug, to_debug
from convtui.log.formats.registry import Imported, by_name, reader_for
from convtui.log.formats.store import log_name, store
from convtui.log.reader import Log, open_log
from convtui.log.recordfile import RecordFile
from convtui.records.models import HistorySeeded, LlmResponse, ToolCalled, ToolReturned, UserDecided
from convtui.transcript.fold import Flag
from tests import places
from tests.builders.logs import conversation, ending, sample, session, turn, write_log

SAMPLES = places.SAMPLES / "oharness"
RUNS = places.RUNS
LOGS = sorted(path for path in RUNS.glob("*.jsonl") if ".wire" not in path.name)

RESERVED = (
    "run.", "turn.", "llm.", "tool.", "memory.", "budget.", "policy.", "planner.", "critic.",
    "reflection.", "human.", "user.simulated.", "meta.",
)  # fmt: skip

Line = tuple[str, Any]


def said(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}]


def request(*texts: str, **more: Any) -> Line:
    """A request whose messages are the user's and the model's in turn."""
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": said(text)} for n, text in enumerate(texts)]
    return ("llm.request", {"request": {"messages": messages, **more}, "provider": "acme"})


def response(text: str, *blocks: dict[str, Any], stop: Any = None, **usage: int) -> Line:
    figures = {"tokens_input": 42, "tokens_output": 18, "tokens_cache_read": 0, **usage}
    made = {
        "id": "msg_01",
        "model": "acme-2",
        "content": [*(said(text) if text else []), *blocks],
        "stop_reason": stop or {"kind": "end_turn"},
        "usage": figures,
    }
    return ("llm.response", {"response": made})


def started(index: int) -> Line:
    return ("turn.started", {"turn_index": index})


def finished(index: int, stop: str = "end_turn") -> Line:
    usage = {"tokens_input": 42, "tokens_output": 18}
    payload = {"turn_index": index, "stop_reason": {"kind": stop}, "usage": usage, "tool_calls": 0}
    return ("turn.finished", payload)


def says(text: str) -> Line:
    return ("user.simulated.message", {"simulator": "scripted-user", "text": text})


def over(termination: Any = "Completed { reason: EndTurn }") -> Line:
    return ("run.finished", {"termination": termination, "turns": 2, "tool_calls": 0})


META: Line = (
    "meta",
    {
        "schema_version": "1.0",
        "harness_version": "0.1.0",
        "task_snapshot": {"id": "ferry", "instruction": "move my ferry"},
        "llm_capabilities": {"streaming": True},
    },
)
BEGIN: list[Line] = [META, ("run.started", {})]
TALK: list[Line] = [
    *BEGIN,
    started(0),
    request("move my ferry", system="You are a desk."),
    response("Which one?"),
    finished(0),
    says("the 09:15"),
    started(1),
    request("move my ferry", "Which one?", "the 09:15", system="You are a desk."),
    response("Done."),
    finished(1),
    ("user.simulated.ended", {"simulator": "scripted-user", "at_turn": 1}),
    over(),
]


def events(lines: Iterable[Line], run: str = "r-1", **envelope: Any) -> list[dict[str, Any]]:
    return [
        {
            "v": "1.0",
            "seq": seq,
            "run_id": run,
            "timestamp": f"2026-04-18T01:18:{seq % 60:02}.5Z",
            "span_id": "run-0",
            "type": kind,
            "payload": payload,
            **envelope,
        }
        for seq, (kind, payload) in enumerate(lines)
    ]


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(found: Iterable[Any], name: str = "events.jsonl", tail: str = "\n") -> Path:
        path = tmp_path / name
        lines = [line if isinstance(line, str) else json.dumps(line) for line in found]
        path.write_text("\n".join(lines) + tail)
        return path

    return to_file


def only(path: Path) -> Imported:
    (found,) = format.read(path)
    return found


def payloads(imported: Imported, kind: str | None = None) -> list[dict[str, Any]]:
    found = [record.payload() for _, record in imported.records]
    return [record for record in found if kind in (None, record["type"])]


def warnings(imported: Imported) -> list[tuple[str, str]]:
    return [(record["code"], record["message"]) for record in payloads(imported, "warning")]


def opened(imported: Imported, folder: Path) -> Log:
    """The log of what was imported, which has nothing wrong with it."""
    path = store(imported, folder)
    assert check_log(path) == []
    return open_log(path)


def turns(log: Log) -> list[tuple[Any, ...]]:
    return [
        (t.address, t.speaker, t.status, t.text, bool(t.flags & Flag.HUMAN),
         t.prompt_tokens, t.completion_tokens, t.cost)
        for t in log.transcript.turns
    ]  # fmt: skip


# --- a whole run


def test_a_run_becomes_a_conversation(write: Write, tmp_path: Path) -> None:
    imported = only(write(events(TALK)))
    assert imported.persona == "scripted-user"
    assert imported.provider == {
        "spec": "", "name": "acme", "kind": "imported", "model": "acme-2",
    }  # fmt: skip
    assert imported.created_at == datetime(2026, 4, 18, 1, 18, 0, 500_000, tzinfo=UTC)
    with opened(imported, tmp_path / "logs") as log:
        assert [turn[:4] for turn in turns(log)] == [
            ("1:1", "persona", "committed", "move my ferry"),
            ("1:2", "provider", "committed", "Which one?"),
            ("1:3", "persona", "committed", "the 09:15"),
            ("1:4", "provider", "committed", "Done."),
            ("1:5", "persona", "ended", ""),
        ]
        ended = log.transcript.termination
        assert ended is not None
        assert (ended["kind"], ended["by"], ended["at_turn"]) == ("completed", "simulator", 5)
        assert log.transcript.totals["provider"].prompt_tokens == 84
        assert log.transcript.turns[1].latency == 1.0
        assert log.transcript.warnings == []
        requests = [r for r in log.records() if r["type"] == "llm.request"]
        file = RecordFile(log.path, log.transcript.offsets)
        assert [len(request_messages(file, r)) for r in requests] == [2, 4]
        assert request_messages(file, requests[1])[0] == {
            "role": "system", "content": "You are a desk.",
        }  # fmt: skip
        assert (requests[1]["keep"], requests[1]["base"]) == (2, requests[0]["seq"])
        replies = [r for r in log.records() if r["type"] == "llm.response"]
        assert [r["call"] for r in replies] == [r["seq"] for r in requests]
        file.close()


def test_the_first_words_come_from_the_first_request_or_the_instruction(write: Write) -> None:
    for lines, first in (
        ([*BEGIN, started(0), request("hello"), response("x"), finished(0), over()], "hello"),
        ([*BEGIN, started(0), response("x"), finished(0), over()], "move my ferry"),
        ([*BEGIN, says("early"), started(0), request("hello"), response("x"), over()], "early"),
    ):
        committed = payloads(only(write(events(lines))), "turn.committed")
        assert [r["text"] for r in committed if r["speaker"] == "persona"] == [first]


def test_nothing_is_invented(write: Write) -> None:
    lines: list[Line] = [("run.started", {}), started(0), response("x"), finished(0), over()]
    imported = only(write(events(lines)))
    kinds = [record["type"] for record in payloads(imported)]
    assert kinds == [
        "session.started", "turn.started", "llm.response", "turn.committed", "session.ended",
    ]  # fmt: skip
    assert imported.persona == "unknown user"


def test_tools_and_rounds_in_one_turn(write: Write, tmp_path: Path) -> None:
    call = {"type": "tool_use", "id": "tu_1", "name": "fs_list", "input": {"path": "."}}
    tool = {"tool_name": "fs_list", "tool_use_id": "tu_1"}
    lines = [
        *BEGIN,
        started(0),
        request("look"),
        response("", call, {"type": "thinking", "thinking": "hm"}, stop={"kind": "tool_use"}),
        ("tool.call.started", {**tool, "input": {"path": "."}}),
        ("tool.call.finished", {**tool, "output": said("a\nb"), "truncated": True}),
        ("tool.call.started", {**tool, "tool_use_id": "tu_2", "input": "not json"}),
        ("tool.call.failed", {**tool, "tool_use_id": "tu_2", "reason": "no", "recoverable": True}),
        request("look"),
        response("Two files."),
        finished(0),
        over(),
    ]
    imported = only(write(events(lines)))
    first, second = payloads(imported, "llm.response")
    assert (first["finish_reason"], first["reasoning"]) == ("tool_calls", "hm")
    assert first["tool_calls"][0]["function"] == {
        "name": "fs_list", "arguments": '{"path": "."}',
    }  # fmt: skip
    assert second["round"] == 2
    called = payloads(imported, "tool.called")
    assert [(c["id"], c.get("arguments"), c["raw_arguments"]) for c in called] == [
        ("tu_1", {"path": "."}, ""),
        ("tu_2", None, "not json"),
    ]
    returned = payloads(imported, "tool.returned")
    assert [(r["ok"], r["result"]) for r in returned] == [(True, "a\nb"), (False, "no")]
    assert returned[0]["more"] == {"truncated": True}
    with opened(imported, tmp_path / "logs") as log:
        assert [turn[3] for turn in turns(log)] == ["look", "Two files."]


def test_retries_and_failures(write: Write, tmp_path: Path) -> None:
    lines = [
        *BEGIN,
        started(0),
        request("look"),
        ("llm.retry", {"attempt": 2, "reason": "503"}),
        ("llm.failed", {"reason": "rate limited"}),
        over('Failed { error: RunError { category: Llm, message: "rate limited" }, at_turn: 0 }'),
    ]
    imported = only(write(events(lines)))
    (retry,) = payloads(imported, "llm.retry")
    assert (retry["n"], retry["error"]) == (2, {"message": "503"})
    with opened(imported, tmp_path / "logs") as log:
        failed = log.transcript.turns[1]
        assert (failed.status, failed.error) == ("failed", "rate limited")
        assert log.transcript.warnings == []
        ended = log.transcript.termination
        assert ended is not None
        assert (ended["kind"], ended["by"], ended["reason"]) == (
            "failed", "provider", "rate limited",
        )  # fmt: skip


def test_turns_without_the_models_events(write: Write) -> None:
    lines = [*BEGIN, started(0), finished(0), says("and?"), started(1), finished(1), over()]
    imported = only(write(events(lines)))
    found = [(r["speaker"], r["text"]) for r in payloads(imported, "turn.committed")]
    assert found == [
        ("persona", "move my ferry"), ("provider", ""), ("persona", "and?"), ("provider", ""),
    ]  # fmt: skip
    assert [code for code, _ in warnings(imported)] == ["no_reply", "no_reply"]
    assert not payloads(imported, "llm.response")


def test_spans_without_an_end(write: Write, tmp_path: Path) -> None:
    lines = [*BEGIN, started(0), request("a"), response("b"), says("c"), started(1), request("a")]
    imported = only(write(events(lines)))
    with opened(imported, tmp_path / "logs") as log:
        assert [turn[:4] for turn in turns(log)][:3] == [
            ("1:1", "persona", "committed", "a"),
            ("1:2", "provider", "committed", "b"),
            ("1:3", "persona", "committed", "c"),
        ]
        assert log.transcript.termination is None
    assert [code for code, _ in warnings(imported)] == ["no_finish", "no_end"]


def test_what_is_not_known_is_kept(write: Write, tmp_path: Path) -> None:
    talk = [*TALK]
    talk.insert(5, ("critic.assessed", {"score": 0.5}))
    talk.insert(5, ("trailer", [1, 2]))
    talk.insert(5, ("user.log", {"namespace": "acme.trace", "x": 1}))
    talk[4] = ("llm.response", {**talk[4][1], "novelty": 1})
    lines = events(talk)
    lines[4]["redactions"] = ["payload.response.content"]
    for line in lines:
        line["v"] = "1.7"
    imported = only(write(lines))
    (assessed,) = payloads(imported, "oharness.critic.assessed")
    assert (assessed["data"], assessed["turn"]) == ({"score": 0.5}, 2)
    assert payloads(imported, "oharness.trailer")[0]["data"] == [1, 2]
    assert payloads(imported, "oharness.user.log")[0]["data"]["x"] == 1
    reply = payloads(imported, "llm.response")[0]
    assert reply["more"] == {"novelty": 1}
    assert reply["source"]["redactions"] == ["payload.response.content"]
    with opened(imported, tmp_path / "logs") as log:
        assert log.transcript.counts["oharness.critic.assessed"] == 1
        assert log.transcript.counts["trailer"] == 1
        assert len(log.transcript.turns) == 5


# --- seq, versions, damage


@pytest.mark.parametrize(
    ("numbers", "line", "expected"),
    [((0, 1, 3, 4), 3, 2), ((0, 1, 1, 2), 3, 2), ((5, 6, 7, 8), 1, 0), ((0, 2, 1, 2), 2, 1)],
)
def test_a_break_in_seq_is_a_finding(
    write: Write, tmp_path: Path, numbers: tuple[int, ...], line: int, expected: int
) -> None:
    lines = events([*BEGIN, started(0), over()])
    for event, number in zip(lines, numbers, strict=True):
        event["seq"] = number
    imported = only(write(lines))
    code, message = warnings(imported)[0]
    assert code == "seq_gap"
    assert message == f"line {line}: seq is {numbers[line - 1]} where {expected} was expected"
    with opened(imported, tmp_path / "logs") as log:
        assert log.transcript.warnings


def test_a_torn_last_line_is_a_finding(write: Write) -> None:
    lines = [json.dumps(event) for event in events(TALK)]
    imported = only(write([*lines[:-1], lines[-1][:40]], tail=""))
    assert [code for code, _ in warnings(imported)] == ["torn_line", "no_end"]
    assert imported.termination is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 3: is cut off: the JSON is not complete"),
        ("[]", "line 3: must be an object, not a list"),
        ("[" * 50_000, "line 3: is nested too deep"),
        ({"v": "0.9"}, "line 3: event schema 0.9 is not known"),
        ({"v": None}, "line 3: v must be a version"),
        ({"v": 1.0}, "line 3: v must be text"),
        ({"seq": "2"}, "line 3: seq must be a whole number"),
        ({"seq": True}, "line 3: seq must be a whole number"),
        ({"seq": -1}, "line 3: seq must not be negative"),
        ({"seq": None}, "line 3: seq is missing"),
        ({"type": ""}, "line 3: type is missing"),
        ({"run_id": 7}, "line 3: run_id must be text"),
        ({"timestamp": "yesterday"}, "line 3: timestamp 'yesterday' is no time"),
        ({"payload": []}, "line 3: payload: must be an object"),
        ({"payload": {"turn_index": "x"}}, "line 3: payload: turn_index must be a whole"),
        ({"type": "llm.request"}, "line 3: payload: request is missing"),
        (
            {"type": "llm.request", "payload": {"request": {"messages": [1]}}},
            r"line 3: payload: request: messages\[0\]: must be an object",
        ),
        ({"type": "llm.response", "payload": {}}, "line 3: payload: response is missing"),
        ({"type": "user.simulated.message", "payload": {}}, "line 3: payload: text is missing"),
        (
            {"type": "user.log", "payload": {"namespace": "convtui.turn", "speaker": "x"}},
            "line 3: payload: speaker must be persona or provider",
        ),
    ],
)
def test_malformed_lines_are_findings(
    write: Write, tmp_path: Path, line: Any, message: str
) -> None:
    lines: list[Any] = events(TALK)
    lines[2] = line if isinstance(line, str) else {**lines[2], **line}
    (imported,) = format.read(write(lines))
    with opened(imported, tmp_path / "logs") as log:
        about = [w["message"] for w in log.transcript.warnings if w.get("line") == 3]
        assert any(re.match(message, text) for text in about), log.transcript.warnings
        assert log.findings == []
        assert log.transcript.termination is not None


def test_what_follows_a_malformed_line_is_told(write: Write, tmp_path: Path) -> None:
    lines: list[Any] = events(TALK)
    with opened(only(write(lines)), tmp_path / "whole") as log:
        whole = turns(log)
    lines[2] = "{"
    with opened(only(write(lines)), tmp_path / "logs") as log:
        assert turns(log) == whole
        assert [w["code"] for w in log.transcript.warnings] == ["bad_line"]


def test_events_that_are_glued_are_all_read(write: Write, tmp_path: Path) -> None:
    lines = [json.dumps(event) for event in events(TALK)]
    with opened(only(write(lines)), tmp_path / "whole") as log:
        whole = turns(log)
    with opened(only(write([lines[0] + lines[1], *lines[2:]])), tmp_path / "logs") as log:
        assert turns(log) == whole
        assert [(w["code"], w["line"]) for w in log.transcript.warnings] == [("glued", 1)]


def test_a_finding_belongs_to_the_run_that_it_stands_in(write: Write) -> None:
    one = [json.dumps(event) for event in events(TALK)]
    two = [json.dumps({**event, "run_id": "other"}) for event in events(TALK)]
    first, second = format.read(write(["[1]", *one, *two[:3], "nonsense", *two[3:]]))
    assert [code for code, _ in warnings(first)] == ["bad_line"]
    assert [code for code, _ in warnings(second)] == ["bad_line"]
    assert warnings(second)[0][1].startswith(f"line {len(one) + 5}: ")


def test_a_decision_of_ours_that_is_malformed(write: Write) -> None:
    note = ("user.log", {"namespace": "convtui.decision", "kind": "guess"})
    imported = only(write(events([*TALK[:6], note, *TALK[6:]])))
    assert "line 7: payload: kind: input should be" in warnings(imported)[0][1]


@pytest.mark.parametrize("space", ["convtui.ended", "convtui.session.ended"])
def test_an_ending_of_ours_that_is_malformed(write: Write, space: str) -> None:
    note = ("user.log", {"namespace": space, "termination": {"kind": 5}})
    imported = only(write(events([*TALK[:6], note, *TALK[6:]])))
    assert "line 7: payload: termination: kind: input should be" in warnings(imported)[0][1]


def test_a_newer_envelope_is_refused(write: Write) -> None:
    lines = events(TALK)
    lines[2] = {**lines[2], "v": "2.0"}
    with pytest.raises(FileError, match=r"line 3: written by a newer oharness .*2.0.*update conv"):
        only(write(lines))


def test_a_newer_schema_in_meta(write: Write) -> None:
    meta = ("meta", {**META[1], "schema_version": "3.1"})
    with pytest.raises(FileError, match=r"line 1: payload: .*newer oharness .*3\.1"):
        only(write(events([meta, *TALK[1:]])))


def test_files_that_cannot_be_read(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileError, match="no events"):
        only(write([], tail="\n\n"))
    with pytest.raises(FileError, match="cannot be read"):
        only(tmp_path / "none.jsonl")
    (tmp_path / "x").mkdir()
    with pytest.raises(FileError, match="no event files"):
        only(tmp_path / "x")
    with pytest.raises(FileError, match="no events of oharness in this file"):
        only(write(['{"v":"1.0","seq'], tail=""))
    lines = [json.dumps(event) for event in events(TALK)]
    longest = max(map(len, lines))
    lines[1] = lines[1][:-1] + " " * longest + "}"
    path = write(lines)
    monkeypatch.setattr(json_objects, "MAX_LINE", longest + 1)
    assert warnings(only(path))[0][1].startswith("line 2: larger than")


def test_blank_lines_and_other_line_ends(write: Write) -> None:
    lines = [json.dumps(event) for event in events(TALK)]
    one = only(write(["", *(f"{line}\r\n" for line in lines)]))
    two = only(write(lines))
    assert payloads(one) == payloads(two)
    assert one.id == two.id


def test_several_runs_in_one_file(write: Write, tmp_path: Path) -> None:
    first, second = events(TALK, "r-1"), events([*TALK[:6], over()], "r-2")
    path = write([first[0], *second, *first[1:]])
    one, two = format.read(path)
    assert (len(payloads(one, "turn.committed")), len(payloads(two, "turn.committed"))) == (4, 2)
    assert not warnings(one) + warnings(two)
    assert log_name(one) != log_name(two)
    for imported in (one, two):
        opened(imported, tmp_path / "logs").close()
    assert reader_for(path) is format.read
    assert len(list(format.read(tmp_path))) == 2


def test_long_files_are_not_held_in_memory(write: Write, tmp_path: Path) -> None:
    text = "x" * 100_000
    body: list[Line] = []
    for n in range(80):
        body += [started(n), response(text), finished(n), says(text)]
    path = write(events([*BEGIN, *body, over()]))
    assert path.stat().st_size > 12_000_000
    tracemalloc.start()
    try:
        store(only(path), tmp_path / "logs")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000


# --- endings


@pytest.mark.parametrize(
    ("text", "shape", "kind", "by"),
    [
        ("Completed { reason: EndTurn }", {"reason": "end_turn"}, "completed", "provider"),
        (
            'Completed { reason: StopSequence("a \\"b\\" \\u{e9}") }',
            {"reason": {"stop_sequence": 'a "b" \u00e9'}}, "completed", "provider",
        ),
        (
            "Truncated { limit: MaxTurns(30) }",
            {"limit": {"max_turns": 30}}, "max_turns", "harness",
        ),
        ('Truncated { limit: Budget("usd") }', {"limit": {"budget": "usd"}}, "budget", "harness"),
        ("Truncated { limit: Timeout }", {"limit": "timeout"}, "interrupted", "harness"),
        ("Truncated { limit: MaxTokens }", {"limit": "max_tokens"}, "budget", "harness"),
        (
            'Failed { error: RunError { category: UserSimulator, message: "no" }, at_turn: 0 }',
            {"error": {"category": "user_simulator", "message": "no"}, "at_turn": 0},
            "failed", "simulator",
        ),
        ("Interrupted { reason: User }", {"reason": "user"}, "interrupted", "human"),
        (
            'Interrupted { reason: ApprovalDenied("rm") }',
            {"reason": {"approval_denied": "rm"}}, "interrupted", "harness",
        ),
        (
            "Interrupted { reason: Cancellation }",
            {"reason": "cancellation"}, "interrupted", "harness",
        ),
    ],
)  # fmt: skip
def test_endings_as_rust_and_as_json(
    write: Write, text: str, shape: dict[str, Any], kind: str, by: str
) -> None:
    whole = {"kind": text.split(" ", maxsplit=1)[0].lower(), **shape}
    assert from_debug(text) == whole
    lines = [*TALK[:6]]
    one = only(write(events([*lines, over(text)])))
    assert payloads(one)
    two = only(write(events([*lines, over(whole)]), "json.jsonl"))
    assert payloads(two)
    assert one.termination == two.termination
    assert one.termination is not None
    assert (one.termination["kind"], one.termination["by"]) == (kind, by)
    # What the file calls at_turn is 0 for a simulator's errors: the real turn is ours.
    assert one.termination["at_turn"] == 2
    assert one.termination["detail"]["oharness"] == whole


@pytest.mark.parametrize(
    "text", ["", "Completed {", "Completed { reason }", "?", '"x"', "A(" * 40, "A } B", "{", "[1"]
)
def test_endings_that_make_no_sense(write: Write, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_debug(text)
    imported = only(write(events([*TALK[:6], over(text)])))
    assert "makes no sense" in warnings(imported)[0][1]
    assert imported.termination is not None
    assert imported.termination["detail"] == {"recorded": False}


@given(st.text(max_size=60) | st.text(alphabet='Ab {}()[],:"\\u1.', max_size=40))
def test_any_text_is_an_ending_or_none(text: str) -> None:
    try:
        shape = from_debug(text)
    except ValueError:
        return
    assert ending_in(shape, at_turn=1, ended_by_user=False)["kind"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ending("completed", "simulator"), {"kind": "completed", "reason": "end_turn"}),
        (
            ending("early_termination", "provider", signal="[[DONE]]"),
            {"kind": "completed", "reason": {"stop_sequence": "[[DONE]]"}},
        ),
        (ending("max_turns"), {"kind": "truncated", "limit": {"max_turns": 4}}),
        (
            ending("cap_exhausted", "responder"),
            {"kind": "truncated", "limit": {"budget": "the reason of cap_exhausted"}},
        ),
        (
            ending("abstained", "responder"),
            {
                "kind": "failed", "at_turn": 3,
                "error": {"category": "user_simulator",
                          "message": "abstained: the reason of abstained"},
            },
        ),
        (
            ending("failed", "provider"),
            {"kind": "failed", "error": {"category": "llm", "message": "the reason of failed"},
             "at_turn": 3},
        ),
        (
            ending("failed", "harness", detail={"category": "user_simulator"}),
            {"kind": "failed", "at_turn": 3,
             "error": {"category": "user_simulator", "message": "the reason of failed"}},
        ),
        (ending("interrupted", "human"), {"kind": "interrupted", "reason": "user"}),
        (ending("interrupted", "harness"), {"kind": "interrupted", "reason": "cancellation"}),
    ],
)  # fmt: skip
def test_our_endings_in_their_shape(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ending_out(ours, at_turn=3, turns=4) == theirs


# --- writing


def export(log: Path, out: Path) -> tuple[Path, tuple[str, ...]]:
    write = by_name("oharness").write
    assert write is not None
    with open_log(log) as found:
        written = write(found, out)
    (file,) = written.files
    return file, written.notes


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def tools() -> list[Any]:
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"n": 1}'}}
    return [
        LlmResponse(
            raw="", tool_calls=[call], finish_reason="tool_calls", reasoning="hm",
            usage={"prompt_tokens": 5, "completion_tokens": 2, "cached_tokens": 3, "cost": 0.25},
        ),
        ToolCalled(id="c1", name="find", arguments={"n": 1}, raw_arguments='{"n": 1}'),
        ToolReturned(id="c1", name="find", ok=True, result={"ports": ["A", "B"]}),
        ToolCalled(id="c2", name="book", arguments={}),
        ToolReturned(id="c2", name="book", ok=False, result="no seat", error_kind="full"),
    ]  # fmt: skip


@pytest.fixture
def rich(tmp_path: Path) -> Path:
    """Tools, human turns on both sides, changed texts, decisions, two sessions."""
    end = ending("abstained", "responder", 4)
    decided = UserDecided(side="responder", kind="reply", arguments={"answer": "Bo"}, valid=True)
    gone = UserDecided(side="responder", kind="abstain", reason="no brief", tool="x")
    answer = turn(3, "persona", "I am Bo", human=True)
    answer.insert(1, decided.model_copy(update={"session": 1, "turn": 3}))
    last = turn(3, "persona", "x")[:1]
    last.append(gone.model_copy(update={"session": 2, "turn": 3}))
    return write_log(
        tmp_path / "rich.jsonl",
        conversation(
            session(
                1,
                "intake",
                [
                    turn(1, "persona", "Hello", human=True),
                    turn(2, "provider", "Who?", raw="<think/>Who?", usage={"prompt_tokens": 7}),
                    answer,
                    turn(4, "provider", "Found A and B.", more=tools()),
                ],
                ending(),
            ),
            session(
                2,
                "refund",
                [
                    turn(1, "persona", "Money back\u2028\ud800"),
                    turn(2, "provider", "Sent by hand", raw="draft", human=True, draft="replaced"),
                    last,
                ],
                end,
            ),
            end=end,
        ),
    )


def test_the_envelope_is_right(rich: Path, tmp_path: Path) -> None:
    file, _ = export(rich, tmp_path / "out")
    assert file.name == "rich.oharness.jsonl"
    lines = read_lines(file)
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert {line["v"] for line in lines} == {"1.0"}
    assert len({line["run_id"] for line in lines}) == 1
    assert len(lines[0]["run_id"]) == 36
    assert [line["type"] for line in lines[:2]] == ["meta", "run.started"]
    assert lines[-1]["type"] == "run.finished"
    assert list(lines[3]) == [
        "v", "seq", "run_id", "timestamp", "span_id", "parent", "type", "payload",
    ]  # fmt: skip
    times = [line["timestamp"] for line in lines]
    assert times == sorted(times)
    assert all(time.endswith("Z") for time in times)
    open_turn: dict[str, int] = {}
    for line in lines:
        kind, span = line["type"], line["span_id"]
        area, number = span.rsplit("-", 1)
        assert area in ("run", "turn", "llm", "tool")
        assert number.isdigit()
        if kind == "turn.started":
            open_turn[span] = line["seq"]
            assert span == f"turn-{line['payload']['turn_index']}"
            assert line["parent"] == 1
        if kind == "turn.finished":
            assert line["parent"] == open_turn[span]
        if kind.startswith(("llm.", "tool.")):
            assert area == kind.split(".", maxsplit=1)[0]
            assert line["parent"] in open_turn.values()
    spans = [line["span_id"] for line in lines if line["type"] == "tool.call.started"]
    assert spans == ["tool-0", "tool-1"]


def test_the_payloads_are_right(rich: Path, tmp_path: Path) -> None:
    file, _ = export(rich, tmp_path / "out")
    lines = read_lines(file)

    def of(kind: str) -> list[Any]:
        return [line["payload"] for line in lines if line["type"] == kind]

    meta = of("meta")[0]
    assert meta["task_snapshot"]["instruction"] == "Hello"
    assert meta["llm_capabilities"]["max_context_tokens"] == 0
    called = of("llm.response")[2]["response"]
    assert called["content"] == [
        {"type": "thinking", "thinking": "hm"},
        {"type": "tool_use", "id": "c1", "name": "find", "input": {"n": 1}},
    ]
    assert called["stop_reason"] == {"kind": "tool_use"}
    assert called["usage"] == {
        "tokens_input": 5, "tokens_output": 2, "tokens_cache_read": 3, "tokens_cache_create": 0,
        "cost_usd": 0.25,
    }  # fmt: skip
    assert of("tool.call.started")[0] == {
        "tool_name": "find", "tool_use_id": "c1", "input": {"n": 1},
    }  # fmt: skip
    assert of("tool.call.finished")[0]["output"] == [
        {"type": "text", "text": '{"ports": ["A", "B"]}'}
    ]
    assert of("tool.call.failed")[0]["reason"] == "no seat"
    assert of("turn.finished")[1]["tool_calls"] == 2
    error = {"category": "user_simulator", "message": "abstained: the reason of abstained"}
    assert of("run.finished") == [
        {
            "termination": (
                "Failed { error: Error { category: UserSimulator, message: "
                '"abstained: the reason of abstained" }, at_turn: 2 }'
            ),
            "turns": 3,
            "tool_calls": 2,
            "extra": {"termination": {"kind": "failed", "error": error, "at_turn": 2}},
        }
    ]
    request = of("llm.request")[0]["request"]
    assert request["messages"] == [{"role": "user", "content": said("turn 2")}]


def test_every_human_turn_and_every_decision_is_marked(rich: Path, tmp_path: Path) -> None:
    file, notes = export(rich, tmp_path / "out")
    logs = [line["payload"] for line in read_lines(file) if line["type"] == "user.log"]
    assert all(not entry["namespace"].startswith(RESERVED) for entry in logs)
    human = [entry for entry in logs if entry.get("human")]
    assert [(entry["speaker"], entry.get("text")) for entry in human] == [
        ("persona", "Hello"),
        ("persona", None),
        ("provider", "Sent by hand"),
    ]
    decided = [entry for entry in logs if entry["namespace"] == "convtui.decision"]
    assert [(entry["kind"], entry.get("reason")) for entry in decided] == [
        ("reply", None), ("abstain", "no brief"),
    ]  # fmt: skip
    assert any("3 turns said by a human" in note for note in notes)
    assert any("2 decisions of the responder" in note for note in notes)
    assert any("2 sessions are one run" in note for note in notes)


def test_nothing_is_overwritten(rich: Path, tmp_path: Path) -> None:
    file, _ = export(rich, tmp_path / "out")
    before = file.read_bytes()
    with pytest.raises(FileError, match="nothing is overwritten"):
        export(rich, tmp_path / "out")
    assert file.read_bytes() == before
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        export(rich, tmp_path / "file")


def test_exports_are_as_the_published_schema_has_them(rich: Path, tmp_path: Path) -> None:
    schema = json.loads((SAMPLES / "events_schema.json").read_text())
    valid = jsonschema.Draft7Validator(schema)
    for number, log in enumerate([rich, *LOGS]):
        file, _ = export(log, tmp_path / str(number))
        for line in read_lines(file):
            assert [error.message for error in valid.iter_errors(line)] == [], line


@pytest.mark.parametrize(
    ("shape", "printed"),
    [
        ({"kind": "completed", "reason": "end_turn"}, "Completed { reason: EndTurn }"),
        (
            {"kind": "completed", "reason": {"stop_sequence": 'the "end"\n'}},
            'Completed { reason: StopSequence("the \\"end\\"\\n") }',
        ),
        (
            {"kind": "truncated", "limit": {"max_turns": 6}},
            "Truncated { limit: MaxTurns(6) }",
        ),
    ],
)
def test_endings_are_printed_as_rust_prints_them(shape: dict[str, Any], printed: str) -> None:
    assert to_debug(shape) == printed
    assert from_debug(printed) == shape


def tool_records(log: Log) -> list[tuple[Any, ...]]:
    names = ("type", "turn", "id", "name", "arguments", "ok", "result", "error_kind")
    return [
        tuple(record.get(name) for name in names)
        for record in log.records()
        if record["type"] in ("tool.called", "tool.returned")
    ]


def usages(log: Log) -> list[Any]:
    replies = [record for record in log.records() if record["type"] == "llm.response"]
    return [(reply["turn"], reply.get("side"), reply.get("usage")) for reply in replies]


def decisions(log: Log) -> list[dict[str, Any]]:
    left = ("seq", "t", "attempt", "call")
    return [
        {"by": "responder", **{key: value for key, value in record.items() if key not in left}}
        for record in log.records()
        if record["type"] == "user.decided"
    ]


def agree(log: Path, folder: Path) -> None:
    """Exported and imported again, a log says the same; and once more."""
    for number in range(2):
        file, _ = export(log, folder / f"out{number}")
        back = store(only(file), folder / f"back{number}")
        assert check_log(back) == []
        with open_log(log) as first, open_log(back) as second:
            assert turns(first) == turns(second)
            assert tool_records(first) == tool_records(second)
            assert usages(first) == usages(second)
            assert decisions(first) == decisions(second)
            assert first.transcript.termination == second.transcript.termination
            for one, two in zip(first.transcript.sessions, second.transcript.sessions, strict=True):
                assert (one.session_type, one.first_speaker, one.max_turns, one.termination) == (
                    two.session_type, two.first_speaker, two.max_turns, two.termination,
                )  # fmt: skip
        log = back


def test_export_and_import_say_the_same(rich: Path, tmp_path: Path) -> None:
    agree(rich, tmp_path)


def test_discarded_turns_come_back(tmp_path: Path) -> None:
    agree(write_log(tmp_path / "run.jsonl", sample()), tmp_path)


@pytest.mark.parametrize(
    "log", [p for p in LOGS if p.name != "crashed.jsonl"], ids=lambda p: p.name
)
def test_sample_runs_come_back(log: Path, tmp_path: Path) -> None:
    agree(log, tmp_path)


def test_a_continued_log_begins_with_what_was_said(tmp_path: Path) -> None:
    talk = [
        {"session": 1, "turn": 1, "speaker": "persona", "text": "Hi", "human": True},
        {"session": 1, "turn": 2, "speaker": "provider", "text": "Hello"},
        {"session": 2, "turn": 1, "speaker": "persona", "text": "Again"},
        {"session": 2, "turn": 2, "speaker": "provider", "text": "Yes?", "human": True},
    ]
    over = [{"session": 1, "session_type": "intake", "termination": ending()}]
    seeded = HistorySeeded(
        turns=talk, sessions=["intake", "refund"], current=2, counters={}, messages={}, ended=over
    )
    rest = session(2, "refund", [turn(3, "persona", "Bye"), turn(4, "provider", "Bye.")], ending())
    records = conversation(rest, end=ending())
    log = write_log(tmp_path / "run.jsonl", [records[0], seeded, *records[1:]])
    file, notes = export(log, tmp_path / "out")
    assert any("4 turns said before this log began" in note for note in notes)
    with opened(only(file), tmp_path / "back") as back:
        assert [found[:5] for found in turns(back)] == [
            ("1:1", "persona", "committed", "Hi", True),
            ("1:2", "provider", "committed", "Hello", False),
            ("2:1", "persona", "committed", "Again", False),
            ("2:2", "provider", "committed", "Yes?", True),
            ("2:3", "persona", "committed", "Bye", False),
            ("2:4", "provider", "committed", "Bye.", False),
        ]
        types = [(s.session_type, s.termination) for s in back.transcript.sessions]
        assert types == [("intake", ending()), ("refund", ending())]
        assert [reply["turn"] for reply in payloads(only(file), "llm.response")] == [4]


def test_a_log_with_records_of_a_wrong_shape_is_written_as_far_as_it_goes(tmp_path: Path) -> None:
    log = write_log(tmp_path / "run.jsonl", sample())
    lines = log.read_bytes().split(b"\n")
    broken = [
        line.replace(b'"keep":0', b'"keep":"x"')
        .replace(b'"base":null', b'"base":4')
        .replace(b'"signals":[', b'"signals":7,"x":[')
        for line in lines
    ]
    log.write_bytes(b"\n".join(broken))
    file, notes = export(log, tmp_path / "out")
    assert read_lines(file)[-1]["type"] == "run.finished"
    assert any("no longer has in full" in note for note in notes)


def test_a_log_without_an_end_has_no_run_finished(tmp_path: Path) -> None:
    file, notes = export(RUNS / "crashed.jsonl", tmp_path / "out")
    assert read_lines(file)[-1]["type"] != "run.finished"
    assert any("has no ending" in note for note in notes)
    assert ("no_end" in dict(warnings(only(file)))) is True


TEXTS = st.text(max_size=30) | st.sampled_from(["", " ", "<end>", "\ud800", "a\u2028b", "{"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), TEXTS, TEXTS), min_size=1, max_size=5), st.booleans())
def test_any_conversation_comes_back(
    tmp_path_factory: pytest.TempPathFactory, talk: list[tuple[bool, str, str]], human: bool
) -> None:
    folder = tmp_path_factory.mktemp("any")
    made = []
    for number, (persona, text, raw) in enumerate(talk, 1):
        marks: dict[str, Any] = {"human": True} if human and number % 2 else {}
        side: Any = "persona" if persona else "provider"
        made.append(turn(number, side, text, raw=raw or None, **marks))
    first = "persona" if talk[0][0] else "provider"
    records = conversation(session(1, "default", made, ending()), end=ending())
    for record in records:
        if record.TYPE == "session.started":
            object.__setattr__(record, "first_speaker", first)
    log = write_log(folder / "run.jsonl", records)
    file, _ = export(log, folder / "out")
    back = store(only(file), folder / "back")
    with open_log(log) as one, open_log(back) as two:
        assert [t[:5] for t in turns(one)] == [t[:5] for t in turns(two)]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "content", "role", "kind"]), inner)
    ),
    max_leaves=8,
)
SPACES = ["session", "session.ended", "ended", "turn", "decision", "reply", "x"]
FIELDS: dict[str, Any] = {
    "request": VALUES | st.fixed_dictionaries({"messages": st.lists(VALUES, max_size=2)}),
    "response": VALUES | st.fixed_dictionaries({"content": VALUES, "usage": VALUES}),
    "termination": VALUES | st.sampled_from(["Completed { reason: EndTurn }", "Failed"]),
    "namespace": st.sampled_from([f"convtui.{name}" for name in SPACES]),
    "speaker": st.sampled_from(["persona", "provider"]) | VALUES,
    **dict.fromkeys(
        (
            "text", "simulator", "turn_index", "stop_reason", "usage", "tool_use_id", "tool_name",
            "input", "output", "reason", "attempt", "kind", "said", "discarded", "human", "raw",
            "signals", "session_type", "first_speaker", "outcome", "side", "task_snapshot",
        ),
        VALUES,
    ),
}  # fmt: skip
PAYLOADS = st.lists(st.sampled_from(sorted(FIELDS)), max_size=6, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in names})
)
KINDS = sorted({kind for kind, _ in TALK} | {"llm.retry", "llm.failed", "tool.call.started",
    "tool.call.finished", "tool.call.failed", "user.log", "x"})  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KINDS), PAYLOADS), min_size=1, max_size=8))
def test_any_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Line]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    path = folder / "events.jsonl"
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events(lines)))
    try:
        for imported in format.read(path):
            opened(imported, folder / "logs").close()
    except FileError as error:
        assert f"{path}: " in str(error)
        assert any(f"line {number}: " in str(error) for number in range(1, len(lines) + 2))


def runs_in(path: Path) -> list[tuple[Any, ...]] | str:
    """What is known of the runs of a file before their records are read; or why nothing is."""
    try:
        return [
            (run.id, run.created_at, run.persona, run.provider, run.details)
            for run in format.read(path)
        ]
    except FileError as error:
        return str(error)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(KINDS), PAYLOADS), min_size=1, max_size=8),
    st.sampled_from(["", "\ufeff", '{"v": "1.0"', "\n\n"]),
    st.lists(st.sampled_from(["r1", "r2"]), min_size=8, max_size=8),
)
def test_events_that_are_passed_over_would_have_said_nothing(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Line], odd: str, runs: list[str]
) -> None:
    path = tmp_path_factory.mktemp("runs") / "events.jsonl"
    talk = [{**event, "run_id": run} for event, run in zip(events(lines), runs, strict=False)]
    texts = [json.dumps(event) for event in talk]
    path.write_text("\n".join([*texts[:3], odd + texts[0], *texts[3:], *texts]))
    quick = runs_in(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(format, "envelope_of", lambda line: None)
        assert quick == runs_in(path)


# --- published files


def test_the_published_file(tmp_path: Path) -> None:
    path = SAMPLES / "smoke.jsonl"
    assert reader_for(path) is format.read
    imported = only(path)
    assert imported.details["meta"]["task_snapshot"]["id"] == "smoke-1"
    with opened(imported, tmp_path / "logs") as log:
        assert [turn[:4] for turn in turns(log)] == [
            ("1:1", "persona", "committed", "inspect the repo"),
            ("1:2", "provider", "committed", "Let me check."),
            ("1:3", "provider", "failed", ""),
        ]
        assert log.transcript.turns[2].error == "rate limited"
        assert log.transcript.termination is not None
        assert log.transcript.termination["kind"] == "completed"
        assert log.transcript.warnings == []
        assert tool_records(log)[1][5:7] == (True, "Cargo.toml\nsrc/")
    back, _ = export(store(only(path), tmp_path / "again"), tmp_path / "out")
    there, here = read_lines(path), read_lines(back)
    kinds = ("llm.request", "llm.response", "tool.call.started", "tool.call.finished", "llm.failed")
    for kind in kinds:
        one = [line["payload"] for line in there if line["type"] == kind]
        two = [line["payload"] for line in here if line["type"] == kind]
        for payload in two:
            payload.pop("usage_unknown", None)
        assert one == two
