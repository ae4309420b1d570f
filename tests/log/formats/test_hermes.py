"""hermes' databases, exports and logs: what is read of them, and that they stay as they were."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtui.cli.check import check_log
from convtui.errors import FileError, LogError
from convtui.library.families import families
from convtui.log.detail import read_turn
from convtui.log.formats import json_objects
from convtui.log.formats.chat.messages import message_of
from convtui.log.formats.chat.records import Ending, MessageReader
from convtui.log.formats.hermes import database as hermes_database
from convtui.log.formats.hermes import format
from convtui.log.formats.hermes.sessions import termination_of
from convtui.log.formats.registry import Imported, Source, by_name, format_for, reader_for
from convtui.log.formats.store import Parents, place_of, store
from convtui.log.parents import find_parent, parent_of
from convtui.log.reader import open_log
from convtui.log.recordfile import RecordFile
from convtui.log.run_summary import list_runs
from convtui.log.tool_uses import tool_uses
from convtui.records.codec import RecordDict, encode
from convtui.records.models import TurnCommitted
from convtui.transcript.fold import Flag, Transcript
from tests import places
from tests.builders.hermes_files import (
    NEW,
    NOW,
    OLD,
    Row,
    call,
    database,
    insert,
    reply,
    result,
    said,
    user,
)

SAMPLES = places.SAMPLES / "hermes"
PARENT, CHILD = "20260413_100000_aaaa11", "20260413_110000_bbbb22"
TALK = said(user("hi"), reply("hello", finish_reason="stop"))
ONE: list[Row] = [{"id": "s1"}]


@dataclass
class Log:
    """A log that was read and closed."""

    path: Path
    transcript: Transcript
    everything: list[RecordDict]

    def records(self) -> list[RecordDict]:
        return self.everything


def opened(path: Path) -> Log:
    with open_log(path) as log:
        return Log(path, log.transcript, list(log.records()))


def everything(path: Path, wanted: Sequence[str] | None = None) -> tuple[list[Imported], list[str]]:
    """All that a file holds, and what was wrong with it."""
    source: Source = format.source(path)
    try:
        return list(_held(source, wanted)), [str(finding) for finding in source.damage]
    finally:
        source.close()


def _held(source: Source, wanted: Sequence[str] | None) -> list[Imported]:
    found = []
    for imported in source.read(wanted):
        # What is told while the file is read is held: the file is closed when it is looked at.
        imported.records = list(imported.records)
        found.append(imported)
    return found


def logs(path: Path, folder: Path, wanted: Sequence[str] | None = None) -> list[Log]:
    """The logs of all that a file holds, which have nothing wrong with them."""
    parents, found = Parents(folder), []
    for imported in everything(path, wanted)[0]:
        log = store(imported, folder, parents=parents)
        parents.add(imported, log)
        assert check_log(log) == []
        found.append(opened(log))
    return found


def made(tmp_path: Path, *messages: Row, **session: Any) -> Log:
    """The log of a session with these messages."""
    path = database(tmp_path / "state.db", [{"id": "s1", **session}], said(*messages))
    (log,) = logs(path, tmp_path / "logs")
    return log


def turns(log: Log) -> list[tuple[str, str, str, str]]:
    return [(t.address, t.speaker, t.status, t.text) for t in log.transcript.turns]


def records(log: Log, kind: str) -> list[RecordDict]:
    return [record for record in log.records() if record["type"] == kind]


def codes(log: Log) -> list[str]:
    return [str(warning["code"]) for warning in log.transcript.warnings]


def export(path: Path, *sessions: Any) -> Path:
    path.write_text("".join(json.dumps(session) + "\n" for session in sessions))
    return path


# --- the sample files


def test_the_sample_database_is_a_chain(tmp_path: Path) -> None:
    parent, child = logs(SAMPLES / "state_v0.13.0.db", tmp_path)
    told = parent.transcript.header["imported"]
    assert told["session_id"] == PARENT
    assert told["schema_version"] == 11
    assert told["session"]["model"] == "anthropic/claude-sonnet-4.6"
    assert turns(parent) == [
        ("1:1", "persona", "committed", "List the python files"),
        ("1:2", "provider", "committed", "Done."),
    ]
    with closing(RecordFile(parent.path, parent.transcript.offsets)) as file:
        detail = read_turn(file, parent.transcript.turns[1])
    uses = tool_uses(detail)
    assert [(use.name, use.round, use.state) for use in uses][:3] == [
        ("terminal", 1, "failed"), ("read_file", 2, "ok"), ("terminal", 3, "failed")
    ]  # fmt: skip
    assert [use.arguments for use in uses][7] == {"path": "f7.py"}
    assert [r.get("reasoning") for r in records(parent, "llm.response")][:2] == [
        "thinking 0", "thinking 1"
    ]  # fmt: skip
    assert parent.transcript.turns[1].flags & Flag.REASONING
    assert records(parent, "hermes.system")[0]["data"] == {"content": "You are Hermes."}
    header = child.transcript.header
    assert header["change"] == {"kind": "compress"}
    named = parent_of(header)
    assert named is not None and named["id"] == parent.transcript.id
    assert find_parent(named, child.path) == parent.path.resolve()
    (summary,) = records(child, "context.compressed")
    assert (summary["summary"], summary["rows_in"]) == ("[CONTEXT COMPACTION] summary ...", 18)
    # The tool has answered and nobody has said anything: that turn never came to its end.
    assert turns(child)[1][2] == "ended"
    root, *others = families(list_runs(tmp_path))
    assert not others
    assert [branch.origin() for branch in root.children] == ["compress"]


def test_an_export_is_the_same_as_the_database(tmp_path: Path) -> None:
    one, _ = everything(SAMPLES / "state_v0.13.0.db")
    two, _ = everything(SAMPLES / "export_v0.13.0.jsonl")
    assert [i.details["session_id"] for i in two] == [PARENT, CHILD]
    assert [i.id for i in one] == [i.id for i in two]
    assert [list(i.records)[1:] for i in one] == [list(i.records)[1:] for i in two]


def test_the_sample_database_is_only_read(tmp_path: Path) -> None:
    copy = tmp_path / "db"
    copy.mkdir()
    path = Path(shutil.copy(SAMPLES / "state_v0.13.0.db", copy))
    path.chmod(0o600)
    before = path.read_bytes()
    assert len(everything(path)[0]) == 2
    assert [entry.name for entry in copy.iterdir()] == [path.name]
    assert path.read_bytes() == before


# --- messages


def test_rounds_results_and_times(tmp_path: Path) -> None:
    log = made(
        tmp_path,
        user("look"),
        reply("I look.", call("c1", "terminal", '{"command": "ls"}'), call("c2", "web_search", ""),
              reasoning="hm", finish_reason="tool_calls"),
        result("c2", {"ok": True}, tool_name="web_search"),
        result("c1", '{"output":"x", "exit_code": 2}'),
        reply("It is there.", finish_reason="stop"),
        started_at=NOW,
        ended_at=NOW + 9,
        end_reason="cli_close",
    )  # fmt: skip
    assert turns(log)[1][3] == "It is there."
    called = records(log, "tool.called")
    assert [(c["id"], c["name"], c["arguments"], c["t"]) for c in called] == [
        ("c1", "terminal", {"command": "ls"}, 2.0), ("c2", "web_search", {}, 2.0)
    ]  # fmt: skip
    returned = {r["id"]: r for r in records(log, "tool.returned")}
    assert returned["c2"]["ok"] and returned["c2"]["result"] == {"ok": True}
    assert (returned["c1"]["ok"], returned["c1"]["error_kind"]) == (False, "exit_code")
    # What the value does not say exactly as it was written is kept as it was written.
    assert returned["c1"]["source"]["content"] == '{"output":"x", "exit_code": 2}'
    assert "content" not in returned["c2"]["source"]
    first, last = records(log, "llm.response")
    assert (first["raw"], first["reasoning"], first["finish_reason"]) == (
        "I look.", "hm", "tool_calls"
    )  # fmt: skip
    assert last["round"] == 2
    transcript = log.transcript
    assert transcript.sessions[0].session_type == "cli"
    assert transcript.totals["provider"].calls == 2
    assert transcript.termination is not None
    assert transcript.termination["by"] == "persona"
    assert transcript.termination["detail"] == {"end_reason": "cli_close"}


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        ({"error": None, "exit_code": 0}, None),
        ({"exit_code": 1, "exit_code_meaning": "No matches found (not an error)"}, None),
        ({"exit_code": 1}, "exit_code"),
        ({"exit_code": True}, None),
        ({"error": "denied"}, "error"),
        ({"success": False}, "failed"),
        ("Traceback: an error failed", None),
        (["error"], None),
    ],
)
def test_only_what_a_result_says_is_a_failure(tmp_path: Path, outcome: Any, kind: Any) -> None:
    log = made(tmp_path, user("x"), reply("", call("c", "t")), result("c", outcome), reply("y"))
    (returned,) = records(log, "tool.returned")
    assert (returned["ok"], returned.get("error_kind")) == (kind is None, kind)


def test_content_that_is_no_plain_text(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:x"}}]
    encoded = json.dumps(parts)
    log = made(
        tmp_path,
        user("\x00json:" + encoded),
        user("\x01json:" + encoded),
        user(encoded),
        user('[{"a": 1}]'),
        user("\x00json:{torn"),
        user(None),
        user(b"\xff\x00"),
    )
    assert [text for *_, text in turns(log)] == [
        "see\n[image_url]", "see\n[image_url]", "see\n[image_url]", '[{"a": 1}]',
        "\x00json:{torn", "", '{"base64": "/wA="}',
    ]  # fmt: skip
    assert records(log, "turn.committed")[0]["source"]["content"] == parts


def test_hostile_text_is_exact(tmp_path: Path) -> None:
    text = "\x1b]0;x\x07 [bold]\u2028\u202e\x00 ../../etc \r\n end"
    log = made(tmp_path, user(text), reply(text, reasoning=text), source=text, model=text)
    assert [t for *_, t in turns(log)] == [text, text]
    assert log.transcript.sessions[0].session_type == text
    assert log.path.parent == tmp_path / "logs"


def test_text_that_is_no_utf8(tmp_path: Path) -> None:
    path = database(tmp_path / "state.db", ONE, said(user("x")))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE messages SET content = CAST(x'61FF62' AS TEXT)")
        connection.commit()
    (log,) = logs(path, tmp_path / "logs")
    assert turns(log)[0][3] == "a\udcffb"


def test_rows_that_make_no_sense_are_told(tmp_path: Path) -> None:
    log = made(
        tmp_path,
        result("c0", "whose?"),
        user("x"),
        {"role": "assistant", "content": "a", "tool_calls": "{torn"},
        reply("b", call("c1", "t"), call("c2", "t")),
        reply("c", call("c3", "t")),
        user("y"),
        reply("", call("c4", "t")),
        user("z"),
        {"role": "alien", "content": "?"},
        {"role": "session_meta", "content": "{}"},
    )
    assert codes(log) == ["unknown_call", "message", "no_result", "no_reply", "role"]
    assert turns(log) == [
        ("1:1", "provider", "skipped", ""),
        ("1:2", "persona", "committed", "x"),
        ("1:3", "provider", "committed", "a"),
        ("1:4", "provider", "committed", "c"),
        ("1:5", "persona", "committed", "y"),
        ("1:6", "provider", "skipped", ""),
        ("1:7", "persona", "committed", "z"),
    ]
    assert records(log, "hermes.message")[0]["data"]["role"] == "alien"
    assert len(records(log, "hermes.session_meta")) == 1


def test_calls_without_ids_find_their_results(tmp_path: Path) -> None:
    nameless = [{"function": {"name": name, "arguments": "{}"}} for name in ("terminal", "patch")]
    log = made(
        tmp_path,
        user("x"),
        reply("", *nameless),
        result("", "one", tool_name="patch"),
        result("", "two"),
        reply("y"),
    )
    (response, _) = records(log, "llm.response")
    assert [c["id"] for c in response["tool_calls"]] == ["call_1", "call_2"]
    returned = [(r["id"], r["name"], r["result"]) for r in records(log, "tool.returned")]
    assert returned == [("call_2", "patch", "one"), ("call_1", "terminal", "two")]
    assert codes(log) == []
    assert "duration" not in records(log, "tool.returned")[0]


def test_order_is_that_of_the_ids(tmp_path: Path) -> None:
    rows = [{"id": 2, "timestamp": NOW, **reply("second")}, {"id": 1, "timestamp": NOW + 5,
            **user("first")}]  # fmt: skip
    (log,) = logs(database(tmp_path / "state.db", ONE, rows), tmp_path / "logs")
    assert [text for *_, text in turns(log)] == ["first", "second"]
    times = [record["t"] for record in log.records()]
    assert times == sorted(times)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
ROWS = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system", "session_meta", "x"]) | JSON},
    optional={
        "content": st.sampled_from(["[CONTEXT COMPACTION] x", "\x00json:[]", "{"]) | JSON,
        "tool_calls": st.sampled_from(['[{"id": "a", "function": {"name": "f"}}]', "[1]"]) | JSON,
        "tool_call_id": st.sampled_from(["a", "b"]) | JSON,
        "active": JSON,
        **dict.fromkeys(
            ("tool_name", "timestamp", "reasoning", "compacted", "more"), JSON | st.floats()
        ),
    },
)


@settings(max_examples=25)
@given(rows=st.lists(ROWS | JSON, max_size=6))
def test_whatever_stands_in_a_message(rows: list[Any]) -> None:
    reader = MessageReader("hermes", "cli", "persona", NOW)
    records = reader.begin({})
    for place, row in enumerate(rows):
        message = message_of(row, f"messages[{place}]")
        assert message.digest()
        records += reader.read(message)
    records += reader.end(Ending({"kind": "completed", "by": "harness", "reason": ""}))
    transcript = Transcript()
    for number, (t, record) in enumerate(records):
        line = encode({"seq": number, "t": t, **record.payload()})
        # Floats that JSON has no word for would make the log unreadable.
        transcript.apply(json.loads(line, parse_constant=pytest.fail))
    assert "(malformed)" not in transcript.counts
    assert all(turn.status != "open" for turn in transcript.turns)


# --- what is in the history no more


def test_rewound_and_compacted_turns_are_inactive(tmp_path: Path) -> None:
    log = made(
        tmp_path,
        user("old", active=0, compacted=1),
        reply("", call("c1", "terminal"), active=0, compacted=1),
        result("c1", {"error": "no"}, active=0, compacted=1),
        reply("old reply", active=0, compacted=1),
        user("[CONTEXT COMPACTION — REFERENCE ONLY] so far"),
        user("wrong", active=0),
        reply("hm", active=0),
        user("right"),
        reply("yes"),
    )
    assert turns(log) == [
        ("1:1", "persona", "inactive", "old"),
        ("1:2", "provider", "inactive", "old reply"),
        ("1:3", "persona", "committed", "[CONTEXT COMPACTION — REFERENCE ONLY] so far"),
        ("1:4", "persona", "inactive", "wrong"),
        ("1:5", "provider", "inactive", "hm"),
        ("1:6", "persona", "committed", "right"),
        ("1:7", "provider", "committed", "yes"),
    ]
    notes = [t.note for t in log.transcript.turns if t.flags & Flag.INACTIVE]
    assert notes == ["compacted", "compacted", "rewound", "rewound"]
    assert not any(t.flags & Flag.DISCARDED for t in log.transcript.turns)
    assert log.transcript.turns[1].flags & Flag.TOOL_ERROR
    assert log.transcript.trailer is not None
    assert log.transcript.trailer["totals"]["turns"] == 3
    (summary,) = records(log, "context.compressed")
    assert (summary["upto"], summary["rows_in"]) == (2, 4)


def test_a_turn_that_was_cut_by_a_rewind(tmp_path: Path) -> None:
    log = made(
        tmp_path,
        user("x"),
        reply("", call("c1", "t")),
        result("c1", "1", active=0),
        reply("gone", active=0),
        reply("here"),
    )
    assert [(status, text) for _, _, status, text in turns(log)] == [
        ("committed", "x"), ("skipped", ""), ("inactive", "gone"), ("committed", "here")
    ]  # fmt: skip


@pytest.mark.parametrize("to", ["rath", "vera", "oharness", "hermes-trajectory"])
def test_inactive_turns_do_not_go_out_as_said(tmp_path: Path, to: str) -> None:
    log = made(
        tmp_path, user("right"), reply("", call("c1", "terminal"), active=0),
        result("c1", "WRONG", active=0), reply("WRONG", active=0), reply("yes"),
    )  # fmt: skip
    to_files = by_name(to).write
    assert to_files is not None
    with open_log(log.path) as source:
        written = to_files(source, tmp_path / "out")
    if to != "oharness":
        assert not any("WRONG" in path.read_text() for path in written.files)
    assert any("inactive turn" in note for note in written.notes)
    again = list(reader_for(written.files[0], to)(written.files[0]))
    texts = [r.text for i in again for _, r in i.records if isinstance(r, TurnCommitted)]
    assert texts == ["right", "yes"]


# --- columns


def test_what_the_session_used(tmp_path: Path) -> None:
    log = made(
        tmp_path, user("x"), reply("y"),
        input_tokens=100, cache_read_tokens=20, output_tokens=30, estimated_cost_usd=0.5,
        actual_cost_usd=0.25, api_call_count=3, title="A title",
    )  # fmt: skip
    used = log.transcript.totals["provider"]
    assert (used.prompt_tokens, used.completion_tokens) == (120, 30)
    assert (used.cost, used.calls) == (0.25, 3)
    assert log.transcript.header["imported"]["session"]["title"] == "A title"


def test_zeros_are_not_known(tmp_path: Path) -> None:
    log = made(tmp_path, user("x"), reply("y"), input_tokens=0, output_tokens=0, actual_cost_usd=0)
    used = log.transcript.totals["provider"]
    assert (used.tokens, used.cost, used.calls) == (None, None, 1)


def test_an_old_schema_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = database(tmp_path / "state.db", ONE, TALK, OLD, version=6)
    (log,) = logs(path, tmp_path / "logs")
    assert [text for *_, text in turns(log)] == ["hi", "hello"]
    least = (("id",), ("session_id", "role", "content"))
    path = database(tmp_path / "least.db", ONE, TALK, least)
    (log,) = logs(path, tmp_path / "logs")
    assert [text for *_, text in turns(log)] == ["hi", "hello"]
    assert log.transcript.header["imported"]["created_at_from"] == "file's date"


@pytest.mark.parametrize(
    ("reason", "kind", "by"),
    [
        ("compression", "completed", "harness"),
        ("user_exit", "completed", "persona"),
        ("session_reset", "completed", "persona"),
        ("cron_complete", "completed", "harness"),
        ("idle_timeout", "interrupted", "harness"),
        ("ws_orphan_reap", "interrupted", "harness"),
        ("agent_error", "failed", "provider"),
        ("something_new", "completed", "harness"),
        ("", "interrupted", "harness"),
    ],
)
def test_endings(tmp_path: Path, reason: str, kind: str, by: str) -> None:
    found = termination_of(reason, over=False)
    assert (found["kind"], found["by"]) == (kind, by)
    if reason:
        assert found["detail"] == {"end_reason": reason}
        assert reason in found["reason"]
    log = made(tmp_path, user("x"), reply("y"), end_reason=reason or None)
    assert log.transcript.termination == {**found, "at_turn": 2}


def test_a_session_without_messages_comes_in(tmp_path: Path) -> None:
    log = made(tmp_path)
    assert not turns(log)
    assert codes(log) == ["no_messages"]


# --- chains


def chain(tmp_path: Path) -> Path:
    sessions: list[Row] = [
        {"id": "a", "started_at": NOW, "ended_at": NOW + 10, "end_reason": "compression"},
        {"id": "b", "started_at": NOW + 10, "ended_at": NOW + 20, "end_reason": "compression",
         "parent_session_id": "a"},
        {"id": "c", "started_at": NOW + 20, "parent_session_id": "b"},
        {"id": "sub", "source": "subagent", "started_at": NOW + 12, "parent_session_id": "b"},
        {"id": "early", "started_at": NOW + 11, "parent_session_id": "b"},
        {"id": "lost", "started_at": NOW + 30, "parent_session_id": "nobody"},
    ]  # fmt: skip
    rows = [
        {"id": n, "session_id": s["id"], "timestamp": NOW + n, **user(f"in {s['id']}")}
        for n, s in enumerate(sessions, 1)
    ]
    return database(tmp_path / "state.db", sessions, rows)


def test_a_chain_stays_a_chain(tmp_path: Path) -> None:
    path = chain(tmp_path)
    found = {log.transcript.header["imported"]["session_id"]: log for log in
             logs(path, tmp_path / "logs", ["c"])}  # fmt: skip
    assert list(found) == ["a", "b", "c"]
    for child, parent in (("b", "a"), ("c", "b")):
        named = parent_of(found[child].transcript.header)
        assert named is not None
        assert find_parent(named) == found[parent].path.resolve()
    (root,) = families(list_runs(tmp_path / "logs"))
    assert (root.size, root.children[0].children[0].origin()) == (2, "compress")


def test_relations_are_told_apart(tmp_path: Path) -> None:
    with closing(hermes_database.Database(chain(tmp_path))) as opened:
        listed = {one.id: (one.relation, one.parent) for one in opened.listed()}
    assert listed == {
        "a": ("", ""),
        "b": ("compress", "a"),
        "c": ("compress", "b"),
        "sub": ("subagent", "b"),
        "early": ("child", "b"),
        "lost": ("child", "nobody"),
    }


def test_a_parent_that_was_imported_before_is_found(tmp_path: Path) -> None:
    a = {"id": "a", "source": "cli", "started_at": NOW, "end_reason": "compression"}
    b = {"id": "b", "source": "cli", "started_at": NOW, "end_reason": None,
         "parent_session_id": "a", "messages": TALK}  # fmt: skip
    folder = tmp_path / "logs"
    (parent,) = logs(export(tmp_path / "a.jsonl", {**a, "messages": TALK}), folder)
    (child,) = logs(export(tmp_path / "b.jsonl", b), folder)
    named = parent_of(child.transcript.header)
    assert named is not None and find_parent(named) == parent.path.resolve()
    (alone,) = logs(tmp_path / "b.jsonl", tmp_path / "elsewhere")
    assert parent_of(alone.transcript.header) is None
    assert alone.transcript.header["imported"]["parent_session_id"] == "a"


def test_sessions_that_go_round_in_a_circle(tmp_path: Path) -> None:
    sessions = [
        {"id": "a", "parent_session_id": "b", "end_reason": "compression"},
        {"id": "b", "parent_session_id": "a", "end_reason": "compression"},
        {"id": "self", "parent_session_id": "self", "end_reason": "compression"},
    ]
    found = logs(database(tmp_path / "state.db", sessions, []), tmp_path / "logs")
    assert len(found) == 3


# --- the database as a file


def side_files(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir() if entry.name != path.name)


def test_a_write_ahead_database_gets_no_files_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "db"
    folder.mkdir()
    path = database(folder / "state.db", ONE, TALK, wal=True)
    assert side_files(path) == []
    assert len(everything(path)[0]) == 1
    assert side_files(path) == []


def test_a_database_that_is_being_written_is_read(tmp_path: Path) -> None:
    path = database(tmp_path / "state.db", ONE, TALK, wal=True)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        insert(writer, "messages", {"id": 3, "session_id": "s1", **user("just now")}, NEW[1])
        writer.commit()
        insert(writer, "messages", {"id": 4, "session_id": "s1", **user("not yet")}, NEW[1])
        ((imported,), _) = everything(path)
        writer.commit()
        texts = [record.text for _, record in imported.records if record.TYPE == "turn.committed"]  # type: ignore[attr-defined]
        assert texts == ["hi", "hello", "just now"]


def test_a_log_that_a_dead_writer_left_is_read_and_left(tmp_path: Path) -> None:
    path = database(tmp_path / "state.db", ONE, TALK, wal=True)
    dead = tmp_path / "dead"
    dead.mkdir()
    with closing(sqlite3.connect(path)) as writer:
        insert(writer, "messages", {"id": 3, "session_id": "s1", **user("last words")}, NEW[1])
        writer.commit()
        for name in ("state.db", "state.db-wal"):
            shutil.copy(tmp_path / name, dead / name)
    before = (dead / "state.db-wal").read_bytes()
    ((imported,), _) = everything(dead / "state.db")
    assert [r.text for _, r in imported.records if r.TYPE == "turn.committed"][-1] == "last words"  # type: ignore[attr-defined]
    assert side_files(dead / "state.db") == ["state.db-wal"]
    assert (dead / "state.db-wal").read_bytes() == before


def test_a_database_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = database(tmp_path / "state.db", ONE, TALK, wal=True)
    with closing(hermes_database.Database(path)) as opened:
        read = opened.read()
        next(read)
        with closing(sqlite3.connect(path)) as writer:
            insert(writer, "messages", {"id": 3, "session_id": "s1", **user("x")}, NEW[1])
            writer.commit()
        with pytest.raises(FileError, match="was written while it was read"):
            list(read)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "db"
    folder.mkdir()
    path = database(folder / "state.db", ONE, TALK, wal=True)
    path.chmod(0o400)
    folder.chmod(0o500)
    try:
        assert len(everything(path)[0]) == 1
    finally:
        folder.chmod(0o700)


def test_only_plain_tables_are_read(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE messages (session_id, role)")
        connection.execute(
            "CREATE VIEW sessions AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1"
            " FROM n) SELECT id FROM n"
        )
    with pytest.raises(FileError, match="sessions is no plain table"):
        everything(path)
    assert not format.detect(path)


@pytest.mark.parametrize("name", ["started_at", "sessions", "CREATE", "schema_version", "role"])
def test_bytes_in_the_schema_that_are_no_text(tmp_path: Path, name: str) -> None:
    """SQLite quotes them in its messages and gives them as names, neither of which is UTF-8."""
    path = database(tmp_path / "state.db", ONE, TALK)
    data = path.read_bytes()
    for at in [match.start() for match in re.finditer(name.encode(), data)]:
        path.write_bytes(data[:at] + b"\xff" + data[at + 1 :])
        format.detect(path)
        try:
            everything(path)
        except FileError as error:
            assert str(error).startswith(str(path))
            assert "codec" not in str(error)


def test_damaged_pages_end_a_session_early(tmp_path: Path) -> None:
    rows = said(*(user("x" * 3000) for _ in range(40)))
    path = database(tmp_path / "state.db", [*ONE, {"id": "s2"}], rows)
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half:] = b"\xff" * (len(data) - half)
    path.write_bytes(data)
    try:
        found, damage = everything(path)
    except FileError as error:
        assert str(path) in str(error)
    else:
        warned = [r for i in found for _, r in i.records if r.TYPE == "warning"]
        assert damage or any("damaged" in str(r) for r in warned)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("CREATE TABLE x (y)", "no table sessions"),
        ("CREATE TABLE sessions (name); CREATE TABLE messages (x)", "has no column id"),
        ("CREATE TABLE sessions (id); CREATE TABLE messages (role)", "no column session_id"),
    ],
)
def test_databases_of_somebody_else(tmp_path: Path, sql: str, says: str) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)
    with pytest.raises(FileError, match=says):
        everything(path)
    assert not format.detect(path)


# --- exports and logs


def test_an_export_with_damage_gives_the_rest(tmp_path: Path) -> None:
    good = {"id": "s1", "source": "cli", "started_at": NOW, "messages": TALK}
    path = tmp_path / "e.jsonl"
    path.write_text(
        json.dumps(good) + "\n\n{torn\n[1]\n" + json.dumps({**good, "id": "s2", "messages": 3})
        + "\n" + json.dumps(good) + "\n" + json.dumps({**good, "id": "s3"}) + "\n" + '{"id": "s4'
    )  # fmt: skip
    found, damage = everything(path)
    assert [i.details["session_id"] for i in found] == ["s1", "s3"]
    assert [sentence.removeprefix(f"{path}: ").split(":")[0] for sentence in damage] == [
        "line 3", "line 4", "line 5", "line 6", "line 8"
    ]  # fmt: skip
    assert "torn" in damage[-1]


def test_a_message_that_is_none_is_told(tmp_path: Path) -> None:
    session = {"id": "s1", "source": "cli", "started_at": NOW, "messages": [3, *TALK, None]}
    (log,) = logs(export(tmp_path / "e.jsonl", session), tmp_path / "logs")
    assert codes(log) == ["message", "message"]
    assert [text for *_, text in turns(log)] == ["hi", "hello"]


def test_a_log_of_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "session_20260413_100000_aaaa11.json"
    path.write_text(
        json.dumps(
            {
                "session_id": PARENT,
                "model": "m",
                "base_url": "http://x",
                "platform": "cli",
                "session_start": "2026-04-13T10:00:00",
                "last_updated": "2026-04-13T10:05:00",
                "system_prompt": "Be kind.",
                "tools": [{"type": "function"}],
                "message_count": 2,
                "messages": [user("hi"), {"role": "assistant", "content": "hello",
                             "reasoning_content": "hm"}],
            }
        )
    )  # fmt: skip
    assert reader_for(path) is format.read
    (log,) = logs(path, tmp_path / "logs")
    assert log.transcript.header["created_at"] == "2026-04-13T10:00:00+00:00"
    assert log.transcript.header["provider"]["model"] == "m"
    assert records(log, "hermes.tools")[0]["data"] == {"tools": [{"type": "function"}]}
    assert records(log, "llm.response")[0]["reasoning"] == "hm"


def test_a_log_of_the_gateway(tmp_path: Path) -> None:
    path = tmp_path / "20260413_100000_aaaa11.jsonl"
    lines = [
        {"role": "session_meta", "tools": [], "model": "m", "platform": "telegram"},
        {**user("hi"), "timestamp": "2026-04-13T10:00:00"},
        {**reply("hello"), "timestamp": "2026-04-13T10:00:02"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"role": "us')
    assert reader_for(path) is format.read
    (log,) = logs(path, tmp_path / "logs")
    assert log.transcript.sessions[0].session_type == "telegram"
    assert [text for *_, text in turns(log)] == ["hi", "hello"]
    assert [(w["code"], w["line"]) for w in log.transcript.warnings] == [("torn_line", 4)]
    assert log.transcript.last_t == 2.0


def test_messages_that_name_no_tool_are_read_as_a_log_where_asked(tmp_path: Path) -> None:
    path = export(tmp_path / "x.jsonl", user("hi"), reply("hello"))
    assert format_for(path).name == "openai"
    assert format_for(path, "hermes").name == "hermes"
    (log,) = logs(path, tmp_path / "logs")
    assert [text for *_, text in turns(log)] == ["hi", "hello"]


def test_a_folder_of_hermes(tmp_path: Path) -> None:
    home = tmp_path / ".hermes"
    (home / "sessions").mkdir(parents=True)
    export(home / "sessions" / "s1.jsonl", {"role": "session_meta"}, user("in a log"))
    (home / "sessions" / "session_x.json").write_text('{"session_id": 1, "session_start": 2')
    found, damage = everything(home)
    assert len(found) == 1
    assert len(damage) == 1 and "session_x.json" in damage[0]
    database(home / "state.db", ONE, TALK)
    assert reader_for(home) is format.read
    ((imported,), _) = everything(home)
    assert imported.sources == [home / "state.db"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="no sessions of hermes"):
        everything(tmp_path / "empty")


HI = json.dumps(user("hi"))
YO = json.dumps(reply("hello"))
GATEWAY_DAMAGE = {
    "cut": (["{"], "is cut off", ["hi", "hello"]),
    "garbage": (["<html>"], "is not JSON", ["hi", "hello"]),
    "a number": (["7"], "is no message, but a number", ["hi", "hello"]),
    "blank": (["", "  "], "", ["hi", "hello"]),
    "glued": ([HI + YO], "2 JSON values on one line", ["hi", "hello", "hi", "hello"]),
    "a role that is a list": (
        ['{"role": ["user"], "content": "x"}'], "role must be text, not a list", ["hi", "hello"],
    ),
    "a role that is not known": (
        ['{"role": "narrator", "content": "x"}'], "the role 'narrator' is not known",
        ["hi", "hello"],
    ),
    "content that is a number": (
        ['{"role": "user", "content": 5}'], "content must be text, not a number",
        ["hi", "hello", "5"],
    ),
    "a separator in its text": (
        ['{"role": "user", "content": "a\u2028b"}'], "", ["hi", "hello", "a\u2028b"],
    ),
    "a mark at its beginning": (
        ['\ufeff{"role": "user", "content": "x"}'], "", ["hi", "hello", "x"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "says", "texts"), GATEWAY_DAMAGE.values(), ids=GATEWAY_DAMAGE)
def test_a_broken_message_is_a_finding(
    tmp_path: Path, lines: list[str], says: str, texts: list[str]
) -> None:
    path = tmp_path / "20260413_100000_aaaa11.jsonl"
    head = json.dumps({"role": "session_meta"})
    path.write_text("\n".join([head, HI, YO, *lines]) + "\n", encoding="utf-8")
    (log,) = logs(path, tmp_path / "logs")
    assert [text for *_, text in turns(log)] == texts
    warnings = log.transcript.warnings
    assert [w["line"] for w in warnings] == ([4] if says else [])
    assert all(says in w["message"] for w in warnings)


def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "20260413_100000_aaaa11.jsonl"
    path.write_bytes(b'{"role": "session_meta"}\n{"role": "user", "content": "caf\xe9"}\n')
    (log,) = logs(path, tmp_path / "logs")
    assert [text for *_, text in turns(log)] == ["caf\ufffd"]
    assert [(w["code"], w["line"]) for w in log.transcript.warnings] == [("not_utf8", 2)]


def test_two_sessions_on_one_line(tmp_path: Path) -> None:
    one = {"id": "s1", "source": "cli", "started_at": NOW, "messages": TALK}
    path = tmp_path / "e.jsonl"
    path.write_text(json.dumps(one) + json.dumps({**one, "id": "s2"}) + "\n")
    found, damage = everything(path)
    assert [i.details["session_id"] for i in found] == ["s1", "s2"]
    assert damage == [f"{path}: line 1: 2 JSON values on one line; all are read"]


def test_a_line_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = export(tmp_path / "x.jsonl", {"role": "session_meta"}, user("x" * 100))
    monkeypatch.setattr(json_objects, "MAX_LINE", 64)
    (log,) = logs(path, tmp_path / "logs")
    (warning,) = [w for w in log.transcript.warnings if w["code"] == "bad_line"]
    assert warning["line"] == 2
    assert "larger than" in warning["message"]


# --- where the logs go


def test_conversations_with_the_same_beginning_of_an_id(tmp_path: Path) -> None:
    ((imported,), _) = everything(database(tmp_path / "state.db", ONE, TALK))
    folder = tmp_path / "logs"
    first = store(imported, folder)
    assert place_of(imported, folder) == (first, True)
    with pytest.raises(LogError):
        store(imported, folder)
    other = imported.id[:6] + "f" * 26
    imported.id = other
    second = store(imported, folder)
    assert second.name == first.name.replace(other[:6], other[:12])
    assert opened(first).transcript.id != opened(second).transcript.id
