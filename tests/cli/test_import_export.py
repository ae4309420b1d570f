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
    assert "1 discarded turn left out" in err
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


def test_results_of_waza_come_in(convtui: Run, tmp_path: Path) -> None:
    talk = [
        {"type": "user.message", "content": "Add an agent"},
        {"type": "assistant.message", "content": "Which handoffs?"},
    ]
    summary = {"followups_sent": 0, "outcome": "abstained", "reason": "no handoff list"}
    runs = [{"run_number": n, "transcript": talk, "responder": summary} for n in (1, 2)]
    task = {"test_id": "t-1", "display_name": "Add an agent", "runs": runs}
    data = {"schemaVersion": "1.4", "eval_id": "e", "tasks": [task]}
    Path("results.json").write_text(json.dumps(data))
    code, out, err = convtui("import", "results.json", "--out", tmp_path / "logs")
    assert code == 0
    assert out.count("imported ") == 2
    assert err.startswith("2 imported, 0 there already")
    logs = sorted((tmp_path / "logs").glob("*.jsonl"))
    assert convtui("check", *logs).code == 0
    shown = convtui("show", logs[0])
    assert shown.code == 0
    assert "1:2 provider: Which handoffs?" in shown.out
    assert "no handoff list" in shown.out
    folded = json.loads(convtui("show", logs[0], "--json").out)
    assert folded["termination"]["kind"] == "abstained"
    Path("results.json").write_text(json.dumps({**data, "tasks": []}))
    code, _, err = convtui("import", "results.json")
    assert code == 2
    assert "there is no conversation in it" in err


def test_event_files_go_out_and_come_in(convtui: Run, log: Path, tmp_path: Path) -> None:
    code, out, err = convtui("export", log, "--to", "oharness", "--out", tmp_path / "out")
    assert code == 0
    assert "1 discarded turn (in user.log events)" in err
    (file,) = (tmp_path / "out").glob("*.jsonl")
    assert out == f"wrote {file}\n"
    assert convtui("import", file, "--out", tmp_path / "back").code == 0
    (back,) = (tmp_path / "back").glob("*.jsonl")
    assert convtui("check", back).code == 0
    one, two = (convtui("show", path, "--plain").out for path in (log, back))
    spoken = [line for line in one.splitlines() if " persona: " in line or " provider: " in line]
    assert spoken
    assert spoken == [
        line for line in two.splitlines() if " persona: " in line or " provider: " in line
    ]
    assert convtui("show", back, "--json").code == 0


def test_what_cannot_go_out(convtui: Run, log: Path) -> None:
    code, _, err = convtui("export", log, "--to", "waza")
    assert code == 2
    assert "waza can be read, not written" in err


META = {"v": "1.0", "seq": 0, "run_id": "r", "type": "meta", "payload": {}}


def test_a_broken_line_is_named_and_the_rest_is_imported(convtui: Run, tmp_path: Path) -> None:
    bad = {**META, "seq": 2, "type": "user.simulated.message", "payload": {"text": 5}}
    good = {**META, "seq": 3, "type": "user.simulated.message", "payload": {"text": "Hi"}}
    Path("e.jsonl").write_text(f"{json.dumps(META)}\n{{no\n{json.dumps(bad)}\n{json.dumps(good)}\n")
    code, _, err = convtui("import", "e.jsonl", "--out", tmp_path / "logs")
    assert code == 0
    assert "convtui: e.jsonl: line 2: is not JSON" in err
    assert "convtui: e.jsonl: line 3: payload: text must be text, not a number" in err
    (log,) = (tmp_path / "logs").glob("*.jsonl")
    assert convtui("check", log).code == 0
    warnings = [json.loads(line) for line in log.read_text().splitlines() if '"warning"' in line]
    assert [warning.get("line") for warning in warnings[:2]] == [2, 3]
    assert "1:1 persona: Hi" in convtui("show", log, "--plain").out


def test_findings_in_json(convtui: Run, tmp_path: Path) -> None:
    Path("e.jsonl").write_text(f"{json.dumps(META)}\n{{no\n")
    code, out, _ = convtui("import", "e.jsonl", "--out", tmp_path / "logs", "--json")
    first, ended = json.loads(out)["findings"]
    assert code == 0
    assert (first["file"], first["line"], first["code"]) == ("e.jsonl", 2, "bad_line")
    assert first["message"].startswith("is not JSON (column 2")
    assert (ended["line"], ended["code"]) == (None, "no_end")
    Path("good.jsonl").write_text(json.dumps(RATH) + "\n" + json.dumps(RATH_END) + "\n")
    code, out, _ = convtui("import", "good.jsonl", "--out", tmp_path / "logs", "--json")
    assert json.loads(out)["findings"] == []


