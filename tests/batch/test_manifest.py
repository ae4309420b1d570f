"""The manifest of a batch: what is written is read back, whatever happened in between."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path

import pytest

from convtui.batch.keys import Key
from convtui.batch.manifest import counts, read_batch
from convtui.batch.manifest_writer import ManifestWriter
from convtui.errors import BatchLocked, FileError, NewerError
from convtui.log.names import MANIFEST
from tests.batch.manifests import begin
from tests.builders.waiting import WITHIN

DONE = {"kind": "completed", "by": "simulator", "reason": "script", "at_turn": 4}
TOTALS = {
    "turns": 4,
    "usage": {"provider": {"tokens": 100, "cost": 0.5}, "persona": {"tokens": 20, "cost": None}},
}


@pytest.mark.parametrize(
    "key",
    [Key("anna", 1), Key("anna-t0.2", 12), Key("anna", 3, 2), Key("a.1.a2", 1, 10)],
)
def test_a_key_reads_back(key: Key) -> None:
    assert Key.parse(str(key)) == key


@pytest.mark.parametrize("text", ["anna", "anna.0", "anna.1.a1", ".1", "anna.x", "anna.1.b2"])
def test_what_is_no_key_is_none(text: str) -> None:
    assert Key.parse(text) is None


def test_all_runs_of_all_cells_wait_at_first(tmp_path: Path) -> None:
    begin(tmp_path / "b", "anna", "ben", runs=2).close()
    batch = read_batch(tmp_path / "b")
    assert list(batch.entries) == ["anna.1", "anna.2", "ben.1", "ben.2"]
    assert counts(batch.entries.values())["waiting"] == 4
    assert (batch.id, batch.name, batch.runs, batch.digest) == ("b" * 32, "refund", 2, "d")
    assert batch.cells["ben"].number == 2
    assert batch.at is not None and not batch.running and batch.pid == os.getpid()


def test_a_conversation_from_start_to_end(tmp_path: Path) -> None:
    writer = begin(tmp_path, "anna")
    entry = writer.batch.entries["anna.1"]
    writer.add("started", key="anna.1", log="anna.1.jsonl", worker=2, attempt=1)
    assert (entry.state, entry.worker, entry.log) == ("running", 2, "anna.1.jsonl")
    writer.add("held", key="anna.1", reason="breakpoint", hold={"hold": "h1", "reason": "step"})
    assert (entry.state, entry.hold) == ("held", {"hold": "h1", "reason": "step"})
    writer.add("released", key="anna.1")
    assert (entry.state, entry.hold) == ("running", None)
    entry.row = {"words": "Hi."}
    writer.add(
        "ended", key="anna.1", log="anna.1.jsonl", status="closed", termination=DONE,
        totals=TOTALS, row={"words": "Goodbye.", "signals": 2},
    )  # fmt: skip
    writer.add("finished")
    writer.close()
    batch = read_batch(tmp_path)
    read = batch.entries["anna.1"]
    assert read == entry
    assert (read.ending, read.tokens, read.cost, read.turns) == ("completed", 120, 0.5, 4)
    assert read.row == {"words": "Goodbye.", "signals": 2}
    assert batch.finished and batch.log_of(read) == tmp_path / "anna.1.jsonl"


def test_a_conversation_run_again_keeps_the_name_of_its_crashed_log(tmp_path: Path) -> None:
    writer = begin(tmp_path, "anna")
    writer.add("started", key="anna.1", log="anna.1.jsonl", worker=1, attempt=1)
    entry = writer.batch.entries["anna.1"]
    entry.row = {"words": "Hi."}
    writer.add("rerun", key="anna.1", because="killed by SIGKILL", log="anna.1.jsonl")
    assert (entry.state, entry.reruns, entry.because) == ("waiting", 1, "killed by SIGKILL")
    assert entry.row == {}, "what its worker said of it is of another log"
    writer.add("started", key="anna.1", log="anna.1-2.jsonl", worker=2, attempt=1)
    writer.close()
    read = read_batch(tmp_path).entries["anna.1"]
    assert (read.log, read.earlier) == ("anna.1-2.jsonl", ["anna.1.jsonl"])


def test_attempts_are_entries_of_their_own(tmp_path: Path) -> None:
    writer = begin(tmp_path, "anna", runs=2)
    writer.add("started", key="anna.1", log="anna.1.jsonl", worker=1, attempt=1)
    writer.add("ended", key="anna.1", log="anna.1.jsonl", termination=DONE, totals=TOTALS)
    writer.add("started", key="anna.1.a2", log="anna.1.a2.jsonl", worker=1, attempt=2)
    writer.close()
    batch = read_batch(tmp_path)
    attempts = batch.attempts(batch.entries["anna.1"])
    assert [entry.key for entry in attempts] == ["anna.1", "anna.1.a2"]
    assert batch.attempts(attempts[1]) == attempts
    assert attempts[1].state == "crashed"  # nobody runs the batch any more


def test_one_that_goes_on_in_another_engine_keeps_its_state(tmp_path: Path) -> None:
    writer = begin(tmp_path, "anna")
    writer.add("started", key="anna.1", log="anna.1.jsonl", worker=1, attempt=1)
    writer.add("adopted", key="anna.1", log="anna.1-2.jsonl", pid=7)
    writer.close()
    entry = writer.batch.entries["anna.1"]
    assert (entry.log, entry.earlier, entry.worker) == ("anna.1-2.jsonl", ["anna.1.jsonl"], None)


def test_why_it_stopped_is_forgotten_when_it_is_resumed(tmp_path: Path) -> None:
    writer = begin(tmp_path, "anna")
    writer.add("stopped", why="the disk is full")
    writer.close()
    assert read_batch(tmp_path).stopped == "the disk is full"
    again = ManifestWriter.reopen(tmp_path)
    again.add("resumed", finished=0, continued=0, anew=1, changed=[])
    again.close()
    batch = read_batch(tmp_path)
    assert (batch.stopped, batch.resumed) == (None, 1)


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_torn_last_line_is_a_finding_and_is_cut_off_by_a_resume(tmp_path: Path, cut: int) -> None:
    writer = begin(tmp_path, "anna")
    writer.add("started", key="anna.1", log="anna.1.jsonl", worker=1, attempt=1)
    writer.close()
    path = tmp_path / MANIFEST
    path.write_bytes(path.read_bytes()[:-cut])
    batch = read_batch(tmp_path)
    assert batch.findings == ["line 3: it was cut off"]
    assert batch.entries["anna.1"].state == "waiting"
    again = ManifestWriter.reopen(tmp_path)
    again.add("finished")
    again.close()
    batch = read_batch(tmp_path)
    assert batch.findings == [] and batch.finished


def test_damage_in_the_middle_is_named_with_its_line(tmp_path: Path) -> None:
    begin(tmp_path, "anna").close()
    path = tmp_path / MANIFEST
    bad = [b"[1]", b'"x"', b"{", b"\xff\xfe", b"[" * 5000, b'{"type": "later.kind"}']
    unknown = b'{"type":"started","key":"nobody.1","log":"x.jsonl"}'
    good = b'{"type":"started","key":"anna.1","log":"anna.1.jsonl","at":"x","worker":"y"}'
    path.write_bytes(path.read_bytes() + b"\n".join([*bad, unknown, good, b""]))
    batch = read_batch(tmp_path)
    assert batch.findings == [f"line {line}: this is not a record" for line in range(3, 8)]
    assert list(batch.entries) == ["anna.1"]
    assert batch.entries["anna.1"].log == "anna.1.jsonl"


@pytest.mark.parametrize("name", ["../x.jsonl", "/etc/passwd", "a/b.jsonl", "..", "", 3, "a\0b"])
def test_a_log_is_never_outside_of_the_folder(tmp_path: Path, name: object) -> None:
    begin(tmp_path, "anna").close()
    line = json.dumps({"type": "started", "key": "anna.1", "log": name})
    path = tmp_path / MANIFEST
    path.write_bytes(path.read_bytes() + line.encode() + b"\n")
    assert read_batch(tmp_path).entries["anna.1"].log is None


def test_values_of_the_wrong_kind_do_no_harm(tmp_path: Path) -> None:
    lines = [
        {"type": "batch", "format": "x", "cells": [3, {"name": "a", "sessions": 1}], "runs": "2"},
        {"type": "ended", "key": "a.1", "termination": 5, "totals": {"usage": [1], "turns": "x"}},
        {"type": "held", "key": "a.1", "hold": 7},
        {"type": "opened", "pid": "x"},
        {"type": ["stopped"], "key": {}},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / MANIFEST).write_text(text)
    entry = read_batch(tmp_path).entries["a.1"]
    assert (entry.state, entry.ending, entry.tokens, entry.turns) == ("ended", "", None, None)


def test_what_is_no_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"no folder of a batch: it has no batch\.jsonl"):
        read_batch(tmp_path)
    for content in (b"", b"x\n", b'{"type":"header","format":"convtui"}\n', b'{"type":"batch"'):
        (tmp_path / MANIFEST).write_bytes(content)
        with pytest.raises(FileError, match="not the manifest of a batch"):
            read_batch(tmp_path)
    (tmp_path / MANIFEST).write_bytes(b'{"type":"batch","format":2}\n')
    with pytest.raises(NewerError, match="format 2 is newer"):
        read_batch(tmp_path)


def test_the_second_process_on_a_folder_is_refused_with_the_pid_of_the_first(
    tmp_path: Path,
) -> None:
    writer = begin(tmp_path, "anna")
    writer.add("started", key="anna.1", log="a.jsonl", worker=1, attempt=1)
    _until_written(writer)
    live = read_batch(tmp_path)
    assert live.running and live.entries["anna.1"].state == "running"
    message = f"process {os.getpid()} runs this batch"
    with pytest.raises(BatchLocked, match=message) as refused:
        ManifestWriter.reopen(tmp_path)
    assert refused.value.pid == os.getpid()
    with pytest.raises(BatchLocked, match=message):
        begin(tmp_path, "anna")
    writer.close()
    ManifestWriter.reopen(tmp_path).close()
    with pytest.raises(FileError, match="there is a batch in this folder already"):
        begin(tmp_path, "anna")


def test_secrets_are_masked(tmp_path: Path) -> None:
    writer = begin(tmp_path, "anna")
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"
    writer.add("rerun", key="anna.1", because=f"refused: {key}", log=None)
    writer.close()
    assert key not in (tmp_path / MANIFEST).read_text()
    assert "refused" in writer.batch.entries["anna.1"].because


def test_a_full_disk_is_reported_and_nothing_half_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = begin(tmp_path, "anna")
    _until_written(writer)
    failed = threading.Event()
    writer.on_error = lambda _: failed.set()

    def full(fd: int, data: bytes) -> None:
        os.write(fd, data[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("convtui.batch.manifest_writer.write_all", full)
    writer.add("stopped", why="anything")
    assert failed.wait(WITHIN)
    writer.add("finished")
    writer.close()
    assert writer.broken is not None and writer.broken.errno == errno.ENOSPC
    batch = read_batch(tmp_path)
    assert batch.findings == [] and not batch.finished
    assert writer.batch.finished


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    begin(tmp_path, "anna").close()
    assert (tmp_path / MANIFEST).stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]


def _until_written(writer: ManifestWriter) -> None:
    while writer._lines.qsize():
        threading.Event().wait(0.002)
