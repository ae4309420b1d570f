"""File descriptors: private files, complete writes, and whether other code has closed one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def open_private(path: Path, flags: int) -> int:
    """Opens a file for writing with mode 0600, whatever the umask."""
    fd = os.open(path, os.O_WRONLY | flags, 0o600)
    if hasattr(os, "fchmod"):
        os.fchmod(fd, 0o600)
    return fd


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Writes all of `data`; `os.write()` may write only a part."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def same_file(fd: int) -> Callable[[], bool]:
    """A function that says whether `fd` still refers to the file that it refers to now."""
    original = os.fstat(fd)
    # Bound here: provider code may replace `os.fstat`.
    identity, fstat = (original.st_dev, original.st_ino), os.fstat

    def unchanged() -> bool:
        try:
            now = fstat(fd)
        except OSError:
            return False
        return (now.st_dev, now.st_ino) == identity

    return unchanged
