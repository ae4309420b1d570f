"""The row of a conversation in a list of many."""

from __future__ import annotations

from pathlib import Path

from convtui.log.reader import open_log
from convtui.log.transcript_row import transcript_row
from tests.tui.harness.sample import refund, write_log


def test_a_row_counts_what_is_amiss_once_and_no_ending(tmp_path: Path) -> None:
    records = refund()
    said = next(r for r in records if r["type"] == "turn.committed" and r["speaker"] == "provider")
    said["flags"] = [{"flag": "repeat", "rule": "same-words"}, {"flag": "echo", "rule": "same"}]
    with open_log(write_log(tmp_path / "a.jsonl", records)) as log:
        row = transcript_row(log.transcript, "over")
    assert (row["turns"], row["signals"], row["discards"]) == (6, 1, 1)
    assert row["flags"] == 1, "the repetition: signal and discard are counted apart"
    assert (row["session"], row["turn"], row["side"]) == (2, 4, "persona")
    assert row["words"] == "Thanks, that is all I needed."
    assert row["last_signal"] == "[[ERROR]]"
