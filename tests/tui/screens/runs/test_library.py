"""The list of saved runs."""

from __future__ import annotations

from pathlib import Path

from convtui.log.run_summary import list_runs, summarise
from tests.tui.harness.sample import refund, write_log


def test_a_run_is_summarised(tmp_path: Path) -> None:
    run = summarise(write_log(tmp_path / "a.jsonl", refund()))
    assert (run.id, run.persona, run.provider) == ("sample", "maya", "my_provider.py:Bot")
    assert (run.ending, run.ended_by, run.state) == ("completed", "simulator", "completed")
    assert run.created_at is not None
    assert run.created_at.year == 2026
    assert run.records is not None
    assert run.records > 20
    assert not run.damaged


def test_a_log_without_trailer_has_crashed(tmp_path: Path) -> None:
    run = summarise(write_log(tmp_path / "a.jsonl", refund()[:12], closed=False))
    assert run.state == "crashed"
    assert not run.running


def test_damage_is_listed_and_nothing_is_raised(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"")
    (tmp_path / "text.jsonl").write_text("hello")
    (tmp_path / "list.jsonl").write_text("[1]\n")
    (tmp_path / "other.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "deep.jsonl").write_text("[" * 100_000)
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "a.wire.jsonl").write_text("")
    runs = {run.path.name: run for run in list_runs(tmp_path)}
    assert len(runs) == 6
    assert all(run.state == "damaged" for run in runs.values())
    assert runs["empty.jsonl"].damaged == "empty"


def test_a_missing_folder_has_no_runs(tmp_path: Path) -> None:
    assert list(list_runs(tmp_path / "none")) == []


def test_words_filter(tmp_path: Path) -> None:
    run = summarise(write_log(tmp_path / "a.jsonl", refund()))
    assert run.matches("MAYA completed")
    assert run.matches("")
    assert not run.matches("maya failed")
