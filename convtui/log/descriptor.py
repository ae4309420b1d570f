"""File descriptors that other code of the process may close, and whose numbers it may reuse."""

from __future__ import annotations

import os
from collections.abc import Callable


def same_file(fd: int) -> Callable[[], bool]:
    """Tells, each time it is called, whether `fd` still stands for the file that it does now."""
    kept = os.fstat(fd)
    identity, fstat = (kept.st_dev, kept.st_ino), os.fstat

    def unchanged() -> bool:
        try:
            now = fstat(fd)
        except OSError:
            return False
        return (now.st_dev, now.st_ino) == identity

    return unchanged
