"""Endings in words."""

from __future__ import annotations

from typing import get_args

import pytest
from rich.cells import cell_len

from convtui.records.codec import TerminationKind
from convtui.transcript.ending_words import ending_sentence, short_ending
from convtui.tui.widgets.run_columns import columns_for


@pytest.mark.parametrize(
    ("kind", "by", "words"),
    [
        ("stopped", "responder", "stopped by responder after turn 6"),
        ("completed", "simulator", "completed by simulator after turn 6"),
        ("cap_exhausted", "responder", "follow-ups used up by responder after turn 6"),
        ("failed", "simulator", "failed by simulator at turn 6"),
        ("early_termination", "provider", "ended early by provider at turn 6"),
        ("max_turns", "harness", "turn limit reached at turn 6"),
    ],
)
def test_a_simulated_user_ends_a_session_after_a_turn(kind: str, by: str, words: str) -> None:
    termination = {"kind": kind, "by": by, "at_turn": 6}
    assert ending_sentence(termination, nothing="") == words


@pytest.mark.parametrize("kind", [*get_args(TerminationKind), "running", "crashed", "damaged"])
def test_short_endings_fit_the_column_of_lists(kind: str) -> None:
    column = next(column for column in columns_for(76) if column.name == "ended")
    assert cell_len(short_ending(kind)) <= column.width
