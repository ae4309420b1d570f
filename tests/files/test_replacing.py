"""A file that is written anew is whole, or as it was."""

from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path

import pytest

from convtui.errors import FileError
from convtui.files.replacing import replace_file


def test_a_new_file_and_one_that_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "r.html"
    replace_file(file, "één")
    replace_file(file, "two")
    assert file.read_text(encoding="utf-8") == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "r.html"
    file.write_text("before")
    with pytest.raises(FileError, match=r"r\.html: cannot be written"):
        replace_file(file, "a lone surrogate: \ud800")
    assert file.read_text() == "before"
    with pytest.raises(FileError, match="cannot be written"):
        replace_file(tmp_path / "new.html", "a lone surrogate: \ud800")
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
    for wrong in (tmp_path, tmp_path / "none" / "r.html", file / "below", tmp_path / "a\0b"):
        with pytest.raises(FileError, match="cannot be written"):
            replace_file(wrong, "x")


@pytest.mark.skipif(sys.platform == "win32", reason="no links and pipes there")
def test_links_modes_and_pipes_are_kept(tmp_path: Path) -> None:
    file, link = tmp_path / "r.html", tmp_path / "latest.html"
    file.write_text("before")
    file.chmod(0o640)
    link.symlink_to(file)
    replace_file(link, "after")
    assert (link.is_symlink(), file.read_text()) == (True, "after")
    assert file.stat().st_mode & 0o777 == 0o640

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    replace_file(pipe, "through")
    reader.join()
    assert read == ["through"]


def test_a_file_that_is_a_mount_of_its_own_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a container gets a single file: nothing can take its place, and it can be written."""
    file = tmp_path / "r.html"
    file.write_text("before")

    def busy(part: Path, target: Path) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(target))

    monkeypatch.setattr(Path, "replace", busy)
    replace_file(file, "after")
    assert file.read_text() == "after"
    with pytest.raises(FileError, match="cannot be written"):
        replace_file(tmp_path / "new.html", "after")
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
