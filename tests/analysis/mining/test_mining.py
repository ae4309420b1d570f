"""Warm templates from saved runs: which runs qualify, which calls become patterns, statistics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from convtui.analysis.mining.mining import Mined, Rules, mine
from convtui.log.formats.registry import reader_for
from convtui.log.formats.store import store
from convtui.records.models import LlmResponse, Record, ToolCalled, ToolReturned
from convtui.secrets.redactor import Redactor
from convtui.warm.templates import context_of, parse_template, slots_of, with_context
from tests.builders import hermes_files as hermes
from tests.builders.logs import conversation, ending, header, session, turn, write_log
from tests.builders.tool_logs import OK, call, result, tool_log, tool_turns
from tests.fakes.strict_roles import wrong_order

T, F = True, False
ANY = Rules(min_messages=0)
NO_SECRETS = Redactor()


def mine_logs(*logs: Path, **rules: Any) -> Mined:
    return mine(logs, Rules(**{"min_messages": 0, **rules}), NO_SECRETS)


def one_turn(path: Path, *records: Record, reply: str = "Done.", prompt: str = "Do it") -> Path:
    """A log whose only provider turn contains these records."""
    turns = [turn(1, "persona", prompt), turn(2, "provider", reply, more=records)]
    end = ending("completed", "provider")
    made = conversation(session(1, "work", turns, end), end=end)
    made[0] = header(id=path.stem)
    return write_log(path, made)


def called(
    id_: str, name: str, arguments: Any, body: Any = "fine", *, ok: bool = True, number: int = 1
) -> list[Record]:
    """A call and its result."""
    more = {"round": number} if number > 1 else {}
    return [
        ToolCalled(id=id_, name=name, arguments=arguments, **more),
        ToolReturned(id=id_, name=name, ok=ok, result=body, **more),
    ]


# --- which runs pass


def test_runs_that_are_short_fail_too_often_or_call_nothing_are_left_out(tmp_path: Path) -> None:
    long_enough = tool_log(tmp_path / "good.jsonl", [T] * 10)
    short = tool_log(tmp_path / "short.jsonl", [T] * 9)
    failing = tool_log(tmp_path / "failing.jsonl", [T] * 4 + [F] * 6)
    silent = write_log(
        tmp_path / "silent.jsonl",
        conversation(session(1, "work", [turn(1, "persona", "hi")] * 30, ending())),
    )
    unknown = tool_log(tmp_path / "unknown.jsonl", [None] * 20)
    torn = tmp_path / "torn.jsonl"
    torn.write_text("not a log")
    mined = mine([long_enough, short, failing, silent, unknown, torn], Rules(), NO_SECRETS)
    assert mined.used == ["good"]
    assert (mined.given, mined.scanned) == (6, 6)
    assert mined.left_out == {
        "fewer than 30 messages": 2,
        "error rate above 0.5": 1,
        "no call with a known outcome": 1,
        "cannot be read": 1,
    }


def test_messages_are_turns_replies_that_call_and_results(tmp_path: Path) -> None:
    wish = LlmResponse(
        raw="",
        tool_calls=[{"id": "c", "type": "function", "function": {"name": "t", "arguments": "{}"}}],
    )
    log = one_turn(tmp_path / "a.jsonl", wish, *called("c", "t", {}))
    assert mine_logs(log, min_messages=4).used == ["a"]
    assert mine_logs(log, min_messages=5).used == []


def test_half_of_the_calls_may_fail_and_not_one_more(tmp_path: Path) -> None:
    log = tool_log(tmp_path / "half.jsonl", [T, F])
    assert mine_logs(log, min_success_rate=0.5).used == ["half"]
    assert mine_logs(log, max_error_rate=0.49).used == []


def test_the_limit_counts_runs_that_pass_and_not_those_before_them(tmp_path: Path) -> None:
    # The newest thirty are too short: applying the limit first would leave none.
    short = [tool_log(tmp_path / f"short{n}.jsonl", [T]) for n in range(30)]
    good = [tool_log(tmp_path / f"good{n}.jsonl", [T] * 10) for n in range(3)]
    mined = mine([*short, *good], Rules(max_sessions=2), NO_SECRETS)
    assert mined.used == ["good0", "good1"]
    assert (mined.given, mined.scanned) == (33, 32)
    assert mined.left_out["not needed: 2 newer ones passed"] == 1


def test_endings_are_those_that_runs_have(tmp_path: Path) -> None:
    done = tool_log(tmp_path / "done.jsonl", [T])
    crashed = tmp_path / "crashed.jsonl"
    records = conversation(session(1, "work", tool_turns([T])))
    records[0] = header(id="crashed")
    write_log(crashed, records, close=False)
    assert mine_logs(done, crashed).used == ["done", "crashed"]
    assert mine_logs(done, crashed, ended=("completed", "max_turns")).used == ["done"]
    assert mine_logs(done, crashed, ended=("crashed",)).used == ["crashed"]
    nothing = mine_logs(done, crashed, ended=("user_exit",))
    assert nothing.used == [] and set(nothing.endings) == {"completed", "crashed"}


def test_sources_are_those_that_runs_have(tmp_path: Path) -> None:
    own = tool_log(tmp_path / "own.jsonl", [T])
    foreign = tool_log(
        tmp_path / "foreign.jsonl",
        [T],
        origin="import",
        imported={"format": "hermes", "session": {"source": "Telegram"}},
    )
    assert mine_logs(own, foreign, source="run").used == ["own"]
    for name in ("import", "hermes", "telegram"):
        assert mine_logs(own, foreign, source=name).used == ["foreign"]
    nothing = mine_logs(own, foreign, source="cron")
    assert nothing.used == [] and nothing.patterns == []
    assert set(nothing.sources) == {"run", "import", "hermes", "telegram"}


# --- which calls become patterns


def test_a_pattern_has_the_call_and_its_context(tmp_path: Path) -> None:
    log = one_turn(
        tmp_path / "a.jsonl",
        *called("c1", "terminal", {"command": "ls"}, OK),
        prompt="List the files",
        reply="There is a.py.",
    )
    (pattern,) = mine_logs(log).patterns
    assert pattern.model_dump() == {
        "tool_name": "terminal",
        "arguments": {"command": "ls"},
        "result_summary": json.dumps(OK),
        "preceding_context": "List the files",
        "pattern_type": "sequence",
        "success_count": 1,
        "session_types": ["terminal"],
        "reply": "There is a.py.",
    }


def test_only_calls_known_as_successful_are_shown(tmp_path: Path) -> None:
    log = one_turn(
        tmp_path / "a.jsonl",
        *called("c1", "ok", {"n": 1}, "fine"),
        call("c2", "ok"),  # no result
        *called("c3", "ok", {"n": 3}, {"ok": False, "error_kind": "tool_denied"}, ok=False),
        *called("c4", "memory", {"n": 4}),  # trivial
        ToolCalled(id="c5", name="ok", raw_arguments="{broken"),
        ToolReturned(id="c5", name="ok", ok=True, result="fine"),
        ToolCalled(id="c6", name="ok", raw_arguments='{"n": NaN}'),
        ToolReturned(id="c6", name="ok", ok=True, result="fine"),
    )
    assert [pattern.arguments for pattern in mine_logs(log).patterns] == [{"n": 1}]


def test_what_is_no_valid_unicode_makes_no_template_unreadable(tmp_path: Path) -> None:
    log = one_turn(
        tmp_path / "a.jsonl",
        *called("c1", "ok", {"n": 1}, "fine \ud800"),
        *called("c2", "ok\ud800", {"n": 2}),
        *called("c3", "ok", {"n\udfff": 3}),
        *called("c4", "ok", {"n": ["\udfff"]}),
        *called("c5", "\ud800", {}),
        prompt="a\ud800b",
        reply="c\udfffd",
    )
    mined = mine_logs(log)
    assert [pattern.arguments for pattern in mined.patterns] == [{"n": 1}, {"n": ["\udfff"]}]
    assert mined.patterns[0].result_summary == "fine \N{REPLACEMENT CHARACTER}"
    assert mined.patterns[0].preceding_context == "a\N{REPLACEMENT CHARACTER}b"
    assert parse_template(mined.template("x").text()).patterns == mined.patterns


def test_more_than_four_parallel_results_are_all_found(tmp_path: Path) -> None:
    records: list[Record] = [call(f"c{n}", "read") for n in range(8)]
    records += [result(f"c{n}", OK, "read") for n in range(8)]
    mined = mine_logs(one_turn(tmp_path / "a.jsonl", *records))
    assert len(mined.patterns) == 8
    assert [bool(pattern.reply) for pattern in mined.patterns] == [F] * 7 + [T]


def test_only_the_first_round_follows_the_users_text(tmp_path: Path) -> None:
    log = one_turn(
        tmp_path / "a.jsonl",
        *called("c1", "one", {}),
        *called("c2", "two", {}, number=2),
    )
    first, second = mine_logs(log).patterns
    assert (first.preceding_context, first.reply) == ("Do it", "")
    assert (second.preceding_context, second.reply) == ("", "Done.")


def test_a_tool_that_fails_too_often_gives_no_patterns(tmp_path: Path) -> None:
    names = ["flaky"] * 4 + ["solid"] * 4
    log = tool_log(tmp_path / "a.jsonl", [T, T, T, F, T, T, T, T], names=names)
    mined = mine_logs(log)
    assert {pattern.tool_name for pattern in mined.patterns} == {"solid"}
    assert mined.unreliable == {"flaky": 3}
    assert len(mine_logs(log, min_success_rate=0.75).patterns) == 7


def test_the_same_call_counts_up_whatever_the_order_of_its_arguments(tmp_path: Path) -> None:
    first = one_turn(
        tmp_path / "a.jsonl",
        *called("c1", "web_search", {"q": 1, "k": 2}, "newest"),
        *called("c2", "terminal", {}),
    )
    second = one_turn(
        tmp_path / "b.jsonl",
        *called("c1", "terminal", {"q": 1}),
        *called("c2", "web_search", {"k": 2, "q": 1}, "older"),
        *called("c3", "terminal", {"q": 2}),
    )
    mined = mine_logs(first, second)
    top = mined.patterns[0]
    assert (top.tool_name, top.success_count, top.result_summary) == ("web_search", 2, "newest")
    assert top.session_types == ["research", "terminal"]
    assert [pattern.success_count for pattern in mined.patterns] == [2, 1, 1, 1]
    assert mined.successful_calls == 5


def test_texts_are_cut_after_secrets_are_taken_out(tmp_path: Path) -> None:
    key = "sk-planted-0123456789abcdefghij"
    mine_alone = "correct-horse-battery"
    log = one_turn(
        tmp_path / "a.jsonl",
        *called(
            "c1",
            "terminal",
            {"command": f"curl -H 'Authorization: Bearer {key}'", "password": "hunter2hunter2"},
            json.dumps({"output": "x" * 480 + key, "api_key": "plain-looking"}),
        ),
        prompt=f"Use {mine_alone} " + "y" * 300,
        reply=f"I used {key}",
    )
    mined = mine([log], ANY, Redactor([mine_alone]))
    text = mined.template("t").text()
    for secret in (key, key[:20], "hunter2", mine_alone, "plain-looking"):
        assert secret not in text
    (pattern,) = mined.patterns
    assert len(pattern.result_summary) == 500
    assert len(pattern.preceding_context) == 200
    assert pattern.reply == "I used [redacted]"


# --- what is made of it


def test_what_is_assigned_to_a_telling_name_is_no_part_of_a_template(tmp_path: Path) -> None:
    inner = json.dumps({"password": "planted-1", "n": 1})
    printed = "HOME=/root\nDB_PASSWORD=planted-2\nAWS_SECRET_ACCESS_KEY='planted-3'\nMAX_TOKENS=5"
    log = one_turn(
        tmp_path / "a.jsonl",
        *called("c1", "sh", {"command": "PGPASSWORD=planted-4 psql"}, {"s": inner, "env": printed}),
        *called("c2", "sh", {"command": "env"}, "API_TOKEN: planted-5"),
        *called("c3", "sh", {"command": "x"}, json.dumps({"out": printed, "password": None})),
        prompt="The password is: planted-6",
        reply="Now PASSWORD=planted-7.",
    )
    text = mine_logs(log).template("t").text()
    assert "planted-" not in text.replace("is: planted-6", "")
    for kept in ("HOME=/root", "MAX_TOKENS=5", "psql", "DB_PASSWORD=[redacted]"):
        assert kept in text
    assert json.loads(mine_logs(log).patterns[2].result_summary)["password"] is None


def test_a_template_says_where_it_is_from_and_what_was_counted(tmp_path: Path) -> None:
    logs = [
        tool_log(tmp_path / "a.jsonl", [F, T, T, T, T, T, T, T, T, T]),
        tool_log(tmp_path / "b.jsonl", [T] * 10),
        tool_log(tmp_path / "c.jsonl", [T]),
    ]
    mined = mine(logs, Rules(), NO_SECRETS)
    made = mined.template("desk", tags=["a", "b"])
    assert made.description == "Auto-generated from 2 sessions"
    assert made.source_session_ids == ["a", "b"]
    assert (made.tags, made.version) == (["a", "b"], 2)
    assert made.created_at > 1_700_000_000
    assert made.metrics == {
        "sessions_scanned": 3,
        "sessions_qualified": 2,
        "total_patterns": 10,
        "successful_calls": 19,
        "tool_distribution": {"terminal": 20},
        "avg_proficiency_gain": -0.25,
        "left_out": {"fewer than 30 messages": 1},
    }
    assert parse_template(made.text()) == made
    assert mined.template("d", description="mine").description == "mine"


def test_braces_in_what_was_mined_are_no_slots(tmp_path: Path) -> None:
    log = one_turn(tmp_path / "a.jsonl", *called("c1", "run", {"x": "{y}"}), prompt="Print {name}")
    made = mine_logs(log).template("t")
    assert slots_of(made) == {}
    assert context_of(made).messages[0]["content"] == "Print {name}"
    written = mine_logs(log).template("t", addendum="For {who}.")
    assert set(slots_of(written)) == {"who", "name"}


def test_what_was_mined_is_taken_by_strict_endpoints(tmp_path: Path) -> None:
    log = one_turn(
        tmp_path / "a.jsonl",
        *called("c1", "büro.öffnen", {}, ""),
        *called("c2", "x" * 90, {"ü": "\ud800"}, None, number=2),
        reply="?",
    )
    made = context_of(mine_logs(log).template("t"))
    assert made.patterns == 2
    assert wrong_order(with_context(made, "", [{"role": "user", "content": "hi"}])) == ""


# --- sessions of hermes


def sessions(folder: Path, *columns: hermes.Row, turns: int = 10) -> list[Path]:
    """Imported sessions of hermes in which every call succeeded."""
    rows: list[hermes.Row] = []
    for row in columns:
        for n in range(turns):
            command = json.dumps({"command": f"ls {n}"})
            messages: Sequence[hermes.Row] = (
                hermes.user(f"List {n}"),
                hermes.reply(None, hermes.call(f"c{n}", "terminal", command)),
                hermes.result(f"c{n}", OK),
                hermes.reply(f"Listed {n}."),
            )
            for message in messages:
                number = len(rows) + 1
                rows.append(
                    {"id": number, "timestamp": hermes.NOW, "session_id": row["id"], **message}
                )
    path = hermes.database(folder / "state.db", columns, rows)
    out = folder / "runs"
    out.mkdir()
    return [store(one, out) for one in reader_for(path)(path)]


@pytest.mark.parametrize(
    "reason", ["compression", "cli_close", "session_reset", "cron_complete", "agent_close", None]
)
def test_sessions_with_the_endings_that_there_are_really_pass(
    tmp_path: Path, reason: str | None
) -> None:
    logs = sessions(tmp_path, {"id": "one", "end_reason": reason})
    mined = mine(logs, Rules(), NO_SECRETS)
    assert len(mined.used) == 1 and len(mined.patterns) == 10
    assert mined.left_out == {}, "results with a null error field are successes"
    if reason is not None:
        assert mine(logs, Rules(ended=(reason,)), NO_SECRETS).used == mined.used


def test_a_session_whose_history_was_compressed_is_not_hidden_by_its_tip(tmp_path: Path) -> None:
    logs = sessions(
        tmp_path,
        {"id": "root", "ended_at": hermes.NOW + 5, "end_reason": "compression"},
        {"id": "tip", "parent_session_id": "root", "started_at": hermes.NOW + 5},
    )
    mined = mine(logs, Rules(source="cli"), NO_SECRETS)
    assert len(mined.used) == 2
    assert mined.patterns[0].success_count == 2
    (first,) = {pattern.preceding_context[:4] for pattern in mined.patterns}
    assert first == "List"
