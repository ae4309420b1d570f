"""`convtui profile`, `compress-check` and `compare --ab`: output, files, exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from convtui.analysis.profile.report import profile_report
from convtui.printing.report_printer import ReportPrinter
from tests.analysis.profile.test_compress_check import child
from tests.builders.tool_logs import profile_logs, tool_log
from tests.cli.conftest import Run

T, F = True, False


# --- profile


def test_tables_and_plots(convtui: Run, tmp_path: Path) -> None:
    path = tool_log(tmp_path / "a.jsonl", [F, F, F, *[T] * 22])
    code, out, err = convtui("profile", path, "--ascii")
    assert (code, err) == (0, "")
    assert "tool calls      25: 22 ok, 3 failed\n" in out
    assert "error rate      12.0 % (3 of 25)\n" in out
    assert "early fifth 60.0 % (3 of 5), late fifth 0.0 % (0 of 5): 60.0 points fewer" in out
    assert "exit code  25     an exit code of the result" in out
    assert "provider tokens over 25 turns of the provider\n" in out
    assert out.isascii() or "→" in out
    assert out.replace("→", "").isascii()


def test_it_fits_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "20260304T050607Z_somebody_with_a_long_name_my_provider_"
    paths = [tool_log(tmp_path / f"{long}{n}.jsonl", [F, T, T]) for n in range(2)]
    ReportPrinter(sys.stdout, width=80).print(profile_report(profile_logs(paths)))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    # Two runs whose names begin alike can be distinguished.
    assert any("…" in line and line.split()[0].endswith("_0.jsonl") for line in lines)


def test_words_for_those_who_see_no_plot(convtui: Run, tmp_path: Path) -> None:
    path = tool_log(tmp_path / "a.jsonl", [F, T])
    code, out, _ = convtui("profile", path, "--plain")
    assert code == 0
    assert "tools: terminal: type terminal, calls 2, ok 1, failed 1" in out
    assert "provider tokens over turns of the provider: 2 values: first 1 tokens" in out
    assert not set("▁▂▃▄▅▆▇█▏") & set(out)


def test_folders_filters_and_what_lies_beside(convtui: Run, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    good = tool_log(folder / "a.jsonl", [T, T], persona="Ida")
    tool_log(folder / "b.jsonl", [F], persona="Noa")
    (folder / "c.jsonl").write_text("no log\n")
    wire = folder / "a.jsonl.wire.jsonl"
    wire.write_text("{}\n")
    code, out, err = convtui("profile", folder, "--json")
    assert (code, json.loads(out)["tool_call_count"]) == (0, 3)
    assert "left out: " in err
    code, out, _ = convtui("profile", folder, "~persona ida", "--json")
    assert [run["persona"] for run in json.loads(out)["runs"]] == ["Ida"]
    code, out, _ = convtui("profile", folder, "~toolerror | ~said Task", "--json")
    assert len(json.loads(out)["runs"]) == 2
    # As a shell's `*.jsonl` names them.
    code, out, err = convtui("profile", good, wire, "--json")
    assert (code, err, json.loads(out)["session_ids"]) == (0, "", ["a"])
    code, out, err = convtui("profile", folder, "~persona nobody", "--json")
    assert (code, json.loads(out)["error_rate"]) == (0, None)
    assert "no run matches" in err


def test_all_saved_runs(convtui: Run, home: Path) -> None:
    code, out, err = convtui("profile")
    assert (code, out) == (0, "")
    assert "no saved runs there" in err
    assert "`convtui demo` makes one" in err
    out_dir = home / "elsewhere"
    out_dir.mkdir(parents=True)
    tool_log(out_dir / "a.jsonl", [T])
    code, out, _ = convtui("profile", "--out", out_dir, "~persona Maya", "--json")
    assert json.loads(out)["tool_call_count"] == 1


def test_a_report_in_a_file(convtui: Run, tmp_path: Path) -> None:
    path = tool_log(tmp_path / "a.jsonl", [F, T])
    page = tmp_path / "page.html"
    code, _, err = convtui("profile", path, "--report", page)
    assert code == 0
    assert str(page) in err
    text = page.read_text()
    assert "50.0 % (1 of 2)" in text
    assert "<svg" in text
    code, _, err = convtui("profile", path, "--report", tmp_path / "none" / "page.html")
    assert (code, "cannot be written" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope.jsonl"], "nope.jsonl: there is no such log"),
        (["runs/nope"], "runs/nope: there is no such log"),
        (["~nonsense"], "~nonsense"),
        (["--json", "--plain"], "exclude each other"),
    ],
)
def test_wrong_usage(convtui: Run, arguments: list[str], message: str) -> None:
    code, out, err = convtui("profile", *arguments)
    assert (code, out) == (2, "")
    assert message in err


# --- compress-check


def test_compress_check(convtui: Run, tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "a.jsonl", [F, T, T, T, T])
    worse = child(tmp_path / "b.jsonl", parent, [F, F, F, F, T])
    code, out, err = convtui("compress-check", worse)
    assert (code, err) == (1, "")
    assert "compression: 18 messages became a summary" in out
    assert "before: 5 calls, error rate 20.0 % (1 of 5)\n" in out
    assert "proficiency: not preserved: error rate 20.0 % before, 80.0 % after" in out
    code, out, _ = convtui("compress-check", worse, "--json")
    data = json.loads(out)
    assert (code, data["has_compression"], data["proficiency_preserved"]) == (1, True, False)
    code, out, _ = convtui("compress-check", parent)
    assert (code, out) == (0, "no compression: its history was not compressed\n")
    parent.unlink()
    code, out, _ = convtui("compress-check", worse)
    assert code == 0
    assert "before: unknown\n" in out
    assert "proficiency: unknown: what it was like before is not known: the parent log" in out
    assert convtui("compress-check", parent).code == 2


# --- compare --ab


@pytest.fixture
def arms(tmp_path: Path) -> tuple[list[Path], list[Path]]:
    warm = [tool_log(tmp_path / f"w{n}.jsonl", [T] * 20) for n in range(3)]
    cold = [tool_log(tmp_path / f"c{n}.jsonl", [F] * 10 + [T] * 10) for n in range(3)]
    return warm, cold


def test_two_arms(convtui: Run, arms: tuple[list[Path], list[Path]]) -> None:
    warm, cold = arms
    code, out, err = convtui("compare", "--ab", *warm, "--", *cold)
    assert (code, err) == (0, "")
    assert "  error rate             0.0 % (0 of 60)  50.0 % (30 of 60)\n" in out
    assert "improvement (cold minus warm): +50.0 points, 95 % +" in out
    assert "result: warm has 50.0 points fewer errors" in out
    code, out, _ = convtui("compare", "--ab", *cold, "--", *warm, "--json", "--test-name", "x")
    data = json.loads(out)
    assert (code, data["verdict"], data["improvement"]) == (1, "cold", -0.5)
    assert (data["test_name"], data["warm_session_errors"]) == ("x", 30)
    code, out, _ = convtui("compare", "--ab", "--plain", warm[0], cold[0])
    assert code == 0
    assert "errors: warm 0; cold 10\n" in out
    assert "result: no verdict: warm has 50.0 points fewer errors; one run with" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ab", "w"], "two arms: `convtui compare --ab WARM... -- COLD...`"),
        (["--ab", "w", "--"], "two arms: "),
        (["--ab", "nope.jsonl", "--", "w"], "nope.jsonl: there is no such log"),
        (["--ab", "w", "--", "w"], "this log is in both arms"),
        (["--ab", "w", "--", "c", "--tui"], "--ab prints"),
        (["--ab", "w", "--", "c", "--warm", "x"], "--warm needs --runs N"),
        (["w", "c", "c"], "for two arms of many: --ab"),
        (["w", "c", "--runs", "2"], "need --ab"),
        (["--ab", "--runs", "2", "w", "--", "c"], "--runs takes scenarios, not logs"),
        (["--ab", "--runs", "2", "a.yaml"], "needs --warm NAME"),
        (["--ab", "--runs", "2", "a.yaml", "--", "b.yaml", "--warm", "x"], "these are two"),
        (["--ab", "--runs", "2", "--warm", "x"], "what should run?"),
        (["--ab", "--runs", "0", "a.yaml"], "0"),
    ],
)
def test_wrong_arms(
    convtui: Run, arms: tuple[list[Path], list[Path]], arguments: list[str], message: str
) -> None:
    named = {"w": str(arms[0][0]), "c": str(arms[1][0])}
    code, out, err = convtui("compare", *(named.get(argument, argument) for argument in arguments))
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.slow
def test_it_runs_both_arms_itself(convtui: Run, tmp_path: Path) -> None:
    template = tmp_path / "ferries.json"
    pattern = {
        "tool_name": "find_crossings",
        "arguments": {"date": "2026-03-04"},
        "result_summary": "two crossings",
        "preceding_context": "Which ferries are there?",
    }
    template.write_text(
        json.dumps({"name": "ferries", "description": "", "patterns": [pattern], "version": 2})
    )
    out_dir = tmp_path / "out"
    code, out, err = convtui(
        "compare", "--ab", "--runs", "1", "--provider", "demo", "--persona", "maya",
        "--warm", template, "--set", "limits.max_turns=2", "--set", "sessions=[a]",
        "--out", out_dir, "--json",
    )  # fmt: skip
    data = json.loads(out)
    assert code == 0, err
    warm, cold = (data["arms"][arm]["logs"] for arm in ("warm", "cold"))
    assert (len(warm), len(cold)) == (1, 1)
    assert '"context.seeded"' in Path(warm[0]).read_text()
    assert '"context.seeded"' not in Path(cold[0]).read_text()
    assert data["arms"]["warm"]["turns"] == data["arms"]["cold"]["turns"] > 0
    assert sorted(path.name for path in out_dir.glob("*.jsonl")) == sorted(
        Path(path).name for path in (*warm, *cold)
    )
    assert "warm: run 1 of 1\n" in err
