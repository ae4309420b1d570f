"""Files that stand elsewhere in this process than where they are from.

A worker on another machine gets a copy of the developer's folder. Logs, messages and tracebacks
name files as they are named at home: that is where they are looked for afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

_pairs: list[tuple[str, str]] = []


def relocate(pairs: Iterable[tuple[str, str]]) -> None:
    """Sets which folders or files, as they are named at home, stand where in this process."""
    _pairs[:] = sorted(((home, here) for home, here in pairs), key=lambda p: -len(p[0]))


def path_here(path: str) -> str:
    """Where a file stands in this process."""
    return _moved(path, _pairs) if _pairs else path


def path_at_home(path: str) -> str:
    """How a file is named at home."""
    return _moved(path, [(here, home) for home, here in _pairs]) if _pairs else path


def _moved(path: str, pairs: Iterable[tuple[str, str]]) -> str:
    for old, new in pairs:
        if path == old or path.startswith(old.rstrip(os.sep) + os.sep):
            return new + path[len(old) :]
    return path
