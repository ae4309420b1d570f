"""`convtui warm` and `--warm`: build, list, show, edit, delete, check, schema, run."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from convtui.log.reader import open_log
from tests.builders.tool_logs import tool_log
from tests.cli.conftest import Run

TEMPLATE = {
    "name": "desk",
    "patterns": [
        {
            "tool_name": "look_up",
            "arguments": {"code": "A7"},
            "result_summary": "found \x1b[31mA7",
            "preceding_context": "Where is {code}?",
        }
    ],
    "system_prompt_addendum": "Be brief.",
    "slots": {"code": "A7"},
    "author": "Ada",
}


@pytest.fixture
def folder(home: Path) -> Path:
    """The user's templates, one of which is "desk"."""
    path = home / "data" / "warm"
    path.mkdir(parents=True)
    (path / "desk.json").write_text(json.dumps(TEMPLATE))
    return path


@pytest.fixture
def runs(home: Path) -> Path:
    """Two saved runs that pass, and one that is too short."""
    path = home / "data" / "runs"
    path.mkdir(parents=True)
    tool_log(path / "one.jsonl", [True] * 10, created_at="2026-01-01T00:00:00+00:00")
    tool_log(path / "two.jsonl", [True] * 12, created_at="2026-01-02T00:00:00+00:00")
    tool_log(path / "short.jsonl", [True], created_at="2026-01-03T00:00:00+00:00")
    return path


# --- build


def test_a_template_is_built_of_saved_runs(convtui: Run, runs: Path, home: Path) -> None:
    code, out, err = convtui("warm", "build", "mine", "--tag", "a", "--tag", "b")
    assert code == 0
    path = home / "data" / "warm" / "mine.json"
    assert err == f"saved as mine: {path}\n"
    assert "3, 3 looked at, 2 passed" in out and "1: fewer than 30 messages" in out
    assert "12, of 22 successful calls" in out and "terminal 22" in out
    made = json.loads(path.read_text())
    assert made["source_session_ids"] == ["two", "one"], "the newest first"
    assert made["description"] == "Auto-generated from 2 sessions" and made["tags"] == ["a", "b"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_building_answers_in_json(convtui: Run, runs: Path) -> None:
    code, out, err = convtui("warm", "build", "mine", "--json", "--max-sessions", "1")
    data = json.loads(out)
    assert (code, err) == (0, "")
    assert data["saved"].endswith("mine.json")
    assert (data["sessions_scanned"], data["sessions_qualified"]) == (2, 1)
    assert data["total_patterns"] == 12 and data["tool_distribution"] == {"terminal": 12}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--source", "cron"), "no run has the source 'cron'; there are: run"),
        (("--ended", "user_exit"), "no run ended user_exit; there are: completed"),
        (("--min-messages", "99"), "no run passed; "),
        (("~persona nobody",), "there are no runs"),
    ],
)
def test_nothing_found_is_no_success_and_saves_nothing(
    convtui: Run, runs: Path, home: Path, more: tuple[str, ...], says: str
) -> None:
    code, _, err = convtui("warm", "build", "mine", *more)
    assert code == 1 and f"nothing saved: {says}" in err
    code, out, _ = convtui("warm", "build", "mine", "--json", *more)
    data = json.loads(out)
    assert (code, data["saved"]) == (1, None) and says in data["reason"]
    assert not (home / "data" / "warm").exists()


def test_logs_folders_and_filters_choose_the_runs(convtui: Run, runs: Path, tmp_path: Path) -> None:
    code, out, _ = convtui("warm", "build", "a", runs / "one.jsonl", "--json")
    assert (code, json.loads(out)["total_patterns"]) == (0, 10)
    code, out, _ = convtui("warm", "build", "b", runs, "--filter", "~date > 2026-01-01", "--json")
    assert (code, json.loads(out)["sessions_qualified"]) == (0, 1)
    code, out, _ = convtui("warm", "build", "c", "~date > 2026-01-01", "--json")
    assert (code, json.loads(out)["sessions_qualified"]) == (0, 1)
    code, _, err = convtui("warm", "build", "d", "~tool", "--filter", "~tool")
    assert code == 2 and "give one filter" in err
    (tmp_path / "no.jsonl").write_text("nothing")
    code, _, err = convtui("warm", "build", "d", tmp_path / "no.jsonl")
    assert code == 2 and "no.jsonl" in err


def test_a_template_is_not_overwritten_unasked(convtui: Run, runs: Path, folder: Path) -> None:
    before = (folder / "desk.json").read_text()
    code, out, err = convtui("warm", "build", "desk")
    assert (code, out) == (2, "") and "--force replaces it" in err
    assert (folder / "desk.json").read_text() == before
    assert convtui("warm", "build", "desk", "--force").code == 0
    assert (folder / "desk.json").read_text() != before


