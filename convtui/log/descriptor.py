"""Checks file descriptors that other code in the process may have closed or reused."""

from __future__ import annotations

import os
from collections.abc import Callable


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
