"""`convtui check file.py:NAME` loads a provider in an engine of its own and tells what it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROVIDERS = """\
import sys

class Bot:
    termination_signals = ["[END]"]

    def generate_response(self, messages):
        return "hi"

    def post_proces_response(self, text):
        return text

class Right:
    def generate_response(self, messages):
        return "hi"

    def should_discard_response(self, signals):
        return True
"""


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "convtui.cli", "check", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bots.py"
    path.write_text(PROVIDERS)
    return path


def test_hooks_are_listed_with_whose_they_are(file: Path) -> None:
    done = check(f"{file}:Right")
    assert done.returncode == 0, done.stderr
    lines = {tuple(line.split()) for line in done.stdout.splitlines()}
    assert ("should_discard_response", "yours") in lines
    assert ("post_process_response", "default") in lines


def test_a_name_that_is_nearly_a_hooks_is_a_finding(file: Path) -> None:
    done = check(f"{file}:Bot", "--json")
    assert done.returncode == 1, done.stderr
    (result,) = json.loads(done.stdout)
    assert result["kind"] == "provider"
    (problem,) = result["problems"]
    assert problem["message"] == (
        "post_proces_response() is no hook; did you mean post_process_response()?"
    )


def test_a_provider_that_is_not_there_is_2(file: Path) -> None:
    done = check(f"{file}:Rihgt")
    assert done.returncode == 2
    assert "did you mean 'Right'?" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