@pytest.mark.parametrize("what", ["build", "show", "edit", "delete"])
def test_a_name_never_leaves_the_folder(
    convtui: Run, runs: Path, folder: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITOR", "true")
    outside = folder.parent / "x.json"
    outside.write_text(json.dumps(TEMPLATE))
    more = ("--yes",) if what == "delete" else ("--force",) if what == "build" else ()
    name = "../x" if what != "show" else "x y"
    code, _, err = convtui("warm", what, name, *more)
    assert code == 2 and "cannot be the name of a warm template" in err and "write 'x" in err
    assert json.loads(outside.read_text()) == TEMPLATE


# --- list, show


def test_the_list_names_what_it_cannot_read(convtui: Run, folder: Path) -> None:
    (folder / "broken.json").write_text("{")
    code, out, err = convtui("warm", "list")
    assert code == 0 and f"left out: {folder / 'broken.json'}:1: is not JSON" in err
    assert out.split("\n")[1].split()[:2] == ["desk", "1"]
    code, out, _ = convtui("warm", "list", "--json")
    data = json.loads(out)
    (one,) = data["templates"]
    assert (one["name"], one["pattern_count"], one["version"]) == ("desk", 1, 1)
    assert len(data["problems"]) == 1


def test_an_empty_list_says_what_to_do(convtui: Run) -> None:
    assert convtui("warm") == convtui("warm", "list")
    code, out, err = convtui("warm", "list")
    assert (code, out) == (0, "") and "`convtui warm build NAME` makes one" in err


def test_a_template_is_shown(convtui: Run, folder: Path) -> None:
    code, out, err = convtui("warm", "show", "desk")
    assert (code, err) == (0, "")
    assert "look_up" in out and "code=A7" in out and "code (A7)" in out and "Be brief." in out
    code, out, _ = convtui("warm", "show", "desk", "--json")
    shown = json.loads(out)
    assert shown["author"] == "Ada" and shown["slots"] == {"code": "A7"}
    code, _, err = convtui("warm", "show", "dsk")
    assert code == 2 and "did you mean 'desk'" in err
    (folder / "broken.json").write_text('{"patterns":\n[{}]}')
    code, _, err = convtui("warm", "show", "broken")
    assert code == 2 and f"{folder / 'broken.json'}:2: patterns[0].tool_name" in err


def test_exactly_what_is_injected_can_be_seen_before(convtui: Run, folder: Path) -> None:
    code, out, err = convtui("warm", "show", "desk", "--messages", "--set", "code=B8")
    assert (code, err) == (0, "4 messages of 1 pattern\n")
    assert out.split("\n") == [
        "system:",
        "  (after the provider's own prompt)",
        "  [WARM SESSION] Be brief.",
        "user:",
        "  Where is B8?",
        "assistant:",
        '  calls look_up {"code": "A7"}  (warm_0_look_up)',
        "tool:",
        "  found ␛[31mA7",
        "assistant:",
        "  Done.",
        "",
    ]
    code, out, _ = convtui("warm", "show", "desk", "--messages", "--json")
    shown = json.loads(out)
    assert [m["role"] for m in shown["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert shown["count"] == 4 and shown["slots"] == {"code": "A7"}
    code, _, err = convtui("warm", "show", "desk", "--messages", "--set", "cod=1")
    assert code == 2 and "no slot 'cod', did you mean 'code'" in err


# --- edit, delete


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """An editor that does this with the file's text `t`."""
    script = tmp_path / "editor.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\np = Path(sys.argv[1])\nt = p.read_text()\n"
        f"{code}\np.write_text(t)\n"
    )
    monkeypatch.setenv("VISUAL", f"{sys.executable} {script}")


def test_an_edited_template_is_checked_before_it_takes_the_place_of_the_old(
    convtui: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "desk.json"
    editor(tmp_path, monkeypatch, "t = t.replace('Be brief', 'Be kind')")
    code, _, err = convtui("warm", "edit", "desk")
    assert (code, err) == (0, f"saved as desk: {path}\n")
    assert json.loads(path.read_text())["system_prompt_addendum"] == "Be kind."
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_text()
    editor(tmp_path, monkeypatch, "t = t.replace('tool_name', 'tol_name')")
    code, _, err = convtui("warm", "edit", "desk")
    assert code == 2 and "patterns[0].tool_name" in err and "desk is as it was" in err
    assert path.read_text() == before
    assert "tol_name" in (folder / "desk.edited").read_text(), "what was written is not lost"
    editor(tmp_path, monkeypatch, "t = t.replace('\"desk\"', '\"other\"')")
    code, _, err = convtui("warm", "edit", "desk")
    assert code == 2 and "name: must be 'desk'" in err
    editor(tmp_path, monkeypatch, "pass")
    code, _, err = convtui("warm", "edit", "desk")
    assert (code, err) == (0, "desk is as it was\n")
    assert sorted(file.name for file in folder.iterdir()) == ["desk.json"]


def test_a_broken_template_can_be_mended_in_the_editor(
    convtui: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "broken.json").write_text('{"patterns": [}')
    editor(tmp_path, monkeypatch, "t = t.replace('[}', '[]}')")
    assert convtui("warm", "edit", "broken").code == 0
    assert convtui("warm", "show", "broken").code == 0


def test_an_editor_that_removes_the_draft_changes_nothing(
    convtui: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (folder / "desk.json").read_bytes()
    monkeypatch.setenv("EDITOR", "rm")
    code, _, err = convtui("warm", "edit", "desk")
    assert code == 2 and "desk is as it was: rm left no draft" in err
    assert (folder / "desk.json").read_bytes() == before


def test_without_an_editor_it_says_what_to_do(
    convtui: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    code, _, err = convtui("warm", "edit", "desk")
    assert code == 2 and "set VISUAL or EDITOR" in err
    code, _, err = convtui("warm", "edit", "nothing")
    assert code == 2 and "no warm template 'nothing'" in err


def test_a_template_is_deleted_when_that_is_meant(convtui: Run, folder: Path) -> None:
    code, _, err = convtui("warm", "delete", "desk")
    assert code == 2 and "give --yes" in err and (folder / "desk.json").exists()
    code, out, _ = convtui("warm", "delete", "desk", "--yes", "--json")
    assert code == 0 and json.loads(out)["deleted"] == str(folder / "desk.json")
    assert not (folder / "desk.json").exists()
    code, _, err = convtui("warm", "delete", "desk", "--yes")
    assert code == 2 and "no warm template 'desk'" in err


# --- check, schema, run


def test_templates_and_scenarios_that_name_them_are_checked(convtui: Run, folder: Path) -> None:
    code, out, _ = convtui("check", folder / "desk.json")
    assert (code, out) == (0, f"{folder / 'desk.json'}: warm, nothing wrong\n")
    bad = folder / "bad.json"
    bad.write_text('{"patterns":\n [{"tool_name": 1}]}')
    code, out, _ = convtui("check", bad)
    assert code == 2 and f"{bad}:2: patterns[0].tool_name" in out
    bad.write_text('{"patterns":\n [')
    code, out, _ = convtui("check", bad)
    assert code == 2 and f"{bad}:2: is not JSON" in out
    scenario = Path("scenario.yaml")
    scenario.write_text("name: x\nwarm: dsk\n")
    code, out, _ = convtui("check", scenario)
    assert code == 2 and "scenario.yaml:2: warm: " in out and "did you mean 'desk'" in out
    scenario.write_text("name: x\nwarm: {use: desk, slots: {cod: 1}}\n")
    code, out, _ = convtui("check", scenario)
    assert code == 2 and "no slot 'cod'" in out
    scenario.write_text("name: x\nwarm: {use: desk, slots: {code: 1}}\n")
    assert convtui("check", scenario).code == 0


def test_the_schema_takes_what_is_read(convtui: Run, folder: Path) -> None:
    code, out, _ = convtui("schema", "warm")
    made = json.loads(out)
    assert code == 0 and made["title"] == "convtui warm"
    assert made["properties"]["patterns"] and made["$defs"]["WarmPattern"]["required"] == [
        "tool_name"
    ]


def test_a_run_starts_warm(convtui: Run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(
        "def look_up(code: str) -> str:\n    return code\n\n\n"
        "class Bot:\n"
        "    tools = [look_up]\n"
        "    async def generate_response(self, messages):\n"
        "        return f\"{len(messages)} {messages[1]['content']}\"\n"
    )
    code, out, err = convtui(
        "run", "--in-process", "--provider", f"{tmp_path / 'bot.py'}:Bot", "--persona", "demo",
        "--max-turns", "2", "--warm", "desk", "--set", "warm.code=C9", "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 0, err
    assert "6 Where is C9?" in out
    (log,) = (tmp_path / "out").glob("*.jsonl")
    with open_log(log) as opened:
        seeded = next(r for r in opened.records() if r["type"] == "context.seeded")
    assert seeded["slots"] == {"code": "C9"}
    code, out, err = convtui("show", log)
    assert "warm context desk, 4 messages" in out


def test_a_template_that_cannot_be_used_stops_a_run_before_it_begins(
    convtui: Run, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, _, err = convtui("run", "--provider", "demo", "--warm", "dsk", "--out", out)
    assert code == 2 and "no warm template 'dsk', did you mean 'desk'" in err
    (folder / "open.json").write_text('{"system_prompt_addendum": "{who}"}')
    code, _, err = convtui("run", "--provider", "demo", "--warm", "open", "--out", out)
    assert code == 2 and "slot without a value: who; give --set warm.who=" in err
    assert not out.exists()
