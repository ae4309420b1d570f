"""Opening files that may be anything: a pipe that nobody writes to would be waited for for ever."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Final

NOT_REGULAR: Final = "this is not a regular file"
_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


def open_regular(path: Path | str) -> BufferedReader:
    """A file for reading bytes. Raises OSError; its reason names what is no regular file."""
    fd = os.open(path, _FLAGS)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, NOT_REGULAR, str(path))
        return os.fdopen(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def read_regular(path: Path | str) -> bytes:
    """The bytes of a file. Raises OSError as `open_regular()` does."""
    with open_regular(path) as file:
        return file.read()


def is_other(path: Path) -> bool:
    """Whether there is something of this name that is neither a regular file nor a folder."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def is_readable(path: Path) -> bool:
    """Whether there is a regular file that this user may read."""
    try:
        open_regular(path).close()
    except (OSError, ValueError):
        return False
    return True


def is_zip(path: Path) -> bool:
    """Whether a regular file begins as a zip does. Never raises."""
    try:
        with open_regular(path) as file:
            return file.read(4) == b"PK\x03\x04"
    except (OSError, ValueError):
        return False


def dead_link(path: Path) -> str:
    """What a symbolic link names whose file is not there; empty for anything else."""
    try:
        return str(path.readlink()) if path.is_symlink() and not exists(path) else ""
    except (OSError, ValueError):
        return ""


def real_path(path: Path | str) -> Path:
    """The path without links, as far as they lead anywhere: one that leads to itself stays."""
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):
        return Path(path).absolute()


def is_file(path: Path) -> bool:
    """Whether there is a regular file; False also where that cannot be found out."""
    return _mode_is(path, stat.S_ISREG)


def is_dir(path: Path) -> bool:
    """Whether there is a folder; False also where that cannot be found out."""
    return _mode_is(path, stat.S_ISDIR)


def exists(path: Path) -> bool:
    """Whether there is something; False also where that cannot be found out."""
    return _mode_is(path, lambda mode: True)


def _mode_is(path: Path, test: Callable[[int], bool]) -> bool:
    # A folder on the way may be locked, a name too long, a path may have a null character.
    try:
        return test(path.stat().st_mode)
    except (OSError, ValueError):
        return False
