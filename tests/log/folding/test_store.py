"""What is remembered of a log counts only for this very log, this program, and whole."""

from __future__ import annotations

import errno
import hashlib
import io
import mmap
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from convtui.log.folding import store as store_module
from convtui.log.folding.store import FoldStore, LogDigest, program_digest

LOG = b'{"seq":0}\n{"seq":1}\n{"seq":2}\n'
STEPS = [b"one", b"", b"three" * 1000]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def remember(store: FoldStore, log: Path, steps: list[bytes] = STEPS) -> Path:
    """Writes a log's steps, of all that is in it; the file."""
    writer = store.write(log)
    for step in steps:
        writer.add(step)
    data = log.read_bytes()
    writer.keep(len(data), digest(data))
    return store.path(log)


def recall(store: FoldStore, log: Path) -> tuple[list[bytes], int] | None:
    with log.open("rb") as file:
        remembered = store.read(log, file)
    return None if remembered is None else ([*map(bytes, remembered.steps)], remembered.size)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LOG)
    return path


@pytest.fixture
def store(tmp_path: Path) -> FoldStore:
    return FoldStore(tmp_path / "cache" / "folds")


def test_what_was_kept_is_remembered(log: Path, store: FoldStore) -> None:
    assert recall(store, log) is None
    remember(store, log)
    assert recall(store, log) == (STEPS, len(LOG))
    assert recall(FoldStore(store.path(log).parent), log) == (STEPS, len(LOG))


def test_nobody_else_may_read_it(log: Path, store: FoldStore) -> None:
    before = os.umask(0)
    try:
        path = remember(store, log)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_nobody_reads_the_log_any_more_where_nothing_can_be_mapped(
    log: Path, store: FoldStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has opened it goes on to read it, or closes it."""
    remember(store, log)

    def refuse(*args: Any, **more: Any) -> None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(mmap, "mmap", refuse)
    threads = set(threading.enumerate())
    with log.open("rb") as file:
        assert store.read(log, file) is None
        assert set(threading.enumerate()) <= threads
        assert file.tell() == 0


def test_a_log_that_has_grown_begins_the_same(log: Path, store: FoldStore) -> None:
    remember(store, log)
    log.write_bytes(LOG + b'{"seq":3}\n')
    assert recall(store, log) == (STEPS, len(LOG))


@pytest.mark.parametrize("place", range(len(LOG)))
def test_a_log_with_another_byte_is_another_log(place: int, log: Path, store: FoldStore) -> None:
    remember(store, log)
    before = log.stat()
    log.write_bytes(LOG[:place] + bytes([LOG[place] ^ 1]) + LOG[place + 1 :])
    os.utime(log, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert recall(store, log) is None


def test_a_shorter_log_is_another_log(log: Path, store: FoldStore) -> None:
    remember(store, log)
    log.write_bytes(LOG[:-1])
    assert recall(store, log) is None


def test_another_program_remembers_other_things(log: Path, store: FoldStore) -> None:
    path = remember(store, log)
    other = FoldStore(path.parent, program="other")
    assert recall(other, log) is None
    remember(other, log)
    assert recall(other, log) == (STEPS, len(LOG))
    assert recall(store, log) is None


def test_the_program_is_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "convtui"
    file = package / "log" / "folding" / "store.py"
    (package / "transcript").mkdir(parents=True)
    (package / "transcript" / "fold.py").write_text("1")
    monkeypatch.setattr(store_module, "__file__", str(file))
    before = program_digest()
    assert program_digest() == before
    (package / "transcript" / "fold.py").write_text("2")
    assert program_digest() != before


def test_a_damaged_file_is_as_if_it_were_not_there(log: Path, store: FoldStore) -> None:
    path = remember(store, log, [b"one", b"two"])
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        path.write_bytes(damaged)
        assert recall(store, log) in (None, ([b"one", b"two"], len(LOG)))
        if not whole[place:].startswith(b" "):
            assert recall(store, log) is None
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        assert recall(store, log) is None
    for foreign in (b"", b"\0" * 5000, b"{}" + b" " * 600, b"[" * 5000, b"null".ljust(512)):
        path.write_bytes(foreign)
        assert recall(store, log) is None
    path.write_bytes(whole)
    assert recall(store, log) is not None


def test_what_others_could_have_written_does_not_count(log: Path, store: FoldStore) -> None:
    path = remember(store, log)
    path.chmod(0o644)
    assert recall(store, log) is None
    path.unlink()
    path.mkdir()
    assert recall(store, log) is None


def logs(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{number}.jsonl" for number in range(count)]
    for path in paths:
        path.write_bytes(LOG)
    return paths


def test_those_that_were_not_used_for_the_longest_time_go(tmp_path: Path) -> None:
    store = FoldStore(tmp_path / "folds", limit=5000)
    of = logs(tmp_path, 4)
    for number, log in enumerate(of[:2]):
        os.utime(remember(store, log, [b"x" * 1500]), (number, number))
    assert recall(store, of[0]) is not None
    remember(store, of[2], [b"x" * 1500])
    assert [store.path(log).exists() for log in of] == [True, False, True, False]
    os.utime(store.path(of[2]), (7, 7))
    remember(store, of[3], [b"x" * 1500])
    assert [store.path(log).exists() for log in of] == [True, False, False, True]


def test_one_that_is_too_large_is_not_kept(tmp_path: Path, log: Path) -> None:
    store = FoldStore(tmp_path / "folds", limit=1000)
    path = remember(store, log)
    assert not path.exists()
    assert [*path.parent.iterdir()] == []


def test_what_a_killed_process_has_begun_is_removed(log: Path, store: FoldStore) -> None:
    path = remember(store, log)
    old, fresh = path.with_suffix(".7.part"), path.with_suffix(".8.part")
    for part in (old, fresh):
        part.write_bytes(b"x")
    os.utime(old, (0, 0))
    remember(store, log)
    assert not old.exists()
    assert fresh.exists()


def test_where_nothing_can_be_written_nothing_is_said(tmp_path: Path, log: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    store = FoldStore(blocked / "folds")
    assert recall(store, log) is None
    assert not remember(store, log).exists()


def test_on_a_full_disk_nothing_is_left(
    log: Path, store: FoldStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __init__(self, fd: int) -> None:
            self.file = io.FileIO(fd, "wb")

        def write(self, data: bytes) -> int:
            if len(data) > 1000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return self.file.write(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    opened = store.path(log).parent
    monkeypatch.setattr(os, "fdopen", lambda fd, mode: Full(fd))
    assert not remember(store, log).exists()
    assert [*opened.iterdir()] == []


def test_a_digest_ends_with_the_last_whole_line() -> None:
    for data in (LOG, LOG + b'{"torn', b"", b"no line", b"\n\n"):
        end = data.rfind(b"\n") + 1
        for size in (1, 3, 1000):
            pieces = LogDigest()
            for begin in range(0, len(data), size):
                pieces.add(data[begin : begin + size])
            assert pieces.result() == (end, digest(data[:end]))


def test_a_digest_goes_on_from_another() -> None:
    start = hashlib.sha256(LOG)
    pieces = LogDigest(start, len(LOG))
    pieces.add(b"more\nrest")
    assert pieces.result() == (len(LOG) + 5, digest(LOG + b"more\n"))
