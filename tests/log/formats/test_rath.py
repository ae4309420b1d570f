"""rath's session files: what is read, what is written, and that both agree."""

from __future__ import annotations

import json
import tracemalloc
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtui.cli.check import check_log
from convtui.errors import FileError, UsageError
from convtui.log.detail import read_turn
from convtui.log.formats import json_objects
from convtui.log.formats.rath import format
from convtui.log.formats.registry import Imported, Written, by_name, reader_for
from convtui.log.formats.store import log_name, store
from convtui.log.reader import Log, open_log
from convtui.log.recordfile import RecordFile
from convtui.log.requests import digest
from convtui.records.models import (
    Header,
    HistorySeeded,
    LlmRequest,
    LlmResponse,
    ToolCalled,
    ToolReturned,
    TurnCommitted,
    TurnStarted,
    UserDecided,
)
from convtui.transcript.fault_rules import faults_of
from convtui.transcript.fold import Flag
from tests import places
from tests.builders.logs import (
    USAGE,
    conversation,
    ending,
    header,
    sample,
    session,
    turn,
    write_log,
)

SAMPLES = places.SAMPLES / "rath"
RUNS = places.RUNS
LOGS = sorted(path for path in RUNS.glob("*.jsonl") if ".wire" not in path.name)
ID = "71c81b8f-979f-4bd9-84db-973a0cf538cd"
PARENTS = ["8dd0140a-395c-4029-961c-856e16d1d3a7", "6bc0e75b-cb7f-4624-98c4-05cd1ca9d763"]

Row = dict[str, Any]
HEADER: Row = {
    "record_type": "header",
    "schema_version": 1,
    "id": ID,
    "created_at": "2026-11-20T17:46:52.503524+00:00",
    "parent_session_ids": PARENTS,
    "lineage_operator": "run_session_loop",
    "lineage_kind": "op_session_loop",
    "lineage_extras": [],
    "sandbox_backend": "local",
    "sandbox_spec": None,
    "sandbox_handle_id": None,
}
TRAILER: Row = {
    "record_type": "trailer",
    "closed_at": "2026-11-20T17:46:54.503524+00:00",
    "final_chunk_count": 5,
    "cumulative_usage": {"prompt_tokens": 30, "completion_tokens": 15, "total_tokens": 45},
}


def call(call_id: str, name: str, arguments: Any = "{}") -> Row:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def user(text: str) -> Row:
    return {"kind": "user", "payload": {"content": text}}


def says(content: str | None, *calls: Row) -> Row:
    payload = {"content": content, "tool_calls": list(calls) or None}
    return {"kind": "assistant", "payload": payload}


def result(call_id: str, name: str, content: Any) -> Row:
    text = content if isinstance(content, str) else json.dumps(content)
    payload = {"tool_call_id": call_id, "name": name, "content": text}
    return {"kind": "tool_result", "payload": payload}


ERROR = {"ok": False, "error_kind": "unknown_tool", "message": "unknown tool 'fly'"}
TALK = [
    user("Write hello."),
    says("I will.", call("c1", "write", '{"path": "a.txt"}')),
    result("c1", "write", {"bytes_written": 5}),
    says("Done."),
    user("Thanks"),
]


def rows(*chunks: Row, head: Row | None = None, trailer: Row | None = TRAILER) -> list[Row]:
    """A whole file; the trailer counts its chunks."""
    found = [{**HEADER, **(head or {})}]
    for index, chunk in enumerate(chunks):
        found.append({"record_type": "chunk", "index": index, **chunk})
    if trailer is not None:
        found.append({**trailer, "final_chunk_count": len(chunks)})
    return found


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(data: list[Row] | str | bytes, name: str = "s.jsonl") -> Path:
        path = tmp_path / name
        if isinstance(data, list):
            # As rath writes them: whatever stands in a text stands there raw.
            data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in data)
        path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
        return path

    return to_file


def only(path: Path) -> Imported:
    (found,) = format.read(path)
    return found


def opened(path: Path, folder: Path) -> Log:
    """The log of a file of rath, which has nothing wrong with it."""
    log = store(only(path), folder)
    assert check_log(log) == []
    return open_log(log)


def records(log: Log, kind: str) -> list[dict[str, Any]]:
    return [record for record in log.records() if record["type"] == kind]


def codes(log: Log) -> list[str]:
    return [warning["code"] for warning in log.transcript.warnings]


def turns(log: Log) -> list[tuple[Any, ...]]:
    """All that the fold says about what was said."""
    return [
        (t.address, t.speaker, t.status, t.text, int(t.flags), t.codes, t.error, t.note)
        for t in log.transcript.turns
    ]


def tools(log: Log) -> list[Any]:
    """Every call and result of the log, as far as the two say what happened."""
    names = ("session", "turn", "round", "id", "name")
    called = ("arguments", "raw_arguments")
    returned = ("ok", "result", "error_kind")
    found = []
    for record in log.records():
        if record["type"] == "tool.called":
            found.append([record.get(name) for name in (*names, *called)])
        elif record["type"] == "tool.returned":
            found.append([record.get(name) for name in (*names, *returned)])
    return found


def export(log: Log, folder: Path) -> Written:
    to_files = by_name("rath").write
    assert to_files is not None
    return to_files(log, folder)


