"""A standard output that cannot be written is reported in one line, not as a bug."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.full_disk import full_disk
from tests.cli.conftest import Run


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_standard_output_is_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "convtui.cli", "run", "--provider", "demo", "--out", "o"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            check=False,
        )
    assert done.returncode == 1
    assert "standard output: No space left on device" in done.stderr
    assert "bug" not in done.stderr


def test_a_full_disk_is_not_a_bug(
    convtui: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with full_disk(100):
        code, _, err = convtui("export", "sample:discarded", "--to", "md")
    assert code == 2
    assert "cannot be written: File too large" in err


@pytest.mark.skipif(sys.platform == "win32", reason="streams are not closed so there")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_take_nothing(tmp_path: Path, closed: str) -> None:
    command = (
        f'"{sys.executable}" -m convtui.cli run --provider demo --max-turns 2 --out o {closed}'
    )
    home = {**os.environ, "CONVTUI_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, cwd=tmp_path, env=home, check=False
    )
    assert (done.returncode, "bug" in done.stderr) == (0, False), done.stderr
    (log,) = (tmp_path / "o").glob("*.jsonl")
    assert log.read_text(encoding="utf-8").startswith('{"seq":0,')
    assert not (tmp_path / "home" / "state" / "crashes").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no folder in use is deleted there")
@pytest.mark.parametrize(
    "command",
    ["where", "runs", "show sample:clean", "check x.yaml", "run --provider demo", "trust"],
)
def test_a_working_directory_that_is_gone_is_named(
    convtui: Run, tmp_path: Path, command: str
) -> None:
    (tmp_path / "work").rmdir()
    code, _, err = convtui(*command.split())
    assert code == 2
    assert "is not there any more" in err
