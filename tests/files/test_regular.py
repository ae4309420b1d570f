"""Files that are none: pipes, folders, links that lead nowhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from convtui.errors import DataFileError, FileError
from convtui.files.env import check_env_file, read_env_file
from convtui.files.near import near_file, no_file
from convtui.files.regular import open_regular, real_path

pipes = pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes")


def test_a_regular_file_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    with open_regular(file) as opened:
        assert opened.read() == b"abc"


@pipes
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="this is not a regular file"):
        open_regular(pipe)
    with pytest.raises(OSError, match="this is not a regular file"):
        open_regular("/dev/zero")


def test_what_is_not_there_and_what_is_a_folder_are_as_ever(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "no")
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)


@pipes
def test_why_there_is_no_file(tmp_path: Path) -> None:
    pipe, link, other = tmp_path / "pipe.py", tmp_path / "link.py", tmp_path / "linked.py"
    os.mkfifo(pipe)
    link.symlink_to("gone.py")
    other.write_text("")
    assert no_file(pipe) == f"{pipe}: this is not a regular file"
    assert no_file(tmp_path) == f"{tmp_path}: this is a folder, not a file"
    assert no_file(link) == (
        f"{link}: there is no such file: it is a link to gone.py, which is not there"
    )
    # A link that leads nowhere is never meant.
    assert near_file(tmp_path / "lin.py") == ", did you mean 'linked.py'?"


@pipes
def test_a_link_to_itself_stays(tmp_path: Path) -> None:
    loop, link = tmp_path / "loop", tmp_path / "link"
    loop.symlink_to("loop")
    link.symlink_to("some")
    assert real_path(loop) == loop
    assert real_path(link) == tmp_path / "some"
    assert real_path("a\0b") == Path("a\0b").absolute()


def test_variables_are_read_as_text_that_people_write(tmp_path: Path) -> None:
    file = tmp_path / "keys.env"
    file.write_bytes(b"\xef\xbb\xbfA=1\r\nexport B='two words'\r\n# C=3\r\nD\r\n")
    assert read_env_file(str(file)) == {"A": "1", "B": "two words"}
    file.write_bytes(b"A=1\nB=caf\xe9\n")
    with pytest.raises(DataFileError, match=r"keys.env:2: byte 0xE9 is not UTF-8"):
        read_env_file(str(file))
    check_env_file(None)
    with pytest.raises(FileError, match="there is no such file of environment variables"):
        check_env_file(str(tmp_path / "key.en"))
    with pytest.raises(FileError, match="this is a folder, not a file of environment variables"):
        check_env_file(str(tmp_path))