def test_strict_refuses_what_has_findings(convtui: Run, tmp_path: Path) -> None:
    Path("e.jsonl").write_text(f"{json.dumps(META)}\n{{no\n")
    code, out, err = convtui("import", "e.jsonl", "--out", tmp_path / "logs", "--strict")
    assert (code, out) == (2, "")
    assert "e.jsonl: line 2: is not JSON" in err
    assert "e.jsonl: 2 findings, and --strict imports nothing then" in err
    assert not (tmp_path / "logs").exists()
    Path("good.jsonl").write_text(json.dumps(RATH) + "\n" + json.dumps(RATH_END) + "\n")
    assert convtui("import", "good.jsonl", "--out", tmp_path / "logs", "--strict").code == 0
    assert len(list((tmp_path / "logs").glob("*.jsonl"))) == 1


RATH = {"record_type": "header", "schema_version": 1, "id": "s-1"}
RATH_END = {"record_type": "trailer", "closed_at": "2026-03-04T05:07:07Z", "final_chunk_count": 0}


def test_many_findings_are_counted(convtui: Run, tmp_path: Path) -> None:
    lines = [json.dumps(RATH), *["{no"] * 50, json.dumps(RATH_END)]
    Path("s.jsonl").write_text("\n".join(lines) + "\n")
    _, _, err = convtui("import", "s.jsonl", "--out", tmp_path / "logs")
    assert err.count("is not JSON") == 20
    assert "convtui: s.jsonl: 30 more findings" in err


def test_a_folder_goes_on_behind_a_bad_file(convtui: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jsonl").write_text(json.dumps(RATH) + "\n" + json.dumps(RATH_END) + "\n")
    (folder / "b.jsonl").write_text("")
    newer = {**RATH, "schema_version": 9}
    (folder / "c.jsonl").write_text(json.dumps(newer) + "\n")
    (folder / "d.jsonl").write_text(json.dumps({**RATH, "id": "s-2"}) + "\n")
    code, out, err = convtui("import", folder, "--out", tmp_path / "logs")
    assert code == 1
    assert out.count("imported ") == 2
    assert f"{folder / 'b.jsonl'}: the file is empty" in err
    assert f"{folder / 'c.jsonl'}: line 1: written by a newer rath" in err
    assert "2 imported, 0 there already" in err
    (folder / "c.jsonl").unlink()
    assert convtui("import", folder, "--out", tmp_path / "logs").code == 0
    code, _, err = convtui("import", folder / "b.jsonl", "--from", "rath", "--out", tmp_path)
    assert code == 2
    assert "b.jsonl: there is no header and no chunk that can be read: the file is empty" in err


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


def test_a_log_goes_out_to_rath_and_comes_in_again(convtui: Run, log: Path, tmp_path: Path) -> None:
    code, out, err = convtui("export", log, "--to", "rath", "--out", tmp_path / "out")
    assert (code, out.count("wrote ")) == (0, 2)
    assert "2 sessions are 2 files" in err
    assert "1 discarded turn left out" in err
    assert (
        "nothing is overwritten"
        in convtui("export", log, "--to", "rath", "--out", tmp_path / "out").err
    )
    code, out, err = convtui("import", tmp_path / "out", "--out", tmp_path / "back")
    assert (code, out.count("imported ")) == (0, 2)
    for back in (tmp_path / "back").glob("*.jsonl"):
        assert convtui("check", back).code == 0


def test_a_row_of_rath_that_is_none_is_named(convtui: Run, tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl.__partial__"
    path.write_text(json.dumps(RATH) + "\n[1]\n")
    code, out, err = convtui("import", path, "--out", tmp_path / "back")
    assert code == 0
    assert out.startswith("imported ")
    assert f"{path}: line 2: must be an object, not a list" in err
    assert "Traceback" not in err


def test_a_log_is_shared_and_a_bundle_opened(convtui: Run, log: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("export", log, "--out", out, "--redact-text", "nowhere at all")
    done = convtui(*arguments, "--to", "md", "--turns", "1")
    assert (done.code, done.out) == (0, f"wrote {out / log.stem}.md\n")
    assert "no match of 'nowhere at all'" in done.err
    again = convtui(*arguments, "--to", "md")
    assert again.code == 2
    assert "nothing is overwritten" in again.err
    data = json.loads(convtui(*arguments, "--to", "bundle", "--json").out)
    assert data["masked"] == ["no secret to mask", "no match of 'nowhere at all'"]
    shown = convtui("replay", data["files"][0])
    assert shown.code == 0
    assert "unpacked: " in shown.err
    assert shown.out == convtui("show", log).out
    assert "there already: " in convtui("replay", data["files"][0]).err
    (tmp_path / "none.zip").write_bytes(b"PK\x03\x04")
    broken = convtui("replay", tmp_path / "none.zip")
    assert (broken.code, "a damaged zip" in broken.err) == (2, True)
    assert convtui("export", log, "--to", "html", "--redact-text", "(").code == 2


def test_help_has_examples(convtui: Run) -> None:
    for name in ("import", "export"):
        done = convtui(name, "--help")
        assert done.code == 0
        assert f"convtui {name} " in done.out
    assert "import" in convtui("--help").out
