"""`convtui import` of folders in which files of several tools lie beside each other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.places import SAMPLES

CODEX = SAMPLES / "codex" / "rollout-0.40.0.jsonl"
GEMINI = SAMPLES / "gemini-cli" / "session-0.36.0.json"
VERA = SAMPLES / "vera-mh" / "001847_Maya_g4o_run4.txt"
GENERIC = SAMPLES / "openai" / "sample_generic_session.json"
HERMES = SAMPLES / "hermes" / "export_v0.13.0.jsonl"


def folder_of(tmp_path: Path, *files: Path) -> Path:
    folder = tmp_path / "mixed"
    for number, file in enumerate(files):
        (folder / str(number)).mkdir(parents=True)
        shutil.copy(file, folder / str(number) / file.name)
    return folder


def formats_in(logs: Path) -> list[str]:
    texts = [log.read_text(encoding="utf-8") for log in logs.glob("*.jsonl")]
    headers = [json.loads(text.partition("\n")[0]) for text in texts]
    return sorted(header["imported"]["format"] for header in headers)


@pytest.mark.parametrize("files", [(CODEX, GEMINI), (GEMINI, VERA, CODEX)])
def test_files_of_several_tools_are_all_imported(
    convtui: Run, tmp_path: Path, files: tuple[Path, ...]
) -> None:
    names = {CODEX: "codex", GEMINI: "gemini-cli", VERA: "vera"}
    logs = tmp_path / "logs"
    code, _, err = convtui("import", folder_of(tmp_path, *files), "--out", logs)
    assert (code, err.count("left out")) == (0, 0)
    assert formats_in(logs) == sorted(names[file] for file in files)
    again = convtui("import", tmp_path / "mixed", "--out", logs)
    assert f"0 imported, {len(files)} there already" in again.err


def test_a_named_format_is_the_only_one(convtui: Run, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    folder = folder_of(tmp_path, CODEX, GEMINI)
    assert convtui("import", folder, "--from", "gemini-cli", "--out", logs).code == 0
    assert formats_in(logs) == ["gemini-cli"]


def test_what_only_looks_like_a_transcript_is_named_and_left(convtui: Run, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    code, _, err = convtui("import", folder_of(tmp_path, CODEX, GENERIC), "--out", logs)
    assert code == 0
    assert f"1 file of openai left out, such as {GENERIC.name}: `--from openai`\n" in err
    assert formats_in(logs) == ["codex"]
    assert convtui("import", tmp_path / "mixed", "--from", "openai", "--out", logs).code == 0
    assert formats_in(logs) == ["codex", "openai"]


def test_what_has_to_be_chosen_from_is_named_and_left(convtui: Run, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    code, _, err = convtui("import", folder_of(tmp_path, VERA, HERMES), "--out", logs)
    assert code == 0
    assert f"1 file of hermes left out, such as {HERMES.name}: `--from hermes`\n" in err
    assert formats_in(logs) == ["vera"]


def test_beside_what_is_chosen_from_other_tools_are_named(convtui: Run, tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    folder.mkdir()
    for file in (HERMES, CODEX):
        shutil.copy(file, folder)
    code, _, err = convtui("import", folder, "--out", tmp_path / "logs")
    assert code == 0
    assert f"1 file of codex left out, such as {CODEX.name}: `--from codex`\n" in err


def test_a_file_that_cannot_be_read_stops_no_other_tool(convtui: Run, tmp_path: Path) -> None:
    folder, logs = folder_of(tmp_path, CODEX, GEMINI), tmp_path / "logs"
    broken = folder / "1" / GEMINI.name
    broken.write_bytes(broken.read_bytes()[:-40])
    code, out, _ = convtui("import", folder, "--out", logs, "--json")
    assert code == 1
    (finding,) = json.loads(out)["findings"]
    assert finding["file"] == str(broken)
    assert formats_in(logs) == ["codex"]


def test_a_cluster_reads_one_format(convtui: Run, tmp_path: Path) -> None:
    done = convtui("import", folder_of(tmp_path, CODEX, GEMINI), "--on", "ray")
    assert (done.code, done.out) == (2, "")
    assert "codex and gemini-cli" in done.err
    assert "--from" in done.err
