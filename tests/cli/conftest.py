"""A command line with a home of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from convtui.cli import main
from tests.builders.logs import sample, write_log


class Result(NamedTuple):
    """The result of a command."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`CONVTUI_HOME`; the working directory is an empty one beside it."""
    folder = tmp_path / "home"
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setenv("CONVTUI_HOME", str(folder))
    monkeypatch.delenv("CONVTUI_TRACEBACK", raising=False)
    monkeypatch.chdir(work)
    return folder


@pytest.fixture
def convtui(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process."""

    def run(*arguments: str | Path) -> Result:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Result(ended.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A small log with two sessions, a discarded turn and an early end."""
    return write_log(tmp_path / "run.jsonl", sample())
