"""A disk that has no room, by the operating system's own limit on the size of files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file gets larger than `room` bytes until the end of the block."""
    resource = pytest.importorskip("resource")
    # A cut file of byte code would stay, and could not be imported any more.
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        monkeypatch.undo()
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
