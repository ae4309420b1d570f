"""Commands that are given something that is no file, or may not be looked at."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from convtui.log.names import MANIFEST, NOTES, TOOLS, WIRE
from tests.cli.conftest import Run

posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no such files")

NO_FILE = "this is not a regular file"


@pytest.fixture
def pipes(tmp_path: Path) -> Path:
    """The working directory, with pipes that nobody writes to."""
    folder = tmp_path / "work"
    for name in ("p.yaml", "p.jsonl", "p.json", "p.tsv", "p.py", "p.toml", "p.txt", "p.env"):
        os.mkfifo(folder / name)
    return folder


@posix
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


@posix
def test_pipes_in_a_folder_of_logs_are_left_alone(convtui: Run, pipes: Path, log: Path) -> None:
    shutil.copy(log, pipes / "one.jsonl")
    os.mkfifo(pipes / "other.jsonl")
    result = convtui("runs", "--out", pipes)
    assert result.code == 0
    assert "one.jsonl" in result.out
    assert convtui("runs", "~said e", "--out", pipes).code == 0


@posix
@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "one.jsonl", "--debug"],
        ["show", "one.jsonl", "--json"],
        ["check", "one.jsonl"],
        ["runs", "~note x | ~tool | ~mark", "--out", "."],
        ["profile", "."],
        ["rehook", ".", "--provider", "demo"],
        ["compare", "one.jsonl", "other.jsonl"],
        ["export", "one.jsonl", "--to", "html", "--out", "shared"],
        ["export", "one.jsonl", "--to", "bundle", "--with-wire", "--out", "shared"],
        ["export", "one.jsonl", "--to", "rath", "--out", "shared"],
        ["warm", "build", "w", "."],
        ["batch", "batch", "--no-tui"],
        ["runs", "--tag", "t", "one.jsonl"],
        ["runs", "--trash", "--yes", "one.jsonl"],
    ],
)
@pytest.mark.parametrize("what", ["pipe", "device", "folder", "socket"])
def test_what_is_no_file_beside_a_log_is_not_read(
    convtui: Run, tmp_path: Path, log: Path, arguments: list[str], what: str
) -> None:
    folder = tmp_path / "work"
    (folder / "batch").mkdir()
    for name in ("one.jsonl", "other.jsonl", "batch/one.jsonl"):
        shutil.copy(log, folder / name)
        for companion in (NOTES, WIRE, TOOLS):
            _put(what, folder / f"{name}{companion}")
    _put(what, folder / "batch" / MANIFEST)
    result = convtui(*arguments)
    assert result.code in (0, 1, 2)
    assert "a bug" not in result.err


def _put(what: str, path: Path) -> None:
    if what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        path.symlink_to("/dev/zero")
    elif what == "folder":
        path.mkdir()
    else:
        with (
            contextlib.closing(socket.socket(socket.AF_UNIX)) as end,
            contextlib.chdir(path.parent),
        ):
            end.bind(path.name)


@posix
@pytest.mark.parametrize("name", ["state.json", "config.toml", "keymap.yaml", "w.json"])
def test_pipes_in_the_folders_of_the_program_are_not_waited_for(
    convtui: Run, home: Path, name: str
) -> None:
    for folder in (home / "config", home / "state", home / "data" / "warm"):
        folder.mkdir(parents=True, exist_ok=True)
        os.mkfifo(folder / name)
    for command in ("where", "config", "themes", "warm"):
        assert convtui(command).code in (0, 2)


@posix
@pytest.mark.parametrize(
    "name",
    ["x.json", "x.jsonl", "x.txt", "x.jsonl.gz", "x.log", "x.eval", "x.db", "results.json",
     "simulations/x.json", "conversations/x.txt", "logs/x.log", "state.db", "personas.tsv"],
)  # fmt: skip
def test_devices_in_a_folder_to_import_are_not_read(
    convtui: Run, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "work" / name
    path.parent.mkdir(exist_ok=True)
    path.symlink_to("/dev/zero")
    (tmp_path / "work" / "aaaaaa_Maya_g4o_run1.txt").write_text("user: hi\n\nagent: hello\n")
    assert convtui("import", tmp_path / "work").code in (0, 2)
    assert convtui("import", path).code == 2


@posix
@pytest.mark.parametrize(
    "arguments",
    [
        ["runs"],
        ["runs", "--tree"],
        ["runs", "~signal"],
        ["profile", "."],
        ["rehook", ".", "--provider", "demo"],
        ["rehook", "loop.jsonl", "--provider", "demo"],
        ["compare", "one.jsonl", "loop.jsonl"],
        ["show", "loop.jsonl"],
        ["batch", "one.jsonl", "--report", "loop.jsonl"],
        ["runs", "--trash", "--yes", "loop.jsonl"],
        ["import", "."],
        ["run", "--resume", "loop.jsonl"],
    ],
)
def test_a_link_to_itself_is_no_bug(
    convtui: Run, tmp_path: Path, log: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "work"
    shutil.copy(log, folder / "one.jsonl")
    (folder / "loop.jsonl").symlink_to("loop.jsonl")
    (folder / "out").symlink_to("out")
    (folder / "convtui.toml").write_text('out_dir = "out"\n')
    result = convtui(*arguments)
    assert result.code in (0, 1, 2)
    assert "a bug" not in result.err
    monkeypatch.setenv("CONVTUI_OUT_DIR", str(folder))
    assert "a bug" not in convtui(*arguments).err


@posix
def test_pipes_in_a_folder_to_import_are_left_alone(convtui: Run, pipes: Path) -> None:
    (pipes / "one.jsonl").write_text(
        '{"messages": [{"role": "user", "content": "hi"},'
        ' {"role": "assistant", "content": "hello"}]}\n'
    )
    result = convtui("import", pipes)
    assert result.code in (0, 2)


@posix
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


LONG = "x" * 300
"""Longer than a name may be: asking for such a file fails, other than for one that is not there."""


@posix
@pytest.mark.parametrize(
    "arguments",
    [
        ["run", f"{LONG}.yaml"],
        ["run", "--persona", f"{LONG}.yaml", "--provider", "demo"],
        ["run", "--persona", LONG, "--provider", "demo"],
        ["run", "--persona", f"{LONG}.tsv:Anna", "--provider", "demo"],
        ["run", "--provider", f"{LONG}.py:bot", "--persona", "demo"],
        ["run", "--provider", f"{LONG}.mod:bot", "--persona", "demo"],
        ["run", "--provider", LONG, "--persona", "demo"],
        ["run", "--provider", f"recorded:{LONG}.jsonl", "--persona", "demo"],
        ["run", "--env-file", f"{LONG}.env", "--provider", "demo", "--persona", "demo"],
        ["run", "--resume", f"{LONG}.jsonl"],
        ["run", "--warm", LONG, "--provider", "demo", "--persona", "demo"],
        ["run", "--out", LONG, "--provider", "demo", "--persona", "demo"],
        ["debug", f"{LONG}.yaml"],
        ["batch", f"{LONG}.yaml", "--dry-run"],
        ["batch", LONG, "--dry-run"],
        ["batch", "--persona", f"{LONG}/*.yaml", "--provider", "demo", "--dry-run"],
        ["batch", "--provider", f"{LONG}.py:bot", "--dry-run"],
        ["batch", "demo", "--dry-run", "--junit", f"{LONG}/x.xml"],
        ["batch", "demo", "--dry-run", "--against", LONG],
        ["check", f"{LONG}.yaml"],
        ["check", f"{LONG}.jsonl"],
        ["check", LONG],
        ["check", f"{LONG}.py:bot"],
        ["show", f"{LONG}.jsonl"],
        ["show", LONG],
        ["replay", LONG],
        ["export", LONG, "--to", "vera"],
        ["compare", LONG, LONG],
        ["profile", f"{LONG}.jsonl"],
        ["rehook", LONG, "--provider", "demo"],
        ["compress", LONG],
        ["compress-check", LONG],
        ["warm", "build", "w", f"{LONG}.jsonl"],
        ["warm", "show", f"{LONG}.json"],
        ["import", LONG],
        ["personas", f"{LONG}.tsv"],
        ["probe", "--provider", f"{LONG}.py:bot"],
        ["trust", LONG],
        ["init", LONG],
    ],
)
def test_a_name_that_is_too_long_is_bad_usage(convtui: Run, arguments: list[str]) -> None:
    result = convtui(*arguments)
    assert result.code == 2
    assert "bug in convtui" not in result.err
    assert result.err.startswith("convtui: ") or result.out


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files nobody may look at, as for a user who has no right to."""
    folder = tmp_path / "work" / "locked"
    folder.mkdir()
    stat = os.stat

    def refusing(path: Any, **options: Any) -> os.stat_result:
        if isinstance(path, (str, Path)) and Path(path).absolute().parent == folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", refusing)
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "locked/a.yaml"],
        ["run", "--persona", "locked/a.yaml", "--provider", "demo"],
        ["run", "--persona", "locked/a.tsv:Anna", "--provider", "demo"],
        ["run", "--provider", "locked/a.py:bot", "--persona", "demo"],
        ["run", "--env-file", "locked/a", "--provider", "demo", "--persona", "demo"],
        ["batch", "locked/a.yaml", "--dry-run"],
        ["check", "locked/a.yaml"],
    ],
)
def test_a_folder_that_may_not_be_looked_into_is_bad_usage(
    convtui: Run, locked: Path, arguments: list[str]
) -> None:
    result = convtui(*arguments)
    assert result.code == 2
    assert "bug in convtui" not in result.err


def test_settings_above_that_may_not_be_looked_at_are_none(
    convtui: Run, locked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (locked / "inside").mkdir()
    monkeypatch.chdir(locked / "inside")
    assert convtui("config").code == 0


def test_a_folder_of_runs_that_is_none(convtui: Run, tmp_path: Path) -> None:
    missing = convtui("runs", "--out", "missing")
    assert missing.code == 0
    assert f"{tmp_path / 'work' / 'missing'}: there is no such folder" in missing.err
    (tmp_path / "work" / "file").write_text("")
    assert "this is a file; runs are saved in a folder" in convtui("runs", "--out", "file").err
    assert convtui("runs", "--out", "file").code == 2
    assert convtui("runs", "--out", LONG).code == 2
