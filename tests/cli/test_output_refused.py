"""A standard output that cannot be written is reported in one line, not as a bug."""

from __future__ import annotations

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
