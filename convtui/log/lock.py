"""The lock that the writer of a log holds, as readers see it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from convtui.log.names import lock_path


def is_being_written(path: Path) -> bool:
    """Whether a live process holds the log's lock; a stale lock file is removed."""
    lock = lock_path(path)
    if not lock.exists():
        return False
    from filelock import FileLock, Timeout

    probe = FileLock(str(lock), timeout=0, mode=0o600)
    try:
        probe.acquire()
    except Timeout:
        return True
    except OSError:
        return False
    # Removed while held: another process waiting for it sees that, and creates a new file.
    with contextlib.suppress(OSError):
        lock.unlink()
    probe.release()
    return False
