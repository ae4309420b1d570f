"""Turns that a continued conversation began with are shown from the parent log."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from convtui.log.parents import Ancestry
from convtui.log.reader import open_log
from convtui.log.requests import RequestChain
from convtui.log.writer import LogWriter
from convtui.records.models import (
    Header,
    HistorySeeded,
    LlmRequest,
    LlmResponse,
    ParentRef,
    Record,
    TurnCommitted,
    TurnStarted,
)


def _write(path: Path, *records: Record) -> Path:
    writer = LogWriter(path)
    for record in records:
        writer.write(record)
    writer.abandon()
    return path


def _header(name: str, *parents: ParentRef) -> Header:
    return Header(
        id=name,
        created_at="2026-01-01T00:00:00+00:00",
        origin="continue" if parents else "run",
        parents=list(parents),
        persona="Robin",
        provider={"spec": "demo", "name": "demo", "kind": "demo"},
        scenario={},
    )


def _turn_records(turn: int, raw: str) -> list[Record]:
    where: dict[str, Any] = {"session": 1, "turn": turn, "side": "provider", "attempt": 1}
    chain = RequestChain().add([{"role": "user", "content": "hi"}])
    return [
        TurnStarted(**where, speaker="provider"),
        LlmRequest(**where, **chain),
        LlmResponse(**where, raw=raw, call=2),
        TurnCommitted(**where, speaker="provider", text=raw.upper(), words=1),
    ]


def _child(path: Path, parent: Path, seq: int) -> Path:
    ref = ParentRef(
        id="parent",
        file=str(parent),
        seq=seq,
        sha256=hashlib.sha256(parent.read_bytes()).hexdigest(),
    )
    turn = {"session": 1, "turn": 1, "speaker": "provider", "text": "RAW"}
    seeded = HistorySeeded(turns=[turn], sessions=["default"], current=1, counters={}, messages={})
    return _write(path, _header("child", ref), seeded)


def test_the_parent_tells_what_the_child_only_names(tmp_path: Path) -> None:
    parent = _write(tmp_path / "parent.jsonl", _header("parent"), *_turn_records(1, "raw"))
    child = _child(tmp_path / "child.jsonl", parent, 4)
    grandchild = _child(tmp_path / "grandchild.jsonl", child, 1)
    ancestry = Ancestry()
    with open_log(grandchild) as log:
        source = ancestry.find(log.transcript, log.transcript.turns[0])
    assert source is not None
    path, detail = source
    assert path == parent
    assert detail.raw == "raw"
    assert detail.shown == "RAW"
    ancestry.close()


def test_a_parent_that_was_altered_is_not_believed(tmp_path: Path) -> None:
    parent = _write(tmp_path / "parent.jsonl", _header("parent"), *_turn_records(1, "raw"))
    child = _child(tmp_path / "child.jsonl", parent, 4)
    parent.write_bytes(parent.read_bytes().replace(b'"raw":"raw"', b'"raw":"war"'))
    ancestry = Ancestry()
    with open_log(child) as log:
        assert ancestry.find(log.transcript, log.transcript.turns[0]) is None
    assert "altered" in ancestry.problem


def test_a_parent_that_is_gone_is_a_reason_not_a_failure(tmp_path: Path) -> None:
    parent = _write(tmp_path / "parent.jsonl", _header("parent"), *_turn_records(1, "raw"))
    child = _child(tmp_path / "child.jsonl", parent, 4)
    parent.unlink()
    ancestry = Ancestry()
    with open_log(child) as log:
        assert ancestry.find(log.transcript, log.transcript.turns[0]) is None
    assert "not there" in ancestry.problem


def _raw(child: Path) -> tuple[str | None, str]:
    """What the ancestry finds of the child's first turn, and why it does not."""
    ancestry = Ancestry()
    with open_log(child) as log:
        source = ancestry.find(log.transcript, log.transcript.turns[0], child)
    ancestry.close()
    return (source[1].raw if source is not None else None), ancestry.problem


@pytest.mark.parametrize("name", ["parent.jsonl", "renamed.jsonl"])
def test_a_parent_that_was_moved_with_its_child_is_found_beside_it(
    tmp_path: Path, name: str
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    parent = _write(old / "parent.jsonl", _header("parent"), *_turn_records(1, "raw"))
    child = _child(old / "child.jsonl", parent, 4)
    new.mkdir()
    child = child.rename(new / "child.jsonl")
    assert _raw(child) == ("raw", "")  # only the child was moved
    moved = parent.rename(new / name)
    assert _raw(child) == ("raw", "")
    # A log of the same name or id that is another one is not believed.
    moved.write_bytes(moved.read_bytes().replace(b'"raw":"raw"', b'"raw":"war"'))
    raw, problem = _raw(child)
    assert raw is None
    assert "altered" in problem
    assert name in problem


def test_another_log_where_the_parent_was_does_not_hide_the_moved_one(tmp_path: Path) -> None:
    parent = _write(tmp_path / "parent.jsonl", _header("parent"), *_turn_records(1, "raw"))
    child = _child(tmp_path / "child.jsonl", parent, 4)
    parent.rename(tmp_path / "renamed.jsonl")
    _write(tmp_path / "parent.jsonl", _header("other"), *_turn_records(1, "other"))
    assert _raw(child) == ("raw", "")


def test_a_parent_that_grew_after_its_child_began_is_the_same(tmp_path: Path) -> None:
    parent = _write(tmp_path / "parent.jsonl", _header("parent"), *_turn_records(1, "raw"))
    child = _child(tmp_path / "child.jsonl", parent, 4)
    with parent.open("ab") as file:
        file.write(b'{"seq":5,"t":1,"type":"warning","message":"later"}\n{"seq":6,"to')
    assert _raw(child) == ("raw", "")


def test_a_parent_cut_before_the_child_began_is_altered(tmp_path: Path) -> None:
    parent = _write(tmp_path / "parent.jsonl", _header("parent"), *_turn_records(1, "raw"))
    child = _child(tmp_path / "child.jsonl", parent, 4)
    parent.write_bytes(parent.read_bytes()[:-20])
    raw, problem = _raw(child)
    assert raw is None
    assert "altered" in problem


@pytest.mark.parametrize(
    "field", [{"file": "\0"}, {"file": 3}, {"seq": "x"}, {"seq": None}, {"sha256": 5}, {"file": ""}]
)
def test_a_header_that_names_nonsense_as_its_parent(tmp_path: Path, field: dict[str, Any]) -> None:
    parent = _write(tmp_path / "parent.jsonl", _header("parent"), *_turn_records(1, "raw"))
    child = _child(tmp_path / "sub" / "child.jsonl", parent, 4)
    first, rest = child.read_bytes().split(b"\n", 1)
    header = json.loads(first)
    header["parents"][0].update(field)
    child.write_bytes(json.dumps(header).encode() + b"\n" + rest)
    assert _raw(child)[0] is None


def test_logs_that_name_each_other_do_not_hang(tmp_path: Path) -> None:
    one = _child(tmp_path / "one.jsonl", _write(tmp_path / "x.jsonl", _header("x")), 0)
    two = _child(tmp_path / "two.jsonl", one, 1)
    # A circle cannot be made with true digests: the second is altered by it.
    text = one.read_text().replace("x.jsonl", "two.jsonl")
    one.write_text(text)
    assert _raw(two)[0] is None
    assert _raw(one)[0] is None
