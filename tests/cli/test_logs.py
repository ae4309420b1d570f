"""Naming logs on the command line, and what leaving the screen prints."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from convtui.analysis.rehook.sources import Source
from convtui.library.log_names import find_sample
from convtui.printing.parting import parting_lines, print_parting
from convtui.protocol import StartSpec
from tests.builders.logs import header, sample, write_log
from tests.cli.conftest import Run

ID = "a1b2c3d4e5f6"


@pytest.fixture
def runs(home: Path) -> Path:
    folder = home / "data" / "runs"
    write_log(folder / "20260301_maya_a1b2c3.jsonl", [header(id=ID), *sample()[1:-1]])
    return folder


@pytest.mark.parametrize("word", ["last", "a1b2c3", "20260301", "sample:clean"])
@pytest.mark.parametrize(
    "command",
    [
        ("show", "LOG"),
        ("replay", "LOG"),
        ("check", "LOG"),
        ("compare", "LOG", "LOG"),
        ("compare", "--ab", "LOG", "--", "sample:discarded"),
        ("profile", "LOG"),
        ("profile", "LOG", "~turn > 0"),
        ("compress-check", "LOG"),
        ("export", "LOG", "--to", "rath"),
        ("runs", "LOG"),
        ("runs", "--tag", "seen", "LOG"),
        ("rehook", "LOG", "--provider", "demo", "--only", "~end failed"),
    ],
)
def test_every_command_takes_them(
    convtui: Run,
    runs: Path,
    command: tuple[str, ...],
    word: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "--tag" in command and word.startswith("sample:"):
        pytest.skip("a tag is written beside the log")
    if command[0] == "rehook":
        looked_at: list[list[Source]] = []

        async def rehook(_start: Any, sources: list[Source], **_options: Any) -> None:
            looked_at.append(sources)

        monkeypatch.setattr("convtui.analysis.rehook.rehook_process.rehook_logs", rehook)
    code, _, err = convtui(*(word if part == "LOG" else part for part in command))
    assert (code, "no such log" in err) == (0, False), err
    if command[0] == "rehook":
        assert [source.path.is_file() for [source] in looked_at] == [True]


@pytest.mark.parametrize(
    "command", ["show", "replay", "export --to vera", "compress-check", "profile", "runs"]
)
def test_an_ambiguous_start_and_an_unknown_name(convtui: Run, runs: Path, command: str) -> None:
    write_log(runs / "20260302_maya_ffee99.jsonl", sample())
    name, *rest = command.split()
    code, out, err = convtui(name, "202603", *rest)
    assert (code, out) == (2, "")
    assert "202603 may be 2026030" in err
    code, _, err = convtui(name, "20260301_mya_a1b2c3.jsonl", *rest)
    assert code == 2
    assert "did you mean '20260301_maya_a1b2c3'?" in err


def test_a_conversation_goes_on_from_a_name(convtui: Run, home: Path) -> None:
    from convtui.cli.start import plan

    out = home / "elsewhere"
    out.mkdir(parents=True)
    log = out / "20260301_noa_a1bc9a.jsonl"
    shutil.copy(find_sample("clean"), log)
    for word in ("last", "a1bc9a", "20260301"):
        planned = plan(None, {"resume": word, "out": str(out)}, watched=False)
        assert planned.spec.continue_from is not None
        assert planned.spec.continue_from.log == str(log)
    code, _, err = convtui("run", "--resume", "last")
    assert code == 2
    assert "there is no saved run yet" in err


def test_a_recorded_provider_is_a_name_as_well(runs: Path, tmp_path: Path) -> None:
    from convtui.cli.start import plan

    def used(file: str | None, **flags: Any) -> str:
        return str(plan(file, flags, watched=False).spec.scenario["provider"]["use"])

    log = runs / "20260301_maya_a1b2c3.jsonl"
    assert used(None, provider="recorded:last") == f"recorded:{log}"
    assert used(None, provider="recorded:a1b2?strict") == f"recorded:{log}?strict"
    assert used(None, provider="recorded:sample:clean").endswith("sample_runs/clean.jsonl")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "scenario.yaml").write_text("provider: recorded:last\n")
    assert used(str(folder / "scenario.yaml")) == f"recorded:{log}"


def test_show_says_how_long_a_run_took(convtui: Run) -> None:
    from convtui.log.reader import open_log
    from convtui.transcript.clock import Elapsed, elapsed, elapsed_words

    with open_log(find_sample("taken-over")) as log:
        ran = elapsed_words(elapsed(log.transcript))
    assert f" UTC  ran {ran}  " in convtui("show", "sample:taken-over").out
    assert elapsed_words(Elapsed(31, 12)) == "00:31 (+00:12 held)"
    assert elapsed_words(Elapsed(3700, 0.4)) == "1:01:40"


def test_leaving_a_screen_says_what_to_type_next(runs: Path) -> None:
    log = runs / "20260301_maya_a1b2c3.jsonl"
    commands = ["next: convtui replay a1b2c3", "to go on: convtui debug --resume a1b2c3"]
    assert parting_lines(log, runs) == [f"log:  {log}", *commands]
    elsewhere = [f"next: convtui replay {log}", f"to go on: convtui debug --resume {log}"]
    assert parting_lines(log, None)[1:] == elsewhere
    # A command is never wrapped behind its label.
    assert parting_lines(log, runs, width=36) == [
        "log:", str(log), commands[0], "to go on:", "convtui debug --resume a1b2c3"
    ]  # fmt: skip
    ended = write_log(runs / "a b.jsonl", [header(id="short"), *sample()[1:]])
    assert parting_lines(ended, runs)[1] == "next: convtui replay 'a b'"
    assert parting_lines(find_sample("clean"))[1] == "next: convtui replay sample:clean"
    assert parting_lines(None) == parting_lines(runs / "gone.jsonl") == []


def test_leaving_a_run_that_never_began_says_what_failed(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_parting(None, runs, failure="bot.py:Bot: Bot() failed\x1b[2J")
    assert capsys.readouterr().err == "convtui: bot.py:Bot: Bot() failed␛[2J\n"
    # A log in the working folder is named by its path from there, quoted where it has to be.
    monkeypatch.chdir(runs.parent)
    there = write_log(Path("it's mine/run.jsonl").absolute(), sample())
    (name,) = shlex.split(parting_lines(there, runs)[1].removeprefix("next: convtui replay "))
    assert name == "it's mine/run.jsonl"


def test_what_to_type_next_can_be_typed(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / ".venv" / "bin" / "convtui"
    script.parent.mkdir(parents=True)
    script.write_text("")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    log = runs / "20260301_maya_a1b2c3.jsonl"

    def line(called: str, path: Path) -> str:
        monkeypatch.setattr("sys.argv", [called])
        monkeypatch.setenv("PATH", str(path))
        return parting_lines(log, runs)[1]

    assert line(".venv/bin/convtui", tmp_path) == "next: .venv/bin/convtui replay a1b2c3"
    assert parting_lines(log, runs)[2] == "to go on: .venv/bin/convtui debug --resume a1b2c3"
    assert line(str(script), script.parent).startswith("next: convtui replay")
    module = str(tmp_path / "convtui" / "__main__.py")
    assert line(module, script.parent).startswith("next: convtui replay")
    assert line(module, tmp_path).startswith(f"next: {sys.executable} -m convtui replay")


def test_a_crash_of_the_screen_says_it_too(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from convtui.tui.app import ConvtuiApp
    from convtui.tui.launch import run_debug

    log = runs / "20260301_maya_a1b2c3.jsonl"

    def crash(self: ConvtuiApp, **_options: Any) -> None:
        self.runs.log_of_last = lambda: log
        raise RuntimeError("a bug")

    monkeypatch.setattr(ConvtuiApp, "run", crash)
    with pytest.raises(RuntimeError):
        run_debug(StartSpec(scenario={}, out_dir=""))
    assert str(log) in capsys.readouterr().err