def parsed(path: Path) -> list[Row]:
    """The rows of a file as rath's own loader splits it."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def chunks(path: Path) -> list[Row]:
    return [row for row in parsed(path) if row["record_type"] == "chunk"]


# --- a whole session


def test_a_session_becomes_a_conversation(write: Write, tmp_path: Path) -> None:
    path = write(rows(*TALK))
    imported = only(path)
    assert imported.created_at == datetime(2026, 11, 20, 17, 46, 52, 503524, tzinfo=UTC)
    with opened(path, tmp_path / "logs") as log:
        assert [t[:4] for t in turns(log)] == [
            ("1:1", "persona", "committed", "Write hello."),
            ("1:2", "provider", "committed", "Done."),
            ("1:3", "persona", "committed", "Thanks"),
        ]
        assert log.transcript.turns[1].flags == Flag.TOOL | Flag.INTERIM
        assert log.transcript.warnings == []
        (only_session,) = log.transcript.sessions
        assert (only_session.ended_at, only_session.first_speaker) == (2.0, "persona")
        termination = log.transcript.termination
        assert termination is not None
        assert (termination["kind"], termination["detail"]) == ("completed", {"recorded": False})
        told = log.transcript.header["imported"]
        assert told["parent_session_ids"] == PARENTS
        assert (told["lineage_operator"], told["lineage_kind"]) == (
            "run_session_loop",
            "op_session_loop",
        )
        assert (told["session_id"], told["sandbox_backend"]) == (ID, "local")
        assert told["cumulative_usage"] == TRAILER["cumulative_usage"]
        assert told["closed"] is True
        # What each reply used is not in the file: only the trailer's sum is known.
        assert all("usage" not in record for record in records(log, "llm.response"))
        assert log.transcript.totals["provider"].tokens == 45


def test_tool_rounds_are_one_turn(write: Write, tmp_path: Path) -> None:
    path = write(
        rows(
            user("Go."),
            says(None, call("c1", "read", '{"path": "a"}'), call("c2", "fly", "")),
            result("c1", "read", {"data": "hello"}),
            result("c2", "fly", ERROR),
            says("And", call("c3", "read", "not json")),
            result("c3", "read", {"ok": False}),
            says("Done."),
        )
    )
    with opened(path, tmp_path / "logs") as log:
        replies = [(r.get("round"), r["raw"]) for r in records(log, "llm.response")]
        assert replies == [(None, ""), (2, "And"), (3, "Done.")]
        assert tools(log) == [
            [1, 2, None, "c1", "read", {"path": "a"}, '{"path": "a"}'],
            # No arguments are as good as `{}`.
            [1, 2, None, "c2", "fly", {}, ""],
            [1, 2, None, "c1", "read", True, {"data": "hello"}, None],
            [1, 2, None, "c2", "fly", False, ERROR, "unknown_tool"],
            [1, 2, 2, "c3", "read", None, "not json"],
            # A tool that says no has not failed.
            [1, 2, 2, "c3", "read", True, {"ok": False}, None],
        ]
        said = log.transcript.turns[1]
        assert said.text == "Done."
        assert said.flags == Flag.TOOL | Flag.TOOL_ERROR | Flag.ENDED | Flag.INTERIM
        file = RecordFile(log.path, log.transcript.offsets)
        detail = read_turn(file, said)
        file.close()
        assert [bool(returned) for _, returned in detail.tools] == [True, True, True]


def test_results_keep_their_exact_text(write: Write, tmp_path: Path) -> None:
    texts = ['{"a":1}', "no JSON at all", '"quoted"', "5", "null", "NaN", "[" * 200, '{"a": "ü"}']
    made: list[Row] = [user("Go.")]
    for n, text in enumerate(texts):
        made += [says(None, call(f"c{n}", "t")), result(f"c{n}", "t", text)]
    with opened(write(rows(*made, says("Done."))), tmp_path / "logs") as log:
        assert [r.get("result") for r in records(log, "tool.returned")] == [
            {"a": 1}, "no JSON at all", "quoted", 5, None, "NaN", "[" * 200, {"a": "ü"},
        ]  # fmt: skip
        (path,) = export(log, tmp_path / "out").files
    found = [c["payload"]["content"] for c in chunks(path) if c["kind"] == "tool_result"]
    assert found == texts


def test_line_separators_in_texts_are_no_ends_of_lines(write: Write, tmp_path: Path) -> None:
    text = "a\u2028b\u2029c\u0085d\x1ce\x0bf\r\ng"
    path = write(rows(user(text), says(text)))
    assert text[:2] in path.read_text()
    with opened(path, tmp_path / "logs") as log:
        assert [t.text for t in log.transcript.turns] == [text, text]
        (back,) = export(log, tmp_path / "out").files
    # rath's own loader splits at all of these: `parsed` does as it does.
    assert [c["payload"]["content"] for c in chunks(back)] == [text, text]


def test_half_of_a_surrogate_pair_goes_through(write: Write, tmp_path: Path) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows(user("a\ud800b"), says("ok")))
    with opened(write(text), tmp_path / "logs") as log:
        (back,) = export(log, tmp_path / "out").files
    assert chunks(back)[0]["payload"]["content"] == "a\ud800b"


def test_system_rows_and_unknown_fields_are_kept(write: Write, tmp_path: Path) -> None:
    system = {"kind": "system", "payload": {"content": "Be kind."}}
    odd = {**says("Hi."), "payload": {"content": "Hi.", "tool_calls": None, "mood": "calm"}}
    made = rows(system, user("Hello"), odd, system, head={"colour": "red"})
    with opened(write(made), tmp_path / "logs") as log:
        kept = records(log, "rath.system")
        assert [record["data"] for record in kept] == [{"content": "Be kind."}] * 2
        assert records(log, "session.started")[0]["first_speaker"] == "persona"
        (back,) = export(log, tmp_path / "out").files
    assert parsed(back) == made


def test_a_session_without_turns_comes_in(write: Write, tmp_path: Path) -> None:
    with opened(write(rows(head={"lineage_kind": "op_create"})), tmp_path / "logs") as log:
        assert log.transcript.turns == []
        assert log.transcript.complete


@pytest.mark.parametrize(
    ("kind", "told", "in_file"),
    [
        ("op_merge", "op_merge", None),
        ("op_teleport", "unknown", "op_teleport"),
        (None, "unknown", None),
    ],
)
def test_lineage_of_an_unknown_kind_is_unknown(
    write: Write, kind: str | None, told: str, in_file: str | None
) -> None:
    found = only(write(rows(*TALK, head={"lineage_kind": kind}))).details
    assert (found["lineage_kind"], found.get("lineage_kind_in_file")) == (told, in_file)


def test_times_that_are_none(write: Write, tmp_path: Path) -> None:
    trailer = {**TRAILER, "closed_at": "1999-01-01T00:00:00+00:00", "cumulative_usage": None}
    path = write(rows(*TALK, head={"created_at": "soon"}, trailer=trailer))
    imported = only(path)
    assert imported.details["created_at_from"] == "file's date"
    assert "cumulative_usage" not in imported.details
    with opened(path, tmp_path / "logs") as log:
        assert log.transcript.sessions[0].ended_at == 0.0


# --- files that are not whole


def test_a_partial_file_is_not_closed(write: Write, tmp_path: Path) -> None:
    made = rows(user("Go."), says(None, call("c1", "read")), trailer=None)
    path = write(made, "s.jsonl.__partial__")
    assert format.detect(path)
    with opened(path, tmp_path / "logs") as log:
        assert [t[1:4] for t in turns(log)] == [
            ("persona", "committed", "Go."),
            ("provider", "ended", ""),
        ]
        last = log.transcript.turns[1]
        assert last.flags & Flag.TOOL
        assert not last.flags & Flag.TRUNCATED
        assert codes(log) == ["no_end"]
        termination = log.transcript.termination
        assert termination is not None
        assert (termination["kind"], termination["by"]) == ("interrupted", "harness")
        assert "no trailer" in termination["reason"]
        assert [fault.rule for fault in faults_of(last)] == ["interrupted"]
        told = log.transcript.header["imported"]
        assert (told["closed"], told["partial_name"]) == (False, True)
        written = export(log, tmp_path / "out")
        assert written.files == (tmp_path / "out" / f"{ID}.jsonl.__partial__",)
        assert parsed(written.files[0]) == made
        assert any("__partial__" in note for note in written.notes)


def test_what_was_said_before_the_crash_was_said(write: Write, tmp_path: Path) -> None:
    with opened(write(rows(user("Go."), says("Done."), trailer=None)), tmp_path / "l") as log:
        assert [t.status for t in log.transcript.turns] == ["committed", "committed"]
        assert codes(log) == ["no_end"]


def test_a_complete_file_that_was_never_renamed_is_closed(write: Write, tmp_path: Path) -> None:
    path = write(rows(*TALK), "s.jsonl.__partial__")
    with opened(path, tmp_path / "logs") as log:
        told = log.transcript.header["imported"]
        assert (told["closed"], told["partial_name"], codes(log)) == (True, True, [])


@pytest.mark.parametrize("torn", ["", '{"record_type": "tra', "\u00fc"])
def test_a_last_line_without_an_end_is_torn(write: Write, tmp_path: Path, torn: str) -> None:
    whole = "".join(json.dumps(row) + "\n" for row in rows(*TALK, trailer=None))
    path = write(whole.encode() + torn.encode()[: -1 if torn == "\u00fc" else None])
    with opened(path, tmp_path / "logs") as log:
        assert len(log.transcript.turns) == 3
        first = ["not_utf8"] if torn == "\u00fc" else []
        assert codes(log) == [*first, *(["torn_line"] if torn else []), "no_end"]


def test_a_last_line_that_is_whole_needs_no_end(write: Write, tmp_path: Path) -> None:
    path = write("\n".join(json.dumps(row) for row in rows(*TALK)))
    with opened(path, tmp_path / "logs") as log:
        assert (log.transcript.header["imported"]["closed"], codes(log)) == (True, [])


def test_blank_lines_are_passed_over(write: Write) -> None:
    text = "\n\n".join(json.dumps(row) for row in rows(*TALK)) + "\r\n \n"
    assert only(write(text)).details["closed"] is True


# --- what rath's loader does not look at


def test_indexes_and_counts_are_verified(write: Write, tmp_path: Path) -> None:
    made = rows(*TALK)
    made[2]["index"] = 7
    del made[4]["index"]
    made[-1]["final_chunk_count"] = 9
    late = {"record_type": "chunk", "index": 9, **user("Late")}
    more = [{**TRAILER, "final_chunk_count": 6, "cumulative_usage": None}]
    with opened(write([*made, late, *more]), tmp_path / "logs") as log:
        assert [(w["code"], w["message"]) for w in log.transcript.warnings] == [
            ("chunk_index", "line 3: the chunk's index is 7 where 1 was expected"),
            ("chunk_index", "line 4: the chunk's index is 2 where 8 was expected"),
            ("chunk_index", "line 5: the chunk's index is None where 3 was expected"),
            ("chunk_count", "line 7: the trailer counts 9 chunks, there are 5"),
            ("chunk_index", "line 8: the chunk's index is 9 where 5 was expected"),
            ("after_trailer", "line 8: a chunk stands after the trailer"),
            ("two_trailers", "line 9: trailer number 2"),
        ]
        assert log.transcript.turns[-1].text == "Late"
        # Of two trailers the last one counts, and it does not know the usage.
        assert "cumulative_usage" not in log.transcript.header["imported"]


def test_rounds_that_make_no_sense_are_told(write: Write, tmp_path: Path) -> None:
    made = rows(
        user("Go."),
        says("One"),
        says("Two"),
        says("Three", call("c1", "read")),
        says("Four"),
        result("c9", "read", {"data": ""}),
        says("Five"),
    )
    with opened(write(made), tmp_path / "logs") as log:
        assert codes(log) == ["asked_again", "asked_again", "no_result", "unknown_call"]
        assert log.transcript.turns[-1].text == "Five"


def test_used_up_tool_rounds_are_flagged(write: Write, tmp_path: Path) -> None:
    round_ = [says("Hm", call("c1", "fly")), result("c1", "fly", ERROR)]
    path = write(rows(user("Go."), *round_, *round_, user("Well?"), *round_))
    with opened(path, tmp_path / "logs") as log:
        assert [bool(t.flags & Flag.TRUNCATED) for t in log.transcript.turns] == [
            False, True, False, True,
        ]  # fmt: skip
        rules = [fault.rule for fault in faults_of(log.transcript.turns[-1])]
        assert "tool-rounds" in rules
        termination = log.transcript.termination
        assert termination is not None
        assert termination["detail"] == {"recorded": False, "truncated": True}
        (back,) = export(log, tmp_path / "out").files
    assert parsed(back)[0]["lineage_extras"] == [["loop.truncated", True]]
    assert parsed(back)[-1]["extras"] == [["loop.truncated", True]]


@pytest.mark.parametrize("where", ["lineage_extras", "extras"])
def test_truncation_that_the_file_tells(write: Write, tmp_path: Path, where: str) -> None:
    extras = {where: [["loop.truncated", True]]}
    header, trailer = (extras, {}) if where == "lineage_extras" else ({}, extras)
    made = rows(user("Go."), says("One"), says("Two"), head=header, trailer=TRAILER | trailer)
    with opened(write(made), tmp_path / "logs") as log:
        assert log.transcript.turns[-1].flags & Flag.TRUNCATED
        termination = log.transcript.termination
        assert termination is not None
        assert termination["detail"] == {"truncated": True}


# --- what is no file of rath


def _with(index: int, **fields: Any) -> list[Row]:
    made = rows(*TALK)
    made[index] = {**made[index], **fields}
    return made


HEAD = json.dumps(HEADER) + "\n"


@pytest.mark.parametrize(
    ("data", "says_"),
    [
        (HEAD + "{no\n", "line 2: is not JSON (column 2"),
        (HEAD + "\n[1]\n", "line 3: must be an object, not a list"),
        (HEAD + "null\n", "line 2: must be an object, not null"),
        (HEAD + HEAD, "line 2: a second header (the first is in line 1)"),
        (rows(*TALK)[1:], "line 1: there is no header: a chunk stands before it"),
        ([TRAILER], "line 1: there is no header: a trailer stands before it"),
        (_with(1, record_type="chonk"), "line 2: record_type 'chonk' is not known"),
        (_with(1, record_type=None), "line 2: record_type is missing"),
        (_with(1, kind="usr"), "line 2: kind 'usr' is not known, did you mean 'user'?"),
        (_with(1, payload="Hello"), "line 2: payload: must be an object, not text"),
        (_with(1, payload=None), "line 2: payload: must be an object, not null"),
        (_with(1, payload={}), "line 2: payload: content is missing"),
        (_with(1, payload={"content": ["a"]}), "line 2: payload: content must be text, not a list"),
        (
            _with(2, payload={"content": None, "tool_calls": [3]}),
            "line 3: payload: tool_calls[0]: must be an object, not a number",
        ),
        (
            _with(2, payload={"content": None, "tool_calls": [{"id": "c"}]}),
            "line 3: payload: tool_calls[0]: function is missing",
        ),
        (
            _with(2, payload={"content": None, "tool_calls": [{"function": {}}]}),
            "line 3: payload: tool_calls[0]: function: name is missing",
        ),
        (_with(0, schema_version=0), "line 1: schema_version 0 is not known"),
        (_with(0, schema_version="1"), "line 1: schema_version must be a whole number"),
        (_with(0, schema_version=None), "line 1: schema_version is missing"),
        (_with(0, id=""), "line 1: id is missing"),
        (_with(0, parent_session_ids=[1]), "line 1: parent_session_ids must be a list of ids"),
        (_with(0, lineage_extras=[["a"]]), "line 1: lineage_extras[0] must be a pair"),
        (_with(-1, cumulative_usage=[]), "line 7: cumulative_usage: must be an object"),
        (
            _with(-1, cumulative_usage={"prompt_tokens": "9"}),
            "line 7: cumulative_usage: prompt_tokens must be a whole number",
        ),
        (_with(-1, final_chunk_count="5"), "line 7: final_chunk_count must be a whole number"),
        (HEAD.encode() + b"\xff\n", "line 2: is not UTF-8 (byte 1)"),
        (HEAD + '{"a":' * 200 + "1" + "}" * 200 + "\n", "line 2: is nested too deep"),
        (HEAD + '{"a": NaN}\n', "line 2: is not JSON (NaN is no JSON number)"),
    ],
)
def test_what_is_wrong_is_a_finding_and_the_rest_is_imported(
    write: Write, tmp_path: Path, data: Any, says_: str
) -> None:
    path = write(data)
    line = int(says_.split(":", maxsplit=1)[0].removeprefix("line "))
    with opened(path, tmp_path / "logs") as log:
        about = [w for w in log.transcript.warnings if w.get("line") == line]
        assert any(w["message"].startswith(says_) for w in about), log.transcript.warnings
        assert log.findings == []


@pytest.mark.parametrize(
    ("data", "says_"),
    [
        (_with(0, schema_version=2), "line 1: written by a newer rath (schema_version 2"),
        ("", "there is no header and no chunk that can be read: the file is empty"),
        ("\n \n", "there is no header and no chunk that can be read: this is no session"),
        ("{no\n[1]\n", "there is no header and no chunk that can be read"),
    ],
)
def test_what_cannot_be_read_at_all_is_refused(
    write: Write, tmp_path: Path, data: Any, says_: str
) -> None:
    path = write(data)
    with pytest.raises(FileError) as raised:
        store(only(path), tmp_path / "logs")
    assert f"{path}: {says_}" in str(raised.value)
    assert list((tmp_path / "logs").glob("*")) == []


def _lines(*replaced: tuple[int, bytes]) -> bytes:
    """A talk in which lines, counted from 1, are replaced."""
    made = [json.dumps(row).encode() for row in rows(*TALK)]
    for number, line in replaced:
        made[number - 1] = line
    return b"\n".join(made) + b"\n"


def _whole(number: int) -> bytes:
    return json.dumps(rows(*TALK)[number - 1]).encode()


DAMAGE = {
    "cut in the middle": (3, b'{"record_type": "chunk", "index": 2, "ki', ["bad_line"]),
    "garbage": (3, b"<html>", ["bad_line"]),
    "a list": (3, b"[1, 2]", ["bad_line"]),
    "glued": (3, _whole(3) + _whole(4), ["glued", "chunk_index", "chunk_count"]),
    "glued with a tab": (3, _whole(3) + b"\t" + _whole(4), ["glued", "chunk_index", "chunk_count"]),
    "glued and cut": (3, _whole(3) + _whole(4)[:30], ["bad_line"]),
    "not UTF-8": (2, _whole(2).replace(b"hello", b"hel\xfflo"), ["not_utf8"]),
    "a mark at its beginning": (3, b"\xef\xbb\xbf" + _whole(3), []),
    "a separator in its text": (2, _whole(2).replace(b"hello", "hel\u2028lo".encode()), []),
    "a type that is not known": (3, b'{"record_type": "note", "x": 1}', ["bad_value"]),
    "a kind that is not known": (
        3, b'{"record_type": "chunk", "kind": "thought", "index": 1, "payload": {}}', ["bad_value"],
    ),
    "a role that is a list": (
        3, b'{"record_type": "chunk", "kind": ["user"], "index": 1, "payload": {}}', ["bad_value"],
    ),
    "content that is a number": (
        2, b'{"record_type": "chunk", "kind": "user", "index": 0, "payload": {"content": 5}}',
        ["bad_value"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("number", "line", "wanted"), DAMAGE.values(), ids=DAMAGE)
def test_a_broken_line_is_a_finding_of_its_own(
    write: Write, tmp_path: Path, number: int, line: bytes, wanted: list[str]
) -> None:
    with opened(write(_lines((number, line))), tmp_path / "logs") as log:
        warnings = [w for w in log.transcript.warnings if w["code"] not in ("no_result",)]
        known = [w for w in warnings if w["code"] not in ("unknown_call", "asked_again")]
        assert [w["code"] for w in known] == wanted
        if wanted:
            assert known[0]["line"] == number
            assert known[0]["message"].startswith(f"line {number}: ")
        assert log.transcript.turns[-1].text == turns_of_talk(tmp_path)[-1]


def turns_of_talk(folder: Path) -> list[str]:
    path = folder / "whole.jsonl"
    path.write_bytes(_lines())
    with opened(path, folder / "whole") as log:
        return [turn.text for turn in log.transcript.turns]


def test_rows_that_are_glued_are_all_read(write: Write, tmp_path: Path) -> None:
    made = [_whole(number) for number in range(1, 8)]
    path = write(b"\n".join([made[0], made[1] + made[2], *made[3:]]) + b"\n")
    with opened(path, tmp_path / "logs") as log:
        assert [turn.text for turn in log.transcript.turns] == turns_of_talk(tmp_path)
        assert [(w["code"], w["line"]) for w in log.transcript.warnings] == [("glued", 2)]


def test_a_line_that_is_too_long_is_left_out(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_objects, "MAX_LINE", 1000)
    long = _whole(3).replace(b'"content": ', b'"padding": "' + b"x" * 5000 + b'", "content": ', 1)
    with opened(write(_lines((3, long))), tmp_path / "logs") as log:
        assert log.transcript.warnings[0]["line"] == 3
        assert "larger than 0 MB" in log.transcript.warnings[0]["message"]
        assert log.transcript.turns[-1].text == turns_of_talk(tmp_path)[-1]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        only(tmp_path / "none.jsonl")
    with pytest.raises(FileError, match="no sessions of rath"):
        list(format.read(tmp_path))


def test_recognised_by_its_first_line(write: Write, tmp_path: Path) -> None:
    assert reader_for(write(rows(*TALK))) is format.FORMAT.read
    assert not format.detect(write(rows(*TALK), "s.txt"))
    assert not format.detect(write('{"v":"1.0","seq":0,"run_id":"r","type":"meta"}\n', "o.jsonl"))
    ours = write_log(tmp_path / "ours.jsonl", sample())
    assert not format.detect(ours)
    with pytest.raises(UsageError, match="did you mean 'rath'"):
        by_name("wrath")


def test_a_folder_holds_many(write: Write, tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    folder.mkdir()
    write(rows(*TALK), "sessions/b.jsonl")
    write(rows(user("Hi"), trailer=None), "sessions/a.jsonl.__partial__")
    write("something else", "sessions/c.jsonl")
    found = list(reader_for(folder)(folder))
    assert [imported.sources[0].name for imported in found] == ["a.jsonl.__partial__", "b.jsonl"]
    assert len({log_name(imported) for imported in found}) == 2


def test_the_same_session_has_the_same_name(write: Write) -> None:
    first = log_name(only(write(rows(*TALK))))
    assert log_name(only(write(rows(*TALK), "copy.jsonl"))) == first
    assert log_name(only(write(rows(*TALK[:-1])))) != first


def test_a_long_file_is_not_held(write: Write) -> None:
    filler = "word " * 8000
    made = [chunk for n in range(60) for chunk in (user(f"{n} {filler}"), says(filler))]
    path = write(rows(*made))
    assert path.stat().st_size > 4_000_000
    tracemalloc.start()
    try:
        count = sum(1 for _ in only(path).records)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 60 * (2 + 3) + 2
    assert peak < 1_500_000


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    place=st.integers(0, 6),
    drop=st.booleans(),
    value=_JSON,
)
def test_whatever_stands_in_a_row(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    place: int,
    drop: bool,
    value: Any,
) -> None:
    made: list[Any] = json.loads(json.dumps(rows(*TALK)))
    target: Any = made[place]
    if "payload" in target and data.draw(st.booleans()):
        target = target["payload"]
    key = data.draw(st.sampled_from(sorted(target)))
    if drop:
        del target[key]
    else:
        target[key] = value
    folder = tmp_path_factory.mktemp("rows")
    path = folder / "s.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    try:
        log = store(only(path), folder / "logs")
    except FileError as error:
        assert "newer rath" in str(error)
        return
    assert check_log(log) == []
    with open_log(log) as first:
        (back,) = export(first, folder / "out").files
        with opened(back, folder / "again") as second:
            assert [t[:4] for t in turns(second)] == [t[:4] for t in turns(first)]
            if "unknown_call" not in codes(first):
                assert tools(second) == tools(first)


# --- there and back


def _agree(path: Path, folder: Path) -> None:
    """Import, export and import again: the fold says the same."""
    with opened(path, folder / "first") as first:
        (back,) = export(first, folder / "out").files
        with opened(back, folder / "second") as second:
            assert turns(second) == turns(first)
            assert tools(second) == tools(first)
            assert second.transcript.termination is not None
            assert first.transcript.termination is not None
            for name in ("kind", "by", "at_turn"):
                assert second.transcript.termination[name] == first.transcript.termination[name]
            told, before = (log.transcript.header["imported"] for log in (second, first))
            for name in ("session_id", "parent_session_ids", "cumulative_usage", "closed"):
                assert told.get(name) == before.get(name)
            replies = [
                [
                    (r.get("round"), r["raw"], r.get("tool_calls"))
                    for r in records(log, "llm.response")
                ]
                for log in (first, second)
            ]
            assert replies[0] == replies[1]
            assert second.transcript.sessions[0].ended_at == first.transcript.sessions[0].ended_at


@pytest.mark.parametrize(
    "chunks_",
    [
        TALK,
        TALK[:-1],
        [user("Go."), says(None, call("c1", "fly")), result("c1", "fly", ERROR)],
        [says("Hello"), user(""), says("")],
        [user("a"), user("b"), says("Role: user: b"), user("b")],
        [user("Go."), says("a"), says("b"), says(None, call("", "t", "")), says("c")],
    ],
)
@pytest.mark.parametrize("trailer", [TRAILER, None, {**TRAILER, "cumulative_usage": None}])
def test_import_export_import(
    write: Write, tmp_path: Path, chunks_: list[Row], trailer: Row | None
) -> None:
    _agree(write(rows(*chunks_, trailer=trailer)), tmp_path)


@pytest.mark.parametrize(
    "name",
    ["tool_round_trip.jsonl", "truncated_max_rounds.jsonl", "crash_mid_loop.jsonl.__partial__"],
)
def test_the_sample_files_agree(tmp_path: Path, name: str) -> None:
    path = SAMPLES / name
    assert reader_for(path) is format.FORMAT.read
    _agree(path, tmp_path)
    (back,) = (tmp_path / "out").iterdir()
    # What was exported is what rath wrote, but for the truncation that it forgot.
    theirs, ours = parsed(path), parsed(back)
    if "truncated" in name:
        assert ours[-1].pop("extras") == ours[0]["lineage_extras"] == [["loop.truncated", True]]
        ours[0]["lineage_extras"] = []
    assert ours == theirs


def test_the_sample_that_was_cut_off_is_flagged(tmp_path: Path) -> None:
    with opened(SAMPLES / "truncated_max_rounds.jsonl", tmp_path) as log:
        assert log.transcript.turns[-1].flags & Flag.TRUNCATED
        assert len(records(log, "tool.returned")) == 3


# --- logs of ours


def test_a_log_of_ours_goes_out(tmp_path: Path) -> None:
    at: dict[str, Any] = {"session": 1, "turn": 2, "side": "provider"}
    messages = [{"role": "system", "content": "You are a desk."}, {"role": "user", "content": "Hi"}]
    usage = {"prompt_tokens": 10, "completion_tokens": 3}
    tool_calls = [call("c1", "find", '{"q": "ferry"}')]
    reply = [
        TurnStarted(**at, speaker="provider"),
        LlmRequest(**at, append=messages, sha256=digest(messages), round=1),
        LlmResponse(**at, raw="Let me look.", tool_calls=tool_calls, usage=usage, round=1),
        ToolCalled(
            **at, id="c1", name="find", arguments={"q": "ferry"}, raw_arguments='{"q": "ferry"}'
        ),
        ToolReturned(**at, id="c1", name="find", ok=False, result="gone", error_kind="timeout"),
        LlmResponse(**at, raw="At nine. [[X]]", usage=usage, round=2),
        TurnCommitted(**at, speaker="provider", text="At nine.", words=2),
    ]
    talk = session(1, "default", [turn(1, "persona", "Hi", human=True), reply], ending("completed"))
    path = write_log(tmp_path / "run.jsonl", conversation(talk, end=ending("completed")))
    with open_log(path) as log:
        written = export(log, tmp_path / "out")
        before = turns(log)
    (back,) = written.files
    found = parsed(back)
    body = {"ok": False, "error_kind": "timeout", "message": "gone"}
    assert [(c["index"], c["kind"], c["payload"]) for c in chunks(back)] == [
        (0, "system", {"content": "You are a desk."}),
        (1, "user", {"content": "Hi"}),
        (2, "assistant", {"content": "Let me look.", "tool_calls": tool_calls}),
        (3, "tool_result", {"tool_call_id": "c1", "name": "find", "content": json.dumps(body)}),
        (4, "assistant", {"content": "At nine.", "tool_calls": None}),
    ]
    assert found[-1]["final_chunk_count"] == 5
    assert found[-1]["cumulative_usage"] == {
        "prompt_tokens": 20,
        "completion_tokens": 6,
        "total_tokens": 26,
    }
    assert found[0]["lineage_kind"] == "op_session_loop"
    assert ["convtui.persona", "Maya"] in found[0]["lineage_extras"]
    notes = " ".join(written.notes)
    for what in ("by a human", "shown text is not the reply", "error of tools", "ending"):
        assert what in notes
    with opened(back, tmp_path / "logs") as log:
        assert log.transcript.header["persona"] == "Maya"
        assert log.transcript.header["provider"]["name"] == "Bot"
        assert [t[:4] for t in turns(log)] == [t[:4] for t in before]
        assert (
            log.transcript.turns[1].flags == Flag.TOOL | Flag.TOOL_ERROR | Flag.ENDED | Flag.INTERIM
        )


def test_every_session_is_a_file(tmp_path: Path) -> None:
    decided = UserDecided(kind="reply", tool="send_reply", arguments={"text": "x"})
    more = turn(5, "persona", "Bye", more=[decided])
    path = write_log(tmp_path / "run.jsonl", sample())
    with open_log(path) as log:
        written = export(log, tmp_path / "out")
        assert len(set(written.files)) == 2
        notes = " ".join(written.notes)
        assert "2 sessions are 2 files" in notes
        assert "1 discarded turn left out" in notes
        with pytest.raises(FileError, match="nothing is overwritten"):
            export(log, tmp_path / "out")
        assert len(list((tmp_path / "out").iterdir())) == 2
    said = [[c["payload"]["content"] for c in chunks(file)] for file in written.files]
    assert said == [
        ["Hello, my ferry was cancelled.", "I am sorry."],
        ["I want my money back.", "Are you there?", "Of course."],
    ]
    talk = conversation(session(1, "default", [more], ending()), end=ending())
    with open_log(write_log(tmp_path / "two.jsonl", talk)) as log:
        assert any("decision" in note for note in export(log, tmp_path / "two").notes)


def test_nothing_is_overwritten_and_nothing_half_is_left(write: Write, tmp_path: Path) -> None:
    with opened(write(rows(*TALK)), tmp_path / "logs") as log:
        out = tmp_path / "out"
        out.mkdir()
        partial = out / f"{ID}.jsonl.__partial__"
        partial.write_text("rath is writing this")
        with pytest.raises(FileError, match="nothing is overwritten"):
            export(log, out)
        assert list(out.iterdir()) == [partial]
        (tmp_path / "file").write_text("")
        with pytest.raises(FileError, match="cannot be written"):
            export(log, tmp_path / "file")


def test_what_rath_would_refuse_is_not_written(write: Write, tmp_path: Path) -> None:
    made = rows(*TALK, head={"id": "../s-1", "lineage_operator": None})
    with opened(write(made), tmp_path / "logs") as log:
        (back,) = export(log, tmp_path / "out").files
        assert log.transcript.header["imported"]["session_id"] == "../s-1"
    assert back.parent == tmp_path / "out"
    found = parsed(back)[0]
    assert back.name == f"{uuid.UUID(found['id'])}.jsonl"
    # rath reads null as the text None.
    assert "lineage_operator" not in found


def test_a_log_that_broke_off_is_partial(tmp_path: Path) -> None:
    at: dict[str, Any] = {"session": 1, "turn": 2, "side": "provider"}
    open_turn = [
        TurnStarted(**at, speaker="provider"),
        LlmResponse(**at, raw="", tool_calls=[call("c1", "find")], round=1),
        ToolCalled(**at, id="c1", name="find", arguments={}, raw_arguments="{}"),
    ]
    talk = conversation(session(1, "default", [turn(1, "persona", "Hi"), open_turn]))
    with open_log(write_log(tmp_path / "run.jsonl", talk, close=False)) as log:
        (back,) = export(log, tmp_path / "out").files
    assert back.name.endswith(".jsonl.__partial__")
    assert [row["record_type"] for row in parsed(back)] == ["header", "chunk", "chunk"]
    with opened(back, tmp_path / "logs") as log:
        assert [t.status for t in log.transcript.turns] == ["committed", "ended"]


def test_usage_that_is_not_known_is_null(tmp_path: Path) -> None:
    talk = session(
        1,
        "default",
        [turn(1, "provider", "a", usage=USAGE), turn(2, "persona", "b"), turn(3, "provider", "c")],
        ending(),
    )
    with open_log(write_log(tmp_path / "run.jsonl", conversation(talk, end=ending()))) as log:
        written = export(log, tmp_path / "out")
    assert parsed(written.files[0])[-1]["cumulative_usage"] is None
    assert "1 reply whose usage is not known: cumulative_usage is null" in written.notes


def test_a_retried_reply_is_there_once(tmp_path: Path) -> None:
    turns_ = [
        turn(1, "persona", "Hi"),
        turn(2, "provider", "[[E]]", signal="[[E]]", discard="retry", usage=USAGE),
        turn(2, "provider", "Good day.", attempt=2, usage=USAGE),
    ]
    talk = conversation(session(1, "default", turns_, ending()), end=ending())
    with open_log(write_log(tmp_path / "run.jsonl", talk)) as log:
        (back,) = export(log, tmp_path / "out").files
    assert [c["payload"]["content"] for c in chunks(back)] == ["Hi", "Good day."]
    # Both were paid for.
    assert parsed(back)[-1]["cumulative_usage"]["total_tokens"] == 2 * 88


@pytest.mark.parametrize("end", [ending("discarded"), None])
def test_a_reply_that_was_dropped_at_the_end_is_not_there(tmp_path: Path, end: Any) -> None:
    dropped = turn(2, "provider", "[[E]]", signal="[[E]]", discard="end", usage=USAGE)
    talk = conversation(session(1, "default", [turn(1, "persona", "Hi"), dropped], end), end=end)
    with open_log(write_log(tmp_path / "run.jsonl", talk, close=end is not None)) as log:
        written = export(log, tmp_path / "out")
    assert [c["payload"]["content"] for c in chunks(written.files[0])] == ["Hi"]
    assert "1 discarded turn left out" in written.notes
    assert not any("never finished" in note for note in written.notes)


def test_what_a_child_log_began_with_goes_out(tmp_path: Path) -> None:
    tool_calls = [call("c1", "find")]
    seeded = HistorySeeded(
        turns=[
            {"session": 1, "turn": 1, "speaker": "persona", "text": "Hi"},
            {
                "session": 1,
                "turn": 2,
                "speaker": "provider",
                "text": "At nine.",
                "messages": [
                    {"role": "assistant", "content": None, "tool_calls": tool_calls},
                    {"role": "tool", "tool_call_id": "c1", "content": '{"data": 9}'},
                ],
            },
        ],
        sessions=["default"],
        current=1,
        counters={},
        messages={},
    )
    parent = {"id": PARENTS[0].replace("-", ""), "file": "p.jsonl", "seq": 3, "sha256": "00"}
    head: Header = header(origin="continue", parents=[parent], change={"kind": "fork"})
    rest = session(1, "default", [turn(3, "persona", "Bye", edited=True)], ending())
    with open_log(write_log(tmp_path / "child.jsonl", [head, seeded, *rest])) as log:
        written = export(log, tmp_path / "out")
    (back,) = written.files
    assert [(c["kind"], c["payload"].get("content")) for c in chunks(back)] == [
        ("user", "Hi"),
        ("assistant", None),
        ("tool_result", '{"data": 9}'),
        ("assistant", "At nine."),
        ("user", "Bye"),
    ]
    assert chunks(back)[2]["payload"]["name"] == "find"
    found = parsed(back)[0]
    assert (found["parent_session_ids"], found["lineage_kind"]) == (PARENTS[:1], "op_fork")
    assert any("before this log began" in note for note in written.notes)
    assert any("edited by hand" in note for note in written.notes)


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_every_sample_run_says_the_same_afterwards(path: Path, tmp_path: Path) -> None:
    """Both rath's files and our own logs go through the same fold."""
    with open_log(path) as log:
        written = export(log, tmp_path / "out")
        held = [s for s in log.transcript.sessions if not s.skipped]
        assert len(written.files) == len(held)
        for held_session, file in zip(held, written.files, strict=True):
            before = [log.transcript.turns[index] for index in held_session.turns]
            with opened(file, tmp_path / file.name) as back:
                assert [
                    (t.speaker, t.text) for t in back.transcript.turns if t.status == "committed"
                ] == [(t.speaker, t.text) for t in before if t.status == "committed"]


@settings(max_examples=60, deadline=None)
@given(told=st.dictionaries(st.sampled_from(
    ["session_id", "closed", "closed_at", "parent_session_ids", "lineage_extras", "lineage_kind",
     "trailer_extras", "cumulative_usage", "header", "trailer"]), _JSON))  # fmt: skip
def test_a_damaged_header_is_no_traceback(
    tmp_path_factory: pytest.TempPathFactory, told: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("told")
    head = header(origin="import", imported={"format": "rath", **told})
    talk = session(1, "default", [turn(1, "persona", "Hi")], ending())
    with open_log(write_log(folder / "run.jsonl", [head, *talk])) as log:
        (back,) = export(log, folder / "out").files
    assert [c["payload"] for c in chunks(back)] == [{"content": "Hi"}]
