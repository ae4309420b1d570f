"""The commands that list, print and check; usage errors; crash reports."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from convtui.log.notes import Notes
from convtui.log.reader import digest_until
from convtui.records.models import LlmRequest, TurnCommitted
from tests.builders.logs import conversation, ending, header, sample, session, turn, write_log
from tests.cli.conftest import Run

COMMANDS = [
    *("demo", "debug", "run", "replay", "show", "runs", "compare", "check", "init", "providers"),
    *("personas", "themes", "config", "where", "schema", "completion"),
]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_ends_with_an_example(convtui: Run, name: str) -> None:
    code, out, err = convtui(name, "--help")
    assert (code, err) == (0, "")
    assert re.search(r"\n  Example:\n(    \S.*\n)+$", out)


def test_the_main_help_lists_every_command(convtui: Run) -> None:
    code, out, _ = convtui("--help")
    assert code == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\S.*\.$", out, re.MULTILINE)
    assert "convtui demo" in out.rpartition("Example:")[2]


def test_version(convtui: Run) -> None:
    assert re.fullmatch(r"convtui \d+\.\d+\.\d+\n", convtui("--version").out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "unknown command 'rnu', did you mean 'run'?"),
        (["run", "--max-trns", "3"], "unknown flag --max-trns, did you mean --max-turns?"),
        (["--hlep"], "unknown flag --hlep, did you mean --help?"),
        (["run", "--max-turns", "x"], "'x' is not a valid integer"),
        (["show"], "Missing argument 'LOG'."),
        (["show", "a", "b"], "Got unexpected extra argument (b)"),
        (["show", "nope.jsonl"], "nope.jsonl: there is no such log"),
        (["show", "."], "this is a folder"),
        (["show", "--json", "--plain", "x"], "--json and --plain exclude each other"),
        (["replay", "x", "--at", "q"], "--at: not a turn address: 'q'"),
        (["schema", "sceario"], "there is no schema 'sceario', did you mean 'scenario'?"),
        (["runs", "~signl"], "unknown atom ~signl, did you mean '~signal'?"),
        (["runs", "--ended", "faild"], "there is no such ending, did you mean 'failed'?"),
        (["runs", "--since", "soon"], "--since soon: write a day"),
        (["check", "--kind", "them", "x"], "there is no kind 'them', did you mean 'theme'?"),
        (["init", "--style", "clas"], "there is no style 'clas', did you mean 'class'?"),
        (["run"], "what should run?"),
        (["run", "nope.yaml"], "nope.yaml"),
        (["run", "old.jsonl"], "old.jsonl is a log"),
        (["run", "--provider", "gpt-4o"], "did you mean openai/gpt-4o?"),
        (["run", "--persona", "mya"], "'mya' is no persona, did you mean 'maya'?"),
        (["run", "--provider", "demo", "--break", "~discrad"], "did you mean '~discard'?"),
        (["run", "--provider", "demo", "--break", "~mark"], "~mark cannot be a breakpoint"),
        (["run", "--provider", "demo", "--set", "max_trns=3"], "unknown key 'max_trns'"),
        (["run", "--provider", "demo", "--python", "nopython"], "there is no such program"),
        (["run", "--provider", "demo", "--env-file", "x.env"], "there is no such file"),
        (["run", "--resume", "nope.jsonl"], "there is no such log"),
        ([], "no terminal to draw the picker on"),
    ],
)
def test_bad_usage_exits_with_2_and_says_what_to_do(
    convtui: Run, arguments: list[str], message: str
) -> None:
    code, out, err = convtui(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("convtui: ")
    assert message in err
    assert "Traceback" not in err


def test_a_bug_is_one_line_and_a_file(
    convtui: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-very-secret-0123456789")

    def broken(*_: object) -> None:
        raise RuntimeError("lost sk-very-secret-0123456789")

    monkeypatch.setattr("convtui.scenario.starter.write_starter", broken)
    code, out, err = convtui("init")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "this is a bug in convtui: RuntimeError: lost [redacted]" in err
    (crash,) = (home / "state" / "crashes").iterdir()
    assert str(crash) in err
    text = crash.read_text()
    assert "in broken" in text
    assert "very-secret" not in text
    assert crash.stat().st_mode & 0o777 == 0o600


def test_a_bug_shows_its_traceback_when_asked(
    convtui: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVTUI_TRACEBACK", "1")

    def broken(*_: object) -> None:
        raise RuntimeError("boom \x1b[2J")

    monkeypatch.setattr("convtui.scenario.starter.write_starter", broken)
    code, out, err = convtui("init")
    assert (code, out) == (1, "")
    assert "Traceback (most recent call last):" in err
    assert err.endswith("RuntimeError: boom ␛[2J\n")


def test_ctrl_c_exits_with_130(convtui: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("convtui.scenario.starter.write_starter", stopped)
    assert convtui("init") == (130, "", "\nconvtui: interrupted\n")


# --- show and replay


def test_show_prints_a_log(convtui: Run, log: Path) -> None:
    code, out, err = convtui("show", log)
    assert (code, err) == (0, "")
    assert out.startswith("Maya → my_provider.py:Bot\n")
    assert "discarded: signal [[ERROR]] 0-9 by should_discard_response" in out
    code, plain, _ = convtui("show", log, "--plain")
    assert plain.startswith("Maya -> my_provider.py:Bot\n")


def test_show_json_prints_json_and_nothing_else(convtui: Run, log: Path) -> None:
    code, out, err = convtui("show", log, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["sessions"][1]["turns"][1]["discarded"] is True


def test_show_debug_prints_stages_on_stderr(convtui: Run, log: Path) -> None:
    _, _, err = convtui("show", log, "--debug")
    assert "2:2 provider extract_signals (default) 1.0 ms: [[ERROR]] 0-9" in err


@pytest.mark.parametrize("mode", [[], ["--json"], ["--plain"]])
def test_show_of_a_damaged_log_is_0_with_findings(convtui: Run, log: Path, mode: list[str]) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:5], b"{broken\n", *lines[6:]]))
    code, out, err = convtui("show", log, *mode)
    assert code == 0
    assert "line 6: this line is not a JSON record" in err
    assert "upstream failed" in out


def test_replay_without_a_terminal_prints(convtui: Run, log: Path) -> None:
    code, out, err = convtui("replay", log, "--at", "2:3")
    assert code == 0
    assert err == "convtui: no terminal to draw on, so the log is printed, as `convtui show` does\n"
    assert out == convtui("show", log).out


@pytest.mark.parametrize("mode", [[], ["--json"], ["--plain"]])
def test_show_warns_of_a_parent_that_is_gone_or_altered(
    convtui: Run, tmp_path: Path, mode: list[str]
) -> None:
    whole = write_log(tmp_path / "root.jsonl", sample())
    sha256, _ = digest_until(whole, 5)
    parent = {"id": "a1b2c3", "file": "/elsewhere/root.jsonl", "seq": 5, "sha256": sha256}
    child = write_log(tmp_path / "c.jsonl", [header(id="c", parents=[parent]), *sample()[1:]])
    expected = convtui("show", str(child), *mode)
    assert (expected.code, "parent" in expected.err) == (0, False)  # found beside its child
    whole.write_bytes(whole.read_bytes().replace(b"Maya", b"Anna"))
    code, out, err = convtui("show", str(child), *mode)
    assert (code, out) == (0, expected.out)
    assert err.count("has been altered since; what was said before this log began is shown") == 1
    whole.unlink()
    code, out, err = convtui("show", str(child), *mode)
    assert (code, out) == (0, expected.out)
    assert "the parent log is not there: /elsewhere/root.jsonl" in err


# --- runs


@pytest.fixture
def library(home: Path) -> Path:
    folder = home / "data" / "runs"
    write_log(folder / "one.jsonl", sample())
    failed = ending("failed", "provider", 2)
    reply = turn(2, "provider", "oh")
    write_log(
        folder / "two.jsonl",
        [
            header(id="two", persona="Tom", created_at="2025-01-01T00:00:00+00:00"),
            *conversation(session(1, "a", [reply], failed), end=failed)[1:],
        ],
    )
    write_log(folder / "cut.jsonl", [header(id="cut"), *sample()[1:9]], close=False)
    (folder / "bad.jsonl").write_text("no log\n")
    return folder


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "bad cut one two"),
        (["~persona tom"], "two"),
        (["~signal"], "one"),
        (["~persona maya & ~discard"], "one"),
        (["~persona tom & ~discard"], ""),
        (['~raw "<think>"'], "one"),
        (["~model gpt"], ""),
        (["~provider bot"], "cut one two"),
        (["~date < 2026-01-01"], "two"),
        (["--name", "tom bot"], "two"),
        (["--ended", "crashed"], "cut"),
        (["--ended", "early_termination"], "one"),
        (["--ended", "ended early"], "one"),
        (["--ended", "damaged"], "bad"),
        (["--since", "2026-01-01"], "bad cut one"),
    ],
)
def test_runs_are_listed_and_searched(
    convtui: Run, library: Path, arguments: list[str], expected: str
) -> None:
    code, out, _ = convtui("runs", "--json", *arguments)
    assert code == 0
    assert sorted(row["name"].removesuffix(".jsonl") for row in json.loads(out)) == expected.split()


def test_marks_and_corrections_are_found_in_the_runs(convtui: Run, library: Path) -> None:
    path = library / "one.jsonl"
    notes = Notes(path)
    notes.mark(1, 1, True)
    notes.correct_flag(1, 1, "role", True)
    for expression in ("~mark", "~role", "~fault simulator"):
        code, out, _ = convtui("runs", "--json", expression)
        assert (code, [row["name"] for row in json.loads(out)]) == (0, ["one.jsonl"])
    notes.correct_fault(1, 1, "none")
    assert json.loads(convtui("runs", "--json", "~fault simulator").out) == []


def test_runs_as_a_table(convtui: Run, library: Path) -> None:
    code, out, err = convtui("runs")
    assert (code, err) == (0, "")
    head, *rows = out.splitlines()
    assert head.split() == ["WHEN", "PERSONA", "→", "PROVIDER", "TURNS", "ENDING", "LOG"]
    by_name = {row.split()[-1]: row for row in rows}
    assert "Tom → my_provider.py:Bot" in by_name["two.jsonl"]
    assert " failed " in by_name["two.jsonl"]
    assert " crashed " in by_name["cut.jsonl"]
    assert "damaged: line 1 is not JSON" in by_name["bad.jsonl"]


def test_a_family_of_runs_is_one_row(convtui: Run, home: Path) -> None:
    folder = home / "data" / "runs"
    write_log(folder / "root.jsonl", sample())
    parent = {"id": "a1b2c3", "file": "root.jsonl", "seq": 5, "sha256": "0"}
    change = {"kind": "rewind", "session": 2, "turn": 7}
    child = header(id="c", persona="Zoe", parents=[parent], change=change)
    write_log(folder / "child.jsonl", [child, *sample()[1:]])
    rows = convtui("runs").out.splitlines()
    assert len(rows) == 2
    assert "root.jsonl (1 branch, the newest " in rows[1]
    assert len(convtui("runs", "--all").out.splitlines()) == 3
    _, root, branch = convtui("runs", "--tree").out.splitlines()
    assert root.endswith("  root.jsonl")
    assert branch.endswith("└─ child.jsonl (rewind at 2:7)")
    _, only = convtui("runs", "--name", "zoe").out.splitlines()
    assert "root.jsonl (1 branch" in only
    tree = json.loads(convtui("runs", "--tree", "--json").out)
    assert [(row["id"], row["parent"], row["depth"], row["branches"]) for row in tree] == [
        ("a1b2c3", None, 0, 1),
        ("c", "a1b2c3", 1, 0),
    ]
    assert tree[1]["change"] == "rewind"
    assert tree[1]["at"] == {"session": 2, "turn": 7}
    assert tree[1]["root"] == "a1b2c3"
    assert len(json.loads(convtui("runs", "--json").out)) == 2
    code, _, err = convtui("runs", "--tree", "--all")
    assert (code, "exclude each other" in err) == (2, True)


def test_no_runs_say_what_to_do(convtui: Run) -> None:
    code, out, err = convtui("runs")
    assert (code, out) == (0, "")
    assert "no saved runs yet; `convtui demo` makes one" in err
    assert convtui("runs", "--json").out == "[]\n"


# --- check


def test_check_of_a_whole_log(convtui: Run, log: Path) -> None:
    assert convtui("check", log) == (0, f"{log}: log, nothing wrong\n", "")


def test_check_finds_damage_wrong_shapes_and_wrong_digests(convtui: Run, tmp_path: Path) -> None:
    records = sample()
    request = next(n for n, r in enumerate(records) if isinstance(r, LlmRequest))
    records[request] = records[request].model_copy(update={"sha256": "0" * 64})
    committed = next(n for n, r in enumerate(records) if isinstance(r, TurnCommitted))
    records[committed] = records[committed].model_copy(update={"words": "many"})
    path = write_log(tmp_path / "a.jsonl", records, close=False)
    code, out, _ = convtui("check", path)
    assert code == 1
    assert f"{path}:{request + 1}: llm.request sha256: the digest is not that" in out
    wrong = "turn.committed words: text where a whole number belongs (bad_field)"
    assert f"{path}:{committed + 1}: {wrong}" in out
    assert "(no_trailer)" in out


def test_check_of_files_that_people_write(convtui: Run, tmp_path: Path) -> None:
    good = tmp_path / "good.yaml"
    good.write_text("name: Maya\nscript: [hello, bye]\n")
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\npersona: maya\nmax_trns: 3\n")
    assert convtui("check", good) == (0, f"{good}: persona, nothing wrong\n", "")
    code, out, _ = convtui("check", good, bad)
    assert code == 2
    assert f"{bad}:3: max_trns: " in out
    code, out, _ = convtui("check", bad, "--json")
    assert code == 2
    assert json.loads(out)[0]["problems"][0]["line"] == 3


def test_check_of_a_scenario_reads_its_breakpoints(convtui: Run, tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text("name: x\nprovider: demo\nbreakpoints:\n  - once: ~end\n  - ~discrad\n")
    ran = convtui("check", str(file))
    assert ran.code == 2
    assert f"{file}:5: breakpoints[1]: unknown atom ~discrad, did you mean '~discard'?" in (
        ran.out + ran.err
    )


def test_check_of_nothing_and_of_something_else(convtui: Run, tmp_path: Path) -> None:
    assert convtui("check", tmp_path / "nope.jsonl").code == 2
    other = tmp_path / "x.png"
    other.write_bytes(b"\x89PNG")
    code, out, _ = convtui("check", other)
    assert code == 2
    assert "cannot tell what this is" in out


# --- the small ones


def test_init_writes_and_never_overwrites(convtui: Run, tmp_path: Path) -> None:
    code, out, _ = convtui("init", "mine")
    assert code == 0
    assert out.splitlines()[-1] == "Next: convtui debug mine/scenario.yaml"
    assert convtui("check", "mine/scenario.yaml", "mine/persona.yaml").code == 0
    code, out, err = convtui("init", "mine")
    assert (code, out) == (2, "")
    assert "nothing was written" in err


def test_lists_as_json(convtui: Run) -> None:
    assert "demo" in [p["name"] for p in json.loads(convtui("personas", "--json").out)]
    assert "demo" in [p["name"] for p in json.loads(convtui("providers", "--json").out)]
    themes = json.loads(convtui("themes", "--json").out)
    assert [t["name"] for t in themes if t["in_use"]] == ["dark"]


def test_config_says_where_each_setting_comes_from(
    convtui: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVTUI_THEME", "light")
    Path("convtui.toml").write_text("speed = 2.0\n")
    data = json.loads(convtui("config", "--json").out)
    assert data["theme"]["value"] == "light"
    assert data["theme"]["origin"] == "CONVTUI_THEME"
    assert data["speed"]["layer"] == "project"
    assert data["mouse"]["origin"] == "default"
    assert "convtui.toml:1" in convtui("config").out


def test_a_misspelt_variable_is_said(convtui: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVTUI_THME", "light")
    assert "did you mean CONVTUI_THEME?" in convtui("where").err


def test_where_knows_what_exists(convtui: Run, home: Path) -> None:
    data = json.loads(convtui("where", "--json").out)
    assert data["runs_dir"] == {"path": str(home / "data" / "runs"), "exists": False}
    assert data["builtin_themes"]["exists"] is True


def test_schema_and_completion(convtui: Run) -> None:
    assert json.loads(convtui("schema", "scenario").out)["title"] == "convtui scenario"
    for shell in ("bash", "zsh", "fish"):
        code, out, _ = convtui("completion", shell)
        assert code == 0
        assert "_CONVTUI_COMPLETE" in out


def test_the_rows_of_a_table_are_listed(convtui: Run, tmp_path: Path) -> None:
    path = tmp_path / "people.tsv"
    path.write_text('Name\tAge\nIda\t"30\nOmar\t41\nKim\t22\n\nBo\n')
    code, out, err = convtui("personas", path)
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["NAME", "LINE"], ["Omar", "3"], ["Kim", "4"], ["Bo", "6"],
    ]  # fmt: skip
    lines = [line.removeprefix(f"convtui: {path}:").split(":")[0] for line in err.splitlines()]
    assert lines == ["2", "5", "6"]
    code, out, _ = convtui("personas", path, "--json")
    listing = json.loads(out)
    assert code == 0
    assert listing["personas"][0] == {"name": "Omar", "line": 3, "use": f"{path}:Omar"}
    assert [row["line"] for row in listing["findings"]] == [2, 5, 6]
    code, out, err = convtui("check", path)
    assert code == 2
    assert out.count("people.tsv:") == 2
    assert f"{path}:5: a blank row, passed over" in err
