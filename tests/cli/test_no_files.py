"""Commands that are given something that is no file: none of them waits for a pipe."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes")

NO_FILE = "this is not a regular file"


@pytest.fixture
def pipes(tmp_path: Path) -> Path:
    """The working directory, with pipes that nobody writes to."""
    folder = tmp_path / "work"
    for name in ("p.yaml", "p.jsonl", "p.json", "p.tsv", "p.py", "p.toml", "p.txt", "p.env"):
        os.mkfifo(folder / name)
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "p.yaml"],
        ["run", "--persona", "p.yaml", "--provider", "demo"],
        ["run", "--persona", "p.tsv:Anna", "--provider", "demo"],
        ["run", "--provider", "p.py:bot", "--persona", "demo"],
        ["run", "--provider", "recorded:p.jsonl", "--persona", "demo"],
        ["run", "--env-file", "p.env", "--provider", "demo", "--persona", "demo"],
        ["run", "--resume", "p.jsonl"],
        ["batch", "p.yaml", "--dry-run"],
        ["batch", "--provider", "p.py:bot", "--dry-run"],
        ["batch", "--persona", "p.tsv:*", "--provider", "demo", "--dry-run"],
        ["check", "p.yaml"],
        ["check", "p.jsonl"],
        ["check", "p.json"],
        ["check", "p.tsv"],
        ["check", "p.toml"],
        ["check", "p.py:bot"],
        ["show", "p.jsonl"],
        ["replay", "p.jsonl"],
        ["export", "p.jsonl", "--to", "vera"],
        ["compare", "p.jsonl", "p.jsonl"],
        ["profile", "p.jsonl"],
        ["rehook", "p.jsonl", "--provider", "demo"],
        ["compress", "p.jsonl"],
        ["compress-check", "p.jsonl"],
        ["warm", "build", "w", "p.jsonl"],
        ["warm", "show", "p.json"],
        ["import", "p.jsonl"],
        ["import", "p.json"],
        ["import", "p.txt"],
        ["import", "p.json", "--from", "openai"],
        ["personas", "p.tsv"],
        ["probe", "--provider", "p.py:bot"],
    ],
)
def test_a_pipe_is_named_and_not_waited_for(
    convtui: Run, pipes: Path, arguments: list[str]
) -> None:
    result = convtui(*arguments)
    assert result.code == 2
    assert NO_FILE in result.out + result.err


def test_pipes_in_a_folder_of_logs_are_left_alone(convtui: Run, pipes: Path, log: Path) -> None:
    shutil.copy(log, pipes / "one.jsonl")
    os.mkfifo(pipes / "other.jsonl")
    result = convtui("runs", "--out", pipes)
    assert result.code == 0
    assert "one.jsonl" in result.out
    assert convtui("runs", "~said e", "--out", pipes).code == 0


def test_pipes_in_a_folder_to_import_are_left_alone(convtui: Run, pipes: Path) -> None:
    (pipes / "one.jsonl").write_text(
        '{"messages": [{"role": "user", "content": "hi"},'
        ' {"role": "assistant", "content": "hello"}]}\n'
    )
    result = convtui("import", pipes)
    assert result.code in (0, 2)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "link.yaml"],
        ["run", "--persona", "link.yaml", "--provider", "demo"],
        ["run", "--provider", "link.py:bot", "--persona", "demo"],
        ["run", "--env-file", "link.env", "--provider", "demo", "--persona", "demo"],
        ["batch", "link.yaml", "--dry-run"],
        ["check", "link.yaml"],
        ["check", "link.py:bot"],
        ["show", "link.jsonl"],
        ["import", "link.jsonl"],
        ["personas", "link.tsv"],
    ],
)
def test_a_link_that_leads_nowhere_says_where(
    convtui: Run, tmp_path: Path, arguments: list[str]
) -> None:
    for suffix in ("yaml", "py", "env", "jsonl", "tsv"):
        (tmp_path / "work" / f"link.{suffix}").symlink_to("gone")
    result = convtui(*arguments)
    assert result.code == 2
    assert "it is a link to gone, which is not there" in result.out + result.err
