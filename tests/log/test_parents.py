"""Turns that a continued conversation began with are shown from the parent log."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from convtui.events import (
    Header,
    HistorySeeded,
    LlmRequest,
    LlmResponse,
    ParentRef,
    Record,
    TurnCommitted,
    TurnStarted,
)
from convtui.log.parents import Ancestry
from convtui.log.reader import open_log
from convtui.log.requests import RequestChain
from convtui.log.writer import LogWriter


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


def _said(turn: int, raw: str) -> list[Record]:
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
    parent = _write(tmp_path / "parent.jsonl", _header("parent"), *_said(1, "raw"))
    child = _child(tmp_path / "child.jsonl", parent, 4)
    grandchild = _child(tmp_path / "grandchild.jsonl", child, 1)
    ancestry = Ancestry()
    with open_log(grandchild) as log:
        found = ancestry.find(log.transcript, log.transcript.turns[0])
    assert found is not None
    path, detail = found
    assert path == parent
    assert detail.raw == "raw"
    assert detail.shown == "RAW"
    ancestry.close()


def test_a_parent_that_was_altered_is_not_believed(tmp_path: Path) -> None:
    parent = _write(tmp_path / "parent.jsonl", _header("parent"), *_said(1, "raw"))
    child = _child(tmp_path / "child.jsonl", parent, 4)
    parent.write_bytes(parent.read_bytes().replace(b'"raw":"raw"', b'"raw":"war"'))
    ancestry = Ancestry()
    with open_log(child) as log:
        assert ancestry.find(log.transcript, log.transcript.turns[0]) is None
    assert "altered" in ancestry.problem


def test_a_parent_that_is_gone_is_a_reason_not_a_failure(tmp_path: Path) -> None:
    parent = _write(tmp_path / "parent.jsonl", _header("parent"), *_said(1, "raw"))
    child = _child(tmp_path / "child.jsonl", parent, 4)
    parent.unlink()
    ancestry = Ancestry()
    with open_log(child) as log:
        assert ancestry.find(log.transcript, log.transcript.turns[0]) is None
    assert "not there" in ancestry.problem
