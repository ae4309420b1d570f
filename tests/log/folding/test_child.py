"""The process that folds: what it sends is the log, whatever it remembers."""

from __future__ import annotations

from pathlib import Path

import pytest

from convtui.errors import LogError
from convtui.log import reader as reader_module
from convtui.log.folding.child import GREETING, Folding
from convtui.log.folding.steps import take_step
from convtui.log.folding.store import FoldStore
from convtui.log.reader import LogReader
from tests.builders.folds import state_read
from tests.builders.logs import sample, write_log


class Pipe:
    """What a process has sent."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.closed = False

    def send(self, data: bytes | memoryview) -> None:
        assert not self.closed
        self.frames.append(bytes(data))

    def close(self) -> None:
        self.closed = True


def run(log: Path, store: FoldStore | None) -> Pipe:
    pipe = Pipe()
    Folding(log, store, pipe.send, pipe.close).run()
    return pipe


def taken(log: Path, pipe: Pipe) -> str:
    """What a reader knows that has taken all steps, and then looks for more."""
    greeting, *steps = pipe.frames
    with LogReader(log) as reader:
        assert GREETING.unpack(greeting) == reader.identity
        for step in steps:
            take_step(reader, step)
        assert not reader.advance()
        return state_read(reader)


def whole(log: Path) -> str:
    with LogReader(log) as reader:
        reader.advance()
        return state_read(reader)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(reader_module, "_CHUNK", 1000)
    return write_log(tmp_path / "a.jsonl", sample())


@pytest.fixture
def store(tmp_path: Path) -> FoldStore:
    return FoldStore(tmp_path / "folds")


def test_it_sends_the_log(log: Path, store: FoldStore) -> None:
    for of in (None, store, store):
        assert taken(log, run(log, of)) == whole(log)
    assert store.path(log).exists()


def test_what_it_remembers_it_does_not_read_again(
    log: Path, store: FoldStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(log, store)
    assert first.closed
    monkeypatch.setattr(LogReader, "advance", lambda *_: pytest.fail("it is read again"))
    assert run(log, store).frames == first.frames


def test_of_a_log_that_has_grown_it_reads_the_rest(log: Path, store: FoldStore) -> None:
    data = log.read_bytes()
    lines = data.splitlines(keepends=True)
    for end in (len(lines) // 2, len(lines) // 2 + 1, len(lines)):
        log.write_bytes(b"".join(lines[:end]))
        assert taken(log, run(log, store)) == whole(log)
    # A line more was not worth a new file; the half was.
    with log.open("rb") as file:
        remembered = store.read(log, file)
    assert remembered is not None
    assert remembered.size == len(data)


def test_a_line_that_is_being_written_is_not_remembered(log: Path, store: FoldStore) -> None:
    data = log.read_bytes()
    end = data.rfind(b"\n", 0, len(data) // 2) + 1
    log.write_bytes(data[: end + 9])
    assert taken(log, run(log, store)) == whole(log)
    with log.open("rb") as file:
        remembered = store.read(log, file)
    assert remembered is not None
    assert remembered.size == end
    log.write_bytes(data)
    assert taken(log, run(log, store)) == whole(log)


def test_of_a_log_that_was_changed_it_remembers_nothing(log: Path, store: FoldStore) -> None:
    run(log, store)
    data = log.read_bytes()
    log.write_bytes(data.replace(b"Of course.", b"On course."))
    assert log.stat().st_size == len(data)
    assert "On course." in taken(log, run(log, store))
    assert "On course." in taken(log, run(log, store))


def test_a_damaged_memory_is_read_anew(log: Path, store: FoldStore) -> None:
    run(log, store)
    path = store.path(log)
    whole_file = path.read_bytes()
    path.write_bytes(whole_file[:-1])
    assert taken(log, run(log, store)) == whole(log)
    assert path.read_bytes() == whole_file


def test_what_is_no_log_has_no_steps(tmp_path: Path, store: FoldStore) -> None:
    path = tmp_path / "no.jsonl"
    path.write_bytes(b'{"type":"header"}\n' * 3)
    pipe = Pipe()
    with pytest.raises(LogError):
        Folding(path, store, pipe.send).run()
    assert len(pipe.frames) == 1
    assert not store.path(path).exists()


def test_a_file_that_takes_the_logs_name_is_not_read(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LogReader, "identity", (0, 0))
    assert len(run(log, None).frames) == 1
