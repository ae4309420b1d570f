"""The progress of a batch without a screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.batch.manifest import BatchFile, Entry
from convtui.cli.batch_progress import BatchProgress


@pytest.fixture
def batch(tmp_path: Path) -> BatchFile:
    file = BatchFile(tmp_path)
    for run in range(1, 7):
        file.entries[f"Ann.{run}"] = Entry(f"Ann.{run}", "Ann", run)
    return file


def end(batch: BatchFile, key: str, kind: str = "early_termination", **more: Any) -> None:
    termination = {"kind": kind, "by": "simulator", "reason": "said goodbye", "at_turn": 4, **more}
    batch.apply({"type": "ended", "key": key, "termination": termination, "totals": {"turns": 4},
                 "at": "2026-01-01T00:00:00Z"})  # fmt: skip


def test_a_line_for_each_that_ended(batch: BatchFile, capsys: pytest.CaptureFixture[str]) -> None:
    progress = BatchProgress(batch)
    progress.show(["Ann.1"])
    end(batch, "Ann.1")
    progress.show(["Ann.1", "Ann.2"])
    progress.show(["Ann.1"])
    assert capsys.readouterr().err == (
        "1/6  Ann.1  ended early by simulator after turn 4: said goodbye (4 turns)\n"
    )


def test_what_had_ended_before_is_not_told_again(
    batch: BatchFile, capsys: pytest.CaptureFixture[str]
) -> None:
    end(batch, "Ann.1")
    progress = BatchProgress(batch)
    end(batch, "Ann.2")
    progress.show(["Ann.1", "Ann.2"])
    assert capsys.readouterr().err.startswith("2/6  Ann.2  ended")


def test_a_conversation_that_is_run_again_says_why(
    batch: BatchFile, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = BatchProgress(batch)
    batch.apply({"type": "rerun", "key": "Ann.3", "because": "worker 2 was killed\x1b[2J"})
    progress.show(["Ann.3"])
    progress.show(["Ann.3"])
    assert capsys.readouterr().err == "Ann.3  run again: worker 2 was killed␛[2J\n"


class Terminal:
    """Standard error of a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...


def test_a_terminal_gets_a_line_that_is_rewritten_and_what_went_wrong(
    batch: BatchFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("convtui.cli.progress._AFTER", -1)
    monkeypatch.setattr("convtui.cli.progress._EVERY", 0)
    now = 0.0
    progress = BatchProgress(batch, clock=lambda: now)
    for run in range(1, 4):
        end(batch, f"Ann.{run}")
    end(batch, "Ann.4", "failed", by="provider", reason="no key")
    batch.entries["Ann.5"].state = "held"
    now = 8.0
    progress.show(list(batch.entries))
    progress.close()
    lines = terminal.text.split("\n")
    assert lines[0].endswith("4/6  Ann.4  failed by provider at turn 4: no key (4 turns)")
    assert "4 of 6 done, 1 held, 4 s left" in lines[-1]
    assert terminal.text.endswith("\r\x1b[K")
