"""`convtui import` of hermes' files: listing and selecting sessions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convtui.log.parents import parent_problem
from convtui.log.reader import open_log
from tests.builders.hermes_files import NOW, Row, database, reply, user
from tests.cli.conftest import Run

SESSIONS: list[Row] = [
    {"id": "one", "started_at": NOW, "ended_at": NOW + 5, "end_reason": "compression"},
    {"id": "two", "started_at": NOW + 5, "ended_at": NOW + 9, "end_reason": "cli_close",
     "parent_session_id": "one", "title": "\x1b[31mred"},
    {"id": "bot", "source": "telegram", "started_at": NOW + 20},
]  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> Path:
    rows: list[Row] = []
    for session in SESSIONS:
        for message in (user("hi\nthere"), reply("hello"), user("bye"))[: len(rows) + 1]:
            number = len(rows) + 1
            rows.append({"id": number, "timestamp": NOW, "session_id": session["id"], **message})
    return database(tmp_path / "state.db", SESSIONS, rows)


def session_ids(out: str) -> list[str]:
    return [str(row["id"]) for row in json.loads(out)["sessions"]]


def test_a_database_is_listed_and_nothing_is_hidden(convtui: Run, state: Path, home: Path) -> None:
    code, out, err = convtui("import", state, "--list")
    assert (code, err) == (0, "")
    assert not (home / "data" / "runs").exists()
    rows = out.split("\n")
    assert rows[0].split() == [
        "SESSION", "STARTED", "(UTC)", "FROM", "MESSAGES", "ENDED", "MODEL", "TITLE"
    ]  # fmt: skip
    assert [row.split()[0] for row in rows[1:-1]] == ["bot", "two", "one"]
    assert "(compress of one) ␛[31mred" in rows[2]
    assert "hi there" in rows[3]
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (("--source", "cli"), ["two", "one"]),
        (("--ended", "open"), ["bot"]),
        (("--ended", "compression"), ["one"]),
        (("--min-messages", "2"), ["bot", "two"]),
        (("--max-sessions", "1"), ["bot"]),
        (("--session", "one", "--session", "bot"), ["bot", "one"]),
    ],
)
def test_what_is_listed_is_chosen(
    convtui: Run, state: Path, filters: tuple[str, ...], ids: list[str]
) -> None:
    assert session_ids(convtui("import", state, "--list", "--json", *filters).out) == ids


def test_a_database_is_not_imported_unasked(convtui: Run, state: Path, tmp_path: Path) -> None:
    code, out, err = convtui("import", state, "--out", tmp_path / "logs")
    assert code == 2
    assert "bot" in out
    assert "holds 3 sessions: choose with --session ID or a filter" in err
    assert not (tmp_path / "logs").exists()


def test_a_session_brings_what_it_was_compressed_from(
    convtui: Run, state: Path, tmp_path: Path
) -> None:
    out = tmp_path / "logs"
    done = convtui("import", state, "--session", "two", "--out", out, "--json")
    assert done.code == 0
    parent, child = (Path(row["log"]) for row in json.loads(done.out)["logs"])
    with open_log(child) as log:
        header = log.transcript.header
        assert header["imported"]["session_id"] == "two"
        assert parent_problem(header, child) == ""
        assert header["parents"][0]["file"] == str(parent)
    assert "(compress)" in convtui("runs", "--tree", "--out", out).out
    assert convtui("check", child).code == 0
    again = convtui("import", state, "--all", "--out", out, "--json")
    outcomes = [row["outcome"] for row in json.loads(again.out)["logs"]]
    assert sorted(outcomes) == ["imported", "there already", "there already"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--session", "onn"), "no session 'onn' in it, did you mean 'one'?"),
        (("--source", "fax"), "none of its 3 sessions is like that"),
        (("--all", "--source", "cli"), "--all takes everything"),
        (("--min-messages", "x"), "min-messages"),
    ],
)
def test_what_cannot_be_chosen(
    convtui: Run, state: Path, arguments: tuple[str, ...], says: str
) -> None:
    code, out, err = convtui("import", state, *arguments)
    assert (code, out) == (2, "")
    assert says in err


def test_only_hermes_files_are_chosen_from(convtui: Run, tmp_path: Path) -> None:
    path = tmp_path / "0a1b2c_Ada_gpt-4o_run1.txt"
    path.write_text("user: Is it late?\n\nagent: Yes.\n")
    code, _, err = convtui("import", path, "--list")
    assert code == 2
    assert "files of vera are imported whole" in err


def test_damage_is_told_and_the_rest_comes_in(convtui: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    good = {"conversations": [{"from": "human", "value": "hi"}], "completed": True}
    path.write_text(json.dumps(good) + "\n{torn\n")
    code, out, err = convtui("import", path, "--out", tmp_path / "logs")
    assert code == 0
    assert out.startswith("imported ")
    assert f"{path}: line 2: is not JSON" in err
    code, out, _ = convtui("import", path, "--list", "--json")
    assert (code, [one["line"] for one in json.loads(out)["findings"]]) == (0, [2])
    code, out, err = convtui("import", path, "--out", tmp_path / "strict", "--strict")
    assert (code, out) == (2, "")
    assert f"{path}: 1 finding, and --strict imports nothing then" in err
    assert not (tmp_path / "strict").exists()


def test_a_folder_of_exports_with_a_bad_one(convtui: Run, tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "hi"}]
    session = {"id": "s1", "source": "cli", "started_at": 1.0, "messages": talk}
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jsonl").write_text(json.dumps(session) + "\n")
    (folder / "b.jsonl").write_text("")
    (folder / "session_c.json").write_text('{"session_id": "c", "session_start": "2026", "mess')
    code, out, err = convtui("import", folder, "--out", tmp_path / "logs")
    assert code == 1
    assert out.count("imported ") == 1
    assert f"{folder / 'b.jsonl'}: the file is empty" in err
    assert f"{folder / 'session_c.json'}: is cut off: the JSON is not complete (column " in err
    assert "1 imported, 0 there already" in err


def test_trajectories_go_out(convtui: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    row = {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yo"}]}
    path.write_text(json.dumps(row) + "\n")
    done = convtui("import", path, "--from", "hermes", "--out", tmp_path, "--json")
    log = json.loads(done.out)["logs"][0]["log"]
    code, out, _ = convtui("export", log, "--to", "hermes-trajectory", "--out", tmp_path / "o")
    assert code == 0
    assert json.loads(Path(out.split(None, 1)[1].strip()).read_text()) == row
    code, _, err = convtui("export", log, "--to", "hermes")
    assert code == 2
    assert "hermes can be read, not written" in err


def test_inactive_turns_are_printed_as_such(convtui: Run, tmp_path: Path) -> None:
    rows = [
        {"id": 1, "session_id": "s", "timestamp": NOW, **user("wrong", active=0)},
        {"id": 2, "session_id": "s", "timestamp": NOW, **user("right")},
    ]
    state = database(tmp_path / "state.db", [{"id": "s"}], rows)
    done = convtui("import", state, "--out", tmp_path, "--json")
    log = json.loads(done.out)["logs"][0]["log"]
    out = convtui("show", log).out
    assert "1:1 persona: wrong\n    inactive (rewound)\n1:2 persona: right\n" in out
    first, second = json.loads(convtui("show", log, "--json").out)["sessions"][0]["turns"]
    assert (first["status"], "inactive" in first["flags"]) == ("inactive", True)
    assert (second["status"], first["discarded"]) == ("committed", False)
