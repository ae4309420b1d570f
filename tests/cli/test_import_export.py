"""`convtui import` and `convtui export`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convtui.log.reader import open_log
from tests.cli.conftest import Run

TALK = "user: Is the ferry late?\n\nagent: Yes.\n\nTwo hours.\n\nuser: ok\n"


@pytest.fixture
def transcript(tmp_path: Path) -> Path:
    path = tmp_path / "0a1b2c_Ada_gpt-4o_run1.txt"
    path.write_text(TALK)
    return path


def test_a_transcript_becomes_a_log(convtui: Run, transcript: Path, home: Path) -> None:
    code, out, err = convtui("import", transcript)
    assert code == 0
    assert out.startswith("imported ")
    log = Path(out.split(None, 1)[1].strip())
    assert log.parent == home / "data" / "runs"
    assert err == f"1 imported, 0 there already; in {log.parent}\n"
    assert convtui("check", log).code == 0
    code, out, _ = convtui("show", log)
    assert code == 0
    assert "1:2 provider: Yes." in out
    assert "session 1: default (persona first)" in out
    assert "the file does not say why it ended" in out
    shown = json.loads(convtui("show", log, "--json").out)
    assert shown["origin"] == "import"
    assert shown["sessions"][0]["duration"] is None
    assert shown["sessions"][0]["log_span"]["first_seq"] == 1
    code, out, _ = convtui("runs")
    assert code == 0
    assert "Ada" in out


def test_what_is_there_is_passed_over(convtui: Run, transcript: Path, tmp_path: Path) -> None:
    out = tmp_path / "logs"
    assert convtui("import", transcript, "--out", out, "--from", "vera").code == 0
    (log,) = out.glob("*.jsonl")
    before = log.read_bytes()
    done = convtui("import", transcript, "--out", out, "--json")
    (result,) = json.loads(done.out)["logs"]
    assert result["outcome"] == "there already"
    assert result["sources"] == [str(transcript)]
    assert log.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nothing.txt",), "there is no such file"),
        (("odd.json",), "in no format that is known"),
        (("odd.json", "--from", "verra"), "did you mean 'vera'"),
        (("odd.json", "--from", "vera"), "line 1 begins no turn"),
        ((".",), "in no format that is known"),
    ],
)
def test_what_cannot_be_imported(convtui: Run, arguments: tuple[str, ...], says: str) -> None:
    Path("odd.json").write_text("{}")
    code, out, err = convtui("import", *arguments)
    assert (code, out) == (2, "")
    assert says in err


def test_a_log_goes_out_and_comes_in_again(convtui: Run, log: Path, tmp_path: Path) -> None:
    code, out, err = convtui("export", log, "--to", "vera", "--out", tmp_path / "out")
    assert code == 0
    assert out.count("wrote ") == 4
    assert "discarded turns are left out" in err
    written = json.loads(
        convtui("export", log, "--to", "vera", "--out", tmp_path / "b", "--json").out
    )
    assert len(written["files"]) == 4
    code, _, err = convtui("export", log, "--to", "vera", "--out", tmp_path / "out")
    assert code == 2
    assert "nothing is overwritten" in err
    assert convtui("import", tmp_path / "out", "--out", tmp_path / "back").code == 0
    (back,) = (tmp_path / "back").glob("*.jsonl")
    with open_log(log) as first, open_log(back) as second:
        assert [turn.text for turn in second.transcript.turns] == [
            turn.text for turn in first.transcript.turns if turn.status == "committed"
        ]


def test_export_says_what_is_wrong(convtui: Run, log: Path, tmp_path: Path) -> None:
    assert "did you mean 'vera'" in convtui("export", log, "--to", "vra").err
    code, _, err = convtui("export", tmp_path / "none.jsonl", "--to", "vera")
    assert code == 2
    assert "there is no such log" in err
    assert convtui("export", log).code == 2
    (tmp_path / "file").write_text("")
    code, _, err = convtui("export", log, "--to", "vera", "--out", tmp_path / "file")
    assert code == 2
    assert "cannot be written" in err


def test_a_damaged_log_is_exported_as_far_as_it_goes(
    convtui: Run, log: Path, tmp_path: Path
) -> None:
    log.write_bytes(log.read_bytes()[:-40])
    code, _, err = convtui("export", log, "--to", "vera", "--out", tmp_path / "out")
    assert code == 0
    assert "torn" in err


def test_help_has_examples(convtui: Run) -> None:
    for name in ("import", "export"):
        done = convtui(name, "--help")
        assert done.code == 0
        assert f"convtui {name} " in done.out
    assert "import" in convtui("--help").out
