"""Writing logs: one writer, every record at once, no secrets, well-formed whatever happens."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.errors import FileError, LogError
from convtui.log.lock import is_being_written
from convtui.log.names import lock_path
from convtui.log.reader import open_log
from convtui.log.writer import LogWriter
from convtui.records.models import ToolReturned, TurnCommitted, Warned, decode, encode
from convtui.secrets.redactor import Redactor
from convtui.secrets.values import secret_values
from tests.builders.logs import as_records, header, sample, write_log

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ANY_TEXT = st.text(st.characters() | st.sampled_from("\ud800\udfff\u2028\u2029\x85\x00\x1c\n\r"))


@given(st.dictionaries(ANY_TEXT, JSON | ANY_TEXT, max_size=5))
def test_any_record_is_one_line_and_reads_back_the_same(record: dict[str, Any]) -> None:
    line = encode(record)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode(line) == record


def test_odd_text_reads_back_the_same_from_a_file(tmp_path: Path) -> None:
    texts = ["a\u2028b", "c\x85d", "\ud800 lone", "e\rf\x0bg\x1ch", "\x00", "\ufeff", "😀" * 100]
    records = [header(), *(Warned(message=text) for text in texts)]
    path = write_log(tmp_path / "odd.jsonl", records)
    with open_log(path) as log:
        assert log.findings == []
        assert [r["message"] for r in log.records() if r["type"] == "warning"] == texts


def test_records_begin_with_the_envelope_in_order(tmp_path: Path) -> None:
    record = ToolReturned(
        id="c1", name="f", ok=True, result=None,
        revision=2, call=3, round=4, attempt=5, side="provider", turn=6, session=7,
    )  # fmt: skip
    path = write_log(tmp_path / "a.jsonl", [header(), record])
    line = path.read_bytes().splitlines()[1]
    assert list(json.loads(line))[:10] == [
        "seq", "t", "type", "session", "turn", "side", "attempt", "round", "call", "revision",
    ]  # fmt: skip


def test_every_record_is_on_disk_when_write_returns(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "a.jsonl")
    for number, record in enumerate(sample()):
        data, offset, line = writer.write(record)
        assert data["seq"] == number
        content = writer.path.read_bytes()
        assert content[offset:] == line
        assert len(content) == writer.size
    writer.abandon()


def test_mode_and_folder(tmp_path: Path) -> None:
    path = write_log(tmp_path / "new" / "folder" / "a.jsonl", sample())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_log_is_never_overwritten(tmp_path: Path) -> None:
    path = write_log(tmp_path / "a.jsonl", sample())
    before = path.read_bytes()
    with pytest.raises(LogError, match="never overwritten"):
        LogWriter(path)
    assert path.read_bytes() == before
    assert not lock_path(path).exists()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "a.jsonl")
    with pytest.raises(LogError, match="another process is writing"):
        LogWriter(tmp_path / "a.jsonl")
    assert is_being_written(writer.path)
    writer.abandon()
    assert not is_being_written(writer.path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "a.jsonl")
    writer.write(header())
    go_read, go_write = os.pipe()
    ready_read, ready_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ready_write, b"x")
        os.read(go_read, 1)
        os._exit(0)
    os.read(ready_read, 1)
    # As when the engine is killed: nobody releases the lock, its descriptor is gone.
    writer.forget_in_child()
    assert not is_being_written(writer.path)
    os.write(go_write, b"x")
    os.waitpid(child, 0)
    for fd in (go_read, go_write, ready_read, ready_write):
        os.close(fd)


@pytest.mark.parametrize("partial", [0, 10])
def test_a_full_disk_leaves_a_well_formed_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partial: int
) -> None:
    writer = LogWriter(tmp_path / "a.jsonl")
    for record in sample()[:5]:
        writer.write(record)
    whole = writer.path.read_bytes()
    real = os.write
    calls: list[int] = []

    def full(fd: int, data: Any) -> int:
        calls.append(len(data))
        if partial and len(calls) == 1:
            return real(fd, bytes(data[:partial]))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(FileError, match=r"the disk is full; choose another place with --out"):
        writer.write(Warned(message="x"))
    monkeypatch.undo()
    assert writer.broken is not None
    assert writer.path.read_bytes() == whole
    with pytest.raises(FileError, match="the disk is full"):
        writer.write(Warned(message="after it"))
    writer.abandon()
    with open_log(writer.path) as log:
        assert [f.code for f in log.findings] == ["no_trailer"]


def test_what_is_held_back_is_written_at_the_latest_when_the_log_is_closed(tmp_path: Path) -> None:
    ending = {"kind": "completed", "by": "simulator", "reason": "over", "at_turn": 1}
    at_once, held = LogWriter(tmp_path / "a.jsonl"), LogWriter(tmp_path / "b.jsonl", held_back=1000)
    sizes = set()
    for record in sample():
        first, second = at_once.write(record), held.write(record)
        assert first[0].keys() == second[0].keys()
        assert second[1] == held.size - len(second[2])
        assert held.size - 1000 < held.path.stat().st_size <= held.size
        sizes.add(held.path.stat().st_size)
    assert 2 < len(sizes) < len(sample()) / 2
    for writer in (at_once, held):
        writer.close(ending, {})
        assert writer.path.stat().st_size == writer.size
    with open_log(at_once.path) as one, open_log(held.path) as other:
        assert one.findings == other.findings == []
        times = {"t", "closed_at"}
        records = [
            [{name: record[name] for name in record.keys() - times} for record in log.records()]
            for log in (one, other)
        ]
    assert records[0] == records[1]


def test_what_is_held_back_does_not_fit_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = LogWriter(tmp_path / "a.jsonl", held_back=3000)
    while not writer.path.stat().st_size:
        writer.write(Warned(message="x" * 100))
    whole = writer.path.read_bytes()
    writer.write(Warned(message="waits"))

    def full(fd: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(FileError, match="the disk is full"):
        writer.close(None, {})
    monkeypatch.undo()
    assert writer.closed and writer.broken is not None
    assert writer.path.read_bytes() == whole


def test_of_what_was_held_back_nothing_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    drafts = [(0.0, Warned(message=text).payload(), [text]) for text in "ab"]
    at_once, held = LogWriter(tmp_path / "a.jsonl"), LogWriter(tmp_path / "b.jsonl", held_back=1)
    monkeypatch.setattr(os, "write", full)
    for writer in (at_once, held):
        with pytest.raises(FileError, match="the disk is full"):
            writer.append(drafts)
    monkeypatch.undo()
    assert at_once.broken is None
    assert held.broken is not None
    for writer in (at_once, held):
        writer.abandon()


async def test_a_disk_that_fills_up_ends_the_conversation_with_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.builders.conversations import Bot, prepare, scenario

    conversation, _, _ = prepare(scenario(Bot(), ["a"]), tmp_path)
    bot = conversation.provider
    real = os.write
    fd = conversation.journal.writer._fd

    def full(number: int, data: Any) -> int:
        if number == fd and b"turn.committed" in bytes(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(number, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(FileError, match="the disk is full"):
        await conversation.run()
    assert isinstance(bot, Bot)
    assert "cleanup" in bot.calls
    with open_log(conversation.journal.writer.path) as log:
        assert [f.code for f in log.findings] == ["no_trailer"]


async def test_a_log_without_even_a_header_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.builders.conversations import Bot, prepare, scenario

    conversation, _, _ = prepare(scenario(Bot(), ["a"]), tmp_path)
    real = os.write
    fd = conversation.journal.writer._fd

    def full(number: int, data: Any) -> int:
        if number == fd:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(number, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(FileError, match="the disk is full"):
        await conversation.run()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["file", "file/deep", "x" * 300])
def test_places_that_cannot_be_written_are_named(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match="cannot write the log"):
        LogWriter(tmp_path / where / "a.jsonl")


def test_closing_writes_a_trailer_once(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "a.jsonl")
    writer.write(header())
    assert writer.close({"kind": "completed"}, {}) is not None
    assert writer.close(None, {}) is None
    with pytest.raises(FileError, match="closed"):
        writer.write(Warned(message="late"))
    with open_log(writer.path) as log:
        assert log.findings == []
        assert log.transcript.trailer is not None
        assert log.transcript.trailer["records"] == 2


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "a.jsonl")
    writer.write(header())

    def work(name: str) -> None:
        for number in range(100):
            writer.write(Warned(message=f"{name} {number} " + "x" * 500))

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close(None, {})
    with open_log(writer.path) as log:
        assert log.findings == []
        assert log.transcript.records == 402


SECRETS = {
    "OPENAI_API_KEY": "sk-proj-0123456789abcdef",
    "MY_SERVICE_TOKEN": "tok/with+odd=chars",
    "DB_PASSWORD": 'quo"te\\back\u00e9',
}


def test_planted_secrets_are_never_in_the_file(tmp_path: Path) -> None:
    redactor = Redactor(secret_values(SECRETS))
    writer = LogWriter(tmp_path / "a.jsonl", redactor)
    writer.write(header(scenario={"provider": {"params": {"api_key": "anything-at-all"}}}))
    for secret in SECRETS.values():
        writer.write(Warned(message=f"it is {secret}.", detail={"list": [secret], secret: 1}))
        writer.write(
            TurnCommitted(session=1, turn=1, speaker="provider", text=secret, words=1)
        )  # fmt: skip
    writer.write(Warned(message="Authorization: Bearer abcdefghijklmnop"))
    writer.write(Warned(message="https://user:hunter22@example.org/x"))
    writer.close(None, {})
    text = writer.path.read_text()
    for secret in (*SECRETS.values(), "anything-at-all", "abcdefghijklmnop", "hunter22"):
        assert secret not in text
        assert json.dumps(secret)[1:-1] not in text
        assert json.dumps(secret, ensure_ascii=False)[1:-1] not in text
    assert "example.org" in text


def test_text_without_secrets_is_stored_exactly(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "a.jsonl", Redactor(secret_values(SECRETS)))
    text = "the key is under the mat; a token of love; author; sk- ; 100% /path?x=1"
    data, _, _ = writer.write(Warned(message=text))
    assert data["message"] == text
    writer.abandon()


def test_helpers_write_what_readers_give(tmp_path: Path) -> None:
    path = write_log(tmp_path / "a.jsonl", sample())
    with open_log(path) as log:
        kept = [{k: v for k, v in r.items() if k not in ("seq", "t")} for r in log.records()]
    wanted = [{k: v for k, v in r.items() if k not in ("seq", "t")} for r in as_records(sample())]
    assert kept[:-1] == wanted


on_posix = pytest.mark.skipif(sys.platform == "win32", reason="open files stay where they are")


def descriptor_of(path: Path) -> int:
    """The descriptor under which this process has a file open."""
    wanted = path.stat()
    for fd in range(3, 1024):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(fd), wanted):
                return fd
    raise LookupError(path)


@on_posix
def test_a_descriptor_that_others_closed_is_opened_again(tmp_path: Path) -> None:
    """Its number may stand for another file by then, which stays as it is."""
    log, other = tmp_path / "a.jsonl", tmp_path / "mine"
    writer = LogWriter(log)
    writer.write(header())
    os.close(descriptor_of(log))
    writer.write(Warned(code="x", message="said"))
    fd = descriptor_of(log)
    with other.open("wb") as mine:
        os.dup2(mine.fileno(), fd)
        writer.write(Warned(code="x", message="said"))
        writer.close(None, {})
        os.close(fd)
    with open_log(log) as read:
        assert read.findings == []
        assert read.transcript.records == 4
    assert other.read_bytes() == b""


@on_posix
def test_another_file_in_the_place_of_the_log_is_not_written_to(tmp_path: Path) -> None:
    log = tmp_path / "a.jsonl"
    writer = LogWriter(log)
    writer.write(header())
    os.close(descriptor_of(log))
    log.rename(tmp_path / "moved")
    log.write_text("mine")
    with pytest.raises(FileError, match="another file is in its place"):
        writer.write(Warned(code="x", message="said"))
    writer.abandon()
    assert log.read_text() == "mine"


@on_posix
@pytest.mark.parametrize("mask", [0o000, 0o777])
def test_the_log_is_its_owners_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        LogWriter(tmp_path / "a.jsonl").abandon()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.jsonl").stat().st_mode) == 0o600
